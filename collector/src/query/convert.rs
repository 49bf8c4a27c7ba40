//! What is stored, as it is told.

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Verdict};
use nodewhy_proto::v1 as pb;
use nodewhy_wire::{cause_to_wire, time_to_wire, verdict_to_wire};
use prost::Message as _;

use crate::presence::Presence;
use crate::silence;
use crate::store::{Node, StoredCase};

/// A silent node is unknown, whatever it said last.
fn verdict(node: &Node) -> i32 {
    if node.silent.is_some() { verdict_to_wire(Verdict::Unknown) } else { node.verdict }
}

/// A node in one line.
pub(super) fn summary(node: &Node, presence: &Presence) -> pb::NodeSummary {
    let silent = node.silent.map(|_| silence::CODE.to_owned());
    let last_seen = presence.last_seen(&node.node).map_or(node.last_seen, |seen| seen.max(node.last_seen));
    pb::NodeSummary {
        node: node.node.clone(),
        verdict: verdict(node),
        roots: silent.into_iter().chain(node.roots.iter().cloned()).collect(),
        since: node.silent.or(node.since).map(time_to_wire),
        last_seen: Some(time_to_wire(last_seen)),
        silent: node.silent.is_some(),
        agent_version: node.agent_version.clone(),
        kubelet_version: node.kubelet_version.clone(),
    }
}

/// The cause of a silence that began then.
pub(super) fn silence(node: &str, since: Timestamp, now: Timestamp) -> PresentCause {
    silence::cause(&node.into(), since, now)
}

/// The diagnosis reported last; with silence on top of it if the agent is silent.
pub(super) fn diagnosis(node: &Node, silence: Option<PresentCause>) -> pb::Diagnosis {
    let stored = node.diagnosis.as_deref().map(pb::Diagnosis::decode);
    let unread = |why: String| pb::Diagnosis {
        node: node.node.clone(),
        at: Some(time_to_wire(node.last_seen)),
        verdict: verdict_to_wire(Verdict::Unknown),
        causes: Vec::new(),
        unknown: vec![pb::Unknown { what: "diagnosis".to_owned(), why }],
    };
    let mut diagnosis = match stored {
        Some(Ok(diagnosis)) => diagnosis,
        Some(Err(error)) => unread(format!("what the store holds cannot be read: {error}")),
        None => unread("the agent has attached and not reported yet; ask again in a moment".to_owned()),
    };
    if let Some(cause) = silence {
        diagnosis.causes.insert(0, cause_to_wire(&cause));
        let at = diagnosis.at.and_then(|at| nodewhy_wire::time_from_wire(at).ok()).unwrap_or(node.last_seen);
        let why = format!("the agent is silent; everything but {} is of {at:.0}", silence::CODE);
        diagnosis.unknown.insert(0, pb::Unknown { what: "the node as it is now".to_owned(), why });
    }
    diagnosis.verdict = verdict(node);
    diagnosis
}

/// A case with its history.
pub(super) fn case(case: StoredCase) -> pb::Case {
    let (closed_at, closed_reason, closed_recorded_at) = match case.closed {
        Some((at, reason, recorded_at)) => (Some(time_to_wire(at)), reason, Some(time_to_wire(recorded_at))),
        None => (None, String::new(), None),
    };
    let events = case.events.into_iter();
    pb::Case {
        case_id: case.case_id,
        node: case.node,
        cause: Some(case.cause),
        opened_at: Some(time_to_wire(case.opened_at)),
        opened_reason: case.opened_reason,
        closed_at,
        closed_reason,
        opened_recorded_at: Some(time_to_wire(case.opened_recorded_at)),
        closed_recorded_at,
        events: events.map(|event| pb::CaseEvent { kind: event.kind, at: Some(time_to_wire(event.at)), reason: event.reason }).collect(),
    }
}
