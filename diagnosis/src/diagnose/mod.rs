//! The judgement: from what was seen, and what was known before, to the causes present now.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, Sighting};
use crate::facts::Facts;
use crate::model::{Diagnosis, Transition};

/// What is seen at one moment. Time is a field of the input.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The node's name.
    pub node: &'a str,
    /// Identity of the machine, for case ids.
    pub machine_id: &'a str,
    /// The boot this is seen in. Sightings of another boot are kept only by causes that a boot does not end.
    pub boot_id: &'a str,
    /// The latest facts, with derived ones not yet added.
    pub facts: &'a Facts,
    /// Sightings since the prior state, in the order of the log.
    pub sightings: &'a [Sighting],
    /// Whether facts were looked at at all. False for saved logs: then a log sign alone decides, and missing facts are nobody's fault.
    pub live: bool,
}

/// What has to be remembered between two moments; small, serialisable, bounded. Starts empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {}

/// The result of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What is so now.
    pub diagnosis: Diagnosis,
    /// What changed; empty if nothing did.
    pub transitions: Vec<Transition>,
    /// To be handed in next time.
    pub state: State,
    /// When the result may change without any new input (a `for` elapses, a log has been quiet long enough).
    pub wake_at: Option<Timestamp>,
}

/// Judges. Pure: the same catalogue, view and prior state give the same outcome.
pub fn diagnose(_catalogue: &Catalogue, _view: &View<'_>, _prior: &State) -> Outcome {
    unreachable!("written next")
}
