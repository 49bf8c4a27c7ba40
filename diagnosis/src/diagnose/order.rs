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

/// What the kubelet said of a cause, what tells more first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Words {
    /// Its last words name it.
    Last,
    /// Its last words, and they lead to nothing else: that it ended, and no reason.
    OfTheEnd,
    Other,
}

/// Roots before symptoms; the kubelet's dying words before all else; critical before warning before info; what is wrong before what will be; the deeper layer; what began earlier.
pub(super) fn order(present: &mut [PresentCause], catalogue: &Catalogue, state: &State, seen: &Seen<'_>) {
    let exited_at = exited_at(seen);
    let words = |cause: &PresentCause| match (exited_at, catalogue.cause(&cause.code), state.watched.get(&cause.code)) {
        (Some(exited_at), Some(known), Some(watched)) if spoken_when_dying(known, watched, exited_at) => {
            if !known.explains.is_empty() {
                Words::Last
            } else {
                Words::OfTheEnd
            }
        }
        _ => Words::Other,
    };
    let mut keyed: Vec<(Words, PresentCause)> = present.iter().map(|cause| (words(cause), cause.clone())).collect();
    keyed.sort_by(|(one_words, one), (other_words, other)| compare((*one_words, one), (*other_words, other)));
    for (place, (_, cause)) in present.iter_mut().zip(keyed) {
        *place = cause;
    }
}

fn compare((one_words, one): (Words, &PresentCause), (other_words, other): (Words, &PresentCause)) -> Ordering {
    let key =
        |words: Words, cause: &PresentCause| (Reverse(cause.root), words, Reverse(cause.severity), cause.latent, cause.layer, cause.since);
    key(one_words, one).cmp(&key(other_words, other)).then_with(|| one.code.cmp(&other.code))
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
        let listens = matches!(cause.signs.get(usize::from(*index)), Some(Sign::Log(log)) if log.from.contains(&Source::Kubelet));
        // k3s and the like end of their etcd's or control plane's trouble too.
        let by_kubelet = listens || Source::of(&heard.unit) == Source::Bundle;
        by_kubelet && heard.times.iter().any(|at| at.duration_since(exited_at).abs() <= DYING)
    })
}
