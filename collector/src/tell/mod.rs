//! What is to be said to whom now. Pure: from an incident as it stands, what was said last, the policy and the silences.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, Severity};
use serde::{Deserialize, Serialize};

use crate::message::{Event, Kind};

/// A node's case in an incident.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The node.
    pub node: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The case's cause.
    pub code: &'a str,
    /// The worst of the cause and what follows from it on the node.
    pub severity: Severity,
}

/// An incident as it stands.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// Its identity.
    pub id: &'a str,
    /// What makes it one.
    pub kind: Kind,
    /// Of the cause.
    pub layer: Layer,
    /// Open cases; of an incident that is over, those that closed last.
    pub members: Vec<Member<'a>>,
    /// When it opened (by the collector's clock), the last time if it came again.
    pub opened_at: Timestamp,
    /// When it was over; with a flapping one, when the last case closed.
    pub closed_at: Option<Timestamp>,
    /// It comes and goes.
    pub flapping: bool,
    /// It is not known yet whether it is part of something greater: nothing is said of it before.
    pub wait_until: Option<Timestamp>,
    /// It became part of this other incident: what was told of it is over.
    pub merged_into: Option<&'a str>,
    /// What is shared is known: another thing to say than that there are many.
    pub explained: bool,
}

/// What was said last of an incident to a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Why.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// How bad it was said to be.
    pub severity: Severity,
    /// On how many nodes.
    pub nodes: u32,
    /// With what is shared.
    pub explained: bool,
    /// How many messages there were.
    pub number: u32,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tell {
    /// To which hook, and why. `told` has been brought up to date.
    pub messages: Vec<(Arc<str>, Event)>,
    /// When time alone will change the answer.
    pub wake_at: Option<Timestamp>,
}
