//! PagerDuty, Events API v2: one alert an incident, by its dedup key.

use nodewhy_diagnosis::model::Severity;
use serde_json::{Value, json};

use super::sign::hash;
use super::template::Texts;
use super::text::{cut, link, more, one_line, shorten};
use super::words;
use crate::message::{Event, Message};

/// Bytes that details may take: the API takes 512 KB in all.
const DETAILS: usize = 100_000;

/// The body. What was said before is said again with the same key: PagerDuty adds it to the alert.
pub(super) fn body(message: &Message, texts: &Texts, routing_key: &str) -> Value {
    let dedup_key = dedup_key(&message.incident);
    let other = match message.event {
        Event::Resolved | Event::Replaced => Some("resolve"),
        Event::Acknowledged => Some("acknowledge"),
        Event::Opened | Event::Updated | Event::Repeated | Event::Test => None,
    };
    if let Some(action) = other {
        return json!({"routing_key": routing_key, "event_action": action, "dedup_key": dedup_key});
    }
    let source = match one_line(&message.node) {
        node if node.is_empty() => "nodewhy".to_owned(),
        node => cut(&node, 255, "…"),
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "nodewhy",
        "payload": {
            "summary": cut(&texts.title, 1024, &more(message)),
            "source": source,
            "severity": severity(message.severity),
            "timestamp": message.since.to_string(),
            "component": message.cause.code,
            "group": words::layer(message.layer),
            "class": words::kind(message.kind),
            "custom_details": details(message, texts),
        },
    });
    if message.cause.code.is_empty() {
        event["payload"]["component"] = "unknown".into();
    }
    if let Some(page) = link(message.page.as_deref()) {
        event["client_url"] = page.as_str().into();
        event["links"] = json!([{"href": page, "text": "nodewhy"}]);
    }
    event
}

fn details(message: &Message, texts: &Texts) -> Value {
    let short = shorten(message, DETAILS / 2);
    json!({
        "text": cut(&texts.text, 20_000, &more(message)),
        "event": message.event.word(),
        "nodes": words::place(&short),
        "shared": words::shared(&short),
        "apart": words::apart(&short),
        "evidence": words::proofs(&short),
        "explains": short.cause.explains,
        "remedy": words::steps(&short),
        "command": short.command,
    })
}

/// At most 255 characters. Also for tests of ours: the same in trigger and resolve, by the incident alone.
fn dedup_key(incident: &str) -> String {
    let plain = !incident.is_empty() && incident.len() <= 255 && incident.bytes().all(|c| c.is_ascii_graphic());
    if plain { incident.to_owned() } else { hash(incident) }
}

fn severity(severity: Severity) -> &'static str {
    words::severity(severity)
}
