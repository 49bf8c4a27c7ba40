//! Swap: what is in use now, and what comes back at the next boot.

use std::collections::BTreeSet;
use std::time::Duration;

use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::node::{fstab_swaps, swaps_in_use};

use super::support::{blocking, failed, put};
use super::{Check, Look, Stage};
use crate::host::ReadError;

const REPORTS: &[&str] = &["swap.devices"];
const REPORTS_AT_BOOT: &[&str] = &["swap.fstab", "swap.units"];

/// Where systemd looks for `.swap` units (systemd.unit(5)), the administrator's first.
pub(super) const UNIT_DIRS: [&str; 4] = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "swap",
    about: "swap in use",
    stage: Stage::Look,
    period: Duration::from_secs(5),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

/// The check of what brings swap back; seldom, for nothing comes of it before the next boot.
pub(super) const AT_BOOT: Check = Check {
    name: "swap-at-boot",
    about: "fstab lines and units that bring swap back",
    stage: Stage::Look,
    period: Duration::from_secs(30),
    deadline: Duration::from_secs(2),
    reports: REPORTS_AT_BOOT,
    look: |look| blocking(look, REPORTS_AT_BOOT, look_at_boot),
};

fn look_at(look: &Look, facts: &mut Facts) {
    match look.host.read_text("/proc/swaps") {
        Ok(text) => match swaps_in_use(&text) {
            Some(devices) => facts.set(fact::SWAP_DEVICES, look.began_at, devices),
            None => facts.miss(fact::SWAP_DEVICES, look.began_at, failed("/proc/swaps is not in the form of proc(5)")),
        },
        // A kernel built without CONFIG_SWAP has no such file, and no swap.
        Err(error) if error.is_absence() && look.host.exists("/proc/stat").is_ok_and(|there| there) => {
            facts.set(fact::SWAP_DEVICES, look.began_at, Vec::new());
        }
        Err(error) => facts.miss(fact::SWAP_DEVICES, look.began_at, error.into()),
    }
}

fn look_at_boot(look: &Look, facts: &mut Facts) {
    put(facts, look, fact::SWAP_FSTAB, absent_is_empty(look.host.read_text("/etc/fstab")).map(|text| fstab_swaps(&text)));
    put(facts, look, fact::SWAP_UNITS, swap_units(look));
}

/// A node without an fstab has no swap in it.
pub(super) fn absent_is_empty(text: Result<String, ReadError>) -> Result<String, ReadError> {
    match text {
        Err(error) if error.is_absence() => Ok(String::new()),
        other => other,
    }
}

/// Swap units that somebody wrote by hand or a package brought; what the fstab generator makes lies in /run/systemd/generator and is told by its line.
fn swap_units(look: &Look) -> Result<Vec<String>, ReadError> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for dir in UNIT_DIRS {
        let names = match look.host.list(dir) {
            Err(error) if error.is_absence() => continue,
            other => other?,
        };
        // The first directory that has a name decides; a link to /dev/null there masks the unit.
        for name in names.into_iter().filter(|name| name.ends_with(".swap")) {
            let path = format!("{dir}/{name}");
            let masked = look.host.read_link(&path).is_ok_and(|target| target.as_os_str() == "/dev/null");
            if seen.insert(name) && !masked {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;
    use nodewhy_diagnosis::facts::Value;

    use super::*;
    use crate::checks::testing::Node;

    const HEADER: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn swap_in_use_is_listed_with_sizes_in_bytes() {
        let swaps =
            format!("{HEADER}/dev/sda2                               partition\t2097148\t\t512\t\t-2\n/swap\\040file file 1024 0 -3\n");
        let facts = Node::new().file("/proc/swaps", swaps).look(&CHECK);
        let devices = facts.known(fact::SWAP_DEVICES).unwrap();
        assert_eq!(devices.len(), 2);
        assert_eq!(devices[0].get("path"), Some(&Value::Text("/dev/sda2".into())));
        assert_eq!(devices[0].get("size_bytes"), Some(&Value::Int(2_147_479_552)));
        assert_eq!(devices[0].get("used_bytes"), Some(&Value::Int(524_288)));
        assert_eq!(devices[1].get("path"), Some(&Value::Text("/swap file".into())));
    }

    #[test]
    fn a_node_without_swap_has_an_empty_list() {
        let node = Node::new().file("/proc/swaps", HEADER);
        assert_eq!(node.look(&CHECK).known(fact::SWAP_DEVICES), Some(vec![]));
        assert_eq!(node.look(&AT_BOOT).known(fact::SWAP_FSTAB), Some(vec![]));
    }

    #[test]
    fn unreadable_and_garbled_swaps_are_unknown_and_not_empty() {
        let facts = Node::new().look(&CHECK);
        assert_eq!(facts.value("swap.devices").unwrap_err().kind, MissingKind::Failed);
        for text in ["", "garbage\n", &format!("{HEADER}/dev/sda2 partition many 0 -2\n"), &format!("{HEADER}/dev/sda2 partition")] {
            let facts = Node::new().file("/proc/swaps", text).look(&CHECK);
            assert!(facts.value("swap.devices").is_err(), "{text:?}");
        }
    }

    #[test]
    fn fstab_lines_that_bring_swap_back_are_numbered() {
        let fstab = "# /etc/fstab\nUUID=1 / ext4 defaults 0 1\n#/dev/sda3 none swap sw 0 0\n/dev/sda2\tnone\tswap\tsw\t0\t0\n/x none swap sw,noauto 0 0\n";
        let facts = Node::new().file("/etc/fstab", fstab).look(&AT_BOOT);
        let lines = facts.known(fact::SWAP_FSTAB).unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].get("line"), Some(&Value::Int(4)));
        assert_eq!(lines[0].get("device"), Some(&Value::Text("/dev/sda2".into())));
        assert_eq!(lines[0].get("text"), Some(&Value::Text("/dev/sda2\tnone\tswap\tsw\t0\t0".into())));
    }

    #[test]
    fn swap_units_count_unless_masked() {
        let node = Node::new()
            .file("/etc/systemd/system/swapfile.swap", "[Swap]\nWhat=/swapfile\n")
            .file("/usr/lib/systemd/system/swapfile.swap", "")
            .file("/usr/lib/systemd/system/dev-sdb.swap", "[Swap]\nWhat=/dev/sdb\n")
            .link("/etc/systemd/system/dev-sdb.swap", "/dev/null");
        assert_eq!(node.look(&AT_BOOT).known(fact::SWAP_UNITS).unwrap(), ["/etc/systemd/system/swapfile.swap"]);
    }

    #[test]
    fn this_machine_can_say_whether_it_swaps() {
        assert!(Node::this_machine().look(&CHECK).known(fact::SWAP_DEVICES).is_some());
    }
}
