//! One cause: present, absent, unknown, or not yet long enough true to say.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::hear::forget_changed_signs;
use super::state::{Heard, Held, Watched, fingerprint};
use super::{Look, Mode, REMOVED};
use crate::catalogue::{Catalogue, Cause, Expr, LogSign, Scope, Sighting, Sign, Spoken, Tri, Truth};
use crate::facts::{Missing, MissingKind, Value, schema};

/// Facts that keep something from being known.
pub(super) type MissingFacts = Vec<(&'static str, Missing)>;

/// What is so of a cause.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    Present {
        since: Timestamp,
        /// The sign that says so.
        reason: String,
        /// The signs that hold.
        holding: Holding,
    },
    /// A fact sign is true and has not been for long enough.
    Pending,
    Unknown(MissingFacts),
    Absent {
        reason: String,
    },
}

/// Places of signs that hold.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Holding {
    pub(super) logs: Vec<u16>,
    pub(super) facts: Vec<usize>,
}

/// Judges a cause and updates what is remembered of its signs.
pub(super) fn judge(look: &Look<'_>, cause: &Cause, watched: &mut Watched, open: bool) -> Standing {
    let mut ended = Vec::new();
    if !watched.is_empty() && forget_changed_signs(cause, watched) {
        ended.push(REMOVED.to_owned());
    }
    let mut absent = None;
    if !look.is_saved() && !watched.logs.is_empty() {
        end_signs(look, cause, watched, &mut ended);
        absent = Some(end_all(look, cause, watched, &mut ended));
    }
    let facts = fact_signs(look, cause, watched);
    if let Some(present) = present(cause, watched, log_signs(look, cause, watched), &facts.counting) {
        return present;
    }
    let mut missing = facts.missing;
    missing.extend(look.deaf.iter().filter(|_| has_silent_log_sign(cause, watched)).cloned());
    if !missing.is_empty() && !absent.unwrap_or_else(|| is_absent(look, cause, None)) {
        return Standing::Unknown(missing);
    }
    if facts.pending {
        return Standing::Pending;
    }
    Standing::Absent { reason: if open { reason_for_absence(look, cause, ended) } else { String::new() } }
}

/// Rule 2: sightings end by `ends` or by quiet, on evidence that is newer than they are.
fn end_signs(look: &Look<'_>, cause: &Cause, watched: &mut Watched, ended: &mut Vec<String>) {
    watched.logs.retain(|index, heard| {
        let Some(Sign::Log(sign)) = cause.signs.get(usize::from(*index)) else { return false };
        let scope = Scope { seen: &look.seen, fresh_after: Some(heard.last_at), spoken: Some(heard.spoken()) };
        if let Some(ends) = sign.ends.as_ref().filter(|ends| ends.holds(&scope, &look.wake)) {
            ended.push(format!("ends: {}", ends.source));
            return false;
        }
        match quiet_at(sign, heard.last_at, heard.reached) {
            Some(quiet) if look.logs_read_up_to.is_some_and(|read| read >= quiet) => {
                if heard.reached {
                    ended.push(format!("quiet for {:#}", quiet.duration_since(heard.last_at)));
                }
                false
            }
            Some(quiet) => {
                look.wake_at(quiet);
                true
            }
            None => true,
        }
    });
}

/// When a sign has been quiet for long enough. One that was never seen often enough is forgotten when no more can join it in time.
fn quiet_at(sign: &LogSign, last_at: Timestamp, reached: bool) -> Option<Timestamp> {
    let quiet = if reached { sign.quiet_for } else { sign.within.or(sign.quiet_for) };
    last_at.checked_add(quiet?).ok()
}

/// Rule 3: all sightings end when the cause is seen to be absent after the last of them.
fn end_all(look: &Look<'_>, cause: &Cause, watched: &mut Watched, ended: &mut Vec<String>) -> bool {
    let absent = is_absent(look, cause, watched.last_at());
    if absent && !watched.logs.is_empty() {
        watched.logs.clear();
        ended.extend(cause.absent.iter().map(|rule| format!("absent: {}", rule.source)));
    }
    absent
}

fn is_absent(look: &Look<'_>, cause: &Cause, fresh_after: Option<Timestamp>) -> bool {
    let scope = Scope { fresh_after, ..Scope::facts(&look.seen) };
    !look.is_saved() && cause.absent.as_ref().is_some_and(|rule| rule.holds(&scope, &look.wake))
}

#[derive(Default)]
struct FactSigns {
    /// Places of those that are true and have been for long enough, and since when.
    counting: Vec<(usize, Timestamp)>,
    pending: bool,
    missing: MissingFacts,
}

fn fact_signs(look: &Look<'_>, cause: &Cause, watched: &mut Watched) -> FactSigns {
    let mut found = FactSigns::default();
    let scope = Scope::facts(&look.seen);
    for (index, sign) in cause.signs.iter().enumerate() {
        let Sign::Fact(fact) = sign else { continue };
        let key = index as u16;
        let tri = fact.expr.tri(&scope, &look.wake);
        if tri != Tri::True {
            watched.facts.remove(&key);
            if tri == Tri::Unknown
                && !look.is_saved()
                && let Truth::Unknown(missing) = fact.expr.truth(&scope, &look.wake)
            {
                found.missing.extend(missing);
            }
            continue;
        }
        let held = watched.facts.entry(key).or_insert_with(|| Held { rule: fingerprint(sign), since: look.now });
        let counts_at = held.since.checked_add(fact.held_for).unwrap_or(Timestamp::MAX);
        if look.view.mode != Mode::Live || counts_at <= look.now {
            found.counting.push((index, held.since));
        } else {
            found.pending = true;
            look.wake_at(counts_at);
        }
    }
    found
}

/// Whether a sighting may be heard. What is known now not to concern this node by what *it* names (another device than the node's own) must
/// not stand in the place of an earlier one that does. Where the rule reads facts alone, all are kept: the facts may be others later.
pub(super) fn concerns(look: &Look<'_>, catalogue: &Catalogue, sighting: &Sighting) -> bool {
    let sign = catalogue.cause(&sighting.code).and_then(|cause| cause.signs.get(sighting.sign));
    let Some(Sign::Log(LogSign { only_if: Some(rule), .. })) = sign else { return true };
    if !rule.reads_sighting {
        return true;
    }
    let (Sighting { captures, at, text, .. }, pods) = (sighting, BTreeMap::new());
    let spoken = Spoken { captures, count: 1, first_at: *at, last_at: *at, text, pods: &pods };
    may_hold(look, rule, Scope { spoken: Some(spoken), ..Scope::facts(&look.seen) })
}

fn may_hold(look: &Look<'_>, rule: &Expr, scope: Scope<'_>) -> bool {
    matches!(rule.tri(&scope, &look.wake), Tri::True | Tri::Unknown)
}

/// Log signs that hold: seen often enough, and not of something that does not concern this node.
fn log_signs(look: &Look<'_>, cause: &Cause, watched: &Watched) -> Vec<u16> {
    concerning_log_signs(look, cause, watched, |heard| heard.reached)
}

/// Log signs that were seen, but not often enough.
pub(super) fn scant_log_signs(look: &Look<'_>, cause: &Cause, watched: &Watched) -> Vec<u16> {
    concerning_log_signs(look, cause, watched, |heard| !heard.reached)
}

fn concerning_log_signs(look: &Look<'_>, cause: &Cause, watched: &Watched, counts: impl Fn(&Heard) -> bool) -> Vec<u16> {
    let concerns = |index: u16, heard: &Heard| match cause.signs.get(usize::from(index)) {
        Some(Sign::Log(log)) => {
            let scope = Scope { spoken: Some(heard.spoken()), ..Scope::facts(&look.seen) };
            log.only_if.as_ref().is_none_or(|rule| may_hold(look, rule, scope))
        }
        _ => false,
    };
    let holding = watched.logs.iter().filter(|(index, heard)| counts(heard) && concerns(**index, heard));
    holding.map(|(index, _)| *index).collect()
}

/// Rule 4.
fn present(cause: &Cause, watched: &Watched, logs: Vec<u16>, facts: &[(usize, Timestamp)]) -> Option<Standing> {
    let heard_since = watched.heard(&logs).iter().map(|heard| heard.first_at).min();
    let true_since = facts.iter().map(|(_, since)| *since).min();
    let since = heard_since.into_iter().chain(true_since).min()?;
    let first = logs.first().map(|index| usize::from(*index)).or_else(|| facts.first().map(|(index, _)| *index))?;
    let reason = match cause.signs.get(first)? {
        Sign::Log(log) => format!("log: {}", log.pattern),
        Sign::Fact(fact) => format!("fact: {}", fact.expr.source),
    };
    let facts = facts.iter().map(|(index, _)| *index).collect();
    Some(Standing::Present { since, reason, holding: Holding { logs, facts } })
}

fn has_silent_log_sign(cause: &Cause, watched: &Watched) -> bool {
    let silent = |(index, sign): (usize, &Sign)| matches!(sign, Sign::Log(_)) && !watched.logs.contains_key(&(index as u16));
    cause.signs.iter().enumerate().any(silent)
}

fn reason_for_absence(look: &Look<'_>, cause: &Cause, ended: Vec<String>) -> String {
    if !ended.is_empty() {
        return ended.join("; ");
    }
    match &cause.absent {
        Some(rule) if is_absent(look, cause, None) => format!("absent: {}", rule.source),
        _ => "no sign holds any more".to_owned(),
    }
}

/// Why log signs cannot be seen, if they cannot.
pub(super) fn deafness(mode: Mode, scope: &Scope<'_>) -> Option<(&'static str, Missing)> {
    if mode == Mode::Saved {
        return None;
    }
    journal_unread(scope).or_else(|| files_unread(scope))
}

/// Files are told of only by an agent that knows of some.
fn files_unread(scope: &Scope<'_>) -> Option<(&'static str, Missing)> {
    let key = schema::LOGS_FILES_READABLE.path();
    let why = scope.missing(crate::facts::FactId::of(key)?)?;
    (why.kind != MissingKind::NotYet).then_some((key, why))
}

fn journal_unread(scope: &Scope<'_>) -> Option<(&'static str, Missing)> {
    let key = schema::LOGS_JOURNAL_READABLE.path();
    let id = crate::facts::FactId::of(key)?;
    if scope.not_applicable(id) || scope.value(id) == Ok(&Value::Bool(true)) {
        return None;
    }
    let unreadable = || {
        Missing::new(MissingKind::Denied, "the journal cannot be read")
            .hint("run the agent in the group systemd-journal, and see that journald keeps a journal")
    };
    Some((key, scope.missing(id).unwrap_or_else(unreadable)))
}
