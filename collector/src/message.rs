//! What hooks are told. The JSON of a [`Message`] is a contract: docs/alerts.md, docs/alert.schema.json.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, PresentCause, Severity};
use serde::{Deserialize, Serialize};

/// Version of the JSON.
pub const VERSION: u32 = 2;

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// The incident is there.
    Opened,
    /// It has become worse, or more is known of it, than was said last.
    Updated,
    /// It still is there, and somebody wanted to be told again.
    Repeated,
    /// It still is there, but has been silenced or is in maintenance by now: somebody has it in hand. Told to
    /// [`HookKind::acknowledges`](crate::policy::hooks::HookKind::acknowledges) alone.
    Acknowledged,
    /// Its alert is closed, and opened anew by the next message: more said of it would wake nobody. Told to those alone, too.
    Replaced,
    /// It is over.
    Resolved,
    /// Nothing: somebody tries the hook.
    Test,
}

impl Event {
    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Repeated => "repeated",
            Self::Acknowledged => "acknowledged",
            Self::Replaced => "replaced",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

/// What makes cases one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing: one cause on one node.
    Node,
    /// The API server that the nodes share.
    ControlPlane,
    /// The nodes took the same change (configuration, kernel, image, version) shortly before.
    Change,
    /// The nodes have a label in common (rack, zone, instance type).
    Label,
    /// Their certificates have the same issuer.
    Issuer,
    /// Most clocks of the fleet differ: not the nodes' clocks are wrong.
    Clock,
    /// So many nodes fell silent that the collector's own network is a suspect.
    Fleet,
    /// The same cause on many nodes, and nothing was found that they share.
    Cause,
    /// The collector's own: a hook takes nothing.
    Collector,
}

/// What the nodes of an incident have in common, and the others have not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shared {
    /// Name: of a trait (`apiServer`, `kubeletConfig`, `kernel`, ...) or of a label.
    pub name: String,
    /// Its value.
    pub value: String,
    /// For a change: the value before, where all had the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Nodes of the incident that have it.
    pub affected: u32,
    /// Nodes of the fleet that have it.
    pub having: u32,
}

/// The nodes of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// How many are affected now; in a resolving message, how many were.
    pub count: u32,
    /// How many the fleet has.
    pub fleet: u32,
    /// Their names, sorted; the first [`Nodes::NAMED`].
    pub names: Vec<String>,
    /// Labels that all of them have.
    pub labels: BTreeMap<String, String>,
}

impl Nodes {
    /// Names given at most; `count` says how many there are.
    pub const NAMED: usize = 20;
}

/// A node that has a fault of its own while the incident is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// The node.
    pub node: String,
    /// Code of its cause.
    pub cause: String,
    /// The cause's title.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// [`VERSION`].
    pub version: u32,
    /// Idempotency key: the same whenever this message is sent again, and of no other. `INCIDENT/NUMBER`.
    pub key: String,
    /// Place among the incident's messages to this hook, from 1.
    pub number: u32,
    /// Why it is sent.
    pub event: Event,
    /// When it was made.
    pub at: Timestamp,
    /// The incident: the same in all messages about it.
    pub incident: String,
    /// What makes its cases one.
    pub kind: Kind,
    /// In one line: what and where. "Control plane https://10.0.0.1:6443 unreachable from 498 of 500 nodes".
    pub title: String,
    /// The worst of its causes and of what follows from them.
    pub severity: Severity,
    /// Of the cause.
    pub layer: Layer,
    /// What the nodes share, if that is what makes it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
    /// Where.
    pub nodes: Nodes,
    /// Nodes that have a fault of their own meanwhile, at most [`Nodes::NAMED`].
    pub apart: Vec<Apart>,
    /// How many those are.
    pub apart_count: u32,
    /// Since when, as the nodes know it.
    pub since: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// What ended it; empty while it is open.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ended_by: String,
    /// It comes and goes: not told as over before it has been quiet for a while.
    pub flapping: bool,
    /// The node that `cause` is of: the first that had it.
    pub node: String,
    /// The cause, as it is (or was) on that node: code, title, message, evidence, what it explains, remedy.
    pub cause: PresentCause,
    /// The command that tells more: `kubectl nodewhy why NODE`, `kubectl nodewhy incidents ID`.
    pub command: String,
    /// The page that tells more, if the collector has an address for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

impl Message {
    /// For `hooks test`: a message that is about nothing.
    pub fn test(now: Timestamp) -> Self {
        let id = format!("test-{}", now.as_microsecond());
        Self {
            version: VERSION,
            key: format!("{id}/1"),
            number: 1,
            event: Event::Test,
            at: now,
            incident: id.clone(),
            kind: Kind::Collector,
            title: "Somebody tries this alert hook".to_owned(),
            severity: Severity::Info,
            layer: Layer::Workload,
            shared: None,
            nodes: Nodes { count: 1, fleet: 1, names: vec!["nodewhy-test".to_owned()], labels: BTreeMap::new() },
            apart: Vec::new(),
            apart_count: 0,
            since: now,
            resolved_at: None,
            ended_by: String::new(),
            flapping: false,
            node: "nodewhy-test".to_owned(),
            cause: PresentCause {
                case_id: id,
                code: "hook-test".to_owned(),
                title: "Somebody tries this alert hook".to_owned(),
                severity: Severity::Info,
                layer: Layer::Workload,
                root: true,
                latent: false,
                since: now,
                message: "nodewhy-collector hooks test".to_owned(),
                evidence: Vec::new(),
                explains: Vec::new(),
                explained_by: Vec::new(),
                remedy: Vec::new(),
            },
            command: "nodewhy-collector hooks test".to_owned(),
            page: None,
        }
    }
}
