//! The kubelet's command line: of its process while one runs, else as systemd would start it, else as its distribution would.

use super::environment::{self, Environment};
use super::flags::{self, Flags};
use super::layout::Layout;
use crate::host::Host;
use crate::host::bus::UnitDefinition;

/// The command line and where it was put together from.
#[derive(Debug, Default)]
pub(crate) struct Command {
    /// `None` if nothing says how the kubelet is started.
    pub(crate) flags: Option<Flags>,
    /// The variables the kubelet has, or would be given: `None` if that cannot be seen.
    pub(crate) environment: Option<Environment>,
    /// Files it comes from, and the process if one runs.
    pub(crate) from: Vec<String>,
    /// What the next start would be given, where a process was started with something that may be another.
    pub(crate) next: Option<Flags>,
    /// What was tried in vain.
    pub(crate) failed: Vec<String>,
}

/// Puts the command line together.
pub(crate) fn find(host: &Host, layout: Layout, definition: Option<&UnitDefinition>, main_pid: Option<i64>) -> Command {
    let mut command = Command::default();
    let mut defined = None;
    if let Some(unit) = definition {
        let environment = environment_of(host, unit, &mut command);
        defined = Some(environment::expand(&unit.exec_start, &environment));
        command.environment = command.failed.is_empty().then_some(environment);
    }
    // With an environment file that cannot be read, what the next start is given is not known.
    let whole = command.failed.is_empty();
    let next = defined.as_ref().filter(|_| layout == Layout::Plain && whole).and_then(|argv| flags::kubelet_arguments(argv));
    let running = of_process(host, layout, main_pid, &mut command);
    command.next = next.filter(|_| running.is_some()).map(|arguments| flags::parse(&arguments));
    if let Some(environment) = pid_of(host, layout, main_pid).and_then(|pid| host.environment(pid).ok()) {
        command.environment = Some(environment);
    }
    command.flags = match (layout, running, defined) {
        (_, Some(arguments), _) => Some(flags::parse(&arguments)),
        (Layout::Plain, None, Some(argv)) => of_unit(&argv, definition, &mut command),
        (Layout::K3s | Layout::Rke2, None, argv) => Some(of_rancher(host, layout, &argv.unwrap_or_default(), &mut command)),
        (Layout::Microk8s, None, _) => of_microk8s(host, &mut command),
        (Layout::Plain, None, None) => None,
    };
    command
}

fn environment_of(host: &Host, unit: &UnitDefinition, command: &mut Command) -> Environment {
    command.from.extend((!unit.fragment_path.is_empty()).then(|| unit.fragment_path.clone()));
    command.from.extend(unit.drop_ins.iter().cloned());
    let mut variables = Environment::new();
    environment::read_assignments(&unit.environment, &mut variables);
    for (path, optional) in &unit.environment_files {
        match host.read_text(path) {
            Ok(text) => {
                environment::read_file(&text, &mut variables);
                command.from.push(path.clone());
            }
            Err(error) if error.is_absence() && *optional => {}
            Err(error) => command.failed.push(error.sentence()),
        }
    }
    variables
}

/// The process that the kubelet is, or is a part of.
fn pid_of(host: &Host, layout: Layout, main_pid: Option<i64>) -> Option<i64> {
    match (layout, main_pid) {
        (Layout::Plain | Layout::K3s | Layout::Microk8s, Some(pid)) => (pid > 0).then_some(pid),
        (Layout::Plain, None) | (Layout::Rke2, _) => host.find_process("kubelet").ok()?,
        (Layout::K3s | Layout::Microk8s, None) => None,
    }
}

/// The arguments of the running kubelet. For RKE2 it is a child of the unit's main process; k3s and MicroK8s have no kubelet process.
fn of_process(host: &Host, layout: Layout, main_pid: Option<i64>, command: &mut Command) -> Option<Vec<String>> {
    let pid = match layout {
        Layout::K3s | Layout::Microk8s => return None,
        Layout::Plain | Layout::Rke2 => pid_of(host, layout, main_pid)?,
    };
    // A process that ended between two reads is no failure: the unit's definition is the answer then.
    let arguments = flags::kubelet_arguments(&host.command_line(pid).ok()?)?;
    command.from.push(format!("process {pid}"));
    Some(arguments)
}

fn of_unit(argv: &[String], definition: Option<&UnitDefinition>, command: &mut Command) -> Option<Flags> {
    if let Some(arguments) = flags::kubelet_arguments(argv) {
        return Some(flags::parse(&arguments));
    }
    // A program of another name that is handed the kubelet's own flags passes them on.
    let passed_on = argv
        .iter()
        .any(|word| word.starts_with("--config=") || word.starts_with("--kubeconfig=") || word == "--config" || word == "--kubeconfig");
    if passed_on {
        return Some(flags::parse(argv));
    }
    let program = argv.first().map_or("nothing", String::as_str);
    let unit = definition.map_or("", |unit| unit.name.as_str());
    command.failed.push(format!("ExecStart of {unit} runs {program}, which is not the kubelet, and no kubelet is running"));
    None
}

/// What k3s and RKE2 pass to their kubelet, with the user's --kubelet-arg over it.
fn of_rancher(host: &Host, layout: Layout, argv: &[String], command: &mut Command) -> Flags {
    let own = flags::parse(argv.get(1..).unwrap_or_default());
    let config = layout.own_config().and_then(|path| read_own_config(host, path, command)).unwrap_or_default();
    let said = |name: &str| own.get(name).cloned().or_else(|| config.get(name)?.as_str().map(str::to_owned));
    let data = said("data-dir").unwrap_or_else(|| layout.data_dir().unwrap_or_default().to_owned());
    let mut result = Flags::new();
    result.insert("kubeconfig".into(), format!("{data}/agent/kubelet.kubeconfig"));
    // Since 1.32 the defaults are handed over as a drop-in directory.
    let drop_ins = format!("{data}/agent/etc/kubelet.conf.d");
    if host.exists(&drop_ins).unwrap_or_default() {
        result.insert("config-dir".into(), drop_ins);
    }
    if let Some(name) = said("node-name") {
        result.insert("hostname-override".into(), name);
    }
    for argument in kubelet_args(argv, &config) {
        result.extend(flags::parse(&[format!("--{}", argument.trim_start_matches('-'))]));
    }
    result
}

fn kubelet_args(argv: &[String], config: &serde_json::Value) -> Vec<String> {
    let mut arguments = Vec::new();
    match config.get("kubelet-arg") {
        Some(serde_json::Value::Array(items)) => arguments.extend(items.iter().filter_map(|item| item.as_str().map(str::to_owned))),
        Some(serde_json::Value::String(one)) => arguments.push(one.clone()),
        _ => {}
    }
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

fn read_own_config(host: &Host, path: &str, command: &mut Command) -> Option<serde_json::Value> {
    match host.read_text(path) {
        Ok(text) => match super::config::parse_yaml(&text) {
            Ok(value) => {
                command.from.push(path.to_owned());
                Some(value)
            }
            Err(error) => {
                command.failed.push(super::config::yaml_complaint(path, &error));
                None
            }
        },
        Err(error) if error.is_absence() => None,
        Err(error) => {
            command.failed.push(error.sentence());
            None
        }
    }
}

const MICROK8S_ARGS: &str = "/var/snap/microk8s/current/args/kubelet";

fn of_microk8s(host: &Host, command: &mut Command) -> Option<Flags> {
    match host.read_text(MICROK8S_ARGS) {
        Ok(text) => {
            command.from.push(MICROK8S_ARGS.to_owned());
            let text = text
                .replace("${SNAP_DATA}", "/var/snap/microk8s/current")
                .replace("$SNAP_DATA", "/var/snap/microk8s/current")
                .replace("${SNAP_COMMON}", "/var/snap/microk8s/common")
                .replace("$SNAP_COMMON", "/var/snap/microk8s/common");
            let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            let words: Vec<String> = lines.flat_map(environment::split_words).collect();
            Some(flags::parse(&words))
        }
        Err(error) => {
            command.failed.push(error.sentence());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn kubeadm_unit() -> UnitDefinition {
        UnitDefinition {
            name: "kubelet.service".into(),
            fragment_path: "/lib/systemd/system/kubelet.service".into(),
            drop_ins: strings(&["/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"]),
            exec_start: strings(&["/usr/bin/kubelet", "$KUBELET_CONFIG_ARGS", "$KUBELET_KUBEADM_ARGS", "$KUBELET_EXTRA_ARGS"]),
            environment: strings(&["KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"]),
            environment_files: vec![("/var/lib/kubelet/kubeadm-flags.env".into(), true), ("/etc/default/kubelet".into(), true)],
            ..UnitDefinition::default()
        }
    }

    #[test]
    fn kubeadm_flags_come_from_drop_in_and_environment_files() {
        let node = Node::new().file("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\"--fail-swap-on=false --v=2\"\n");
        let command = find(&node.host(), Layout::Plain, Some(&kubeadm_unit()), Some(0));
        let flags = command.flags.unwrap();
        assert_eq!(flags["config"], "/var/lib/kubelet/config.yaml");
        assert_eq!(flags["fail-swap-on"], "false");
        assert_eq!(
            command.from,
            ["/lib/systemd/system/kubelet.service", "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "/etc/default/kubelet"]
        );
        assert!(command.failed.is_empty());
    }

    #[test]
    fn a_proxy_is_read_from_the_unit_and_from_the_process_that_runs() {
        let proxy = |command: Command| command.environment.unwrap().get("HTTPS_PROXY").cloned();
        let unit = UnitDefinition {
            environment: strings(&["HTTPS_PROXY=http://proxy:3128"]),
            environment_files: vec![("/etc/default/kubelet".into(), true)],
            ..kubeadm_unit()
        };
        let node = Node::new().file("/etc/default/kubelet", "HTTPS_PROXY=http://other:3128\n");
        assert_eq!(proxy(find(&node.host(), Layout::Plain, Some(&unit), Some(0))).unwrap(), "http://other:3128");
        let node = node.file("/proc/77/cmdline", "kubelet\0").file("/proc/77/environ", "PATH=/bin\0HTTPS_PROXY=http://live:1\0");
        assert_eq!(proxy(find(&node.host(), Layout::Plain, Some(&unit), Some(77))).unwrap(), "http://live:1");
        assert_eq!(proxy(find(&node.host(), Layout::K3s, Some(&unit), Some(77))).unwrap(), "http://live:1");
        let unreadable = UnitDefinition { environment_files: vec![("/etc/proxy.env".into(), false)], ..unit };
        assert_eq!(find(&Node::new().host(), Layout::Plain, Some(&unreadable), Some(0)).environment, None);
    }

    #[test]
    fn a_running_kubelet_is_believed_over_its_unit() {
        let node = Node::new().file("/proc/77/cmdline", "/usr/bin/kubelet\0--fail-swap-on=true\0");
        let command = find(&node.host(), Layout::Plain, Some(&kubeadm_unit()), Some(77));
        assert_eq!(command.flags.unwrap()["fail-swap-on"], "true");
        assert_eq!(command.from.last().unwrap(), "process 77");
    }

    #[test]
    fn a_missing_environment_file_is_told_unless_it_may_be_missing() {
        let unit = UnitDefinition { environment_files: vec![("/etc/kubelet.env".into(), false)], ..kubeadm_unit() };
        let command = find(&Node::new().host(), Layout::Plain, Some(&unit), Some(0));
        assert_eq!(command.failed, ["open /etc/kubelet.env: No such file or directory"]);
        assert!(command.flags.is_some());
    }

    #[test]
    fn an_opaque_wrapper_leaves_the_flags_unknown() {
        let unit = UnitDefinition { exec_start: strings(&["/opt/start-node.sh"]), ..kubeadm_unit() };
        let command = find(&Node::new().host(), Layout::Plain, Some(&unit), Some(0));
        assert!(command.flags.is_none());
        assert!(command.failed[0].contains("/opt/start-node.sh"));
    }

    #[test]
    fn k3s_takes_kubelet_arguments_from_its_config_and_its_command_line() {
        let node = Node::new()
            .file("/etc/rancher/k3s/config.yaml", "node-name: edge-1\nkubelet-arg:\n  - fail-swap-on=true\n  - v=3\n")
            .file("/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf", "");
        let unit =
            UnitDefinition { exec_start: strings(&["/usr/local/bin/k3s", "agent", "--kubelet-arg", "v=4"]), ..UnitDefinition::default() };
        let flags = find(&node.host(), Layout::K3s, Some(&unit), Some(5)).flags.unwrap();
        assert_eq!(flags["fail-swap-on"], "true");
        assert_eq!(flags["v"], "4");
        assert_eq!(flags["hostname-override"], "edge-1");
        assert_eq!(flags["kubeconfig"], "/var/lib/rancher/k3s/agent/kubelet.kubeconfig");
        assert_eq!(flags["config-dir"], "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d");
    }

    #[test]
    fn rke2_runs_a_kubelet_process_of_its_own() {
        let node = Node::new()
            .file("/proc/90/comm", "kubelet\n")
            .file("/proc/90/cmdline", "kubelet\0--fail-swap-on=false\0--kubeconfig=/var/lib/rancher/rke2/agent/kubelet.kubeconfig\0");
        let flags = find(&node.host(), Layout::Rke2, None, Some(12)).flags.unwrap();
        assert_eq!(flags["kubeconfig"], "/var/lib/rancher/rke2/agent/kubelet.kubeconfig");
    }

    #[test]
    fn microk8s_keeps_its_flags_in_a_file() {
        let node = Node::new().file(MICROK8S_ARGS, "--kubeconfig=${SNAP_DATA}/credentials/kubelet.config\n# --x=1\n--fail-swap-on=false\n");
        let flags = find(&node.host(), Layout::Microk8s, None, Some(12)).flags.unwrap();
        assert_eq!(flags["kubeconfig"], "/var/snap/microk8s/current/credentials/kubelet.config");
        assert_eq!(flags.get("x"), None);
    }
}
