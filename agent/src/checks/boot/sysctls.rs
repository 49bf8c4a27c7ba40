//! Kernel settings that a kubelet with protectKernelDefaults demands, that are right now, and that nothing sets at a boot.
//!
//! pkg/kubelet/cm/container_manager_linux.go setupKernelTunables. Of what it demands only these two are never a kernel's own default; a kubelet
//! without protectKernelDefaults sets them itself, which is how they come to be right.

use nodewhy_diagnosis::facts::Record;

use super::{command_line, listed, names};
use crate::host::{Host, ReadError};

/// Setting and value demanded.
const DEMANDED: [(&str, &str); 2] = [("kernel.panic", "10"), ("vm.overcommit_memory", "1")];

/// sysctl.d(5) and sysctl.conf(5).
const DIRS: [&str; 5] = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
const FILES: [&str; 3] = ["/etc/sysctl.conf", "/etc/rc.local", "/etc/rc.d/rc.local"];

pub(super) fn not_kept(host: &Host) -> Result<Vec<Record>, ReadError> {
    let mut lost = Vec::new();
    for (name, demanded) in DEMANDED {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let now = match host.read_line(&path) {
            Err(error) if error.is_absence() => continue,
            other => other?,
        };
        if now == demanded && !is_kept(host, name)? {
            lost.push(Record::new().with("name", name.to_owned()).with("value", now));
        }
    }
    Ok(lost)
}

/// Whether anything names it; with what value is another matter, and prefers silence.
fn is_kept(host: &Host, name: &str) -> Result<bool, ReadError> {
    // tuned and its like set whole profiles.
    if host.read_line("/etc/tuned/active_profile").is_ok_and(|profile| !profile.is_empty()) {
        return Ok(true);
    }
    let short = name.strip_prefix("kernel.").unwrap_or(name);
    let says = |word: &String| word.starts_with(&format!("sysctl.{name}=")) || word.starts_with(&format!("{short}="));
    if command_line(host)?.iter().any(says) {
        return Ok(true);
    }
    let spelled = [name.to_owned(), name.replace('.', "/")];
    let spelled: Vec<&str> = spelled.iter().map(String::as_str).collect();
    for path in FILES {
        if names(host, path, &spelled)? {
            return Ok(true);
        }
    }
    for dir in DIRS.iter().chain(&["/etc/systemd/system"]) {
        for file in listed(host, dir)?.iter().filter(|file| file.ends_with(".conf") || file.ends_with(".service")) {
            if names(host, &format!("{dir}/{file}"), &spelled)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    fn node() -> Node {
        Node::new().file("/proc/cmdline", "ro quiet\n").file("/proc/sys/vm/overcommit_memory", "1\n").file("/proc/sys/kernel/panic", "0\n")
    }

    fn lost(node: &Node) -> usize {
        not_kept(&node.host()).unwrap().len()
    }

    #[test]
    fn a_setting_made_by_hand_is_lost_and_a_kernels_own_is_not() {
        assert_eq!(lost(&node()), 1);
        assert_eq!(lost(&node().file("/etc/sysctl.d/10.conf", "# vm.overcommit_memory = 1\n")), 1);
        assert_eq!(lost(&node().file("/proc/sys/vm/overcommit_memory", "0\n")), 0);
    }

    #[test]
    fn whatever_names_it_keeps_it() {
        for (path, text) in [
            ("/etc/sysctl.d/90-kubelet.conf", "vm.overcommit_memory=1\n"),
            ("/etc/sysctl.conf", "vm/overcommit_memory = 1\n"),
            ("/proc/cmdline", "ro sysctl.vm.overcommit_memory=1\n"),
            ("/etc/tuned/active_profile", "throughput-performance\n"),
            ("/etc/systemd/system/prepare.service", "ExecStart=/sbin/sysctl -w vm.overcommit_memory=1\n"),
        ] {
            assert_eq!(lost(&node().file(path, text)), 0, "{path}");
        }
    }
}
