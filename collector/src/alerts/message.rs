//! A message to a hook. Its JSON is a contract: docs/alerts.md.

use jiff::Timestamp;
use nodewhy_diagnosis::model::PresentCause;
use serde::{Deserialize, Serialize};

/// What happened to the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is present.
    Opened,
    /// It is over.
    Closed,
}

impl Kind {
    /// As in keys and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
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
