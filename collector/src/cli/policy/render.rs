//! For people.

use std::time::Duration;

use nodewhy_diagnosis::render::moment;

use super::forecast::{Asked, Forecast, LASTS, Taken};
use super::{Answer, Counts};
use crate::message::Event;
use crate::policy::{short, word};

/// Nodes in maintenance shown at most.
const NODES: usize = 10;
/// Messages shown at most.
const MESSAGES: usize = 20;

pub(super) fn text(answer: &Answer) -> String {
    let mut out = String::new();
    for problem in &answer.problems {
        line(&mut out, &problem.to_string());
    }
    let file = answer.file.display();
    match &answer.counts {
        None => line(&mut out, &format!("{file}: cannot be used: {}", count(answer.problems.len(), "mistake"))),
        Some(Counts { hooks, routes, maintenance }) => {
            let parts = [count(*hooks, "hook"), count(*routes, "route"), count(*maintenance, "maintenance window")];
            line(&mut out, &format!("{file}: good: {}", parts.join(", ")));
            if *hooks == 0 {
                line(&mut out, "There are no hooks: nobody is told anything.");
            }
        }
    }
    for note in &answer.notes {
        line(&mut out, &format!("note: {note}"));
    }
    if let Some(forecast) = &answer.forecast {
        incident(&mut out, forecast);
    }
    out
}

fn incident(out: &mut String, forecast: &Forecast) {
    let Forecast { at, cause, kind, layer, severity, nodes, doubt, quiet, routes, messages, more } = forecast;
    let [severity, layer, kind] = [word(severity), word(layer), word(kind)];
    line(out, &format!("\n{cause} on {}: {severity}, layer {layer}, kind {kind}; it begins at {}", count(*nodes, "node"), moment(*at)));
    if let Some(doubt) = doubt {
        line(out, &format!("  note: {doubt}"));
    }
    for node in quiet.iter().take(NODES) {
        let until = node.until.map(|until| format!(" until {}", moment(until))).unwrap_or_default();
        line(out, &format!("  {} is in maintenance `{}` (line {}){until}", node.node, node.maintenance, node.line));
    }
    if quiet.len() > NODES {
        line(out, &format!("  and {} more", count(quiet.len() - NODES, "node")));
    }
    line(out, "\nRoutes:");
    for route in routes {
        line(out, &format!("  {}", asked(route)));
    }
    if messages.is_empty() {
        return line(out, "\nNobody is told.");
    }
    line(out, &format!("\nMessages, if it lasts {}:", short(LASTS)));
    let open = || messages.iter().filter(|said| said.event != Event::Resolved);
    for said in open().take(MESSAGES) {
        line(out, &format!("  {:>10}  {}  {}", after(said.after_seconds), said.hook, said.event.word()));
    }
    if *more || open().nth(MESSAGES).is_some() {
        line(out, "  and so on");
    }
    line(out, "Once it is over:");
    for said in messages.iter().filter(|said| said.event == Event::Resolved) {
        line(out, &format!("  {:>10}  {}  {}", after(said.after_seconds), said.hook, said.event.word()));
    }
}

fn asked(route: &Asked) -> String {
    let name = if route.line == 0 { "without routes".to_owned() } else { format!("line {}", route.line) };
    let hooks = route.hooks.join(", ");
    match &route.answer {
        Taken::Takes { goes_on: false } => format!("{name}: takes it, to {hooks}"),
        Taken::Takes { goes_on: true } => format!("{name}: takes it, to {hooks}; the next ones are asked too"),
        Taken::Quiet => format!("{name}: all nodes are in maintenance"),
        Taken::NotAsked { behind } => format!("{name}: is not asked: line {behind} took it, without `continue: true`"),
        Taken::Differs { why } => {
            let why: Vec<String> = why.iter().map(|why| format!("{} is {} and has to be {}", why.key, why.found, why.wanted)).collect();
            format!("{name}: is about something else: {}", why.join("; "))
        }
    }
}

fn after(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() => format!("+{}", short(time)),
        _ => "at once".to_owned(),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}
