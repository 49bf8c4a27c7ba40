//! `incidents ID`: all about one.

use anyhow::Context;
use jiff::Timestamp;
use nodewhy_diagnosis::render::{Style, escape, moment, painted_severity, root_text, span};
use nodewhy_proto::v1 as pb;

use crate::client::Collector;
use crate::incidents::Incident;
use crate::output::Output;
use crate::table::table;

/// So many nodes are named.
const NAMED: usize = 50;

pub(crate) async fn run(collector: &mut Collector, id: &str, output: &Output) -> anyhow::Result<u8> {
    let answer = collector.alerts.get_incident(pb::GetIncidentRequest { id: id.to_owned() }).await;
    let one = collector.answer(&format!("incident {id}"), answer)?.incident;
    let read = one.context("it holds none").and_then(Incident::new);
    let one = read.with_context(|| format!("incident {id}: the collector's answer"))?;
    output.answer(&one, |style| text(&one, Style { now: Some(Timestamp::now()), ..style }))?;
    Ok(0)
}

fn text(one: &Incident, style: Style) -> String {
    let bold = |text: &str| if style.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut out = format!("incident {}: {}, {}\n", escape(&one.id), painted_severity(one.severity, style.colour), one.state());
    out.push_str(&format!("  {}\n\n", bold(&escape(&one.title))));
    for (name, value) in facts(one, style) {
        out.push_str(&format!("  {name:<9} {value}\n"));
    }
    out.push_str(&format!("\n{}  {}\n", bold("FIRST NODE"), escape(&one.node)));
    // Its own empty line is not needed beneath a head.
    out.push_str(root_text(&one.cause, style).trim_start_matches('\n'));
    out.push_str(&format!("\n{}\n", bold("TOLD")));
    if one.told.is_empty() {
        out.push_str("  nobody: no route of the policy matches, or it is silenced, in maintenance, waits or is part of another\n");
        return out;
    }
    let rows = one.told.iter().map(|told| {
        let at = told.at.map_or("-".to_owned(), moment);
        vec![format!("  {}", escape(&told.hook)), escape(&told.event).into_owned(), at, told.number.to_string(), delivery(&told.delivery)]
    });
    out.push_str(&table(&["  HOOK", "LAST SAID", "AT", "MESSAGES", "DELIVERY"], &rows.collect::<Vec<_>>()));
    out
}

fn delivery(word: &str) -> String {
    match word {
        "waiting" => "waiting: the hook has not taken it (kubectl nodewhy hooks)".to_owned(),
        "dead" => "given up (kubectl nodewhy alerts list --dead)".to_owned(),
        "" => "-".to_owned(),
        other => escape(other).into_owned(),
    }
}

fn facts(one: &Incident, style: Style) -> Vec<(&'static str, String)> {
    let now = style.now.unwrap_or(one.opened_at);
    let mut facts = vec![("kind", format!("{}: {}", escape(&one.kind), kind(&one.kind)))];
    let mut say = |name, value: String| facts.push((name, value));
    if let Some(shared) = &one.shared {
        say("shared", format!("{} = {}", escape(&shared.name), escape(&shared.value)));
    }
    say("nodes", nodes(&one.nodes));
    match one.closed_at {
        None => say("since", format!("{} ({})", moment(one.opened_at), span(now.duration_since(one.opened_at)))),
        Some(at) => {
            say("since", moment(one.opened_at));
            say("closed", format!("{} (after {})", moment(at), span(at.duration_since(one.opened_at))));
        }
    }
    if let Some(reason) = &one.ended_by {
        say("ended by", escape(reason).into_owned());
    }
    if one.flapping {
        say("flapping", "it comes and goes: told once, and over after a while of quiet".to_owned());
    }
    if let Some(why) = &one.quiet {
        say("quiet", format!("nobody is told: {}", escape(why)));
    }
    if let Some(id) = &one.held_by {
        say("held by", format!("{}: who hears of that hears of this by itself when that is over", escape(id)));
    }
    if let Some(id) = &one.merged_into {
        say("part of", escape(id).into_owned());
    }
    facts
}

fn nodes(all: &[String]) -> String {
    let named: Vec<_> = all.iter().take(NAMED).map(|node| escape(node)).collect();
    let more = all.len() - named.len();
    let more = if more > 0 { format!(" and {more} more (all of them: --output json)") } else { String::new() };
    format!("{}: {}{more}", all.len(), named.join(", "))
}

/// What makes it one incident.
fn kind(word: &str) -> &'static str {
    match word {
        "node" => "one node alone",
        "control-plane" => "nodes of one API server",
        "change" => "nodes that changed shortly before",
        "label" => "nodes with the same label",
        "issuer" => "nodes with certificates of one issuer",
        "clock" => "clocks that differ from the API server's",
        "fleet" => "all nodes: the collector's own network is a suspect",
        "cause" => "the same cause; nothing was found that only these nodes share",
        "collector" => "the collector about itself",
        _ => "of a kind that this kubectl-nodewhy does not know",
    }
}
