//! What had passed when a saved log still spoke of something else. On a node that lives the case of an API server that was away closes when
//! nobody speaks of it any more, and what is still wrong then speaks for itself. In a saved log nothing ends by silence: here it ends as an
//! explanation. Only what comes and goes with the way to the control plane: what is broken on the node stays so, though it is told once.

use jiff::Timestamp;

use super::state::State;
use crate::catalogue::{Catalogue, Cause, Sign};
use crate::model::Layer;

/// Whether the explaining cause had gone before the symptom was seen last. One that began only afterwards is not judged by this: lines of two
/// programs may be told in two time zones, and be hours apart for that alone.
pub(super) fn before(catalogue: &Catalogue, state: &State, explains: &str, symptom: &str) -> bool {
    let gone = catalogue.cause(explains).and_then(|cause| gone_at(cause, state));
    let symptom = state.watched.get(symptom);
    let first = symptom.and_then(|watched| watched.logs.values().map(|heard| heard.first_at).min());
    let last = symptom.and_then(|watched| watched.last_at());
    gone.is_some_and(|gone| first.is_some_and(|first| first <= gone) && last.is_some_and(|last| gone < last))
}

/// When a cause that only logs speak of has been quiet for long enough; `None` if silence does not end it.
fn gone_at(cause: &Cause, state: &State) -> Option<Timestamp> {
    let watched = state.watched.get(&cause.code)?;
    if !matches!(cause.layer, Layer::Network | Layer::ControlPlane) || !watched.facts.is_empty() {
        return None;
    }
    let quiet_at = |(index, heard): (&u16, &super::state::Heard)| match cause.signs.get(usize::from(*index)) {
        Some(Sign::Log(sign)) if sign.ends.is_none() => heard.last_at.checked_add(sign.quiet_for?).ok(),
        _ => None,
    };
    // One that no silence ends is enough to keep it.
    let quiet: Option<Vec<Timestamp>> = watched.logs.iter().map(quiet_at).collect();
    quiet?.into_iter().max()
}
