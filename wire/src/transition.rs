use nodewhy_diagnosis::model::Transition;
use nodewhy_proto::v1 as pb;

use crate::{
    WireError, cause_from_wire, cause_to_wire, code, some_text, text, there, time_from_wire, time_to_wire, transition_kind_from_wire,
    transition_kind_to_wire,
};

/// A transition for the wire.
pub fn transition_to_wire(transition: &Transition) -> pb::Transition {
    pb::Transition {
        kind: transition_kind_to_wire(transition.kind),
        case_id: transition.case_id.clone(),
        code: transition.code.clone(),
        at: Some(time_to_wire(transition.at)),
        since: Some(time_to_wire(transition.since)),
        reason: transition.reason.clone(),
        cause: Some(cause_to_wire(&transition.cause)),
    }
}

/// A transition from the wire.
///
/// # Errors
/// [`WireError`].
pub fn transition_from_wire(transition: pb::Transition) -> Result<Transition, WireError> {
    Ok(Transition {
        kind: transition_kind_from_wire(transition.kind)?,
        case_id: some_text("case_id", transition.case_id)?,
        code: code("code", transition.code)?,
        at: time_from_wire(there("at", transition.at)?)?,
        since: time_from_wire(there("since", transition.since)?)?,
        reason: text("reason", transition.reason)?,
        cause: cause_from_wire(there("cause", transition.cause)?)?,
    })
}
