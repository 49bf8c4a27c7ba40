//! Which cause is told first.

use std::cmp::{Ordering, Reverse};

use jiff::{SignedDuration, Timestamp};

use super::state::{State, Watched};
use crate::catalogue::{Catalogue, Cause, Sign};
use crate::facts::{FactId, Seen, Value, schema};
use crate::model::PresentCause;
use crate::record::Source;

/// Words of the kubelet this close to its end are its last.
const DYING: SignedDuration = SignedDuration::from_secs(5);

/// Roots before symptoms; the kubelet's dying words before all else; critical before warning before info; what is wrong before what will be; the deeper layer; what began earlier.
pub(super) fn order(present: &mut [PresentCause], catalogue: &Catalogue, state: &State, seen: &Seen<'_>) {
    let exited_at = exited_at(seen);
    let dying = |cause: &PresentCause| match (exited_at, catalogue.cause(&cause.code), state.watched.get(&cause.code)) {
        (Some(exited_at), Some(cause), Some(watched)) => spoken_when_dying(cause, watched, exited_at),
        _ => false,
    };
    let mut keyed: Vec<(bool, PresentCause)> = present.iter().map(|cause| (dying(cause), cause.clone())).collect();
    keyed.sort_by(|(one_dying, one), (other_dying, other)| compare((*one_dying, one), (*other_dying, other)));
    for (place, (_, cause)) in present.iter_mut().zip(keyed) {
        *place = cause;
    }
}

fn compare((one_dying, one): (bool, &PresentCause), (other_dying, other): (bool, &PresentCause)) -> Ordering {
    let key = |dying: bool, cause: &PresentCause| {
        (Reverse(cause.root), Reverse(dying), Reverse(cause.severity), cause.latent, cause.layer, cause.since)
    };
    key(one_dying, one).cmp(&key(other_dying, other)).then_with(|| one.code.cmp(&other.code))
}

fn exited_at(seen: &Seen<'_>) -> Option<Timestamp> {
    let fact = seen.fact(FactId::of(schema::KUBELET_UNIT_EXITED_AT.path())?)?;
    match &fact.value {
        Ok(Value::Time(at)) => Some(*at),
        _ => None,
    }
}

fn spoken_when_dying(cause: &Cause, watched: &Watched, exited_at: Timestamp) -> bool {
    watched.logs.iter().any(|(index, heard)| {
        let by_kubelet = matches!(cause.signs.get(usize::from(*index)), Some(Sign::Log(log)) if log.from.contains(&Source::Kubelet));
        by_kubelet && heard.times.iter().any(|at| at.duration_since(exited_at).abs() <= DYING)
    })
}
