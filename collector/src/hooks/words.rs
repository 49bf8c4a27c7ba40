//! A message in words.

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Layer, Severity};

use super::text::one_line;
use crate::message::{Event, Kind, Message};

/// What stands before the title.
pub(super) fn heading(event: Event) -> &'static str {
    match event {
        Event::Opened => "",
        Event::Updated => "Update: ",
        Event::Repeated => "Still: ",
        Event::Acknowledged => "Silenced: ",
        Event::Replaced => "Opened anew: ",
        Event::Resolved => "Over: ",
        Event::Test => "Test: ",
    }
}

/// As in JSON.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// As in JSON.
pub(super) fn layer(layer: Layer) -> String {
    word(&layer)
}

/// As in JSON.
pub(super) fn kind(kind: Kind) -> String {
    word(&kind)
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `2026-11-26 03:00:01 UTC`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How many nodes, which, and what labels they have.
pub(super) fn place(message: &Message) -> String {
    let nodes = &message.nodes;
    let labels: Vec<String> = nodes.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) };
    if nodes.count <= 1 {
        let name = nodes.names.first().unwrap_or(&message.node);
        return one_line(&format!("{name}{labels}"));
    }
    let unnamed = (nodes.count as usize).saturating_sub(nodes.names.len());
    let rest = if unnamed > 0 { format!(" and {unnamed} more") } else { String::new() };
    let fleet = if nodes.fleet >= nodes.count { format!(" of {}", nodes.fleet) } else { String::new() };
    one_line(&format!("{}{fleet} nodes{labels}: {}{rest}", nodes.count, nodes.names.join(", ")))
}

/// What the nodes have in common.
pub(super) fn shared(message: &Message) -> Option<String> {
    let shared = message.shared.as_ref()?;
    let before = shared.before.as_ref().map(|before| format!(" (before: {before})")).unwrap_or_default();
    let words = format!("{} {}{before}, {} of the {} nodes that have it", shared.name, shared.value, shared.affected, shared.having);
    Some(one_line(&words))
}

/// How long it lasted, or has lasted when the message was made.
pub(super) fn lasted(message: &Message) -> String {
    let end = message.resolved_at.unwrap_or(message.at);
    let seconds = end.duration_since(message.since).as_secs().max(0);
    if seconds == 0 { "less than a second".to_owned() } else { format!("{:#}", SignedDuration::from_secs(seconds)) }
}

/// The best proof, in one line.
pub(super) fn proof(message: &Message) -> Option<String> {
    let proof = message.cause.evidence.first()?;
    let times = if proof.count > 1 { format!(" ({} times)", proof.count) } else { String::new() };
    Some(one_line(&format!("{}: {}{times}", proof.source, proof.quote)))
}

/// All proofs, one a line.
pub(super) fn proofs(message: &Message) -> String {
    message.cause.evidence.iter().map(|proof| format!("{}: {}", proof.source, proof.quote)).collect::<Vec<_>>().join("\n")
}

/// Numbered steps with their commands, one a line.
pub(super) fn steps(message: &Message) -> String {
    let step = |(index, step): (usize, &nodewhy_diagnosis::model::Remedy)| match &step.run {
        Some(run) => format!("{}. {}: {run}", index + 1, step.say),
        None => format!("{}. {}", index + 1, step.say),
    };
    message.cause.remedy.iter().enumerate().map(step).collect::<Vec<_>>().join("\n")
}

/// Nodes with faults of their own.
pub(super) fn apart(message: &Message) -> Option<String> {
    if message.apart.is_empty() && message.apart_count == 0 {
        return None;
    }
    let named = message.apart.iter().map(|apart| format!("{}: {} ({})", apart.node, apart.title, severity(apart.severity)));
    let mut all: Vec<String> = named.collect();
    let unnamed = (message.apart_count as usize).saturating_sub(message.apart.len());
    if unnamed > 0 {
        all.push(format!("{unnamed} more"));
    }
    Some(one_line(&all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::example;

    #[test]
    fn one_node_is_named_and_many_are_counted() {
        assert_eq!(place(&example::node(Timestamp::UNIX_EPOCH)), "worker-1 (zone=eu-1a)");
        let fleet = place(&example::fleet(Timestamp::UNIX_EPOCH));
        assert!(fleet.starts_with("498 of 500 nodes: worker-1, worker-2") && fleet.ends_with(" and 478 more"), "{fleet}");
    }

    #[test]
    fn a_clock_that_ran_backwards_makes_no_negative_length() {
        let mut message = example::resolved(Timestamp::UNIX_EPOCH);
        assert_eq!(lasted(&message), "1h 3m 2s");
        message.resolved_at = message.since.checked_sub(SignedDuration::from_secs(5)).ok();
        assert_eq!(lasted(&message), "less than a second");
    }

    #[test]
    fn a_proof_and_the_nodes_apart_are_one_line_each() {
        let mut message = example::fleet(Timestamp::UNIX_EPOCH);
        message.cause.evidence[0].quote = "two\nlines".to_owned();
        assert_eq!(proof(&message).as_deref(), Some("log:kubelet.service: two lines (11 times)"));
        assert_eq!(apart(&message).as_deref(), Some("worker-499: The disk is full (critical); 1 more"));
    }
}
