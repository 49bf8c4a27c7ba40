//! CNI configurations: the files without which the runtime's network never becomes ready.

use std::time::Duration;

use nodewhy_diagnosis::facts::{Record, schema as fact};
use nodewhy_diagnosis::{Facts, Missing};
use serde_json::Value;

use super::support::{blocking, miss_all, named_file, no_kubelet};
use super::{Check, Look, Stage};
use crate::host::Host;

const REPORTS: &[&str] = &["cni"];

/// Where the runtime reads them if its configuration does not say otherwise.
const DEFAULT_DIR: &str = "/etc/cni/net.d";

/// Distributions' own directories, first for the units they belong to.
const OWN_DIRS: [(&str, &str); 2] =
    [("k3s", "/var/lib/rancher/k3s/agent/etc/cni/net.d"), ("snap.microk8s", "/var/snap/microk8s/current/args/cni-network")];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "cni",
    about: "CNI configuration files and whether they can be used",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    if let Some(why) = no_kubelet(look) {
        miss_all(facts, REPORTS, look.began_at, &why);
        return;
    }
    let dir = directory(look);
    facts.put(fact::CNI_CONFIGS, look.began_at, configs(&look.host, &dir));
    facts.set(fact::CNI_CONFIG_DIR, look.began_at, dir);
}

fn directory(look: &Look) -> String {
    let unit = look.known.known(fact::KUBELET_UNIT_NAME).unwrap_or_default();
    let own = OWN_DIRS.iter().find(|(prefix, dir)| unit.starts_with(prefix) && look.host.exists(dir).unwrap_or_default());
    if let Some((_, dir)) = own {
        return (*dir).to_owned();
    }
    let endpoint = look.known.known(fact::RUNTIME_ENDPOINT).unwrap_or_default();
    let said = if endpoint.contains("crio") { of_crio(&look.host) } else { of_containerd(&look.host) };
    said.unwrap_or_else(|| DEFAULT_DIR.to_owned())
}

/// A configuration that is not there or not to be parsed leaves the default: the runtime check tells about the file.
fn toml(host: &Host, path: &str) -> Option<toml::Table> {
    toml::from_str(&host.read_text(path).ok()?).ok()
}

fn of_containerd(host: &Host) -> Option<String> {
    let table = toml(host, "/etc/containerd/config.toml")?;
    let plugins = table.get("plugins")?;
    let cri = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"].iter().find_map(|name| plugins.get(*name))?;
    Some(cri.get("cni")?.get("conf_dir")?.as_str()?.to_owned())
}

fn of_crio(host: &Host) -> Option<String> {
    let table = toml(host, "/etc/crio/crio.conf")?;
    Some(table.get("crio")?.get("network")?.get("network_dir")?.as_str()?.to_owned())
}

fn configs(host: &Host, dir: &str) -> Result<Vec<Record>, Missing> {
    let names = match host.list(dir) {
        Ok(names) => names,
        // Without the directory there is no configuration in it: that is an answer.
        Err(error) if error.is_absence() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let configs = names.into_iter().filter(|name| [".conf", ".conflist", ".json"].iter().any(|end| name.ends_with(end)));
    Ok(configs.map(|name| named_file(host, format!("{dir}/{name}"), name_of)).collect())
}

/// The network's name, if libcni would take the file (libcni conf.go): a list has plugins with types, a single configuration has a type.
pub(super) fn name_of(path: &str, text: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("{path}:{}:{}: {error}", error.line(), error.column()))?;
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let has_type = |plugin: &Value| plugin.get("type").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty());
    if path.ends_with(".conflist") {
        match value.get("plugins").and_then(Value::as_array) {
            None => return Err(format!("{path}: has no list of plugins")),
            Some(plugins) if plugins.is_empty() => return Err(format!("{path}: its list of plugins is empty")),
            Some(plugins) if !plugins.iter().all(has_type) => return Err(format!("{path}: a plugin in it has no type")),
            Some(_) if name.is_empty() => return Err(format!("{path}: has no name")),
            Some(_) => {}
        }
    } else if !has_type(&value) {
        return Err(format!("{path}: has no type; a list of plugins belongs into a .conflist file"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::facts::Value as Fact;

    use super::*;
    use crate::checks::testing::Node;

    const FLANNEL: &str = r#"{"name": "cbr0", "cniVersion": "0.3.1", "plugins": [{"type": "flannel"}, {"type": "portmap"}]}"#;

    fn configs_of(node: &Node) -> Vec<Record> {
        node.look(&CHECK).known(fact::CNI_CONFIGS).unwrap()
    }

    #[test]
    fn configurations_are_listed_with_their_names() {
        let node = Node::new().file("/etc/cni/net.d/10-flannel.conflist", FLANNEL).file("/etc/cni/net.d/README", "");
        let all = configs_of(&node);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].get("name"), Some(&Fact::Text("cbr0".into())));
        assert_eq!(all[0].get("valid"), Some(&Fact::Bool(true)));
    }

    #[test]
    fn no_directory_is_no_configuration() {
        assert_eq!(configs_of(&Node::new()), []);
    }

    #[test]
    fn what_the_runtime_would_refuse_is_told_with_its_place() {
        for (name, text, error) in [
            ("a.conflist", "{\"name\": \"x\",\n", ":2:0: EOF while parsing"),
            ("a.conflist", r#"{"name": "x"}"#, ": has no list of plugins"),
            ("a.conflist", r#"{"name": "x", "plugins": []}"#, ": its list of plugins is empty"),
            ("a.conflist", r#"{"plugins": [{"type": "bridge"}]}"#, ": has no name"),
            ("a.conf", r#"{"name": "x"}"#, ": has no type"),
            ("a.conf", "\u{0}", ":1:1: expected value"),
        ] {
            let all = configs_of(&Node::new().file(&format!("/etc/cni/net.d/{name}"), text));
            let Some(Fact::Text(told)) = all[0].get("error") else { panic!("{text}: {:?}", all[0]) };
            assert!(told.starts_with(&format!("/etc/cni/net.d/{name}{error}")), "{told}");
            assert_eq!(all[0].get("valid"), Some(&Fact::Bool(false)));
        }
    }

    #[test]
    fn the_directory_is_the_runtimes_own() {
        let dir = |node: &Node| node.look(&CHECK).known(fact::CNI_CONFIG_DIR).unwrap();
        assert_eq!(dir(&Node::new()), "/etc/cni/net.d");
        let k3s = Node::new()
            .known(fact::KUBELET_UNIT_NAME, "k3s-agent.service".to_owned())
            .file("/var/lib/rancher/k3s/agent/etc/cni/net.d/x", "");
        assert_eq!(dir(&k3s), "/var/lib/rancher/k3s/agent/etc/cni/net.d");
        let own = Node::new().file("/etc/containerd/config.toml", "[plugins.\"io.containerd.grpc.v1.cri\".cni]\nconf_dir = \"/opt/cni\"\n");
        assert_eq!(dir(&own), "/opt/cni");
    }
}
