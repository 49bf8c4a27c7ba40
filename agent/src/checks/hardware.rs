//! What hardware and kernel say of errors since the boot: the memory controllers' counters and the kernel's taint flags.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, failed, not_applicable};
use super::{Check, Look, Stage};

const REPORTS: &[&str] = &["hardware", "kernel.taints"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "hardware",
    about: "memory errors that the hardware counted, and what the kernel does not recover from before the next boot",
    stage: Stage::Look,
    period: Duration::from_secs(60),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

/// Memory controllers, one directory each (Documentation/admin-guide/RAS).
const CONTROLLERS: &str = "/sys/devices/system/edac/mc";

/// Bits of /proc/sys/kernel/tainted that mean damage (Documentation/admin-guide/tainted-kernels.rst). The others say what was loaded or warned of;
/// bit 14, a soft lockup, may be no more than a virtual machine that was paused.
const DAMAGE: [(u32, &str); 3] = [(4, "machine check"), (5, "bad page"), (7, "oops")];

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    facts.put(fact::HARDWARE_MEMORY_UNCORRECTED_ERRORS, at, errors(look, &["ue_count", "ue_noinfo_count"]));
    facts.put(fact::HARDWARE_MEMORY_CORRECTED_ERRORS, at, errors(look, &["ce_count"]));
    facts.put(fact::KERNEL_TAINTS, at, taints(look));
}

/// The sum over all controllers.
fn errors(look: &Look, counters: &[&str]) -> Result<i64, Missing> {
    let none = || not_applicable("no memory controller reports errors here (no EDAC driver)");
    let names = match look.host.list(CONTROLLERS) {
        Err(error) if error.is_absence() => return Err(none()),
        names => names?,
    };
    let mut sum = None;
    for controller in names.iter().filter(|name| name.strip_prefix("mc").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())))
    {
        for counter in counters {
            let path = format!("{CONTROLLERS}/{controller}/{counter}");
            match look.host.read_line(&path) {
                // ue_noinfo_count is not there on every driver.
                Err(error) if error.is_absence() => {}
                line => sum = Some(sum.unwrap_or(0) + number(&path, &line?)?),
            }
        }
    }
    sum.ok_or_else(none)
}

fn taints(look: &Look) -> Result<Vec<String>, Missing> {
    const PATH: &str = "/proc/sys/kernel/tainted";
    let flags = number(PATH, &look.host.read_line(PATH)?)?;
    Ok(DAMAGE.iter().filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, words)| (*words).to_owned()).collect())
}

fn number(path: &str, text: &str) -> Result<i64, Missing> {
    text.parse().map_err(|_| failed(format!("{path} holds no number: {text}")))
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;

    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn errors_of_all_controllers_are_added_up() {
        let facts = Node::new()
            .file("/sys/devices/system/edac/mc/mc0/ue_count", "1\n")
            .file("/sys/devices/system/edac/mc/mc0/ce_count", "12\n")
            .file("/sys/devices/system/edac/mc/mc1/ue_count", "2\n")
            .file("/sys/devices/system/edac/mc/mc1/ue_noinfo_count", "3\n")
            .file("/sys/devices/system/edac/mc/power/ue_count", "99\n")
            .look(&CHECK);
        assert_eq!(facts.known(fact::HARDWARE_MEMORY_UNCORRECTED_ERRORS), Some(6));
        assert_eq!(facts.known(fact::HARDWARE_MEMORY_CORRECTED_ERRORS), Some(12));
    }

    #[test]
    fn a_machine_without_counters_has_none_and_garbage_is_unknown() {
        let kind = |node: Node| node.look(&CHECK).value("hardware.memory_uncorrected_errors").unwrap_err().kind;
        assert_eq!(kind(Node::new()), MissingKind::NotApplicable);
        assert_eq!(kind(Node::new().file("/sys/devices/system/edac/mc/uevent", "")), MissingKind::NotApplicable);
        assert_eq!(kind(Node::new().file("/sys/devices/system/edac/mc/mc0/ue_count", "many\n")), MissingKind::Failed);
    }

    #[test]
    fn only_damage_is_told_of_the_taint_flags() {
        let taints =
            |flags: u32| Node::new().file("/proc/sys/kernel/tainted", format!("{flags}\n")).look(&CHECK).known(fact::KERNEL_TAINTS);
        assert_eq!(taints(1 | 1 << 9 | 1 << 12 | 1 << 14), Some(vec![]), "proprietary, warned, out of tree, soft lockup");
        assert_eq!(taints(1 << 7 | 1 << 4), Some(vec!["machine check".to_owned(), "oops".to_owned()]));
        assert_eq!(Node::new().look(&CHECK).known(fact::KERNEL_TAINTS), None);
    }
}
