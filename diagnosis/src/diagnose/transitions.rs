//! What changed: cases opened, confirmed, closed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Look;
use super::state::{Case, Given};
use crate::model::{PresentCause, Severity, Transition, TransitionKind};

/// A message that keeps changing is told again ever more seldom, and in the end only so often. The first words of a case are often a log
/// line's; what the checks find a moment later says more and is told soon.
const TOLD_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// For the first time after so long, then after twice as long, and so on.
const TOLD_FIRST: SignedDuration = SignedDuration::from_secs(1);
/// Codes whose ids are remembered; more than any catalogue has.
const MAX_GIVEN: usize = 4096;

/// A name for a case that was never given before.
pub(super) fn case_id(given: &mut BTreeMap<String, Given>, node: &str, code: &str, since: Timestamp) -> String {
    let id = format!("{node}/{code}/{}", base36(since.as_microsecond().unsigned_abs()));
    if given.len() >= MAX_GIVEN && !given.contains_key(code) {
        given.pop_first();
    }
    match given.get_mut(code) {
        None => {
            given.insert(code.to_owned(), Given { since, suffixes: 0 });
            id
        }
        Some(known) if since > known.since => {
            known.since = since;
            id
        }
        // An id with this or a later beginning exists: the suffix is never counted back, so it is new.
        Some(known) => {
            known.suffixes = known.suffixes.saturating_add(1);
            format!("{id}-{}", known.suffixes)
        }
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// A case that ends, as it stood last.
pub(super) fn closed(case: Case, now: Timestamp, reason: String) -> Transition {
    transition(TransitionKind::Closed, case.shown, now, reason)
}

/// A new case.
pub(super) fn opened(cause: &PresentCause, now: Timestamp, reason: String) -> Transition {
    transition(TransitionKind::Opened, cause.clone(), now, reason)
}

/// What is new about a case that was open before; brings the case up to date.
pub(super) fn confirmed(look: &Look<'_>, case: &mut Case, cause: &PresentCause) -> Option<Transition> {
    let was = std::mem::replace(&mut case.shown, cause.clone());
    let told = case.told.take().unwrap_or(was.message);
    let folded = was.root != cause.root || was.explained_by != cause.explained_by;
    let pause = (TOLD_FIRST * (1 << case.told_again.min(10))).min(TOLD_EVERY);
    let tell_at = case.told_at.checked_add(pause).unwrap_or(Timestamp::MAX);
    let worded = told != cause.message;
    let worse_or_better = was.severity != cause.severity;
    if !folded && !worse_or_better && (!worded || tell_at > look.now) {
        if worded {
            case.told = Some(told);
            look.wake_at(tell_at);
        }
        return None;
    }
    case.told_at = look.now;
    case.told_again = case.told_again.saturating_add(u32::from(worded));
    let reason = match (folded, cause.root) {
        (true, true) => "nothing explains it any more".to_owned(),
        (true, false) => format!("explained by {}", cause.explained_by.join(", ")),
        (false, _) if worse_or_better => format!("it is {} now", severity_in_a_word(cause.severity)),
        (false, _) => "the message changed".to_owned(),
    };
    Some(transition(TransitionKind::Confirmed, cause.clone(), look.now, reason))
}

fn severity_in_a_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "for information",
        Severity::Warning => "a warning",
        Severity::Critical => "critical",
    }
}

fn transition(kind: TransitionKind, cause: PresentCause, at: Timestamp, reason: String) -> Transition {
    let (case_id, code, since) = (cause.case_id.clone(), cause.code.clone(), cause.since);
    Transition { kind, case_id, code, at, since, reason, cause }
}
