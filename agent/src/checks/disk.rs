//! File systems that the node cannot do without: space and inodes against the kubelet's thresholds, and read-only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodewhy_diagnosis::facts::{Record, Value, schema as fact};
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{all_missing, failed, needs, not_applicable};
use super::{Check, Look, Looking, Stage, quantity};
use crate::host::Host;
use crate::host::mounts::{Mount, Space, mount_of};

const REPORTS: &[&str] = &["disk"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "disk",
    about: "space, inodes and writability of the file systems of the kubelet, the images, the logs and the root",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look,
};

/// A directory whose file system matters.
struct Place {
    role: &'static str,
    path: PathBuf,
    /// Signals of evictionHard for bytes and inodes.
    signals: Option<(&'static str, &'static str)>,
    /// Read-only is a fault here. An immutable operating system's root is read-only on purpose.
    must_be_writable: bool,
}

/// Where an image store lies if the runtime does not say.
const IMAGE_STORES: [&str; 4] =
    ["/var/lib/containerd", "/var/lib/containers/storage", "/var/lib/rancher/k3s/agent/containerd", "/var/lib/docker"];

fn look(look: Look) -> Looking {
    Box::pin(async move {
        let began_at = look.began_at;
        let host = look.host.clone();
        let prepared = {
            let look = look.clone();
            tokio::task::spawn_blocking(move || (places(&look), host.mounts().map_err(Missing::from)))
        };
        // Finding the places touches only directories above them; they may hang all the same when a file system is dead.
        let (places, mounts) = match tokio::time::timeout(look.deadline.mul_f32(0.4), prepared).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(panic)) => return all_missing(REPORTS, began_at, &failed(format!("the look itself broke: {panic}"))),
            Err(_) => {
                let why = Missing::new(nodewhy_diagnosis::MissingKind::Hung, "the directories of the kubelet and the images do not answer");
                return all_missing(REPORTS, began_at, &why);
            }
        };
        let patience = look.deadline.mul_f32(0.5);
        let asking = places.iter().map(|place| look.host.space(&place.path, patience));
        let spaces = futures_util::future::join_all(asking).await;
        report(&look, &places, &mounts, spaces)
    })
}

fn places(look: &Look) -> Vec<Place> {
    let mut places = Vec::new();
    let nodefs = look.known.known(fact::KUBELET_CONFIG_ROOT_DIR);
    if let Some(path) = nodefs {
        let signals = Some(("nodefs.available", "nodefs.inodesFree"));
        places.push(Place { role: "nodefs", path: existing(&look.host, &path), signals, must_be_writable: true });
        let images = look.known.known(fact::RUNTIME_IMAGE_FS);
        let images =
            images.or_else(|| IMAGE_STORES.iter().find(|path| look.host.exists(path).unwrap_or_default()).map(|path| (*path).to_owned()));
        if let Some(path) = images {
            let signals = Some(("imagefs.available", "imagefs.inodesFree"));
            places.push(Place { role: "imagefs", path: existing(&look.host, &path), signals, must_be_writable: true });
        }
    }
    places.push(Place { role: "logs", path: existing(&look.host, "/var/log"), signals: None, must_be_writable: true });
    places.push(Place { role: "root", path: "/".into(), signals: None, must_be_writable: false });
    places
}

/// The directory, its symlinks followed, or the nearest one above it that exists: the file system it would be made on.
fn existing(host: &Host, path: &str) -> PathBuf {
    let above = Path::new(path).ancestors().find(|path| host.exists(path).unwrap_or(true)).unwrap_or(Path::new("/"));
    host.canonical(above).unwrap_or_else(|_| above.to_owned())
}

fn report(look: &Look, places: &[Place], mounts: &Result<Vec<Mount>, Missing>, spaces: Vec<Result<Space, Missing>>) -> Facts {
    let at = look.began_at;
    let thresholds = needs(look, fact::KUBELET_CONFIG_EVICTION_HARD);
    let mut verdicts = Verdicts::default();
    let records: Vec<Record> = places
        .iter()
        .zip(spaces)
        .map(|(place, space)| {
            let record = Record::new().with("role", place.role.to_owned()).with("path", place.path.display().to_string());
            let record = with_mount(record, place, mounts, &mut verdicts);
            with_space(record, place, space, &thresholds, &mut verdicts)
        })
        .collect();
    let mut facts = Facts::new();
    facts.set(fact::DISK_FILESYSTEMS, at, records);
    facts.put(fact::DISK_READ_ONLY, at, verdicts.read_only.any());
    facts.put(fact::DISK_BELOW_BYTES, at, verdicts.bytes.any());
    facts.put(fact::DISK_BELOW_INODES, at, verdicts.inodes.any());
    facts
}

/// Yes if any says yes; unknown if none does and any is unknown.
#[derive(Default)]
struct Verdict {
    said: Option<bool>,
    unknown: Option<Missing>,
}

impl Verdict {
    fn say(&mut self, value: bool) {
        self.said = Some(self.said.unwrap_or_default() || value);
    }

    fn unknown(&mut self, why: &Missing) {
        self.unknown.get_or_insert_with(|| why.clone());
    }

    fn any(self) -> Result<bool, Missing> {
        match (self.said, self.unknown) {
            (Some(true), _) => Ok(true),
            (_, Some(why)) => Err(why),
            (Some(false), None) => Ok(false),
            (None, None) => Err(not_applicable("the kubelet has no such threshold here")),
        }
    }
}

#[derive(Default)]
struct Verdicts {
    read_only: Verdict,
    bytes: Verdict,
    inodes: Verdict,
}

fn with_mount(record: Record, place: &Place, mounts: &Result<Vec<Mount>, Missing>, verdicts: &mut Verdicts) -> Record {
    let mount = match mounts.as_ref().map(|mounts| mount_of(mounts, &place.path)) {
        Ok(Some(mount)) => mount,
        Ok(None) => {
            verdicts.read_only.unknown(&failed(format!("/proc/1/mountinfo has no mount for {}", place.path.display())));
            return record;
        }
        Err(why) => {
            verdicts.read_only.unknown(why);
            return record;
        }
    };
    if place.must_be_writable {
        verdicts.read_only.say(mount.read_only);
    }
    record
        .with("mount_point", mount.point.display().to_string())
        .with("device", mount.source.clone())
        .with("fstype", mount.fstype.clone())
        .with("read_only", mount.read_only)
}

fn with_space(
    record: Record,
    place: &Place,
    space: Result<Space, Missing>,
    thresholds: &Result<BTreeMap<String, String>, Missing>,
    verdicts: &mut Verdicts,
) -> Record {
    let space = match space {
        Ok(space) => space,
        Err(why) => {
            if place.signals.is_some() {
                verdicts.bytes.unknown(&why);
                verdicts.inodes.unknown(&why);
            }
            return record;
        }
    };
    let record = record.with("size_bytes", space.size_bytes).with("available_bytes", space.available_bytes);
    // A file system without a fixed number of inodes cannot run out of them.
    let counts_inodes = space.inodes > 0;
    let record = if counts_inodes { record.with("inodes", space.inodes).with("inodes_free", space.inodes_free) } else { record };
    let Some((bytes, inodes)) = place.signals else { return record };
    let of_bytes = against(thresholds, bytes, space.size_bytes, space.available_bytes, &mut verdicts.bytes);
    let mut record = with_threshold(record, ("threshold_bytes", "below_bytes"), of_bytes);
    if counts_inodes {
        let of_inodes = against(thresholds, inodes, space.inodes, space.inodes_free, &mut verdicts.inodes);
        record = with_threshold(record, ("threshold_inodes", "below_inodes"), of_inodes);
    }
    record
}

/// The threshold and whether what is left is below it.
fn against(
    thresholds: &Result<BTreeMap<String, String>, Missing>,
    signal: &str,
    capacity: i64,
    left: i64,
    verdict: &mut Verdict,
) -> Option<(i64, bool)> {
    match thresholds {
        Ok(thresholds) => {
            let threshold = quantity::threshold(thresholds.get(signal)?, capacity)?;
            verdict.say(left < threshold);
            Some((threshold, left < threshold))
        }
        Err(why) => {
            verdict.unknown(why);
            None
        }
    }
}

fn with_threshold(mut record: Record, (threshold, below): (&str, &str), found: Option<(i64, bool)>) -> Record {
    if let Some((value, is_below)) = found {
        record.0.insert(threshold.to_owned(), Value::Int(value));
        record.0.insert(below.to_owned(), Value::Bool(is_below));
    }
    record
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;

    use super::*;
    use crate::checks::testing::Node;

    const MOUNTS: &str = "22 1 254:1 / / ro - ext4 /dev/vda1 ro\n30 22 254:17 / /var rw - ext4 /dev/vdb1 rw\n";

    fn node(mounts: &str) -> Node {
        Node::new()
            .file("/proc/1/mountinfo", mounts)
            .file("/var/log/.keep", "")
            .file("/var/lib/kubelet/.keep", "")
            .known(fact::KUBELET_CONFIG_ROOT_DIR, "/var/lib/kubelet".to_owned())
            .known(fact::RUNTIME_IMAGE_FS, "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs".to_owned())
    }

    fn with_thresholds(node: Node, bytes: &str, inodes: &str) -> Node {
        let thresholds = [("nodefs.available", bytes), ("nodefs.inodesFree", inodes)];
        node.known(
            fact::KUBELET_CONFIG_EVICTION_HARD,
            thresholds.iter().map(|(signal, value)| ((*signal).to_owned(), (*value).to_owned())).collect(),
        )
    }

    fn field(facts: &Facts, role: &str, name: &str) -> Option<Value> {
        let all = facts.known(fact::DISK_FILESYSTEMS).unwrap();
        all.iter().find(|record| record.get("role") == Some(&Value::Text(role.into()))).unwrap().get(name).cloned()
    }

    #[test]
    fn space_is_measured_against_the_kubelets_thresholds() {
        let facts = with_thresholds(node(MOUNTS), "1", "1").look(&CHECK);
        assert_eq!(facts.known(fact::DISK_BELOW_BYTES), Some(false));
        assert_eq!(field(&facts, "nodefs", "threshold_bytes"), Some(Value::Int(1)));
        assert_eq!(field(&facts, "nodefs", "mount_point"), Some(Value::Text("/var".into())));
        assert_eq!(field(&facts, "imagefs", "path"), Some(Value::Text("/var/lib".into())), "the store is not made yet");
        assert_eq!(field(&facts, "logs", "threshold_bytes"), None);
        let full = with_thresholds(node(MOUNTS), "8Ei", "0%").look(&CHECK);
        assert!(full.value("disk.below_bytes").is_ok() || quantity::parse("8Ei").is_none());
        let full = with_thresholds(node(MOUNTS), "7Ei", "0%").look(&CHECK);
        assert_eq!(full.known(fact::DISK_BELOW_BYTES), Some(true));
        assert_eq!(full.value("disk.below_inodes").unwrap_err().kind, MissingKind::NotApplicable);
    }

    #[test]
    fn a_read_only_root_is_no_fault_where_var_can_be_written() {
        let facts = node(MOUNTS).look(&CHECK);
        assert_eq!(facts.known(fact::DISK_READ_ONLY), Some(false));
        assert_eq!(field(&facts, "root", "read_only"), Some(Value::Bool(true)));
        let remounted = node(&MOUNTS.replace("/dev/vdb1 rw", "/dev/vdb1 ro,errors=remount-ro")).look(&CHECK);
        assert_eq!(remounted.known(fact::DISK_READ_ONLY), Some(true));
    }

    #[test]
    fn without_mountinfo_read_only_is_unknown_and_space_is_not() {
        let node = Node::new().known(fact::KUBELET_CONFIG_ROOT_DIR, "/var/lib/kubelet".to_owned());
        let facts = with_thresholds(node, "1", "1").look(&CHECK);
        assert_eq!(facts.value("disk.read_only").unwrap_err().kind, MissingKind::Failed);
        assert_eq!(facts.known(fact::DISK_BELOW_BYTES), Some(false));
        assert_eq!(field(&facts, "nodefs", "read_only"), None);
    }

    #[test]
    fn unknown_thresholds_leave_the_verdict_unknown() {
        let facts = node(MOUNTS).look(&CHECK);
        assert_eq!(facts.value("disk.below_bytes").unwrap_err().kind, MissingKind::NotYet);
        assert!(field(&facts, "nodefs", "available_bytes").is_some());
    }

    #[test]
    fn a_host_without_kubelet_has_file_systems_but_no_thresholds() {
        let facts = Node::new().file("/proc/1/mountinfo", MOUNTS).file("/var/log/x", "").look(&CHECK);
        assert_eq!(facts.value("disk.below_bytes").unwrap_err().kind, MissingKind::NotApplicable);
        assert_eq!(facts.known(fact::DISK_READ_ONLY), Some(false));
    }

    #[test]
    fn an_unknown_one_does_not_hide_one_that_is_full() {
        let mut verdict = Verdict::default();
        verdict.unknown(&Missing::not_yet());
        verdict.say(true);
        assert_eq!(verdict.any(), Ok(true));
    }
}
