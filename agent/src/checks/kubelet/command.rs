//! The kubelet's command line: of its process while one runs, else as systemd would start it, else as its distribution would.

use super::environment::{self, Environment};
use super::flags::{self, Flags};
use super::layout::Layout;
use super::{k0s, rancher};
use crate::host::Host;
use crate::host::bus::UnitDefinition;
use crate::host::glob::is_pattern;

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
        (Layout::K3s | Layout::Rke2, None, argv) => rancher::flags(host, layout, &argv.unwrap_or_default(), &mut command),
        (Layout::K0s, None, argv) => Some(k0s::flags(host, &argv.unwrap_or_default())),
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
        for path in environment_paths(host, path, *optional, command) {
            match host.read_text(&path) {
                Ok(text) => {
                    environment::read_file(&text, &mut variables);
                    command.from.push(path);
                }
                Err(error) if error.is_absence() && *optional => {}
                Err(error) => command.failed.push(error.sentence()),
            }
        }
    }
    variables
}

/// The files that an EnvironmentFile stands for: it may be a pattern (systemd.exec(5); src/core/exec-invoke.c, exec_context_load_environment).
fn environment_paths(host: &Host, path: &str, optional: bool, command: &mut Command) -> Vec<String> {
    if !is_pattern(path) {
        return vec![path.to_owned()];
    }
    match host.glob(path) {
        Ok(found) => {
            if found.is_empty() && !optional {
                command.failed.push(format!("no file matches {path}"));
            }
            found
        }
        Err(error) => {
            command.failed.push(error.sentence());
            Vec::new()
        }
    }
}

/// The process that the kubelet is, or is a part of.
fn pid_of(host: &Host, layout: Layout, main_pid: Option<i64>) -> Option<i64> {
    match (layout, main_pid) {
        (Layout::Plain | Layout::K3s | Layout::Microk8s, Some(pid)) => (pid > 0).then_some(pid),
        (Layout::Plain, None) | (Layout::Rke2 | Layout::K0s, _) => host.find_process("kubelet").ok()?,
        (Layout::K3s | Layout::Microk8s, None) => None,
    }
}

/// The arguments of the running kubelet. For RKE2 and k0s it is a child of the unit's main process; k3s and MicroK8s have no kubelet process.
fn of_process(host: &Host, layout: Layout, main_pid: Option<i64>, command: &mut Command) -> Option<Vec<String>> {
    let pid = match layout {
        Layout::K3s | Layout::Microk8s => return None,
        Layout::Plain | Layout::Rke2 | Layout::K0s => pid_of(host, layout, main_pid)?,
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
    let program = argv.first().map_or("nothing", String::as_str);
    // A program of another name that is handed the kubelet's own flags passes them on. The `--config` of these is one of their own.
    let own_config = ["k3s", "rke2", "k0s", "microshift", "kubelite"].contains(&program.rsplit('/').next().unwrap_or(program));
    let passed_on = !own_config
        && argv
            .iter()
            .any(|word| word.starts_with("--config=") || word.starts_with("--kubeconfig=") || word == "--config" || word == "--kubeconfig");
    if passed_on {
        return Some(flags::parse(argv));
    }
    let unit = definition.map_or("", |unit| unit.name.as_str());
    command.failed.push(format!("ExecStart of {unit} runs {program}, which is not the kubelet, and no kubelet is running"));
    None
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
    fn an_environment_file_may_be_a_pattern() {
        let unit = |pattern: &str, optional| UnitDefinition { environment_files: vec![(pattern.into(), optional)], ..kubeadm_unit() };
        let node = Node::new()
            .file("/etc/kubelet.d/20.env", "KUBELET_EXTRA_ARGS=--fail-swap-on=false\n")
            .file("/etc/kubelet.d/10.env", "KUBELET_EXTRA_ARGS=--fail-swap-on=true\n");
        let command = find(&node.host(), Layout::Plain, Some(&unit("/etc/kubelet.d/*.env", true)), Some(0));
        assert_eq!(command.flags.unwrap()["fail-swap-on"], "false", "the later one wins");
        assert_eq!(command.from[2..], ["/etc/kubelet.d/10.env", "/etc/kubelet.d/20.env"]);
        let failed = |optional| find(&node.host(), Layout::Plain, Some(&unit("/etc/none.d/*.env", optional)), Some(0)).failed;
        assert_eq!(failed(true), Vec::<String>::new());
        assert_eq!(failed(false), ["no file matches /etc/none.d/*.env"]);
    }

    #[test]
    fn the_configuration_of_another_program_is_not_the_kubelets() {
        for words in [["/usr/local/bin/k0s", "--config=/etc/k0s/k0s.yaml"], ["/usr/bin/microshift", "--config=/etc/microshift/config.yaml"]]
        {
            let unit = UnitDefinition { exec_start: strings(&words), ..kubeadm_unit() };
            assert!(find(&Node::new().host(), Layout::Plain, Some(&unit), Some(0)).flags.is_none(), "{words:?}");
        }
    }

    #[test]
    fn an_opaque_wrapper_leaves_the_flags_unknown() {
        let unit = UnitDefinition { exec_start: strings(&["/opt/start-node.sh"]), ..kubeadm_unit() };
        let command = find(&Node::new().host(), Layout::Plain, Some(&unit), Some(0));
        assert!(command.flags.is_none());
        assert!(command.failed[0].contains("/opt/start-node.sh"));
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
