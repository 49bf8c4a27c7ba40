use nodewhy_diagnosis::model::{Diagnosis, Unknown};
use nodewhy_proto::v1 as pb;

use crate::{
    WireError, cause_from_wire, cause_to_wire, list, some_text, text, there, time_from_wire, time_to_wire, verdict_from_wire,
    verdict_to_wire,
};

/// A diagnosis for the wire.
pub fn diagnosis_to_wire(diagnosis: &Diagnosis) -> pb::Diagnosis {
    let unknown = |unknown: &Unknown| pb::Unknown { what: unknown.what.clone(), why: unknown.why.clone() };
    pb::Diagnosis {
        node: diagnosis.node.clone(),
        at: Some(time_to_wire(diagnosis.at)),
        verdict: verdict_to_wire(diagnosis.verdict),
        causes: diagnosis.causes.iter().map(cause_to_wire).collect(),
        unknown: diagnosis.unknown.iter().map(unknown).collect(),
    }
}

/// A diagnosis from the wire.
///
/// # Errors
/// [`WireError`].
pub fn diagnosis_from_wire(diagnosis: pb::Diagnosis) -> Result<Diagnosis, WireError> {
    let unknown = |unknown: pb::Unknown| Ok(Unknown { what: text("what", unknown.what)?, why: text("why", unknown.why)? });
    Ok(Diagnosis {
        node: some_text("node", diagnosis.node)?,
        at: time_from_wire(there("at", diagnosis.at)?)?,
        verdict: verdict_from_wire(diagnosis.verdict)?,
        causes: list("causes", diagnosis.causes, cause_from_wire)?,
        unknown: list("unknown", diagnosis.unknown, unknown)?,
    })
}
