//! What is said of an incident.

use jiff::Timestamp;
use nodewhy_diagnosis::model::Severity;

use super::{Book, Incident, family};
use crate::fleet::Fleet;
use crate::message::{Apart, Event, Kind, Message, Nodes, VERSION};
use crate::silence;

/// In one line: what and where. `nodes` are those affected, now or at last.
pub fn title(one: &Incident, nodes: u32, fleet: u32) -> String {
    let (node, cause) = &one.first;
    let what = &cause.title;
    let (name, value, having) = one.shared.as_ref().map_or(("", "", 0), |shared| (&*shared.name, &*shared.value, shared.having));
    // Counted when it was found out what they share; nodes have come since.
    let having = having.max(nodes);
    match one.kind {
        Kind::Node => format!("{node}: {what}"),
        Kind::Collector => what.clone(),
        Kind::ControlPlane if one.family == family::CONTROL_PLANE => {
            format!("Control plane {value} unreachable from {nodes} of {fleet} nodes")
        }
        Kind::ControlPlane => format!("{what}: {nodes} of {fleet} nodes, all of API server {value}"),
        Kind::Change if value.is_empty() => format!("{what} on {nodes} nodes, whose {} changed shortly before", trait_words(name)),
        Kind::Change => format!("{what} on {nodes} of {having} nodes whose {} changed to {value}", trait_words(name)),
        Kind::Label if one.family == silence::CODE => format!("{nodes} of {having} nodes with {name}={value} fell silent together"),
        Kind::Label => format!("{what} on {nodes} of {having} nodes with {name}={value}"),
        Kind::Issuer => format!("{what} on {nodes} of {having} nodes with certificates from {value}"),
        Kind::Clock => format!("The clocks of {nodes} of {fleet} nodes differ from the API server's: its clock is the suspect"),
        Kind::Fleet => format!("{nodes} of {fleet} nodes are silent at once: the collector's own network is a suspect"),
        Kind::Cause => format!("{what} on {nodes} nodes; nothing was found that only they share"),
    }
}

fn trait_words(name: &str) -> &str {
    match name {
        "kubeletConfig" => "kubelet configuration",
        "kubeletVersion" => "kubelet version",
        "kernel" => "kernel",
        "os" => "operating system",
        "runtimeVersion" => "container runtime",
        "agentVersion" => "nodewhy-agent",
        other => other,
    }
}

/// A message about an incident, the `number`th to its hook.
pub fn message(
    book: &Book,
    one: &Incident,
    fleet: &Fleet,
    event: Event,
    number: u32,
    now: Timestamp,
    external_url: Option<&str>,
) -> Message {
    let names: Vec<String> = match one.members.is_empty() {
        true => one.ever.iter().map(|node| node.to_string()).collect(),
        false => one.nodes().into_iter().map(|node| node.to_string()).collect(),
    };
    let count = if one.members.is_empty() { one.peak } else { one.node_count() };
    let labels = fleet.labels_of(names.iter().map(String::as_str));
    let over = event == Event::Resolved;
    let apart = if over { Vec::new() } else { apart(book, one) };
    let (node, cause) = one.first.clone();
    let command = match one.kind {
        Kind::Node => format!("kubectl nodewhy why {node}"),
        Kind::Collector => "kubectl nodewhy hooks".to_owned(),
        _ => format!("kubectl nodewhy incidents {}", one.id),
    };
    Message {
        version: VERSION,
        key: format!("{}/{number}", one.id),
        number,
        event,
        at: now,
        incident: one.id.clone(),
        kind: one.kind,
        title: title(one, count, fleet.len()),
        severity: one.worst,
        layer: one.layer(),
        shared: one.shared.clone().map(|shared| crate::message::Shared { affected: count, having: shared.having.max(count), ..shared }),
        nodes: Nodes { count, fleet: fleet.len(), names: names.into_iter().take(Nodes::NAMED).collect(), labels },
        apart_count: u32::try_from(apart.len()).unwrap_or(u32::MAX),
        apart: apart.into_iter().take(Nodes::NAMED).collect(),
        since: cause.since,
        resolved_at: over.then(|| one.closed_at.or(one.ended.as_ref().map(|(at, _)| *at)).unwrap_or(now)),
        ended_by: if over { one.ended.as_ref().map(|(_, reason)| reason.clone()).unwrap_or_default() } else { String::new() },
        flapping: one.flapping,
        page: external_url.map(|url| format!("{}/incidents/{}", url.trim_end_matches('/'), one.id)),
        node,
        cause,
        command,
    }
}

/// Of a greater incident: other nodes that have a critical fault of their own meanwhile.
fn apart(book: &Book, one: &Incident) -> Vec<Apart> {
    if !one.is_group() {
        return Vec::new();
    }
    let others = book.incidents().filter(|other| !other.is_group() && other.is_open() && other.worst == Severity::Critical);
    let mut apart: Vec<Apart> = others
        .filter(|other| !other.members.is_empty())
        .map(|other| {
            let (node, cause) = &other.first;
            Apart { node: node.clone(), cause: cause.code.clone(), title: cause.title.clone(), severity: other.worst }
        })
        .collect();
    apart.sort_by(|a, b| (&a.node, &a.cause).cmp(&(&b.node, &b.cause)));
    apart
}
