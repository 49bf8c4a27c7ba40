//! A message to a hook. Its JSON is a contract: docs/alerts.md.

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, PresentCause, Severity};
use serde::{Deserialize, Serialize};

/// What happened to the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is present.
    Opened,
    /// It is over.
    Closed,
    /// Nothing: somebody tries the hook.
    Test,
}

impl Kind {
    /// As in keys and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Test => "test",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Of this form.
    pub version: u32,
    /// Idempotency key: the same whenever this message is sent again.
    pub key: String,
    /// What happened.
    pub kind: Kind,
    /// Where.
    pub node: String,
    /// The worst of the cause and what follows from it: the same in the opening and the closing.
    pub severity: Severity,
    /// When the agent opened the case.
    pub opened_at: Timestamp,
    /// When it was over; absent while open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What ended it; empty while open.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The cause: code, title, severity, message, evidence, remedy, what it explains.
    pub cause: PresentCause,
}

impl Message {
    /// For `hooks test`: a message that is about nothing.
    pub fn test(now: Timestamp) -> Self {
        Self {
            version: 1,
            key: format!("test/{}", now.as_microsecond()),
            kind: Kind::Test,
            node: "nodewhy-test".to_owned(),
            severity: Severity::Info,
            opened_at: now,
            closed_at: None,
            reason: String::new(),
            cause: PresentCause {
                case_id: format!("nodewhy-test/hook-test/{}", now.as_microsecond()),
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
        }
    }
}
