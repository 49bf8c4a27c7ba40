//! Messages of every event, of one node and of a fleet, with good and with nasty texts.

use jiff::Timestamp;
use nodewhy_collector::hooks::example;
use nodewhy_collector::message::{Event, Message};

/// What somebody's log may hold.
pub(crate) const NASTY: &str = "\"quoted\" 'single' <b>bold</b> & <!channel> <@U1> {{DATE(2026-01-01)}} [x](javascript:y) *a* _b_ `c` \\ \r\n\tline | 🔥👩‍👩‍👧 \u{0}\u{7f}\u{202e}end";

/// A million characters would do as well.
pub(crate) fn huge() -> String {
    let one = format!("{NASTY}\n");
    one.repeat(100 * 1024 / one.len() + 1)
}

fn with(mut message: Message, text: &str) -> Message {
    for place in [&mut message.title, &mut message.ended_by, &mut message.node] {
        if !place.is_empty() {
            text.clone_into(place);
        }
    }
    message.cause.title = text.to_owned();
    message.cause.message = text.to_owned();
    message.cause.explains = vec![text.to_owned(); if text.len() > 1000 { 2 } else { 30 }];
    for proof in &mut message.cause.evidence {
        proof.quote = text.to_owned();
    }
    let steps = std::mem::take(&mut message.cause.remedy);
    message.cause.remedy = vec![nodewhy_diagnosis::model::Remedy { say: text.to_owned(), run: Some(text.to_owned()) }];
    message.cause.remedy.extend(steps);
    for apart in &mut message.apart {
        apart.title = text.to_owned();
    }
    if let Some(shared) = &mut message.shared {
        shared.value = text.to_owned();
        shared.before = Some(text.to_owned());
    }
    message.nodes.labels.insert("label".to_owned(), text.to_owned());
    message
}

/// All of them, each with a name.
pub(crate) fn all() -> Vec<(String, Message)> {
    let now: Timestamp = "2025-01-02T03:00:01.5Z".parse().expect("a time");
    let (node, fleet, over) = (example::node(now), example::fleet(now), example::resolved(now));
    let mut over_fleet = fleet.clone();
    (over_fleet.event, over_fleet.resolved_at, over_fleet.ended_by) = (Event::Resolved, Some(now), over.ended_by.clone());
    (over_fleet.number, over_fleet.key) = (2, "example-fleet/2".to_owned());
    let mut all = Vec::new();
    for (name, message) in [("node", &node), ("fleet", &fleet)] {
        for event in [Event::Opened, Event::Updated, Event::Repeated, Event::Acknowledged, Event::Replaced] {
            all.push((format!("{name} {}", event.word()), Message { event, ..message.clone() }));
        }
    }
    all.push(("node resolved".to_owned(), over));
    all.push(("fleet resolved".to_owned(), over_fleet));
    all.push(("test".to_owned(), Message::test(now)));
    let nasty = all.iter().flat_map(|(name, message)| {
        [(format!("{name}, nasty"), with(message.clone(), NASTY)), (format!("{name}, huge"), with(message.clone(), &huge()))]
    });
    let nasty: Vec<_> = nasty.filter(|(name, _)| !name.starts_with("test")).collect();
    all.extend(nasty);
    all
}

/// Number `number` about an incident.
pub(crate) fn about(incident: &str, number: u32) -> Message {
    let event = if number == 1 { Event::Opened } else { Event::Updated };
    let message = example::node(Timestamp::now());
    Message { key: format!("{incident}/{number}"), incident: incident.to_owned(), number, event, ..message }
}

/// The end of it.
pub(crate) fn end_of(incident: &str, number: u32) -> Message {
    let message = example::resolved(Timestamp::now());
    Message { key: format!("{incident}/{number}"), incident: incident.to_owned(), number, ..message }
}
