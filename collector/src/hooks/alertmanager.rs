//! Prometheus Alertmanager: alerts for its API v2 (api/v2/openapi.yaml, POST /alerts), and the payload that it sends to webhook receivers
//! (version 4, notify/webhook/webhook.go), so that receivers people have work unmodified.
//!
//! Labels identify an alert: those that an incident was told with first stay its labels, whatever is learnt of it. Only when it becomes more
//! severe does the alert end and another begin: who receives alerts sorts them by severity.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::Severity;
use reqwest::Url;
use serde::Serialize;
use serde_json::{Value, json};

use super::{text, words};
use crate::message::{Event, Kind, Message};

/// How long a test alert lasts.
const TEST: Duration = Duration::from_secs(60);

/// Labels of an alert.
pub(super) type Labels = BTreeMap<String, String>;

/// An alert as the API takes it.
#[derive(Debug, Clone, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) annotations: BTreeMap<&'static str, String>,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub(super) generator_url: Option<String>,
    #[serde(skip)]
    pub(super) over: bool,
}

/// The alerts of a message; the last one is what stands. `kept` are the labels that the incident was told with before, `ahead` is how far
/// ahead an end is put while it is open.
pub(super) fn alerts(message: &Message, kept: Option<&Labels>, now: Timestamp, ahead: Duration) -> Vec<Alert> {
    let fresh = labels(message);
    let over = message.event == Event::Resolved;
    match kept {
        Some(kept) if !over && worse(kept, message.severity) => {
            vec![alert(message, kept.clone(), true, now, ahead), alert(message, fresh, false, now, ahead)]
        }
        Some(kept) => vec![alert(message, kept.clone(), over, now, ahead)],
        None => vec![alert(message, fresh, over, now, ahead)],
    }
}

fn worse(kept: &Labels, severity: Severity) -> bool {
    let rank = |word: &str| ["info", "warning", "critical"].iter().position(|known| *known == word);
    rank(words::severity(severity)) > kept.get("severity").and_then(|word| rank(word))
}

fn labels(message: &Message) -> Labels {
    // What grew has no node of its own: a label that comes or goes would make it another alert.
    let node = if message.kind == Kind::Node { message.node.clone() } else { String::new() };
    let all = [
        ("alertname", alert_name(&message.cause.code)),
        ("incident", message.incident.clone()),
        ("cause", message.cause.code.clone()),
        ("severity", words::severity(message.severity).to_owned()),
        ("layer", words::layer(message.layer)),
        ("kind", words::kind(message.kind)),
        ("node", node),
        ("source", "nodewhy".to_owned()),
    ];
    // Alertmanager drops labels without a value.
    all.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn alert(message: &Message, labels: Labels, over: bool, now: Timestamp, ahead: Duration) -> Alert {
    // A test ends by itself.
    let ahead = if message.event == Event::Test { TEST } else { ahead };
    let ahead = SignedDuration::try_from(ahead).unwrap_or(SignedDuration::ZERO);
    // An end before the start is refused, and one in the future is none; clocks of nodes and collector differ.
    let starts_at = message.since.min(now);
    let ends_at = if over { message.resolved_at.unwrap_or(now).min(now).max(starts_at) } else { now.checked_add(ahead).unwrap_or(now) };
    let generator_url = text::link(message.page.as_deref());
    Alert { labels, annotations: annotations(message), starts_at, ends_at, generator_url, over }
}

fn annotations(message: &Message) -> BTreeMap<&'static str, String> {
    let all = [
        ("summary", message.title.clone()),
        ("description", message.cause.message.clone()),
        ("remedy", words::steps(message)),
        ("command", message.command.clone()),
        ("evidence", words::proofs(message)),
        ("explains", message.cause.explains.join(", ")),
        ("nodes", words::place(message)),
        ("shared", words::shared(message).unwrap_or_default()),
        ("apart", words::apart(message).unwrap_or_default()),
        ("ended_by", message.ended_by.clone()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
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

/// The payload of a webhook, version 4: one group an incident.
pub(super) fn webhook(hook: &str, message: &Message, kept: Option<&Labels>, now: Timestamp) -> Value {
    let alerts = alerts(message, kept, now, Duration::ZERO);
    let group: Labels = [("incident".to_owned(), message.incident.clone())].into();
    let (Some(last), Some(first)) = (alerts.last(), alerts.first()) else { return Value::Null };
    let common: Labels =
        last.labels.iter().filter(|(name, value)| first.labels.get(*name) == Some(*value)).map(|(n, v)| (n.clone(), v.clone())).collect();
    let page = text::link(message.page.as_deref()).and_then(|page| Url::parse(&page).ok());
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{incident={:?}}}", message.incident),
        "truncatedAlerts": 0,
        "status": if last.over { "resolved" } else { "firing" },
        // As Go's regexp.QuoteMeta writes it; a hook's name has no other such character.
        "receiver": hook.replace('.', "\\."),
        "groupLabels": group,
        "commonLabels": common,
        "commonAnnotations": last.annotations,
        "externalURL": page.map(|url| url.origin().ascii_serialization()).unwrap_or_default(),
        "alerts": alerts.iter().map(webhook_alert).collect::<Vec<_>>(),
    })
}

fn webhook_alert(alert: &Alert) -> Value {
    json!({
        "status": if alert.over { "resolved" } else { "firing" },
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at,
        // The end of what is not over is Go's zero time.
        "endsAt": if alert.over { alert.ends_at.to_string() } else { "0001-01-01T00:00:00Z".to_owned() },
        "generatorURL": alert.generator_url.as_deref().unwrap_or_default(),
        "fingerprint": fingerprint(&alert.labels),
    })
}

/// FNV-1a over names and values, as prometheus/common model/signature.go has it.
fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[255]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in labels {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::example;

    const AHEAD: Duration = Duration::from_secs(600);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn one(message: &Message, kept: Option<&Labels>, now: Timestamp) -> Alert {
        let mut all = alerts(message, kept, now, AHEAD);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn an_open_alert_ends_ahead_and_a_resolved_one_when_it_was_over() {
        let open = one(&Message { since: at(100), ..example::node(at(100)) }, None, at(110));
        assert_eq!((open.starts_at, open.ends_at), (at(100), at(710)));
        let over = Message { since: at(100), resolved_at: Some(at(105)), ..example::resolved(at(105)) };
        let over = one(&over, Some(&open.labels), at(110));
        assert_eq!((over.starts_at, over.ends_at), (at(100), at(105)));
        assert_eq!((&over.labels, &*open.labels["alertname"]), (&open.labels, "NodeSwapEnabled"));
    }

    #[test]
    fn a_node_whose_clock_is_ahead_or_behind_makes_no_alert_that_is_refused_or_never_ends() {
        let message = |ended| Message { since: at(100), resolved_at: Some(at(ended)), ..example::resolved(at(100)) };
        let ahead = one(&message(5000), None, at(50));
        assert_eq!((ahead.starts_at, ahead.ends_at), (at(50), at(50)));
        let behind = one(&message(1), None, at(5000));
        assert_eq!((behind.starts_at, behind.ends_at), (at(100), at(100)));
    }

    #[test]
    fn labels_stay_when_an_incident_grows_and_a_worse_one_is_another_alert() {
        let mut small = example::node(at(100));
        small.severity = Severity::Warning;
        let first = one(&small, None, at(100)).labels;
        assert_eq!(first["node"], "worker-1");
        let mut grown = Message { incident: small.incident.clone(), event: Event::Updated, ..example::fleet(at(200)) };
        grown.severity = Severity::Warning;
        assert_eq!(one(&grown, Some(&first), at(200)).labels, first);
        grown.severity = Severity::Critical;
        let both = alerts(&grown, Some(&first), at(300), AHEAD);
        let [old, new] = &both[..] else { panic!("two alerts: {both:?}") };
        assert!(old.over && old.labels == first && old.ends_at == at(300));
        assert!(!new.over && new.labels["severity"] == "critical" && !new.labels.contains_key("node"));
    }

    #[test]
    fn fingerprints_are_alertmanagers() {
        let print = |pairs: &[(&str, &str)]| fingerprint(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        assert_eq!(print(&[]), "cbf29ce484222325");
        assert_eq!(print(&[("severity", "warning"), ("job", "foo")]), "9266ef3da838ad95");
        assert_eq!(print(&[("severity", "critical"), ("job", "foo")]), "3b15fd163d36582e");
        assert_eq!(print(&[("severity", "critical"), ("job", "bar")]), "c7e68cb08e3e67f9");
    }
}
