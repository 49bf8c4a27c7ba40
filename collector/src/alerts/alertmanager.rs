//! Prometheus Alertmanager, API v2 (api/v2/openapi.yaml, POST /alerts).
//!
//! Labels identify an alert and never change while a case is open; words are annotations. Alertmanager takes an alert as resolved at its
//! `endsAt`, so open ones are posted again before that.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Layer, PresentCause, Severity};
use reqwest::RequestBuilder;
use serde::Serialize;

use super::{Kind, Message};
use crate::store::OpenAlert;

/// How long a test alert lasts.
const TEST: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

/// The alert of a message. `ahead` is how far ahead its end is put while it is open.
pub(super) fn of_message(message: &Message, now: Timestamp, ahead: Duration) -> Alert {
    // A test ends by itself.
    let ahead = if message.kind == Kind::Test { TEST } else { ahead };
    let ended = message.closed_at.map(|at| (at, &*message.reason));
    alert(&message.node, &message.cause, message.severity, ended, now, ahead)
}

/// The alert of a case that is told again.
pub(super) fn of_open(open: &OpenAlert, now: Timestamp, ahead: Duration) -> Alert {
    let ended = open.closed.as_ref().map(|(at, reason)| (*at, &**reason));
    alert(&open.node, &open.cause, open.severity, ended, now, ahead)
}

type Ended<'a> = Option<(Timestamp, &'a str)>;

fn alert(node: &str, cause: &PresentCause, severity: Severity, ended: Ended<'_>, now: Timestamp, ahead: Duration) -> Alert {
    let labels = [
        ("alertname", alert_name(&cause.code)),
        ("node", node.to_owned()),
        ("cause", cause.code.clone()),
        ("severity", severity_word(severity).to_owned()),
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
    if !cause.evidence.is_empty() {
        annotations.insert("evidence", proofs(cause));
    }
    if !cause.explains.is_empty() {
        annotations.insert("explains", cause.explains.join(", "));
    }
    if let Some((_, reason)) = ended {
        annotations.insert("ended_by", reason.to_owned());
    }
    // An end before the start is refused, and one in the future is none; clocks of nodes and collector differ.
    let starts_at = cause.since.min(now);
    let ahead = SignedDuration::try_from(ahead).unwrap_or(SignedDuration::ZERO);
    let ends_at = ended.map_or_else(|| now.checked_add(ahead).unwrap_or(now), |(at, _)| at.min(now).max(starts_at));
    Alert { labels: labels.into(), annotations, starts_at, ends_at }
}

/// `NodeSwapEnabled` from `swap-enabled`.
fn alert_name(code: &str) -> String {
    let mut name = "Node".to_owned();
    for part in code.split('-') {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn layer(layer: Layer) -> String {
    serde_json::to_value(layer).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn proofs(cause: &PresentCause) -> String {
    cause.evidence.iter().map(|proof| format!("{}: {}", proof.source, proof.quote)).collect::<Vec<_>>().join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn message(closed_at: Option<Timestamp>) -> Message {
        let mut message = Message::test(at(100));
        message.kind = if closed_at.is_some() { Kind::Closed } else { Kind::Opened };
        message.cause.code = "swap-enabled".into();
        message.closed_at = closed_at;
        message
    }

    const AHEAD: Duration = Duration::from_secs(600);

    #[test]
    fn an_open_alert_ends_ahead_and_a_closed_one_when_it_was_over() {
        let open = of_message(&message(None), at(110), AHEAD);
        assert_eq!((open.starts_at, open.ends_at), (at(100), at(710)));
        let closed = of_message(&message(Some(at(105))), at(110), AHEAD);
        assert_eq!((closed.starts_at, closed.ends_at), (at(100), at(105)));
        assert_eq!(open.labels, closed.labels, "labels are what makes it the same alert");
        assert_eq!(open.labels["alertname"], "NodeSwapEnabled");
    }

    #[test]
    fn a_node_whose_clock_is_ahead_or_behind_makes_no_alert_that_is_refused_or_never_ends() {
        let ahead = of_message(&message(Some(at(5000))), at(50), AHEAD);
        assert_eq!((ahead.starts_at, ahead.ends_at), (at(50), at(50)));
        let behind = of_message(&message(Some(at(1))), at(5000), AHEAD);
        assert_eq!((behind.starts_at, behind.ends_at), (at(100), at(100)));
    }
}
