//! Whether a reboot is waited for: packages say so, the running kernel's modules are gone, or a newer kernel lies beside it.

use std::cmp::Ordering;

use jiff::Timestamp;
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use crate::checks::Look;
use crate::checks::support::{failed, needs, not_applicable};
use crate::host::{Host, ReadError};

/// Debian and Ubuntu: /usr/share/update-notifier/notify-reboot-required and unattended-upgrades write both files.
const REQUIRED: &str = "/run/reboot-required";
/// More names than anyone reads.
const MAX_PACKAGES: usize = 20;

pub(super) fn report(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    let required = look.host.exists(REQUIRED).map_err(Missing::from);
    facts.put(fact::BOOT_REBOOT_REQUIRED_SINCE, at, required.clone().and_then(|required| since(&look.host, required)));
    facts.put(fact::BOOT_REBOOT_REQUIRED_BY, at, packages(&look.host).map_err(Missing::from));
    facts.put(fact::BOOT_REBOOT_REQUIRED, at, required);
    let running = needs(look, fact::NODE_KERNEL);
    let modules = running.clone().and_then(|running| modules_gone(&look.host, &running).map_err(Missing::from));
    facts.put(fact::BOOT_KERNEL_MODULES_GONE, at, modules);
    let newer = running.and_then(|running| newer(&look.host, &running).map_err(Missing::from));
    facts.put(fact::BOOT_NEWER_KERNEL, at, newer.and_then(|newer| newer.ok_or_else(|| not_applicable("no newer kernel is installed"))));
}

fn since(host: &Host, required: bool) -> Result<Timestamp, Missing> {
    if !required {
        return Err(not_applicable("no package asks for a reboot"));
    }
    let modified = host.stat(REQUIRED)?.modified().map_err(|error| failed(format!("time of {REQUIRED}: {error}")))?;
    Timestamp::try_from(modified).map_err(|error| failed(format!("time of {REQUIRED}: {error}")))
}

fn packages(host: &Host) -> Result<Vec<String>, ReadError> {
    let text = match host.read_text(format!("{REQUIRED}.pkgs")) {
        Err(error) if error.is_absence() => return Ok(Vec::new()),
        other => other?,
    };
    let mut names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    names.sort();
    names.dedup();
    names.truncate(MAX_PACKAGES);
    Ok(names)
}

/// The agent's own unit is not shown the modules (ProtectKernelModules=), the node's PID 1 is.
fn modules_dir(host: &Host) -> Result<Vec<String>, ReadError> {
    for dir in ["/proc/1/root/lib/modules", "/lib/modules"] {
        match host.list(dir) {
            Err(error) if error.is_absence() => {}
            other => return other,
        }
    }
    Ok(Vec::new())
}

/// A kernel without modules (and a container's root) has no directory at all: only that of another kernel proves that one was removed.
fn modules_gone(host: &Host, running: &str) -> Result<bool, ReadError> {
    let there = modules_dir(host)?;
    Ok(!there.is_empty() && !there.iter().any(|name| name == running) && there.iter().any(|name| Kernel::of(name).is_like(running)))
}

/// The newest kernel in /boot of the running one's flavour, if it is newer.
fn newer(host: &Host, running: &str) -> Result<Option<String>, ReadError> {
    let names = match host.list("/boot") {
        Err(error) if error.is_absence() => return Ok(None),
        other => other?,
    };
    let installed = names.iter().filter_map(|name| name.strip_prefix("vmlinuz-")).filter(|name| Kernel::of(name).is_like(running));
    let newest = installed.max_by(|one, other| Kernel::of(one).cmp(&Kernel::of(other)));
    Ok(newest.filter(|newest| Kernel::of(newest) > Kernel::of(running)).map(str::to_owned))
}

/// A kernel release such as `6.1.0-18-amd64` or `5.14.0-427.el9.x86_64`.
#[derive(PartialEq, Eq)]
struct Kernel<'a> {
    numbers: Vec<u64>,
    flavour: &'a str,
}

impl<'a> Kernel<'a> {
    fn of(release: &'a str) -> Self {
        let flavour = release.rsplit(['-', '.']).next().unwrap_or_default();
        let version = release.strip_suffix(flavour).unwrap_or(release);
        let numbers = version.split(['-', '.', '+', '~']).map_while(|part| part.parse().ok()).collect();
        Self { numbers, flavour }
    }

    /// Of the same flavour, and named the same way.
    fn is_like(&self, running: &str) -> bool {
        let running = Kernel::of(running);
        let has_letters = self.flavour.bytes().any(|byte| byte.is_ascii_alphabetic());
        has_letters && self.flavour == running.flavour && self.numbers.len() >= 3 && running.numbers.len() >= 3
    }
}

impl PartialOrd for Kernel<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kernel<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| self.flavour.cmp(other.flavour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const RUNNING: &str = "6.1.0-18-amd64";

    fn facts(node: Node) -> Facts {
        node.file("/proc/cmdline", "ro\n").known(fact::NODE_KERNEL, RUNNING.to_owned()).look(&crate::checks::boot::CHECK)
    }

    #[test]
    fn packages_that_ask_for_a_reboot_are_named() {
        let node = Node::new().file(REQUIRED, "*** System restart required ***\n");
        let facts = facts(node.file("/run/reboot-required.pkgs", "linux-base\nlibc6\nlinux-base\n"));
        assert_eq!(facts.known(fact::BOOT_REBOOT_REQUIRED), Some(true));
        assert_eq!(facts.known(fact::BOOT_REBOOT_REQUIRED_BY).unwrap(), ["libc6", "linux-base"]);
        assert!(facts.known(fact::BOOT_REBOOT_REQUIRED_SINCE).is_some());
    }

    #[test]
    fn nothing_is_waited_for_where_no_file_says_so() {
        let facts = facts(Node::new());
        assert_eq!(facts.known(fact::BOOT_REBOOT_REQUIRED), Some(false));
        assert_eq!(facts.known(fact::BOOT_KERNEL_MODULES_GONE), Some(false));
        assert_eq!(facts.known(fact::BOOT_NEWER_KERNEL), None);
    }

    #[test]
    fn modules_are_gone_only_where_another_kernels_are_there() {
        let gone =
            |dir: &str| facts(Node::new().file(&format!("/lib/modules/{dir}/modules.dep"), "")).known(fact::BOOT_KERNEL_MODULES_GONE);
        assert_eq!(gone("6.1.0-20-amd64"), Some(true));
        assert_eq!(gone(RUNNING), Some(false));
        assert_eq!(gone("6.1.0-20-cloud-arm64"), Some(false), "another machine's kernels prove nothing");
    }

    #[test]
    fn a_newer_kernel_is_one_of_the_same_flavour() {
        let newest = |names: &[&str]| {
            let node = names.iter().fold(Node::new(), |node, name| node.file(&format!("/boot/vmlinuz-{name}"), ""));
            facts(node).known(fact::BOOT_NEWER_KERNEL)
        };
        assert_eq!(newest(&[RUNNING, "6.1.0-9-amd64", "6.1.0-20-amd64"]).as_deref(), Some("6.1.0-20-amd64"));
        assert_eq!(newest(&[RUNNING, "6.1.0-9-amd64", "6.12.0-1-rescue", "0-rescue-3f1c"]), None);
        assert!(Kernel::of("5.14.0-503.el9.x86_64") > Kernel::of("5.14.0-427.el9.x86_64"));
    }
}
