//! A present cause in words: message, evidence, remedy.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Look;
use super::judge::Holding;
use super::state::{Heard, Watched, remember_pod};
use crate::catalogue::{Cause, Scope, Sign, Spoken, Tri, Wake, fact_in_words};
use crate::facts::{FactId, Facts, Seen, Value, derive};
use crate::model::{Evidence, PresentCause, Remedy, Severity};
use crate::record::{clip, pod};

/// Evidence of one cause.
const MAX_EVIDENCE: usize = 8;
/// So much is filled up with what the true signs read, where the cause names less itself.
const ENOUGH: usize = 5;
/// Records among it.
const MAX_RECORDS: usize = 2;
/// One quote, in bytes.
const MAX_QUOTE: usize = 2048;

/// Puts a cause into words. Who explains whom is told by [`super::fold`].
pub(super) fn show(look: &Look<'_>, cause: &Cause, watched: &Watched, holding: &Holding, identity: PresentCause) -> PresentCause {
    let active = watched.heard(&holding.logs);
    let (captures, pods) = (captures(&active), pods(&active));
    let spoken = active.first().map(|heard| Spoken { captures: &captures, pods: &pods, ..heard.spoken() });
    let scope = Scope { spoken, ..Scope::facts(&look.seen) };
    PresentCause {
        title: cause.title.clone(),
        severity: severity(cause, &scope),
        latent: cause.latent,
        layer: cause.layer,
        message: message(cause, &scope),
        evidence: evidence(cause, &active, &holding.facts, &scope),
        remedy: remedy(cause, &scope),
        ..identity
    }
}

/// Message and remedy of a cause that another than the agent has found (`agent-silent`), told with these facts.
pub fn in_words(cause: &Cause, facts: &Facts, now: Timestamp) -> (String, Vec<Remedy>) {
    let derived = derive(facts, now);
    let seen = Seen::new(facts, &derived, now);
    let scope = Scope::facts(&seen);
    (message(cause, &scope), remedy(cause, &scope))
}

/// As the catalogue has it, unless this time it is worse.
fn severity(cause: &Cause, scope: &Scope<'_>) -> Severity {
    let worse = cause.critical_when.as_ref().is_some_and(|when| when.holds(scope, &Wake::default()));
    if worse { Severity::Critical } else { cause.severity }
}

/// The groups of all signs that hold; where two have the same name the newer sighting's. A pod and its container are of one sighting: they
/// would be another pod's otherwise.
fn captures(active: &[&Heard]) -> BTreeMap<String, String> {
    let of_pod = |name: &str| pod::NAMES.contains(&name);
    let names_pod = active.iter().position(|heard| heard.captures.keys().any(|name| of_pod(name)));
    let newer_first = active.iter().enumerate().rev();
    newer_first
        .flat_map(|(place, heard)| heard.captures.iter().filter(move |(name, _)| !of_pod(name) || names_pod == Some(place)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The pods that all signs that hold speak of, at about the same time.
fn pods(active: &[&Heard]) -> BTreeMap<String, Timestamp> {
    let mut pods = BTreeMap::new();
    for (pod, at) in active.iter().flat_map(|heard| &heard.pods) {
        remember_pod(&mut pods, pod, *at);
    }
    pods
}

fn message(cause: &Cause, scope: &Scope<'_>) -> String {
    let unheeded = Wake::default();
    let chosen = cause.messages.iter().find(|message| message.when.as_ref().is_none_or(|when| when.holds(scope, &unheeded)));
    let said = chosen.map_or_else(|| cause.title.clone(), |message| message.say.say(scope));
    clip(&said, MAX_QUOTE).to_owned()
}

fn remedy(cause: &Cause, scope: &Scope<'_>) -> Vec<Remedy> {
    let unheeded = Wake::default();
    let shown = cause.remedy.iter().filter(|step| match &step.when {
        None => true,
        Some(when) => matches!(when.tri(scope, &unheeded), Tri::True | Tri::Unknown),
    });
    // A step in which something is unknown helps nobody.
    let whole = shown.filter_map(|step| Some((step, step.say.say_whole(scope)?)));
    whole.map(|(step, say)| Remedy { say, run: step.run.as_ref().and_then(|run| run.command(scope)) }).collect()
}

/// The newest records, then the facts that the cause quotes, then those that its true signs read.
fn evidence(cause: &Cause, active: &[&Heard], true_signs: &[usize], scope: &Scope<'_>) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = active.iter().take(MAX_RECORDS).map(|heard| record(heard)).collect();
    let read = true_signs.iter().filter_map(|index| match cause.signs.get(*index) {
        Some(Sign::Fact(fact)) => Some(fact.expr.paths.iter().copied()),
        _ => None,
    });
    let quoted = cause.evidence.iter().map(|path| (path.as_str(), MAX_EVIDENCE));
    for (path, at_most) in quoted.chain(read.flatten().map(|path| (path, ENOUGH))) {
        if all.len() < at_most && all.iter().all(|one| one.source != path) {
            all.extend(fact(path, scope));
        }
    }
    all
}

fn record(heard: &Heard) -> Evidence {
    let unit = if heard.unit.is_empty() { "unknown" } else { &heard.unit };
    let quote = clip(&heard.text, MAX_QUOTE).to_owned();
    Evidence { source: format!("log:{unit}"), at: Some(heard.last_at), quote, count: heard.count }
}

fn fact(path: &str, scope: &Scope<'_>) -> Option<Evidence> {
    let id = FactId::of(path)?;
    let value = scope.value(id).ok().filter(|value| !matches!(value, Value::Text(text) if text.is_empty()))?;
    let quote = clip(&fact_in_words(id, value), MAX_QUOTE).to_owned();
    Some(Evidence { source: path.to_owned(), at: scope.seen.fact(id).map(|fact| fact.read_at), quote, count: 1 })
}
