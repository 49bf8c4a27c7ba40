//! File systems that the node cannot do without: space and inodes against the kubelet's thresholds, and read-only.

mod devices;
mod health;
mod writable;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodewhy_diagnosis::facts::{Record, Value, schema as fact};
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{all_missing, eviction_hard, failed, no_kubelet, not_applicable};
use super::{Check, Look, Looking, Stage, quantity};
use crate::host::Host;
use crate::host::mounts::{Answer, Mount, mount_of};
use writable::writable;

const REPORTS: &[&str] = &["disk"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "disk",
    about: "space, inodes, devices and writability of the file systems of the kubelet, the images, the logs and the root",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look,
};

/// Facts that need to know what is mounted from where.
const OF_DEVICES: [&str; 4] = ["disk.devices", "disk.failed_devices", "disk.degraded_arrays", "disk.recorded_errors"];

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
        let asking = places.iter().map(|place| look.host.ask_file_system(&place.path, patience));
        let answers = futures_util::future::join_all(asking).await;
        // Reads /sys only, which does not hang with a disk.
        let reporting = tokio::task::spawn_blocking(move || report(&look, &places, &mounts, answers));
        reporting.await.unwrap_or_else(|panic| all_missing(REPORTS, began_at, &failed(format!("the look itself broke: {panic}"))))
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
    // Without a kubelet what every system needs is measured, by the thresholds that a kubelet would have.
    let signals = no_kubelet(look).map(|_| ("nodefs.available", "nodefs.inodesFree"));
    places.push(Place { role: "logs", path: existing(&look.host, "/var/log"), signals, must_be_writable: true });
    places.push(Place { role: "root", path: "/".into(), signals, must_be_writable: false });
    places
}

/// The directory, its symlinks followed, or the nearest one above it that exists: the file system it would be made on.
fn existing(host: &Host, path: &str) -> PathBuf {
    let above = Path::new(path).ancestors().find(|path| host.exists(path).unwrap_or(true)).unwrap_or(Path::new("/"));
    host.canonical(above).unwrap_or_else(|_| above.to_owned())
}

fn report(look: &Look, places: &[Place], mounts: &Result<Vec<Mount>, Missing>, answers: Vec<Result<Answer, Missing>>) -> Facts {
    let at = look.began_at;
    let thresholds = eviction_hard(look);
    let mut verdicts = Verdicts::default();
    let mut devices = BTreeSet::new();
    let mut errors = BTreeMap::new();
    let records: Vec<Record> = places
        .iter()
        .zip(answers)
        .map(|(place, answer)| {
            let record = Record::new().with("role", place.role.to_owned()).with("path", place.path.display().to_string());
            let record = match mount_at(place, mounts) {
                Ok(mount) => {
                    devices.extend(devices::beneath(&look.host, mount));
                    errors.extend(health::recorded_errors(&look.host, &look.known, mount).map(|record| (mount.device.clone(), record)));
                    with_mount(look, record, place, mount, &answer, &mut verdicts)
                }
                Err(why) => {
                    verdicts.read_only.unknown(&why);
                    record
                }
            };
            with_space(record, place, answer, &thresholds, &mut verdicts)
        })
        .collect();
    let mut facts = Facts::new();
    facts.set(fact::DISK_FILESYSTEMS, at, records);
    match mounts {
        Ok(_) => {
            facts.set(fact::DISK_FAILED_DEVICES, at, health::failed_devices(&look.host, &devices));
            facts.set(fact::DISK_DEGRADED_ARRAYS, at, health::degraded_arrays(&look.host, &devices));
            facts.set(fact::DISK_RECORDED_ERRORS, at, errors.into_values().collect());
            facts.set(fact::DISK_DEVICES, at, devices.into_iter().collect());
        }
        Err(why) => OF_DEVICES.iter().for_each(|path| facts.miss_under(path, at, why)),
    }
    facts.put(fact::DISK_READ_ONLY, at, verdicts.read_only.any());
    facts.put(fact::DISK_BELOW_BYTES, at, verdicts.bytes.any());
    facts.put(fact::DISK_BELOW_INODES, at, verdicts.inodes.any());
    facts
}

fn mount_at<'a>(place: &Place, mounts: &'a Result<Vec<Mount>, Missing>) -> Result<&'a Mount, Missing> {
    let mounts = mounts.as_ref().map_err(Missing::clone)?;
    mount_of(mounts, &place.path).ok_or_else(|| failed(format!("/proc/1/mountinfo has no mount for {}", place.path.display())))
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

fn with_mount(
    look: &Look,
    record: Record,
    place: &Place,
    mount: &Mount,
    answer: &Result<Answer, Missing>,
    verdicts: &mut Verdicts,
) -> Record {
    let gives_io_errors = answer.as_ref().is_ok_and(|answer| answer.gives_io_errors);
    let record = record
        .with("mount_point", mount.point.display().to_string())
        .with("device", mount.source.clone())
        .with("fstype", mount.fstype.clone());
    match writable(&look.host, &look.known, mount, gives_io_errors) {
        Ok(found) => {
            if place.must_be_writable || found.stopped.is_some() {
                verdicts.read_only.say(found.read_only);
            }
            record.with("read_only", found.read_only).with("stopped", found.stopped.unwrap_or_default().to_owned())
        }
        Err(why) => {
            if place.must_be_writable {
                verdicts.read_only.unknown(&why);
            }
            record
        }
    }
}

fn with_space(
    record: Record,
    place: &Place,
    answer: Result<Answer, Missing>,
    thresholds: &Result<BTreeMap<String, String>, Missing>,
    verdicts: &mut Verdicts,
) -> Record {
    let space = match answer.and_then(|answer| answer.space) {
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
    // An image that is read-only on purpose is full by nature.
    let image = !place.must_be_writable && record.get("read_only") == Some(&Value::Bool(true));
    let Some((bytes, inodes)) = place.signals.filter(|_| !image) else { return record };
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
mod tests;
