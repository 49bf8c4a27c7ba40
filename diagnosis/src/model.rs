//! What comes out: the diagnosis as users, scripts and the wire see it. Field names are the JSON contract of `check`, `why` and `analyze`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A node in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything was looked at and nothing is wrong.
    Healthy,
    /// Only warnings.
    Degraded,
    /// A critical cause is present: the node cannot be Ready, or will not stay so.
    NotReady,
    /// Nothing critical was found, and something that could be critical could not be looked at.
    Unknown,
}

/// How bad a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Degraded, or will break.
    Warning,
    /// The node cannot be Ready.
    Critical,
}

/// The part of the node a cause lies in, deepest first: a deeper layer is the likelier root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Machine.
    Hardware,
    /// Kernel.
    Kernel,
    /// Disks and file systems.
    Storage,
    /// Network and names.
    Network,
    /// Clock.
    Time,
    /// Container runtime.
    Runtime,
    /// Kubelet.
    Kubelet,
    /// API server, etcd and the credentials towards them.
    ControlPlane,
    /// Pods.
    Workload,
}

/// The causes present on a node now, roots first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The node's name; empty for a saved log that does not say.
    pub node: String,
    /// When this was true.
    pub at: Timestamp,
    /// The node in one word.
    pub verdict: Verdict,
    /// Roots first, the most likely first of all; then what they explain.
    pub causes: Vec<PresentCause>,
    /// What could not be looked at, and why.
    pub unknown: Vec<Unknown>,
}

/// One cause present now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PresentCause {
    /// Identity of the case: the same for as long as the cause stays present, never used again.
    pub case_id: String,
    /// Kebab-case, for ever stable.
    pub code: String,
    /// One line.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub layer: Layer,
    /// Nothing present explains it.
    pub root: bool,
    /// It breaks nothing yet: it will, at the next start, the next boot or the time that its message names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latent: bool,
    /// Since when: the time of the first evidence.
    pub since: Timestamp,
    /// This node's facts put into words.
    pub message: String,
    /// What proves it, the best first.
    pub evidence: Vec<Evidence>,
    /// Codes of present causes that this one explains (directly or through another).
    pub explains: Vec<String>,
    /// Codes of the roots that explain this one; empty for a root.
    pub explained_by: Vec<String>,
    /// What to do, in order.
    pub remedy: Vec<Remedy>,
}

/// One proof.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it was seen: a fact's path (`swap.devices`) or `log:` and the unit (`log:kubelet.service`).
    pub source: String,
    /// When: the record's time, or when the fact was read.
    pub at: Option<Timestamp>,
    /// The record word for word (bounded), or the fact's value in words.
    pub quote: String,
    /// How often such a record was seen since the case opened; 1 for facts.
    pub count: u64,
}

/// One step of the fix. nodewhy shows it and never does it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Remedy {
    /// In words.
    pub say: String,
    /// As a command, if one does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unknown {
    /// Which facts: a path or a common prefix of several.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
}

/// A change of a case, made once and reported once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Opened, confirmed or closed.
    pub kind: TransitionKind,
    /// The case.
    pub case_id: String,
    /// Its cause.
    pub code: String,
    /// When the change was found.
    pub at: Timestamp,
    /// Since when the cause is present.
    pub since: Timestamp,
    /// Why it opened or closed: the sign or rule, in words.
    pub reason: String,
    /// The cause as it stands (opened, confirmed) or as it stood last (closed).
    pub cause: PresentCause,
}

/// What happened to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransitionKind {
    /// The cause became present.
    Opened,
    /// Something about it changed: another root explains it, it became a root, its message changed in substance.
    Confirmed,
    /// The cause is over, by rule.
    Closed,
}
