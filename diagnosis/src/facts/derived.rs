//! Facts that follow from others and the time.

use jiff::{SignedDuration, Timestamp};

use super::{Facts, schema};

/// The facts with everything marked `(derived)` in the schema computed for `now`.
pub fn with_derived(facts: &Facts, now: Timestamp) -> Facts {
    let mut all = facts.clone();
    all.absorb(derive(facts, now));
    all
}

/// The derived facts alone.
pub(crate) fn derive(facts: &Facts, now: Timestamp) -> Facts {
    let mut derived = Facts::new();
    derived.set(schema::NOW, now, now);
    derive_unit_times(facts, &mut derived, now);
    derived
}

fn derive_unit_times(from: &Facts, facts: &mut Facts, now: Timestamp) {
    let running = match from.get(schema::KUBELET_UNIT_RUNNING.path()) {
        Some(fact) => fact.clone(),
        None => return,
    };
    let read_at = running.read_at;
    match running.value {
        Err(missing) => {
            facts.miss(schema::KUBELET_UNIT_RUNNING_FOR, read_at, missing.clone());
            facts.miss(schema::KUBELET_UNIT_DOWN_FOR, read_at, missing);
        }
        Ok(value) => {
            let running = value == super::Value::Bool(true);
            let since = if running { schema::KUBELET_UNIT_STARTED_AT } else { schema::KUBELET_UNIT_STATE_SINCE };
            let elapsed = match from.value(since.path()) {
                Ok(super::Value::Time(at)) => Ok(now.duration_since(*at).max(SignedDuration::ZERO)),
                Ok(_) => return,
                Err(missing) => Err(missing),
            };
            let zero = Ok(SignedDuration::ZERO);
            let (up, down) = if running { (elapsed, zero) } else { (zero, elapsed) };
            facts.put(schema::KUBELET_UNIT_RUNNING_FOR, read_at, up);
            facts.put(schema::KUBELET_UNIT_DOWN_FOR, read_at, down);
        }
    }
}
