//! What the kernel holds of the health of the node's disks, arrays and file systems.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::{Record, schema as fact};

use super::devices;
use crate::host::Host;
use crate::host::mounts::Mount;

/// States of a device that the kernel has given up: drivers/scsi/scsi_sysfs.c sdev_states, drivers/nvme/host/sysfs.c. A device that is blocked,
/// resetting or connecting may come back.
const GIVEN_UP: [&str; 4] = ["offline", "transport-offline", "dead", "deleting"];

/// Disks among these devices that the kernel has given up.
pub(super) fn failed_devices(host: &Host, devices: &BTreeSet<String>) -> Vec<Record> {
    let state = |name: &String| host.read_line(format!("/sys/block/{name}/device/state")).ok();
    let given_up = |name: &String| state(name).filter(|state| GIVEN_UP.contains(&state.as_str()));
    devices.iter().filter_map(|name| Some(Record::new().with("device", name.clone()).with("state", given_up(name)?))).collect()
}

/// Arrays among these devices that miss disks (Documentation/admin-guide/md.rst: `degraded` is there for levels with redundancy).
pub(super) fn degraded_arrays(host: &Host, devices: &BTreeSet<String>) -> Vec<Record> {
    let missing =
        |name: &String| host.read_line(format!("/sys/block/{name}/md/degraded")).ok()?.parse::<i64>().ok().filter(|missing| *missing > 0);
    devices.iter().filter_map(|name| Some(Record::new().with("array", name.clone()).with("missing", missing(name)?))).collect()
}

/// What ext4 counts in its superblock, if the last error is of this boot: the count stays until e2fsck clears it.
pub(super) fn recorded_errors(host: &Host, known: &Facts, mount: &Mount) -> Option<Record> {
    if !mount.fstype.starts_with("ext") {
        return None;
    }
    let name = devices::name_of(host, mount)?;
    let attribute = |of: &str| host.read_line(format!("/sys/fs/ext4/{name}/{of}")).ok()?.parse::<i64>().ok();
    let count = attribute("errors_count").filter(|count| *count > 0)?;
    let last_at = Timestamp::from_second(attribute("last_error_time")?).ok()?;
    let record = Record::new().with("mount_point", mount.point.display().to_string()).with("device", mount.source.clone());
    (last_at >= known.known(fact::NODE_BOOTED_AT)?).then(|| record.with("count", count).with("last_at", last_at))
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::facts::Value;

    use super::*;
    use crate::checks::testing::Node;

    fn names(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    fn texts(records: &[Record], field: &str) -> Vec<Value> {
        records.iter().map(|record| record.get(field).unwrap().clone()).collect()
    }

    #[test]
    fn devices_that_the_kernel_gave_up_are_found_and_others_are_not() {
        let node = Node::new()
            .file("/sys/block/sda/device/state", "running\n")
            .file("/sys/block/sdb/device/state", "offline\n")
            .file("/sys/block/sdc/device/state", "blocked\n")
            .file("/sys/block/nvme0n1/device/state", "dead\n")
            .file("/sys/block/sdz/device/state", "offline\n");
        let failed = failed_devices(&node.host(), &names(&["nvme0n1", "sda", "sda1", "sdb", "sdc"]));
        assert_eq!(texts(&failed, "device"), [Value::Text("nvme0n1".into()), Value::Text("sdb".into())]);
    }

    #[test]
    fn an_array_that_misses_a_disk_is_found() {
        let node = Node::new().file("/sys/block/md0/md/degraded", "1\n").file("/sys/block/md1/md/degraded", "0\n");
        let degraded = degraded_arrays(&node.host(), &names(&["md0", "md1", "sda"]));
        assert_eq!(texts(&degraded, "missing"), [Value::Int(1)]);
    }

    #[test]
    fn errors_of_an_earlier_boot_are_none_of_this_one() {
        let mount = |node: &Node| node.host().mounts().unwrap().remove(0);
        let found = |last: i64| {
            let node = Node::new()
                .file("/proc/1/mountinfo", "30 22 8:17 / /var rw - ext4 /dev/sdb1 rw\n")
                .file("/sys/devices/block/sdb/sdb1/partition", "1\n")
                .link("/sys/dev/block/8:17", "../../devices/block/sdb/sdb1")
                .file("/sys/fs/ext4/sdb1/errors_count", "2\n")
                .file("/sys/fs/ext4/sdb1/last_error_time", format!("{last}\n"));
            let mut known = Facts::new();
            known.set(fact::NODE_BOOTED_AT, Timestamp::UNIX_EPOCH, Timestamp::from_second(1000).unwrap());
            recorded_errors(&node.host(), &known, &mount(&node))
        };
        assert_eq!(found(1060).unwrap().get("count"), Some(&Value::Int(2)));
        assert_eq!(found(940), None);
    }
}
