//! A kubelet that is a child of its unit's process (RKE2, k0s): systemd knows that its parent runs, and nothing of itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Missing, MissingKind};

use super::{Host, UnitStatus};

/// Two readings of one moment lie apart by less, as long as nobody sets the clock.
const SAME: SignedDuration = SignedDuration::from_secs(2);

/// The kubelet under a unit's main process, as seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// The unit's main process.
    parent: u32,
    /// The kubelet; 0 while none runs.
    pid: i64,
    /// The last one that did.
    last: i64,
    /// When it started, or since when there is none.
    since: Timestamp,
    /// How often another one was seen than before.
    restarts: i64,
}

impl Host {
    /// The kubelet that this unit's process runs; `None` if nobody can say. Blocks.
    pub fn kubelet_child(&self, unit: &UnitStatus) -> Option<Child> {
        let pid = self.find_process("kubelet").ok()?.unwrap_or(0);
        let age = if pid == 0 { None } else { self.process_age(pid) };
        let mut kept = self.bus.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = kept.filter(|before| before.parent == unit.main_pid);
        let now = next(before, unit.main_pid, pid, age, Timestamp::now());
        *kept = Some(now);
        Some(now)
    }
}

fn next(before: Option<Child>, parent: u32, pid: i64, age: Option<Duration>, now: Timestamp) -> Child {
    let age = age.and_then(|age| SignedDuration::try_from(age).ok()).unwrap_or_default();
    let since = now - age;
    let Some(before) = before else { return Child { parent, pid, last: pid, since, restarts: 0 } };
    let last = if pid == 0 { before.last } else { pid };
    let another = pid != 0 && before.last != 0 && pid != before.last;
    // The time of the first look stands: a new one would differ by its rounding.
    let same = pid == before.pid && (pid == 0 || since.duration_since(before.since).abs() < SAME);
    Child { parent, pid, last, since: if same { before.since } else { since }, restarts: before.restarts + i64::from(another) }
}

/// What is so of the kubelet, in the place of what is so of its unit.
pub(super) fn child_facts(facts: &mut Facts, child: &Child, read_at: Timestamp) {
    facts.set(s::KUBELET_UNIT_MAIN_PID, read_at, child.pid);
    facts.set(s::KUBELET_UNIT_RESTARTS, read_at, child.restarts);
    facts.set(s::KUBELET_UNIT_RUNNING, read_at, child.pid != 0);
    if child.pid == 0 {
        facts.set(s::KUBELET_UNIT_SUB_STATE, read_at, "its kubelet has ended".to_owned());
        facts.set(s::KUBELET_UNIT_STATE_SINCE, read_at, child.since);
        let none = Missing::new(MissingKind::NotApplicable, "no kubelet runs");
        facts.miss(s::KUBELET_UNIT_STARTED_AT, read_at, none);
    } else {
        facts.set(s::KUBELET_UNIT_STARTED_AT, read_at, child.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn aged(seconds: f64) -> Option<Duration> {
        Some(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_kubelet_that_ends_and_is_started_again_has_restarted() {
        let first = next(None, 9, 100, aged(50.0), at(1000));
        assert_eq!((first.restarts, first.since), (0, at(950)));
        let gone = next(Some(first), 9, 0, None, at(1010));
        assert_eq!((gone.pid, gone.restarts, gone.since), (0, 0, at(1010)));
        let still = next(Some(gone), 9, 0, None, at(1012));
        assert_eq!(still.since, at(1010), "since it was missed first");
        let second = next(Some(still), 9, 101, aged(1.0), at(1016));
        assert_eq!((second.restarts, second.since), (1, at(1015)));
        let third = next(Some(second), 9, 102, aged(0.0), at(1020));
        assert_eq!(third.restarts, 2, "it ended between two looks");
    }

    #[test]
    fn the_start_of_one_kubelet_stays_what_it_was() {
        let first = next(None, 9, 100, aged(50.0), at(1000));
        assert_eq!(next(Some(first), 9, 100, aged(59.996), at(1010)).since, first.since);
        assert_eq!(next(Some(first), 9, 100, aged(60.0), at(400)).since, at(340), "the clock was set back by ten minutes");
    }

    #[test]
    fn a_kubelet_that_has_ended_does_not_run_though_its_unit_does() {
        let mut facts = Facts::new();
        let child = next(None, 9, 0, None, at(1000));
        child_facts(&mut facts, &child, at(1000));
        assert_eq!(facts.known(s::KUBELET_UNIT_RUNNING), Some(false));
        assert_eq!(facts.value(s::KUBELET_UNIT_STARTED_AT.path()).unwrap_err().kind, MissingKind::NotApplicable);
        child_facts(&mut facts, &next(Some(child), 9, 5, aged(3.0), at(1010)), at(1010));
        assert_eq!((facts.known(s::KUBELET_UNIT_RUNNING), facts.known(s::KUBELET_UNIT_STARTED_AT)), (Some(true), Some(at(1007))));
    }
}
