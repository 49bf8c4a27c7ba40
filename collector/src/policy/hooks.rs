//! The hooks of `alerts.yaml`: of each its name and exactly one kind.
//!
//! Secrets are never in this file: it names files that hold them. What is wrong with a value is told where the value stands.

mod value;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

pub use value::{HttpUrl, Mailbox, SmtpSecurity, SmtpServer};

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Entry")]
pub struct HookConfig {
    /// Its name: routes speak of it, and what waits for it is found again by it.
    pub name: String,
    /// What it is.
    pub kind: HookKind,
}

/// What a hook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookKind {
    /// A POST with JSON.
    Webhook(Webhook),
    /// Prometheus Alertmanager, API v2.
    Alertmanager(Alertmanager),
    /// A Slack incoming webhook.
    Slack(Chat),
    /// A webhook of a Microsoft Teams workflow.
    Teams(Chat),
    /// PagerDuty, Events API v2.
    PagerDuty(PagerDuty),
    /// Opsgenie, Alert API.
    Opsgenie(Opsgenie),
    /// A mail over SMTP.
    Email(Email),
    /// A command on this machine.
    Exec(Exec),
}

impl HookKind {
    /// Its key in the file.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Alertmanager(_) => "alertmanager",
            Self::Slack(_) => "slack",
            Self::Teams(_) => "teams",
            Self::PagerDuty(_) => "pagerduty",
            Self::Opsgenie(_) => "opsgenie",
            Self::Email(_) => "email",
            Self::Exec(_) => "exec",
        }
    }

    /// Whether the receiver keeps for itself that somebody has an alert in hand, and stops calling others for it.
    pub fn acknowledges(&self) -> bool {
        matches!(self, Self::PagerDuty(_) | Self::Opsgenie(_))
    }
}

/// The body of a webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A [`crate::message::Message`].
    #[default]
    Nodewhy,
    /// CloudEvents 1.0, structured mode; the message is its data.
    CloudEvents,
    /// What Alertmanager sends to its webhook receivers, version 4.
    Alertmanager,
}

/// A POST with JSON.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Where to.
    pub url: HttpUrl,
    /// Signing secrets, one a line (`whsec_...`): a message is signed with each (Standard Webhooks).
    pub secret_file: Option<PathBuf>,
    /// The body.
    #[serde(default)]
    pub format: Format,
    /// `Name: value` lines sent as headers.
    pub headers_file: Option<PathBuf>,
    /// CA of the server's certificate, PEM, instead of the machine's.
    pub ca_file: Option<PathBuf>,
}

/// Prometheus Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alertmanager {
    /// Its address; `/api/v2/alerts` is added.
    pub url: HttpUrl,
    /// `Name: value` lines sent as headers.
    pub headers_file: Option<PathBuf>,
    /// CA of the server's certificate, PEM, instead of the machine's.
    pub ca_file: Option<PathBuf>,
}

/// A chat's webhook. Its URL is its secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chat {
    /// File that holds the URL.
    #[serde(deserialize_with = "value::url_file")]
    pub url_file: PathBuf,
    /// CA of the server's certificate, PEM, instead of the machine's.
    pub ca_file: Option<PathBuf>,
}

/// PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PagerDuty {
    /// File that holds the integration's key.
    pub routing_key_file: PathBuf,
    /// Where events are sent; accounts in the EU have `https://events.eu.pagerduty.com/v2/enqueue`.
    #[serde(default = "value::pagerduty")]
    pub url: HttpUrl,
    /// CA of the server's certificate, PEM, instead of the machine's.
    pub ca_file: Option<PathBuf>,
}

/// Opsgenie, or what succeeds it with the same requests (Jira Service Management).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Opsgenie {
    /// File that holds the API key.
    pub api_key_file: PathBuf,
    /// Base of the API; `/v2/alerts` is added. EU: `https://api.eu.opsgenie.com`; JSM: `https://api.atlassian.com/jsm/ops/integration`.
    #[serde(default = "value::opsgenie")]
    pub url: HttpUrl,
    /// Who is called; left out: as the integration says.
    #[serde(default)]
    pub responders: Vec<Responder>,
    /// CA of the server's certificate, PEM, instead of the machine's.
    pub ca_file: Option<PathBuf>,
}

/// Whom Opsgenie calls, by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Responder {
    /// A team.
    Team(String),
    /// A user, by the mail address.
    User(String),
    /// An escalation.
    Escalation(String),
    /// A schedule.
    Schedule(String),
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Email {
    /// The server.
    pub smtp: SmtpServer,
    /// Sender.
    pub from: Mailbox,
    /// Receivers; one at least.
    #[serde(deserialize_with = "value::receivers")]
    pub to: Vec<Mailbox>,
    /// File that holds the user's name.
    pub username_file: Option<PathBuf>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// CA of the server's certificate, PEM, instead of the machine's.
    pub ca_file: Option<PathBuf>,
}

/// A command on this machine, run as the collector's user. The message comes on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exec {
    /// Program and arguments, never through a shell.
    #[serde(deserialize_with = "value::command")]
    pub command: Vec<String>,
    /// How long it may take; then it is killed with all that it started.
    #[serde(default = "value::patience", deserialize_with = "value::timeout")]
    pub timeout: Duration,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    #[serde(deserialize_with = "hook_name")]
    name: String,
    webhook: Option<Webhook>,
    alertmanager: Option<Alertmanager>,
    slack: Option<Chat>,
    teams: Option<Chat>,
    pagerduty: Option<PagerDuty>,
    opsgenie: Option<Opsgenie>,
    email: Option<Email>,
    exec: Option<Exec>,
}

const KINDS: &str = "webhook, alertmanager, slack, teams, pagerduty, opsgenie, email, exec";

impl TryFrom<Entry> for HookConfig {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let Entry { name, webhook, alertmanager, slack, teams, pagerduty, opsgenie, email, exec } = entry;
        let kinds = [
            webhook.map(HookKind::Webhook),
            alertmanager.map(HookKind::Alertmanager),
            slack.map(HookKind::Slack),
            teams.map(HookKind::Teams),
            pagerduty.map(HookKind::PagerDuty),
            opsgenie.map(HookKind::Opsgenie),
            email.map(HookKind::Email),
            exec.map(HookKind::Exec),
        ];
        let mut given: Vec<HookKind> = kinds.into_iter().flatten().collect();
        match (given.pop(), given.first()) {
            (Some(kind), None) => {
                if let HookKind::Email(Email { username_file, password_file, .. }) = &kind
                    && username_file.is_some() != password_file.is_some()
                {
                    return Err(format!("hook {name}: usernameFile and passwordFile go together"));
                }
                Ok(Self { name, kind })
            }
            (None, _) => Err(format!("hook {name}: says not what it is: one of {KINDS} is needed")),
            (Some(last), Some(first)) => Err(format!("hook {name}: is {} and {}: a hook is one of {KINDS}", first.word(), last.word())),
        }
    }
}

/// Names stand in metrics, logs and command lines.
fn hook_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let good = !name.is_empty() && name.len() <= 63 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if good { Ok(name) } else { Err(de::Error::custom(format!("`{name}` has to be 1 to 63 of A-Z a-z 0-9 - _ ."))) }
}

#[cfg(test)]
mod tests;
