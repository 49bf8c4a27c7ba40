use nodewhy_diagnosis::model::{Evidence, PresentCause, Remedy};
use nodewhy_proto::v1 as pb;

use crate::{
    WireError, code, layer_from_wire, layer_to_wire, list, severity_from_wire, severity_to_wire, some_text, text, there, time_from_wire,
    time_to_wire,
};

/// A present cause for the wire.
pub fn cause_to_wire(cause: &PresentCause) -> pb::PresentCause {
    pb::PresentCause {
        case_id: cause.case_id.clone(),
        code: cause.code.clone(),
        title: cause.title.clone(),
        severity: severity_to_wire(cause.severity),
        layer: layer_to_wire(cause.layer),
        root: cause.root,
        latent: cause.latent,
        since: Some(time_to_wire(cause.since)),
        message: cause.message.clone(),
        evidence: cause.evidence.iter().map(evidence_to_wire).collect(),
        explains: cause.explains.clone(),
        explained_by: cause.explained_by.clone(),
        remedy: cause.remedy.iter().map(remedy_to_wire).collect(),
    }
}

/// A present cause from the wire.
///
/// # Errors
/// [`WireError`].
pub fn cause_from_wire(cause: pb::PresentCause) -> Result<PresentCause, WireError> {
    Ok(PresentCause {
        case_id: some_text("case_id", cause.case_id)?,
        code: code("code", cause.code)?,
        title: text("title", cause.title)?,
        severity: severity_from_wire(cause.severity)?,
        layer: layer_from_wire(cause.layer)?,
        root: cause.root,
        latent: cause.latent,
        since: time_from_wire(there("since", cause.since)?)?,
        message: text("message", cause.message)?,
        evidence: list("evidence", cause.evidence, evidence_from_wire)?,
        explains: list("explains", cause.explains, |text| code("explains", text))?,
        explained_by: list("explained_by", cause.explained_by, |text| code("explained_by", text))?,
        remedy: list("remedy", cause.remedy, remedy_from_wire)?,
    })
}

fn evidence_to_wire(evidence: &Evidence) -> pb::Evidence {
    pb::Evidence {
        source: evidence.source.clone(),
        at: evidence.at.map(time_to_wire),
        quote: evidence.quote.clone(),
        count: evidence.count,
    }
}

fn evidence_from_wire(evidence: pb::Evidence) -> Result<Evidence, WireError> {
    Ok(Evidence {
        source: text("source", evidence.source)?,
        at: evidence.at.map(time_from_wire).transpose()?,
        quote: text("quote", evidence.quote)?,
        count: evidence.count,
    })
}

fn remedy_to_wire(remedy: &Remedy) -> pb::Remedy {
    pb::Remedy { say: remedy.say.clone(), run: remedy.run.clone().unwrap_or_default() }
}

fn remedy_from_wire(remedy: pb::Remedy) -> Result<Remedy, WireError> {
    Ok(Remedy { say: text("say", remedy.say)?, run: Some(text("run", remedy.run)?).filter(|run| !run.is_empty()) })
}
