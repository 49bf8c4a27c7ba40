//! Saved copies of a node's files and of commands' answers, as support bundles hold them, to facts.
//!
//! A copy says only what is in it: nothing is a fact because something is *not* in a bundle.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::space::{self, Space, df};
use super::units::{self, Unit, unit_list, unit_status};
use super::{KubeletConfig, Mount, fields, fstab_swaps, kilobytes, mount_of, mountinfo, mounts, quantity, swaps_in_use};
use crate::facts::{Facts, Record, schema as fact};
use crate::record::Source;

/// What a saved file is a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A KubeletConfiguration.
    KubeletConfig,
    /// /proc/swaps, swapon
    Swaps,
    /// /etc/fstab
    Fstab,
    /// /proc/meminfo
    Meminfo,
    /// df, df -i
    Df,
    /// /proc/PID/mountinfo
    Mountinfo,
    /// /proc/mounts, mount
    Mounts,
    /// systemctl status; it ends with lines of the log.
    UnitStatus,
    /// systemctl list-units, list-unit-files
    UnitList,
}

/// A saved file: what it is, where it lay in the bundle, and its text.
pub type SavedFile = (FileKind, String, String);

/// What a file is, by its name and its beginning.
pub fn recognise(name: &str, text: &str) -> Option<FileKind> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next()?;
    let second = lines.next().unwrap_or("");
    if first.starts_with("Filename") && first.contains("Type") && first.contains("Used") {
        return Some(FileKind::Swaps);
    }
    if first.starts_with("MemTotal:") && first.ends_with("kB") {
        return Some(FileKind::Meminfo);
    }
    // Bundles put the command before its answer.
    if [first, second].iter().any(|line| space::is_header(line)) {
        return Some(FileKind::Df);
    }
    if [first, second].iter().any(|line| units::is_list_header(line)) {
        return Some(FileKind::UnitList);
    }
    if name.contains("fstab") && !name.contains("generator") {
        return Some(FileKind::Fstab);
    }
    if text.lines().any(is_kubelet_kind) {
        return Some(FileKind::KubeletConfig);
    }
    if text.contains(".service") && text.lines().any(|line| line.trim_start().starts_with("Loaded: ")) && text.contains("Active: ") {
        return Some(FileKind::UnitStatus);
    }
    if !mountinfo(first).is_empty() {
        return Some(FileKind::Mountinfo);
    }
    (name.contains("mount") && !mounts(first).is_empty()).then_some(FileKind::Mounts)
}

fn is_kubelet_kind(line: &str) -> bool {
    let Some((key, value)) = line.split_once(':') else { return false };
    let bare = |text: &str| text.trim_matches([' ', '"', '\'', ',', '{', '}']).to_owned();
    // Indented, it is a part of something else (a ConfigMap, a list), but in JSON.
    (!line.starts_with(' ') || key.contains('"')) && bare(key) == "kind" && bare(value) == "KubeletConfiguration"
}

/// The facts in a node's saved files, as of `at`.
pub fn facts(files: &[SavedFile], at: Timestamp) -> Facts {
    let mut facts = Facts::new();
    let of = |kind: FileKind| files.iter().filter(move |(found, ..)| *found == kind);
    if let Some(devices) = of(FileKind::Swaps).find_map(|(_, _, text)| swaps_in_use(text)) {
        facts.set(fact::SWAP_DEVICES, at, devices);
    }
    if let Some((_, _, text)) = of(FileKind::Fstab).next() {
        facts.set(fact::SWAP_FSTAB, at, fstab_swaps(text));
    }
    if let Some(total) = of(FileKind::Meminfo).find_map(|(_, _, text)| kilobytes(text, "MemTotal")) {
        facts.set(fact::MEMORY_TOTAL_BYTES, at, total);
    }
    let mut thresholds = None;
    if let Some((_, path, text)) = of(FileKind::KubeletConfig).next() {
        thresholds = kubelet_config(&mut facts, path, text, at);
    }
    let found: Vec<Unit> = of(FileKind::UnitStatus)
        .flat_map(|(_, _, text)| unit_status(text))
        .chain(of(FileKind::UnitList).flat_map(|(_, _, text)| unit_list(text)))
        .collect();
    kubelet_unit(&mut facts, &found, at);
    runtime_unit(&mut facts, &found, at);
    let mounted: Vec<Mount> = match of(FileKind::Mountinfo).next() {
        Some((_, _, text)) => mountinfo(text),
        None => of(FileKind::Mounts).next().map(|(_, _, text)| mounts(text)).unwrap_or_default(),
    };
    let spaces: Vec<_> = of(FileKind::Df).filter_map(|(_, _, text)| df(text)).collect();
    disks(&mut facts, &mounted, &spaces, thresholds.as_ref(), at);
    facts
}

/// What the file says itself; a flag may still say otherwise, so defaults are told only where no flag is usual. Gives the thresholds.
fn kubelet_config(facts: &mut Facts, path: &str, text: &str, at: Timestamp) -> Option<BTreeMap<String, String>> {
    facts.set(fact::KUBELET_CONFIG_PATH, at, path.to_owned());
    facts.set(fact::KUBELET_CONFIG_EXISTS, at, true);
    let mut config = KubeletConfig::default();
    if let Err(complaint) = config.add(path, text) {
        facts.set(fact::KUBELET_CONFIG_VALID, at, false);
        facts.set(fact::KUBELET_CONFIG_ERROR, at, complaint);
        return None;
    }
    facts.set(fact::KUBELET_CONFIG_VALID, at, true);
    facts.set(fact::KUBELET_CONFIG_UNKNOWN_FIELDS, at, config.unknown_fields().to_vec());
    let (fail_swap_on, from) = match config.get(&["failSwapOn"]).and_then(|(value, place)| Some((fields::as_bool(value)?, place))) {
        Some(said) => said,
        None => (true, "default".to_owned()),
    };
    facts.set(fact::KUBELET_CONFIG_FAIL_SWAP_ON, at, fail_swap_on);
    facts.set(fact::KUBELET_CONFIG_FAIL_SWAP_ON_FROM, at, from);
    if let Some((driver, place)) = config.get(&["cgroupDriver"]).and_then(|(value, place)| Some((value.as_str()?.to_owned(), place))) {
        facts.set(fact::KUBELET_CONFIG_CGROUP_DRIVER, at, driver);
        facts.set(fact::KUBELET_CONFIG_CGROUP_DRIVER_FROM, at, place);
    }
    let said = config.get(&["evictionHard"])?.0.as_object()?;
    let thresholds: BTreeMap<String, String> =
        said.iter().filter_map(|(signal, value)| Some((signal.clone(), value.as_str()?.to_owned()))).collect();
    facts.set(fact::KUBELET_CONFIG_EVICTION_HARD, at, thresholds.clone());
    Some(thresholds)
}

macro_rules! unit_facts {
    ($facts:ident, $at:ident, $unit:ident, $($key:ident: $value:expr),* $(,)?) => {
        $(if let Some(value) = $value { $facts.set(fact::$key, $at, value); })*
    };
}

/// What all pages together say of one unit.
fn merged(units: &[Unit], name: &str) -> Unit {
    let mut all = Unit { name: name.to_owned(), ..Unit::default() };
    for unit in units.iter().filter(|unit| unit.name == name).cloned() {
        all.load_state = all.load_state.or(unit.load_state);
        all.file_state = all.file_state.or(unit.file_state);
        all.active_state = all.active_state.or(unit.active_state);
        all.sub_state = all.sub_state.or(unit.sub_state);
        all.result = all.result.or(unit.result);
        all.exit_kind = all.exit_kind.or(unit.exit_kind);
        all.exit_status = all.exit_status.or(unit.exit_status);
        all.since = all.since.or(unit.since);
    }
    all
}

fn kubelet_unit(facts: &mut Facts, units: &[Unit], at: Timestamp) {
    let ours = |unit: &&Unit| matches!(Source::of(&unit.name), Source::Kubelet | Source::Bundle);
    let Some(unit) = units.iter().find(ours).map(|unit| merged(units, &unit.name)) else { return };
    unit_facts!(facts, at, unit,
        KUBELET_UNIT_NAME: Some(unit.name.clone()), KUBELET_UNIT_LOAD_STATE: unit.load_state.clone(),
        KUBELET_UNIT_FILE_STATE: unit.file_state.clone(), KUBELET_UNIT_ACTIVE_STATE: unit.active_state.clone(),
        KUBELET_UNIT_SUB_STATE: unit.sub_state.clone(), KUBELET_UNIT_RUNNING: unit.running(), KUBELET_UNIT_RESULT: unit.result.clone(),
        KUBELET_UNIT_EXIT_KIND: unit.exit_kind.clone(), KUBELET_UNIT_EXIT_STATUS: unit.exit_status, KUBELET_UNIT_STATE_SINCE: unit.since,
    );
}

/// A node may have several runtimes installed; only one that runs, or the only one that there is, is this node's.
fn runtime_unit(facts: &mut Facts, units: &[Unit], at: Timestamp) {
    const RUNTIMES: [&str; 3] = ["containerd.service", "crio.service", "docker.service"];
    let there: Vec<Unit> = RUNTIMES.iter().map(|name| merged(units, name)).filter(|unit| unit.active_state.is_some()).collect();
    let unit = match there.iter().find(|unit| unit.running() == Some(true)) {
        Some(unit) => unit,
        None if there.len() == 1 => &there[0],
        None => return,
    };
    unit_facts!(facts, at, unit,
        RUNTIME_UNIT_NAME: Some(unit.name.clone()), RUNTIME_UNIT_LOAD_STATE: unit.load_state.clone(),
        RUNTIME_UNIT_ACTIVE_STATE: unit.active_state.clone(), RUNTIME_UNIT_SUB_STATE: unit.sub_state.clone(),
        RUNTIME_UNIT_RUNNING: unit.running(), RUNTIME_UNIT_RESULT: unit.result.clone(),
        RUNTIME_UNIT_EXIT_STATUS: unit.exit_status, RUNTIME_UNIT_STATE_SINCE: unit.since,
    );
}

fn disks(
    facts: &mut Facts,
    mounted: &[Mount],
    spaces: &[(BTreeMap<String, Space>, bool)],
    thresholds: Option<&BTreeMap<String, String>>,
    at: Timestamp,
) {
    const PLACES: [(&str, &str, Option<[&str; 2]>); 3] =
        [("nodefs", "/var/lib/kubelet", Some(["nodefs.available", "nodefs.inodesFree"])), ("logs", "/var/log", None), ("root", "/", None)];
    if mounted.is_empty() && spaces.is_empty() {
        return;
    }
    let (mut records, mut read_only, mut below) = (Vec::new(), None, [None, None]);
    for (role, path, signals) in PLACES {
        let mut record = Record::new().with("role", role.to_owned()).with("path", path.to_owned());
        if let Some(mount) = mount_of(mounted, Path::new(path)) {
            record = record.with("mount_point", mount.point.display().to_string()).with("device", mount.source.clone());
            record = record.with("fstype", mount.fstype.clone()).with("read_only", mount.read_only);
            if role != "root" {
                read_only = Some(read_only.unwrap_or(false) || mount.read_only);
            }
        }
        for (listed, exact) in spaces {
            let Some(space) = space_of(listed, path) else { continue };
            let [bytes, inodes] = [(space.size_bytes, space.available_bytes), (space.inodes, space.inodes_free)];
            let names = if space.inodes > 0 { ("inodes", "inodes_free") } else { ("size_bytes", "available_bytes") };
            let (which, (size, left)) = if space.inodes > 0 { (1, inodes) } else { (0, bytes) };
            if size == 0 {
                continue;
            }
            record = record.with(names.0, size).with(names.1, left);
            let threshold = signals.and_then(|signals| quantity::threshold(thresholds?.get(signals[which])?, size)).filter(|_| *exact);
            if let Some(threshold) = threshold {
                let fields = [("threshold_bytes", "below_bytes"), ("threshold_inodes", "below_inodes")][which];
                record = record.with(fields.0, threshold).with(fields.1, left < threshold);
                below[which] = Some(left < threshold);
            }
        }
        records.push(record);
    }
    facts.set(fact::DISK_FILESYSTEMS, at, records);
    let [bytes, inodes] = below;
    for (key, value) in [(fact::DISK_READ_ONLY, read_only), (fact::DISK_BELOW_BYTES, bytes), (fact::DISK_BELOW_INODES, inodes)] {
        if let Some(value) = value {
            facts.set(key, at, value);
        }
    }
}

fn space_of(listed: &BTreeMap<String, Space>, path: &str) -> Option<Space> {
    let above = |point: &&String| Path::new(path).starts_with(point);
    listed.keys().filter(above).max_by_key(|point| point.len()).and_then(|point| listed.get(point)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Value;

    fn saved(files: &[(&str, &str)]) -> Facts {
        let files: Vec<SavedFile> = files
            .iter()
            .map(|(path, text)| (recognise(path.rsplit('/').next().unwrap(), text).expect(path), (*path).to_owned(), (*text).to_owned()))
            .collect();
        facts(&files, Timestamp::UNIX_EPOCH)
    }

    const CONFIG: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nevictionHard:\n  nodefs.available: 10%\n";

    #[test]
    fn the_files_of_a_bundle_become_facts() {
        let facts = saved(&[
            ("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda2 partition 2097148 512 -2\n"),
            ("etc/fstab", "/dev/sda2 none swap sw 0 0\n"),
            ("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\n"),
            ("var/lib/kubelet/config.yaml", CONFIG),
            ("df", "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/sda1 1000 950 50 95% /\n"),
            ("mount", "/dev/sda1 on / type ext4 (rw,relatime)\n"),
            (
                "status",
                "● kubelet.service - k\n     Loaded: loaded (/x; enabled; preset: enabled)\n     Active: failed (Result: exit-code) since Sun 2026-11-22 00:54:49 UTC; 5s ago\n",
            ),
            (
                "units",
                "UNIT LOAD ACTIVE SUB DESCRIPTION\ncontainerd.service loaded active running x\ndocker.service loaded inactive dead x\n",
            ),
        ]);
        assert_eq!(facts.known(fact::SWAP_DEVICES).unwrap().len(), 1);
        assert_eq!(facts.known(fact::SWAP_FSTAB).unwrap().len(), 1);
        assert_eq!(facts.known(fact::MEMORY_TOTAL_BYTES), Some(1_024_000));
        assert_eq!(facts.known(fact::KUBELET_CONFIG_FAIL_SWAP_ON), Some(true));
        assert_eq!(facts.known(fact::KUBELET_UNIT_RUNNING), Some(false));
        assert_eq!(facts.known(fact::KUBELET_UNIT_RESULT).as_deref(), Some("exit-code"));
        assert_eq!(facts.known(fact::RUNTIME_UNIT_NAME).as_deref(), Some("containerd.service"));
        assert_eq!(facts.known(fact::DISK_BELOW_BYTES), Some(true));
        assert_eq!(facts.known(fact::DISK_READ_ONLY), Some(false));
        let nodefs = &facts.known(fact::DISK_FILESYSTEMS).unwrap()[0];
        assert_eq!(nodefs.get("threshold_bytes"), Some(&Value::Int(102_400)));
    }

    #[test]
    fn what_is_not_in_the_bundle_is_not_a_fact() {
        assert_eq!(facts(&[], Timestamp::UNIX_EPOCH), Facts::new());
        let only_df = saved(&[("df", "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/sda1 1000 1000 0 100% /\n")]);
        assert_eq!(only_df.known(fact::DISK_BELOW_BYTES), None, "the thresholds are not known");
        let rounded = saved(&[("df", "Filesystem Size Used Avail Use% Mounted on\n/dev/sda1 20G 19G 1.5G 98% /\n"), ("c.yaml", CONFIG)]);
        assert_eq!(rounded.known(fact::DISK_BELOW_BYTES), None, "rounded");
    }

    #[test]
    fn a_configuration_that_the_kubelet_refuses_is_told_with_its_place() {
        let facts = saved(&[("n1/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nport: \"x\"\n")]);
        assert_eq!(facts.known(fact::KUBELET_CONFIG_VALID), Some(false));
        assert!(facts.known(fact::KUBELET_CONFIG_ERROR).unwrap().starts_with("n1/config.yaml:3: port"));
    }

    #[test]
    fn other_files_are_not_taken_for_these() {
        for (name, text) in [
            ("cm.yaml", "kind: ConfigMap\ndata:\n  kubelet: |\n    kind: KubeletConfiguration\n"),
            ("kubelet.log", "Nov 22 00:54:49 n kubelet[1]: kind: KubeletConfiguration\n"),
            ("x", ""),
            ("mounts", "words\n"),
            ("messages", "Nov 22 00:54:49 n systemd[1]: kubelet.service: Active: x Loaded: y\n"),
        ] {
            assert_eq!(recognise(name, text), None, "{name}");
        }
    }
}
