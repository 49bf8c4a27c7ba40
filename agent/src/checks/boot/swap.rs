//! Swap that comes with the next boot: what systemd-fstab-generator makes of /etc/fstab, and .swap units that a target wants.

use std::collections::BTreeSet;
use std::path::Path;

use nodewhy_diagnosis::facts::{Record, Value};
use nodewhy_diagnosis::node::fstab_swaps;

use super::listed;
use crate::checks::swap::{UNIT_DIRS, absent_is_empty};
use crate::host::{Host, ReadError};

/// What the next boot turns on. A line or unit whose device is not there turns nothing on.
pub(super) fn at_boot(host: &Host) -> Result<Vec<Record>, ReadError> {
    if is_masked(host, "swap.target") || switched_off(&super::command_line(host)?) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for line in fstab_swaps(&absent_is_empty(host.read_text("/etc/fstab"))?) {
        let (Some(Value::Text(device)), Some(Value::Int(number))) = (line.get("device"), line.get("line")) else { continue };
        let path = device_path(device);
        if host.exists(&path)? && !is_masked(host, &unit_name(&path)) {
            found.push(record(device, format!("/etc/fstab:{number}")));
        }
    }
    for unit in wanted_units(host)? {
        if let Some(what) = what_of(host, &unit)?
            && host.exists(device_path(&what))?
        {
            found.push(record(&what, unit));
        }
    }
    Ok(found)
}

fn record(device: &str, from: String) -> Record {
    Record::new().with("device", device.to_owned()).with("from", from)
}

/// systemd-fstab-generator(8): systemd.swap= since 246.
fn switched_off(command_line: &[String]) -> bool {
    let mut said = command_line.iter().filter_map(|word| word.strip_prefix("systemd.swap="));
    said.next_back().is_some_and(|value| matches!(value, "0" | "no" | "off" | "false" | "n" | "f"))
}

/// fstab_node_to_udev_node (src/shared/fstab-util.c).
fn device_path(device: &str) -> String {
    let by = [("UUID=", "by-uuid"), ("LABEL=", "by-label"), ("PARTUUID=", "by-partuuid"), ("PARTLABEL=", "by-partlabel")];
    let found = by.iter().find_map(|(prefix, dir)| Some((device.strip_prefix(prefix)?, dir)));
    match found {
        Some((value, dir)) => format!("/dev/disk/{dir}/{}", value.trim_matches('"')),
        None => device.to_owned(),
    }
}

/// unit_name_path_escape (src/basic/unit-name.c).
fn unit_name(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut name = String::new();
    for byte in parts.join("/").bytes() {
        match byte {
            b'/' => name.push('-'),
            b'.' if name.is_empty() => name.push_str("\\x2e"),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b':' | b'_' | b'.' => name.push(char::from(byte)),
            _ => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    format!("{name}.swap")
}

fn is_masked(host: &Host, unit: &str) -> bool {
    let dirs = ["/etc/systemd/system", "/etc/systemd/system.control"];
    dirs.iter().any(|dir| host.read_link(format!("{dir}/{unit}")).is_ok_and(|target| target == Path::new("/dev/null")))
}

/// Paths of .swap units that a directory `*.wants` or `*.requires` names, and that are not masked.
fn wanted_units(host: &Host) -> Result<BTreeSet<String>, ReadError> {
    let mut names = BTreeSet::new();
    for dir in UNIT_DIRS {
        for pulling in listed(host, dir)?.into_iter().filter(|name| name.ends_with(".wants") || name.ends_with(".requires")) {
            let wanted = listed(host, &format!("{dir}/{pulling}"))?;
            names.extend(wanted.into_iter().filter(|name| name.ends_with(".swap")));
        }
    }
    let mut paths = BTreeSet::new();
    for name in names.into_iter().filter(|name| !is_masked(host, name)) {
        let places = UNIT_DIRS.iter().map(|dir| format!("{dir}/{name}"));
        paths.extend(places.into_iter().find(|path| host.exists(path).unwrap_or_default()));
    }
    Ok(paths)
}

fn what_of(host: &Host, unit: &str) -> Result<Option<String>, ReadError> {
    let text = host.read_text(unit)?;
    Ok(text.lines().filter_map(|line| line.trim().strip_prefix("What=")).map(|what| what.trim().to_owned()).next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const LINE: &str = "/swapfile none swap sw 0 0\n";

    fn node() -> Node {
        Node::new().file("/proc/cmdline", "root=/dev/sda1 ro quiet\n").file("/swapfile", "").file("/dev/sdb2", "")
    }

    fn from(node: &Node) -> Vec<String> {
        let found = at_boot(&node.host()).unwrap();
        found.iter().map(|record| format!("{:?}", record.get("from").unwrap())).collect()
    }

    #[test]
    fn a_line_of_fstab_brings_its_swap_back() {
        assert_eq!(from(&node().file("/etc/fstab", format!("# fstab\n{LINE}"))), ["Text(\"/etc/fstab:2\")"]);
        assert!(from(&node().file("/etc/fstab", format!("#{LINE}"))).is_empty());
        assert!(from(&node()).is_empty());
    }

    #[test]
    fn a_line_whose_device_is_not_there_brings_nothing_back() {
        assert!(from(&node().file("/etc/fstab", "UUID=1-2 none swap sw 0 0\n/dev/sdz none swap sw 0 0\n")).is_empty());
        let node = node().file("/etc/fstab", "UUID=1-2 none swap sw 0 0\n").file("/dev/disk/by-uuid/1-2", "");
        assert_eq!(from(&node).len(), 1);
    }

    #[test]
    fn a_mask_or_the_kernels_command_line_keeps_swap_off() {
        let masked = |unit: &str| node().file("/etc/fstab", LINE).link(&format!("/etc/systemd/system/{unit}"), "/dev/null");
        assert!(from(&masked("swapfile.swap")).is_empty());
        assert!(from(&masked("swap.target")).is_empty());
        assert_eq!(from(&masked("other.swap")).len(), 1);
        assert!(from(&node().file("/etc/fstab", LINE).file("/proc/cmdline", "ro systemd.swap=0\n")).is_empty());
    }

    #[test]
    fn a_unit_counts_only_if_a_target_wants_it() {
        let unit = "[Swap]\nWhat=/dev/sdb2\n";
        let node = node().file("/etc/systemd/system/dev-sdb2.swap", unit);
        assert!(from(&node).is_empty());
        let node = node.link("/etc/systemd/system/swap.target.wants/dev-sdb2.swap", "/etc/systemd/system/dev-sdb2.swap");
        assert_eq!(from(&node), ["Text(\"/etc/systemd/system/dev-sdb2.swap\")"]);
    }

    #[test]
    fn units_are_named_as_systemd_escapes_paths() {
        assert_eq!(unit_name("/dev/disk/by-uuid/1-2"), "dev-disk-by\\x2duuid-1\\x2d2.swap");
        assert_eq!(unit_name("/swap.img"), "swap.img.swap");
        assert_eq!(unit_name("/.swap"), "\\x2eswap.swap");
    }
}
