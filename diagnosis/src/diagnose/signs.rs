//! Cause by cause: present, absent, or not to be told.

use jiff::{SignedDuration, Timestamp};

use super::state::{CauseState, Seen, State};
use super::{Mode, Step, missing_of};
use crate::catalogue::{Cause, LogSign, Scope, SightingScope, Sign, Truth};
use crate::facts::{Missing, MissingKind, Value, schema};

/// What is to be said of one cause.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) presence: Presence,
}

#[derive(Debug)]
pub(super) enum Presence {
    Present {
        /// Since when.
        since: Timestamp,
        /// The sign in words.
        reason: String,
    },
    /// A fact sign holds, but not yet for long enough: opens nothing and closes nothing.
    Pending,
    Absent {
        /// The rule in words.
        reason: String,
    },
    Unknown(Vec<(&'static str, Missing)>),
}

/// A fact sign that holds.
struct Held {
    since: Timestamp,
    source: String,
}

impl Step<'_> {
    /// One judgement per cause of the catalogue, in its order.
    pub(super) fn judge_all(&mut self, state: &mut State) -> Vec<Judgement> {
        let catalogue = self.catalogue;
        let judge = |cause: &Cause| {
            if !cause.of_agent() {
                return Judgement { presence: Presence::Absent { reason: "found by the collector".to_owned() } };
            }
            let mut of_cause = state.causes.remove(&cause.code).unwrap_or_default();
            let presence = self.judge(cause, &mut of_cause);
            if of_cause != CauseState::default() {
                state.causes.insert(cause.code.clone(), of_cause);
            }
            Judgement { presence }
        };
        catalogue.causes().iter().map(judge).collect()
    }

    fn judge(&mut self, cause: &Cause, state: &mut CauseState) -> Presence {
        let mut ended = None;
        let mut absent = false;
        if self.view.mode != Mode::Saved {
            ended = self.end_signs(cause, state);
            if let Some(rule) = &cause.absent
                && rule.judge(&self.scope()) == Truth::True
                && state
                    .seen
                    .values()
                    .map(|seen| seen.last_at)
                    .max()
                    .is_none_or(|last| rule.read_at(&self.facts).is_some_and(|read| read > last))
            {
                state.seen.clear();
                absent = true;
                ended = Some(format!("absent: {}", rule.source));
            }
        }
        let (held, mut pending, mut missing) = self.fact_signs(cause, state);
        let counts = |index: usize, seen: &Seen| seen.reached && self.concerns_this_node(cause, index);
        let logged = state.seen.iter().filter(|(index, seen)| counts(**index, seen)).map(|(_, seen)| seen).min_by_key(|seen| seen.first_at);
        let since = logged.map(|seen| seen.first_at).into_iter().chain(held.iter().map(|held| held.since)).min();
        if let Some(since) = since {
            let reason = match (logged, held.first()) {
                (Some(seen), _) => format!("log of {}: {}", spoken_by(seen), crate::record::clip(&seen.text, 300)),
                (None, Some(held)) => format!("fact: {}", held.source),
                (None, None) => String::new(),
            };
            return Presence::Present { since, reason };
        }
        pending &= !absent;
        if pending {
            return Presence::Pending;
        }
        if !absent && self.view.mode != Mode::Saved {
            missing.extend(self.unreadable_logs(cause));
            if !missing.is_empty() {
                return Presence::Unknown(missing);
            }
        }
        Presence::Absent { reason: ended.unwrap_or_else(|| no_longer(cause)) }
    }

    /// Whether `only_if` of a log sign lets its sightings count.
    fn concerns_this_node(&self, cause: &Cause, index: usize) -> bool {
        match cause.signs.get(index) {
            Some(Sign::Log(LogSign { only_if: Some(rule), .. })) => rule.judge(&self.scope()) != Truth::False,
            _ => true,
        }
    }

    /// Takes away sightings that are over, and says by which rule.
    fn end_signs(&mut self, cause: &Cause, state: &mut CauseState) -> Option<String> {
        let mut reason = None;
        let ended: Vec<usize> = state
            .seen
            .iter()
            .filter_map(|(index, seen)| {
                let Some(Sign::Log(sign)) = cause.signs.get(*index) else { return Some(*index) };
                reason = Some(self.ended(sign, seen)?);
                Some(*index)
            })
            .collect();
        ended.iter().for_each(|index| drop(state.seen.remove(index)));
        for (index, seen) in &state.seen {
            if let Some(Sign::Log(LogSign { quiet_for: Some(quiet_for), .. })) = cause.signs.get(*index)
                && let Ok(until) = seen.last_at.checked_add(*quiet_for)
                && until > self.view.now
            {
                self.wake(until);
            }
        }
        reason
    }

    fn ended(&self, sign: &LogSign, seen: &Seen) -> Option<String> {
        if let Some(ends) = &sign.ends {
            let scope = Scope { facts: &self.facts, sighting: Some(seen.scope()) };
            let after = ends.read_at(&self.facts).is_some_and(|read| read > seen.last_at);
            if after && ends.judge(&scope) == Truth::True {
                return Some(format!("ends: {}", ends.source));
            }
        }
        let quiet_for = sign.quiet_for?;
        let until = seen.last_at.checked_add(quiet_for).ok()?;
        match self.facts.value(schema::LOGS_READ_UP_TO.path()) {
            Ok(Value::Time(read_up_to)) if *read_up_to >= until => Some(format!("quiet for {}", crate::render::span(quiet_for))),
            _ => None,
        }
    }

    /// Fact signs that hold, whether one does but not yet for long enough, and what could not be told.
    fn fact_signs(&mut self, cause: &Cause, state: &mut CauseState) -> (Vec<Held>, bool, Vec<(&'static str, Missing)>) {
        let (mut held, mut pending, mut missing) = (Vec::new(), false, Vec::new());
        for (index, sign) in cause.signs.iter().enumerate() {
            let Sign::Fact(sign) = sign else { continue };
            let truth = sign.expr.judge(&self.scope());
            if truth != Truth::True {
                state.true_since.remove(&index);
                let known = |why: &(&'static str, Missing)| self.view.mode != Mode::Saved || why.1.kind != MissingKind::NotYet;
                missing.extend(missing_of(truth).into_iter().filter(known));
                continue;
            }
            let since = *state.true_since.entry(index).or_insert(self.view.now);
            let due = since.checked_add(sign.held_for).unwrap_or(since);
            if due <= self.view.now || self.view.mode != Mode::Live {
                held.push(Held { since, source: sign.expr.source.clone() });
            } else {
                pending = true;
                self.wake(due);
            }
        }
        (held, pending, missing)
    }

    /// Why log signs of this cause would not be seen.
    fn unreadable_logs(&self, cause: &Cause) -> Option<(&'static str, Missing)> {
        cause.signs.iter().any(|sign| matches!(sign, Sign::Log(_))).then_some(())?;
        let path = schema::LOGS_JOURNAL_READABLE.path();
        match self.facts.value(path) {
            Ok(Value::Bool(true)) => None,
            Ok(_) => Some((path, Missing::new(MissingKind::Denied, "the journal cannot be read"))),
            Err(missing) if missing.kind == MissingKind::NotApplicable => None,
            Err(missing) => Some((path, missing)),
        }
    }
}

fn no_longer(cause: &Cause) -> String {
    let facts: Vec<_> =
        cause.signs.iter().filter_map(|sign| if let Sign::Fact(sign) = sign { Some(sign.expr.source.as_str()) } else { None }).collect();
    if facts.is_empty() { "no sign of it holds any more".to_owned() } else { format!("no longer: {}", facts.join(" || ")) }
}

/// Who said it, for people.
pub(super) fn spoken_by(seen: &Seen) -> &str {
    if seen.unit.is_empty() { "the node" } else { &seen.unit }
}

impl Seen {
    pub(super) fn scope(&self) -> SightingScope<'_> {
        SightingScope { captures: &self.captures, count: self.count, first_at: self.first_at, last_at: self.last_at, text: &self.text }
    }
}

/// Whether a log sign of this cause was last seen in the moments in which the kubelet ended.
pub(super) fn dying_words(cause: &Cause, state: &CauseState, exited_at: Timestamp) -> bool {
    const AROUND: SignedDuration = SignedDuration::from_secs(5);
    let by_kubelet =
        |index: &usize| matches!(cause.signs.get(*index), Some(Sign::Log(sign)) if sign.from.contains(&crate::record::Source::Kubelet));
    state.seen.iter().any(|(index, seen)| by_kubelet(index) && seen.last_at.duration_since(exited_at).abs() <= AROUND)
}
