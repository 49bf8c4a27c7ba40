//! What Kubernetes needs of the kernel: modules and settings.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::blocking;
use super::{Check, Look, Stage};
use crate::host::Host;

const REPORTS: &[&str] = &["kernel.modules", "kernel.sysctls", "kernel.against_kubelet"];

/// Modules that a runtime, kube-proxy or a network plugin may want.
const MODULES: [&str; 4] = ["overlay", "br_netfilter", "nf_conntrack", "ip_vs"];

const MODULES_DIRS: [&str; 4] = ["/proc/1/root/lib/modules", "/proc/1/root/usr/lib/modules", "/lib/modules", "/usr/lib/modules"];

/// Settings that matter, as sysctl(8) names them.
const SYSCTLS: [&str; 11] = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
    "user.max_user_namespaces",
];

/// What a kubelet with protectKernelDefaults asks for (setupKernelTunables in pkg/kubelet/cm/container_manager_linux.go, the same since 1.14).
const DEMANDED: [(&str, &str); 6] = [
    ("vm.overcommit_memory", "1"),
    ("vm.panic_on_oom", "0"),
    ("kernel.panic", "10"),
    ("kernel.panic_on_oops", "1"),
    ("kernel.keys.root_maxkeys", "1000000"),
    ("kernel.keys.root_maxbytes", "25000000"),
];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "kernel",
    about: "kernel modules and settings that Kubernetes needs",
    stage: Stage::Look,
    period: Duration::from_secs(30),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    facts.put(fact::KERNEL_MODULES, at, modules(&look.host));
    let sysctls = sysctls(&look.host);
    facts.put(fact::KERNEL_AGAINST_KUBELET, at, sysctls.as_ref().map(against_kubelet).map_err(Clone::clone));
    facts.put(fact::KERNEL_SYSCTLS, at, sysctls);
}

fn modules(host: &Host) -> Result<BTreeMap<String, String>, Missing> {
    let loaded = match host.read_text("/proc/modules") {
        // A kernel without modules has no such file.
        Err(error) if error.is_absence() && host.exists("/proc/stat").unwrap_or_default() => String::new(),
        other => other?,
    };
    // Read only when a module is not loaded: they are large.
    let read = OnceCell::new();
    let of_kernel = || read.get_or_init(|| of_kernel(host)).as_ref();
    let state = |name: &&str| Some(((*name).to_owned(), state(host, name, &loaded, of_kernel)?.to_owned()));
    Ok(MODULES.iter().filter_map(state).collect())
}

/// modules.builtin and modules.dep of the running kernel. A container of the node (nspawn, LXC, kind) has none. The agent's own unit is not
/// shown them (ProtectKernelModules=), the node's PID 1 is.
struct OfKernel {
    builtin: String,
    loadable: String,
}

fn of_kernel(host: &Host) -> Option<OfKernel> {
    let release = host.read_line("/proc/sys/kernel/osrelease").ok()?;
    let read = |name: &str| MODULES_DIRS.iter().find_map(|dir| host.read_text(format!("{dir}/{release}/{name}")).ok());
    Some(OfKernel { builtin: read("modules.builtin")?, loadable: read("modules.dep")? })
}

/// `None` if that cannot be told.
fn state<'a>(host: &Host, name: &str, loaded: &str, of_kernel: impl Fn() -> Option<&'a OfKernel>) -> Option<&'static str> {
    if loaded.lines().any(|line| line.split(' ').next() == Some(name)) {
        return Some("loaded");
    }
    // A built-in module has a directory only if it has parameters or a version.
    if host.exists(format!("/sys/module/{name}")).unwrap_or_default() {
        return Some("built-in");
    }
    if name == "overlay" && host.read_text("/proc/filesystems").is_ok_and(|text| text.lines().any(|line| line.ends_with("\toverlay"))) {
        return Some("built-in");
    }
    let of_kernel = of_kernel()?;
    let listed = |list: &str| list.lines().any(|line| is_module(line, name));
    Some(match () {
        () if listed(&of_kernel.builtin) => "built-in",
        () if listed(&of_kernel.loadable) => "available",
        () => "absent",
    })
}

/// `kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz ...`
fn is_module(line: &str, name: &str) -> bool {
    let file = line.split(':').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    file.split('.').next().is_some_and(|stem| stem.replace('-', "_") == name)
}

fn sysctls(host: &Host) -> Result<BTreeMap<String, String>, Missing> {
    let mut found = BTreeMap::new();
    for name in SYSCTLS {
        match host.read_line(format!("/proc/sys/{}", name.replace('.', "/"))) {
            Ok(value) => found.insert(name.to_owned(), value),
            Err(error) if error.is_absence() => None,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(found)
}

fn against_kubelet(sysctls: &BTreeMap<String, String>) -> Vec<String> {
    let differs = |(name, wanted): &(&str, &str)| {
        let value = sysctls.get(*name).filter(|value| value != wanted)?;
        Some(format!("{name}={value} ({wanted} demanded)"))
    };
    DEMANDED.iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    fn node() -> Node {
        Node::new()
            .file("/proc/modules", "overlay 151552 12 - Live 0x0\nnf_conntrack_netlink 1 0 - Live 0x0\n")
            .file("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
            .file("/lib/modules/6.1.0-18-amd64/modules.builtin", "kernel/net/netfilter/nf_conntrack.ko\n")
            .file("/lib/modules/6.1.0-18-amd64/modules.dep", "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz\n")
            .file("/proc/sys/vm/overcommit_memory", "0\n")
            .file("/proc/sys/kernel/panic", "10\n")
            .file("/proc/sys/net/ipv4/ip_forward", "1\n")
    }

    #[test]
    fn modules_are_loaded_built_in_available_or_absent() {
        let modules = node().look(&CHECK).known(fact::KERNEL_MODULES).unwrap();
        let state = |name: &str| modules.get(name).cloned().unwrap_or_default();
        assert_eq!(["overlay", "nf_conntrack", "br_netfilter", "ip_vs"].map(state), ["loaded", "built-in", "available", "absent"]);
    }

    #[test]
    fn modules_hidden_from_the_agents_unit_are_seen_through_the_nodes_first_process() {
        let node = Node::new()
            .file("/proc/modules", "overlay 1 0 - Live 0x0\n")
            .file("/proc/sys/kernel/osrelease", "6.1.0\n")
            .file("/proc/1/root/lib/modules/6.1.0/modules.builtin", "")
            .file("/proc/1/root/lib/modules/6.1.0/modules.dep", "kernel/net/bridge/br_netfilter.ko:\n");
        let modules = node.look(&CHECK).known(fact::KERNEL_MODULES).unwrap();
        assert_eq!((modules["br_netfilter"].as_str(), modules["ip_vs"].as_str()), ("available", "absent"));
    }

    #[test]
    fn a_node_without_its_kernels_files_says_nothing_of_what_is_not_loaded() {
        let modules = Node::new().file("/proc/modules", "overlay 1 0 - Live 0x0\n").look(&CHECK).known(fact::KERNEL_MODULES).unwrap();
        assert_eq!(modules.keys().collect::<Vec<_>>(), ["overlay"]);
    }

    #[test]
    fn settings_are_held_against_what_the_kubelet_demands() {
        let facts = node().look(&CHECK);
        assert_eq!(facts.known(fact::KERNEL_SYSCTLS).unwrap()["net.ipv4.ip_forward"], "1");
        assert_eq!(facts.known(fact::KERNEL_AGAINST_KUBELET).unwrap(), ["vm.overcommit_memory=0 (1 demanded)"]);
    }

    #[test]
    fn this_machine_has_settings() {
        assert!(Node::this_machine().look(&CHECK).known(fact::KERNEL_SYSCTLS).unwrap().contains_key("vm.overcommit_memory"));
    }
}
