//! Prometheus Alertmanager, API v2 (api/v2/openapi.yaml, POST /alerts).
//!
//! Labels identify an alert and never change while a case is open; words are annotations. Alertmanager takes an alert as resolved at its
//! `endsAt`, so open ones are posted again before that.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Layer, PresentCause, Severity};
use reqwest::RequestBuilder;
use serde::Serialize;

use super::Message;

/// How far ahead the end of an open alert is put. A collector that stays away longer lets it resolve: nobody knows any more.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

/// The alert of a message.
pub(super) fn of_message(message: &Message, now: Timestamp) -> Alert {
    alert(&message.node, &message.cause, message.closed_at, &message.reason, now)
}

/// The alert of an open case.
pub(super) fn of_open(node: &str, cause: &PresentCause, now: Timestamp) -> Alert {
    alert(node, cause, None, "", now)
}

fn alert(node: &str, cause: &PresentCause, closed_at: Option<Timestamp>, reason: &str, now: Timestamp) -> Alert {
    let labels = [
        ("alertname", alert_name(&cause.code)),
        ("node", node.to_owned()),
        ("cause", cause.code.clone()),
        ("severity", severity(cause.severity).to_owned()),
        ("layer", layer(cause.layer)),
        ("source", "nodewhy".to_owned()),
    ];
    let mut annotations = BTreeMap::from([
        ("summary", format!("{node}: {}", cause.title)),
        ("description", cause.message.clone()),
        ("remedy", steps(cause)),
        ("command", format!("kubectl nodewhy why {node}")),
        ("case_id", cause.case_id.clone()),
    ]);
    if let Some(evidence) = cause.evidence.first() {
        annotations.insert("evidence", format!("{}: {}", evidence.source, evidence.quote));
    }
    if !cause.explains.is_empty() {
        annotations.insert("explains", cause.explains.join(", "));
    }
    if !reason.is_empty() {
        annotations.insert("ended_by", reason.to_owned());
    }
    // An end before the start is refused; clocks of nodes and collector differ.
    let ends_at = closed_at.map_or_else(|| now.checked_add(AHEAD).unwrap_or(now), |at| at.min(now).max(cause.since));
    Alert { labels: labels.into(), annotations, starts_at: cause.since, ends_at }
}

/// `NodeSwapEnabled` from `swap-enabled`.
fn alert_name(code: &str) -> String {
    let word = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    code.split('-').filter(|part| !part.is_empty()).map(word).fold("Node".to_owned(), |name, part| name + &part)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn layer(layer: Layer) -> String {
    serde_json::to_value(layer).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn steps(cause: &PresentCause) -> String {
    let step = |(index, step): (usize, &nodewhy_diagnosis::model::Remedy)| match &step.run {
        Some(run) => format!("{}. {}: {run}", index + 1, step.say),
        None => format!("{}. {}", index + 1, step.say),
    };
    cause.remedy.iter().enumerate().map(step).collect::<Vec<_>>().join("\n")
}

/// The request for alerts.
pub(super) fn request(client: &reqwest::Client, url: &str, alerts: &[Alert]) -> RequestBuilder {
    client.post(format!("{}/api/v2/alerts", url.trim_end_matches('/'))).json(alerts)
}
