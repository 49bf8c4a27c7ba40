//! What was seen too seldom to be certain. On a node that lives more will come, or it was a passing trouble. A saved log is often a few lines
//! that somebody thought telling: where it holds nothing else that is wrong, they are told, with the doubt in words, and never as critical.

use jiff::Timestamp;

use super::judge::{self, Holding};
use super::state::State;
use super::{Found, Look, new_case, show};
use crate::catalogue::{Catalogue, Cause, FoundBy, LogSign, Sign};
use crate::model::{PresentCause, Severity};

/// Adds what was seen too seldom and may be behind all that is found.
pub(super) fn add(look: &Look<'_>, catalogue: &Catalogue, state: &mut State, found: &mut Found) {
    let wrong = found.present.iter().filter(|cause| is_wrong_now(cause));
    let certain: Vec<u32> = wrong.filter_map(|cause| u32::try_from(catalogue.position(&cause.code)?).ok()).collect();
    let mut all = Vec::new();
    for (position, cause) in catalogue.causes().iter().enumerate() {
        let is_present = found.present.iter().any(|present| present.code == cause.code);
        let leads_to = catalogue.explains(position, |_| true);
        let explained = catalogue.explains(position, |symptom| certain.contains(&symptom));
        // One that leads to nothing but what is certain anyway would say less than that.
        let explains_all = certain.is_empty() || leads_to.len() > certain.len() && explained.len() == certain.len();
        if cause.found_by == FoundBy::Agent && !is_present && explains_all {
            all.extend(perhaps(look, cause, state));
        }
    }
    for (cause, reason) in all {
        found.opening.insert(cause.code.clone(), reason);
        found.present.push(cause);
    }
}

fn is_wrong_now(cause: &PresentCause) -> bool {
    cause.severity > Severity::Info && !cause.latent
}

/// The cause in words of doubt, and the sign that speaks for it.
fn perhaps(look: &Look<'_>, cause: &Cause, state: &mut State) -> Option<(PresentCause, String)> {
    let watched = state.watched.get(&cause.code)?;
    let logs = judge::scant_log_signs(look, cause, watched);
    let heard = watched.heard(&logs);
    let newest = *heard.first()?;
    let sign = logs.iter().find_map(|index| match cause.signs.get(usize::from(*index)) {
        Some(Sign::Log(sign)) if watched.logs.get(index) == Some(newest) => Some(sign),
        _ => None,
    })?;
    let since = heard.iter().map(|heard| heard.first_at).min()?;
    let holding = Holding { logs, facts: Vec::new() };
    let identity = new_case(look, &mut state.given, cause, since);
    let shown = show::show(look, cause, watched, &holding, identity);
    let (severity, doubt) = doubt(look, sign, newest.count, newest.last_at);
    let told = PresentCause {
        title: format!("Perhaps: {}", shown.title),
        severity: shown.severity.min(severity),
        message: format!("{} ({doubt})", shown.message),
        ..shown
    };
    Some((told, format!("log: {}", sign.pattern)))
}

/// How bad it is at most, and why it is not certain.
fn doubt(look: &Look<'_>, sign: &LogSign, count: u64, last_at: Timestamp) -> (Severity, String) {
    let seen = if count == 1 { "seen once".to_owned() } else { format!("seen {count} times") };
    let is_over = sign.quiet_for.is_some_and(|quiet| last_at.checked_add(quiet).is_ok_and(|quiet| look.now >= quiet));
    if is_over {
        let silent = jiff::SignedDuration::from_secs(look.now.duration_since(last_at).as_secs());
        return (Severity::Info, format!("{seen}, and not in the last {silent:#} of this log: it may have passed"));
    }
    let within = sign.within.map(|within| format!(" within {within:#}")).unwrap_or_default();
    (Severity::Warning, format!("{seen} in this log; {} times{within} would be certain", sign.count))
}
