//! The block devices beneath file systems, by the names that the kernel's messages use.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::host::mounts::Mount;

/// Device mapper on md on partitions on disks: no real stack is deeper.
const DEEPEST: usize = 6;

/// The kernel's name (`sda1`, `dm-0`) of the device that a file system is mounted from; `None` if it is on no block device.
pub(super) fn name_of(host: &Host, mount: &Mount) -> Option<String> {
    file_name(&directory_of(host, mount)?)
}

/// That device and all that it is made of: `dm-0` lies on `sda3`, which is a part of `sda`; and the controllers of the disks.
pub(super) fn beneath(host: &Host, mount: &Mount) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Some(directory) = directory_of(host, mount) {
        gather(host, &directory, DEEPEST, &mut names);
    }
    names
}

fn directory_of(host: &Host, mount: &Mount) -> Option<PathBuf> {
    if !mount.device.starts_with("0:") {
        return host.canonical(format!("/sys/dev/block/{}", mount.device)).ok();
    }
    // btrfs gives its subvolumes numbers of no device; the source is then one of its devices.
    let source = host.canonical(Path::new(&mount.source)).ok().filter(|path| path.starts_with("/dev"))?;
    host.canonical(Path::new("/sys/class/block").join(source.file_name()?)).ok()
}

fn gather(host: &Host, directory: &Path, deepest: usize, names: &mut BTreeSet<String>) {
    let Some(name) = file_name(directory).filter(|_| deepest > 0) else { return };
    names.extend(controllers(directory, &name));
    if !names.insert(name) {
        return;
    }
    // A partition's directory lies in that of its disk.
    if host.exists(directory.join("partition")).unwrap_or_default()
        && let Some(disk) = directory.parent()
    {
        gather(host, disk, deepest - 1, names);
    }
    let slaves = directory.join("slaves");
    for slave in host.list(&slaves).unwrap_or_default() {
        if let Ok(directory) = host.canonical(slaves.join(slave)) {
            gather(host, &directory, deepest - 1, names);
        }
    }
}

/// What messages name instead of the disk: the NVMe controller (`nvme0` of `nvme0n1`), the ATA port in the path of the device.
fn controllers(directory: &Path, name: &str) -> Vec<String> {
    let is = |text: &str, prefix: &str| {
        text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let nvme = name.split('n').nth(1).map(|rest| format!("n{rest}")).filter(|controller| is(controller, "nvme"));
    let ports = directory.iter().filter_map(|part| part.to_str()).filter(|part| is(part, "ata")).map(str::to_owned);
    nvme.into_iter().chain(ports).collect()
}

fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    fn mount(device: &str, source: &str) -> Mount {
        let line = format!("30 22 {device} / /data rw - ext4 {source} rw\n");
        Node::new().file("/proc/1/mountinfo", line).host().mounts().unwrap().remove(0)
    }

    fn stack() -> Node {
        Node::new()
            .file("/sys/devices/pci0/block/sda/sda3/partition", "3\n")
            .file("/sys/devices/pci0/block/sda/size", "1\n")
            .file("/sys/devices/virtual/block/dm-0/dm/name", "vg-root\n")
            .link("/sys/dev/block/8:3", "../../devices/pci0/block/sda/sda3")
            .link("/sys/dev/block/253:0", "../../devices/virtual/block/dm-0")
            .link("/sys/class/block/dm-0", "../../devices/virtual/block/dm-0")
            .link("/sys/devices/virtual/block/dm-0/slaves/sda3", "../../../../pci0/block/sda/sda3")
    }

    #[test]
    fn a_logical_volume_lies_on_its_partition_and_its_disk() {
        let node = stack();
        let host = node.host();
        let names = beneath(&host, &mount("253:0", "/dev/mapper/vg-root"));
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["dm-0", "sda", "sda3"]);
        assert_eq!(name_of(&host, &mount("8:3", "/dev/sda3")).as_deref(), Some("sda3"));
    }

    #[test]
    fn controllers_that_messages_name_are_told_too() {
        let names = |directory: &str, name: &str| controllers(Path::new(directory), name);
        assert_eq!(names("/sys/devices/pci0/nvme/nvme12/nvme12n1", "nvme12n1"), ["nvme12"]);
        assert_eq!(names("/sys/devices/pci0/ata3/host2/target2:0:0/2:0:0:0/block/sda", "sda"), ["ata3"]);
        assert_eq!(names("/sys/devices/virtual/block/dm-0", "dm-0"), Vec::<String>::new());
    }

    #[test]
    fn btrfs_is_found_by_its_source() {
        let node = stack().file("/dev/dm-0", "").link("/dev/mapper/vg-root", "../dm-0");
        let host = node.host();
        let names = beneath(&host, &mount("0:37", "/dev/mapper/vg-root"));
        assert!(names.contains("sda"), "{names:?}");
    }

    #[test]
    fn what_is_on_no_device_has_none() {
        let node = stack();
        let host = node.host();
        assert!(beneath(&host, &mount("0:21", "tmpfs")).is_empty());
        assert!(beneath(&host, &mount("0:40", "10.0.0.7:/export")).is_empty());
        assert!(beneath(&host, &mount("9:99", "/dev/gone")).is_empty());
    }
}
