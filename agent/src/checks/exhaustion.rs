//! How long disk space, inodes and memory last at the present slope, until the kubelet begins to evict pods.
//!
//! It reads nothing itself: it watches what the checks `disk` and `memory` have read. Until it has watched for long enough (and so always in a
//! single look) nothing is known yet; an agent that starts anew begins anew.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::facts::{FactValue, Key, Record, Value, schema as fact};
use nodewhy_diagnosis::{Facts, Missing, MissingKind};

use super::support::{blocking, not_applicable};
use super::{Check, Look, Stage};
use crate::trend::{Forecast, Window};

const REPORTS: &[&str] = &["exhaustion"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "exhaustion",
    about: "when disk space, inodes and memory reach the kubelet's eviction thresholds at the present slope",
    stage: Stage::Look,
    period: Duration::from_secs(30),
    deadline: Duration::from_secs(1),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

const OF_DISK: Window = Window(SignedDuration::from_mins(30));
/// Memory goes up and down with what runs: an hour of one direction means more.
const OF_MEMORY: Window = Window(SignedDuration::from_mins(60));

/// What one thing says.
enum Watched {
    NotYet,
    Steady,
    Falling { per_hour: i64, reaches_at: Timestamp, since: Timestamp },
}

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    facts.put(fact::EXHAUSTION_SPACE, at, of_disks(look, &SPACE));
    facts.put(fact::EXHAUSTION_INODES, at, of_disks(look, &INODES));
    facts.put(fact::EXHAUSTION_MEMORY, at, of_memory(look));
}

/// Fields of disk.filesystems and of what is told.
struct Kind {
    name: &'static str,
    size: &'static str,
    left: &'static str,
    threshold: &'static str,
    per_hour: &'static str,
}

const SPACE: Kind =
    Kind { name: "space", size: "size_bytes", left: "available_bytes", threshold: "threshold_bytes", per_hour: "lost_an_hour_bytes" };
const INODES: Kind = Kind { name: "inodes", size: "inodes", left: "inodes_free", threshold: "threshold_inodes", per_hour: "lost_an_hour" };

/// What other checks read, and when; what was not read yet is not watched yet.
fn read<T: FactValue>(look: &Look, key: Key<T>) -> Result<(T, Timestamp), Missing> {
    let fact = look.known.get(key.path()).ok_or_else(Missing::not_yet)?;
    let value = fact.value.as_ref().map_err(Clone::clone)?;
    Ok((T::from_value(value).ok_or_else(Missing::not_yet)?, fact.read_at))
}

fn not_yet() -> Missing {
    Missing::new(MissingKind::NotYet, "a trend takes half an hour of looks, of memory an hour; the agent has not watched for so long yet")
}

/// Of file systems that have a threshold, those that fall, the first to reach it first. One that holds two roles is told once.
fn of_disks(look: &Look, kind: &Kind) -> Result<Vec<Record>, Missing> {
    let (filesystems, read_at) = read(look, fact::DISK_FILESYSTEMS)?;
    let (mut falling, mut watched) = (Vec::new(), false);
    let mut any = false;
    for filesystem in &filesystems {
        let Some(of) = Filesystem::of(filesystem, kind) else { continue };
        any = true;
        match observe(
            look,
            &format!("{} {} {}", kind.name, of.mount_point, of.threshold),
            of.size,
            (read_at, of.left),
            of.threshold,
            OF_DISK,
        ) {
            Watched::NotYet => {}
            Watched::Steady => watched = true,
            Watched::Falling { per_hour, reaches_at, since } => {
                let record = Record::new().with("mount_point", of.mount_point.clone()).with("role", of.role.clone());
                let record = record.with(kind.left, of.left).with(kind.threshold, of.threshold).with(kind.per_hour, per_hour);
                falling.push((reaches_at, of.mount_point, record.with("reaches_at", reaches_at).with("watched_since", since)));
            }
        }
    }
    if !any {
        return Err(not_applicable("no file system here has such a threshold"));
    }
    if falling.is_empty() && !watched {
        return Err(not_yet());
    }
    falling.sort_by_key(|(reaches_at, _, _)| *reaches_at);
    let mut told = std::collections::BTreeSet::new();
    Ok(falling.into_iter().filter(|(_, mount_point, _)| told.insert(mount_point.clone())).map(|(_, _, record)| record).collect())
}

struct Filesystem {
    mount_point: String,
    role: String,
    size: i64,
    left: i64,
    threshold: i64,
}

impl Filesystem {
    fn of(record: &Record, kind: &Kind) -> Option<Self> {
        let text = |field: &str| match record.get(field) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let int = |field: &str| match record.get(field) {
            Some(Value::Int(value)) => Some(*value),
            _ => None,
        };
        Some(Self {
            mount_point: text("mount_point")?,
            role: text("role")?,
            size: int(kind.size)?,
            left: int(kind.left)?,
            threshold: int(kind.threshold)?,
        })
    }
}

fn of_memory(look: &Look) -> Result<Vec<Record>, Missing> {
    let (available, read_at) = read(look, fact::MEMORY_AVAILABLE_BYTES)?;
    let (threshold, _) = read(look, fact::MEMORY_THRESHOLD_BYTES)?;
    let (total, _) = read(look, fact::MEMORY_TOTAL_BYTES)?;
    match observe(look, "memory", total, (read_at, available), threshold, OF_MEMORY) {
        Watched::NotYet => Err(not_yet()),
        Watched::Steady => Ok(Vec::new()),
        Watched::Falling { per_hour, reaches_at, since } => Ok(vec![
            Record::new()
                .with("available_bytes", available)
                .with("threshold_bytes", threshold)
                .with("lost_an_hour_bytes", per_hour)
                .with("reaches_at", reaches_at)
                .with("watched_since", since),
        ]),
    }
}

fn observe(look: &Look, name: &str, size: i64, (at, left): (Timestamp, i64), threshold: i64, window: Window) -> Watched {
    match look.host.trends().observe(name, size, (at, left as f64), threshold as f64, window) {
        Forecast::NotYet => Watched::NotYet,
        Forecast::Steady => Watched::Steady,
        Forecast::Falling { per_hour, reaches_at, since } => Watched::Falling { per_hour: per_hour.round() as i64, reaches_at, since },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checks::testing::Node;

    const GIB: i64 = 1 << 30;

    fn filesystem(role: &str, left: i64, threshold: i64) -> Record {
        let record = Record::new().with("role", role.to_owned()).with("mount_point", "/var".to_owned());
        record.with("size_bytes", 100 * GIB).with("available_bytes", left).with("threshold_bytes", threshold)
    }

    /// Facts after so many minutes of one look a minute; what is left comes from the minute.
    fn watched(minutes: i64, left: fn(i64) -> i64) -> Facts {
        let node = Node::new();
        let mut look = node.look_for(&CHECK);
        let mut facts = Facts::new();
        for minute in 0..=minutes {
            let at = Timestamp::from_second(minute * 60).unwrap();
            let mut known = Facts::new();
            known.set(
                fact::DISK_FILESYSTEMS,
                at,
                vec![filesystem("nodefs", left(minute), 10 * GIB), filesystem("imagefs", left(minute), 15 * GIB)],
            );
            known.set(fact::MEMORY_AVAILABLE_BYTES, at, left(minute));
            known.set(fact::MEMORY_THRESHOLD_BYTES, at, GIB);
            known.set(fact::MEMORY_TOTAL_BYTES, at, 100 * GIB);
            look.known = Arc::new(known);
            facts = Facts::new();
            look_at(&look, &mut facts);
        }
        facts
    }

    #[test]
    fn a_file_system_that_fills_up_is_told_once_by_its_nearer_threshold() {
        let facts = watched(40, |minute| 60 * GIB - minute * GIB / 4);
        let space = facts.known(fact::EXHAUSTION_SPACE).unwrap();
        assert_eq!(space.len(), 1);
        assert_eq!(space[0].get("role"), Some(&Value::Text("imagefs".into())));
        assert_eq!(space[0].get("lost_an_hour_bytes"), Some(&Value::Int(15 * GIB)));
        assert_eq!(space[0].get("reaches_at"), Some(&Value::Time(Timestamp::from_second((40 + 140) * 60).unwrap())));
        assert_eq!(facts.value("exhaustion.inodes").unwrap_err().kind, MissingKind::NotApplicable);
    }

    #[test]
    fn nothing_is_said_before_it_was_watched_for_long_enough() {
        let facts = watched(20, |minute| 60 * GIB - minute * GIB / 4);
        assert_eq!(facts.value("exhaustion.space").unwrap_err().kind, MissingKind::NotYet);
        let facts = watched(40, |minute| 60 * GIB - minute * GIB / 4);
        assert_eq!(facts.value("exhaustion.memory").unwrap_err().kind, MissingKind::NotYet, "memory is watched for an hour");
        let facts = watched(70, |minute| 60 * GIB - minute * GIB / 4);
        assert_eq!(facts.known(fact::EXHAUSTION_MEMORY).unwrap().len(), 1);
    }

    #[test]
    fn what_stands_still_is_known_to_last() {
        let facts = watched(70, |_| 60 * GIB);
        assert_eq!(facts.known(fact::EXHAUSTION_SPACE), Some(vec![]));
        assert_eq!(facts.known(fact::EXHAUSTION_MEMORY), Some(vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_not_known_for_that_reason() {
        let node = Node::new();
        let mut look = node.look_for(&CHECK);
        let mut known = Facts::new();
        known.miss(fact::DISK_FILESYSTEMS, Timestamp::UNIX_EPOCH, Missing::new(MissingKind::Hung, "dead"));
        look.known = Arc::new(known);
        let mut facts = Facts::new();
        look_at(&look, &mut facts);
        assert_eq!(facts.value("exhaustion.space").unwrap_err().kind, MissingKind::Hung);
        assert_eq!(facts.value("exhaustion.memory").unwrap_err().kind, MissingKind::NotYet);
    }
}
