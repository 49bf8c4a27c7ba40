//! What k3s and RKE2 pass to their kubelet, as their flags, files and variables say.

use std::collections::BTreeMap;

use serde_json::Value;

use super::command::Command;
use super::environment::Environment;
use super::flags::{self, Flags};
use super::layout::Layout;
use crate::host::Host;

/// Their own flags by name.
type Own = BTreeMap<String, Value>;

/// The kubelet's flags; `None` where a file that may set any of them cannot be read.
pub(super) fn flags(host: &Host, layout: Layout, argv: &[String], command: &mut Command) -> Option<Flags> {
    let environment = command.environment.clone().unwrap_or_default();
    let failures = command.failed.len();
    let config = read_own(host, layout, argv, &environment, command);
    if command.failed.len() > failures {
        return None;
    }
    let own = flags::parse(argv.get(1..).unwrap_or_default());
    let prefix = layout.variables().unwrap_or_default();
    // Files are put before the command line (configfilearg), so both go before variables (urfave/cli).
    let said = |name: &str, variable: &str| {
        let flag = own.get(name).cloned().or_else(|| config.get(name).and_then(text));
        flag.or_else(|| environment.get(&format!("{prefix}_{variable}")).cloned()).filter(|value| !value.is_empty())
    };
    let data = said("data-dir", "DATA_DIR").or_else(|| own.get("d").cloned());
    let data = data.unwrap_or_else(|| layout.data_dir().unwrap_or_default().to_owned());
    let mut result = Flags::new();
    result.insert("kubeconfig".into(), format!("{data}/agent/kubelet.kubeconfig"));
    // Since 1.32 the defaults are handed over as a drop-in directory.
    let drop_ins = format!("{data}/agent/etc/kubelet.conf.d");
    if host.exists(&drop_ins).unwrap_or_default() {
        result.insert("config-dir".into(), drop_ins);
    }
    // With an id appended (k3s pkg/agent/config) only the certificate knows the whole name.
    let with_id = said("with-node-id", "").is_some_and(|value| value != "false");
    if let Some(name) = said("node-name", "NODE_NAME").filter(|_| !with_id) {
        result.insert("hostname-override".into(), name);
    }
    if let Some(endpoint) = said("container-runtime-endpoint", "CONTAINER_RUNTIME_ENDPOINT") {
        let scheme = if endpoint.contains("://") { "" } else { "unix://" };
        result.insert("container-runtime-endpoint".into(), format!("{scheme}{endpoint}"));
    }
    for argument in kubelet_args(argv, &config) {
        result.extend(flags::parse(&[format!("--{}", argument.trim_start_matches('-'))]));
    }
    Some(result)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => items.last().and_then(text),
        Value::Null | Value::Object(_) => None,
    }
}

fn kubelet_args(argv: &[String], config: &Own) -> Vec<String> {
    let mut arguments: Vec<String> = config.get("kubelet-arg").map(items).unwrap_or_default().iter().filter_map(text).collect();
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix("--kubelet-arg") {
            Some("") => arguments.extend(words.next().cloned()),
            Some(value) => arguments.extend(value.strip_prefix('=').map(str::to_owned)),
            None => {}
        }
    }
    arguments
}

fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// k3s pkg/configfilearg/parser.go, which RKE2 uses too: the file named by the variable, else by the flag, else the one by convention; over
/// it the files in its `.d` directory by name. A key replaces the one before, one that ends in `+` adds to it.
fn read_own(host: &Host, layout: Layout, argv: &[String], environment: &Environment, command: &mut Command) -> Own {
    let prefix = layout.variables().unwrap_or_default();
    let named = environment.get(&format!("{prefix}_CONFIG_FILE")).filter(|path| !path.is_empty()).cloned().or_else(|| config_flag(argv));
    let path = named.clone().unwrap_or_else(|| layout.own_config().unwrap_or_default().to_owned());
    if path.starts_with("http://") || path.starts_with("https://") {
        command.failed.push(format!("the configuration comes from {path}, which the agent does not fetch"));
        return Own::new();
    }
    let drop_ins = drop_ins(host, &path, command);
    let mut own = Own::new();
    let optional = named.is_none() || !drop_ins.is_empty();
    merge(host, &path, optional, &mut own, command);
    drop_ins.iter().for_each(|path| merge(host, path, false, &mut own, command));
    own
}

fn config_flag(argv: &[String]) -> Option<String> {
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        if word == "--config" || word == "-c" {
            return words.next().cloned();
        }
        if let Some(path) = word.strip_prefix("--config=").or_else(|| word.strip_prefix("-c=")) {
            return Some(path.to_owned());
        }
    }
    None
}

fn drop_ins(host: &Host, path: &str, command: &mut Command) -> Vec<String> {
    let directory = format!("{path}.d");
    match host.list(&directory) {
        Ok(mut names) => {
            names.sort_unstable();
            let yaml = |name: &String| name.ends_with(".yaml") || name.ends_with(".yml");
            names.into_iter().filter(yaml).map(|name| format!("{directory}/{name}")).collect()
        }
        Err(error) => {
            command.failed.extend((!error.is_absence()).then(|| error.sentence()));
            Vec::new()
        }
    }
}

fn merge(host: &Host, path: &str, optional: bool, own: &mut Own, command: &mut Command) {
    let text = match host.read_text(path) {
        Ok(text) => text,
        Err(error) => return command.failed.extend((!error.is_absence() || !optional).then(|| error.sentence())),
    };
    let read = match super::config::parse_yaml(&text) {
        Ok(read) => read,
        Err(error) => return command.failed.push(super::config::yaml_complaint(path, &error)),
    };
    command.from.push(path.to_owned());
    for (key, value) in read.as_object().into_iter().flatten() {
        match (key.strip_suffix('+'), own.get(key.trim_end_matches('+'))) {
            (Some(key), Some(before)) => {
                let both = items(before).into_iter().chain(items(value)).collect();
                own.insert(key.to_owned(), Value::Array(both));
            }
            (stripped, _) => {
                own.insert(stripped.unwrap_or(key).to_owned(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;
    use crate::checks::testing::Node;
    use crate::host::bus::UnitDefinition;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn k3s(words: &[&str], variables: &[&str]) -> UnitDefinition {
        let exec_start = strings(&[&["/usr/local/bin/k3s"], words].concat());
        UnitDefinition { exec_start, environment: strings(variables), ..UnitDefinition::default() }
    }

    fn found(node: &Node, unit: &UnitDefinition) -> Command {
        command::find(&node.host(), Layout::K3s, Some(unit), Some(5))
    }

    #[test]
    fn k3s_takes_kubelet_arguments_from_its_config_and_its_command_line() {
        let node = Node::new()
            .file("/etc/rancher/k3s/config.yaml", "node-name: edge-1\nkubelet-arg:\n  - fail-swap-on=true\n  - v=3\n")
            .file("/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf", "");
        let flags = found(&node, &k3s(&["agent", "--kubelet-arg", "v=4"], &[])).flags.unwrap();
        assert_eq!(flags["fail-swap-on"], "true");
        assert_eq!(flags["v"], "4");
        assert_eq!(flags["hostname-override"], "edge-1");
        assert_eq!(flags["kubeconfig"], "/var/lib/rancher/k3s/agent/kubelet.kubeconfig");
        assert_eq!(flags["config-dir"], "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d");
    }

    #[test]
    fn files_beside_the_configuration_go_over_it_and_add_to_it() {
        let node = Node::new()
            .file("/etc/rancher/k3s/config.yaml", "node-name: edge-1\nkubelet-arg: [v=3]\n")
            .file("/etc/rancher/k3s/config.yaml.d/20.yml", "kubelet-arg+: fail-swap-on=true\n")
            .file("/etc/rancher/k3s/config.yaml.d/10.yaml", "node-name: edge-2\n")
            .file("/etc/rancher/k3s/config.yaml.d/30.txt", "node-name: edge-3\n");
        let command = found(&node, &k3s(&["agent"], &[]));
        let flags = command.flags.unwrap();
        assert_eq!((flags["hostname-override"].as_str(), flags["fail-swap-on"].as_str(), flags["v"].as_str()), ("edge-2", "true", "3"));
        assert_eq!(command.from.last().unwrap(), "/etc/rancher/k3s/config.yaml.d/20.yml");
        let alone = Node::new().file("/etc/rancher/k3s/config.yaml.d/10.yaml", "kubelet-arg: fail-swap-on=true\n");
        assert_eq!(found(&alone, &k3s(&["agent"], &[])).flags.unwrap()["fail-swap-on"], "true");
    }

    #[test]
    fn the_configuration_is_where_the_variable_or_the_flag_says() {
        let node = Node::new().file("/etc/a.yaml", "node-name: a\n").file("/etc/b.yaml", "node-name: b\n");
        let name = |words: &[&str], variables: &[&str]| found(&node, &k3s(words, variables)).flags?.get("hostname-override").cloned();
        assert_eq!(name(&["agent", "--config", "/etc/a.yaml"], &[]).as_deref(), Some("a"));
        assert_eq!(name(&["agent", "-c=/etc/a.yaml"], &["K3S_CONFIG_FILE=/etc/b.yaml"]).as_deref(), Some("b"));
        assert_eq!(name(&["agent"], &["K3S_NODE_NAME=c"]).as_deref(), Some("c"));
        assert_eq!(name(&["agent", "--with-node-id"], &["K3S_NODE_NAME=c"]), None, "only the certificate knows the id");
    }

    #[test]
    fn a_configuration_that_cannot_be_had_leaves_the_flags_unknown() {
        for (words, failed) in [
            (&["agent", "--config=/etc/none.yaml"][..], "open /etc/none.yaml: No such file or directory"),
            (&["agent", "--config=https://x/c.yaml"], "the configuration comes from https://x/c.yaml, which the agent does not fetch"),
        ] {
            let command = found(&Node::new(), &k3s(words, &[]));
            assert_eq!((command.flags, command.failed), (None, vec![failed.to_owned()]));
        }
        let torn = Node::new().file("/etc/rancher/k3s/config.yaml.d/10.yaml", "kubelet-arg: [\n");
        assert!(found(&torn, &k3s(&["agent"], &[])).flags.is_none());
    }

    #[test]
    fn a_runtime_of_the_nodes_own_is_passed_on() {
        let flags =
            found(&Node::new(), &k3s(&["agent", "--container-runtime-endpoint", "/run/containerd/containerd.sock"], &[])).flags.unwrap();
        assert_eq!(flags["container-runtime-endpoint"], "unix:///run/containerd/containerd.sock");
    }
}
