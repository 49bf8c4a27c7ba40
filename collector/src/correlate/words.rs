//! What is said of an incident.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Severity};

use super::{Incident, family};
use crate::fleet::Fleet;
use crate::message::{Apart, Event, Kind, Message, Nodes, VERSION};
use crate::silence;
use crate::tell::Member;

/// In one line: what and where. `nodes` are those affected, now or at last.
pub fn title(one: &Incident, nodes: u32, fleet: u32) -> String {
    title_of(one, (nodes, one.others(nodes)), fleet)
}

/// The same, where it is known how many of the nodes do not have what is shared.
fn title_of(one: &Incident, (nodes, others): (u32, u32), fleet: u32) -> String {
    let (node, cause) = &one.first;
    let what = &cause.title;
    let (name, value, having) = one.shared.as_ref().map_or(("", "", 0), |shared| (&*shared.name, &*shared.value, shared.having));
    let having_it = nodes.saturating_sub(others);
    // Counted when it was found out what they share; nodes have come since.
    let having = having.max(having_it);
    let and_others = match others {
        0 => String::new(),
        1 => ", and 1 other".to_owned(),
        more => format!(", and {more} others"),
    };
    match one.kind {
        Kind::Node => format!("{node}: {what}"),
        Kind::Collector => what.clone(),
        Kind::ControlPlane if one.family == family::CONTROL_PLANE => {
            format!("Control plane {value} unreachable from {having_it} of {fleet} nodes{and_others}")
        }
        Kind::ControlPlane => format!("{what}: {having_it} of {fleet} nodes, all of API server {value}{and_others}"),
        Kind::Change if value.is_empty() => {
            format!("{what} on {having_it} nodes, whose {} changed shortly before{and_others}", trait_words(name))
        }
        Kind::Change => format!("{what} on {having_it} of {having} nodes whose {} changed to {value}{and_others}", trait_words(name)),
        Kind::Label if one.family == silence::CODE => {
            let comma = if others > 0 { "," } else { "" };
            format!("{having_it} of {having} nodes with {name}={value}{and_others}{comma} fell silent together")
        }
        Kind::Label => format!("{what} on {having_it} of {having} nodes with {name}={value}{and_others}"),
        Kind::Issuer => format!("{what} on {having_it} of {having} nodes with certificates from {value}{and_others}"),
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

/// What a message about an incident is made from, besides the incident.
#[derive(Debug)]
pub struct Scene<'a> {
    /// All nodes.
    pub fleet: &'a Fleet,
    /// What counts of the incident; of one that is over, or of which nothing counts, all of it.
    pub members: Vec<Member<'a>>,
    /// Incidents of other nodes that have a fault of their own meanwhile, and count.
    pub apart: Vec<&'a Incident>,
    /// The time.
    pub now: Timestamp,
    /// Where people find the collector's pages.
    pub external_url: Option<&'a str>,
}

/// A message about an incident: why, the how manieth to its hook, and how bad it is said to be.
pub fn message(one: &Incident, scene: &Scene<'_>, (event, number, severity): (Event, u32, Severity)) -> Message {
    let &Scene { fleet, ref members, ref apart, now, external_url } = scene;
    let names: BTreeSet<&str> = members.iter().map(|member| member.node).collect();
    let count = if one.members.is_empty() { one.peak } else { u32::try_from(names.len()).unwrap_or(u32::MAX) };
    let others = match one.members.is_empty() {
        true => one.others(count),
        false => u32::try_from(names.iter().filter(|name| one.outside.contains(**name)).count()).unwrap_or(u32::MAX),
    };
    let labels = fleet.labels_of(names.iter().copied());
    let over = event == Event::Resolved;
    let apart: Vec<Apart> = if over { Vec::new() } else { apart.iter().map(|other| listed(other)).collect() };
    let (node, cause) = first(one, scene);
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
        title: title_of(one, (count, others), fleet.len()),
        severity,
        layer: one.layer(),
        shared: one.shared.clone().map(|shared| {
            let affected = count.saturating_sub(others);
            crate::message::Shared { affected, having: shared.having.max(affected), ..shared }
        }),
        nodes: Nodes { count, fleet: fleet.len(), names: names.into_iter().take(Nodes::NAMED).map(str::to_owned).collect(), labels },
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

/// The node that is quoted, and its cause: the first that had it, or, where that one does not count, the first that does.
fn first(one: &Incident, scene: &Scene<'_>) -> (String, PresentCause) {
    let quoted = &one.first;
    if scene.members.iter().any(|member| member.node == quoted.0) {
        return quoted.clone();
    }
    let cause_of = |member: &Member<'_>| {
        let case = scene.fleet.node(member.node)?.cases.iter().find(|case| case.cause.code == member.code)?;
        Some((member.node.to_owned(), (*case.cause).clone()))
    };
    scene.members.iter().find_map(cause_of).unwrap_or_else(|| quoted.clone())
}

fn listed(other: &Incident) -> Apart {
    let (node, cause) = &other.first;
    Apart { node: node.clone(), cause: cause.code.clone(), title: cause.title.clone(), severity: other.worst }
}
