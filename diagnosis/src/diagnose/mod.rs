//! The judgement: from what was seen, and what was known before, to the causes present now.

mod clock;
mod fold;
mod gone;
mod hear;
mod judge;
mod order;
mod scant;
mod show;
mod state;
mod transitions;
mod unknown;
mod verdict;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::catalogue::{Catalogue, Cause, FoundBy, Scope, Sighting, Wake};
use crate::facts::{Facts, Missing, MissingKind, Seen, derive, schema};
use crate::model::{Diagnosis, PresentCause, Severity, Transition};

use judge::Standing;
pub use show::in_words;
use state::Case;
pub use state::State;
pub(crate) use unknown::NO_KUBELET;

/// What is seen at one moment. Time is a field of the input.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The node's name.
    pub node: &'a str,
    /// The latest facts, with derived ones not yet added.
    pub facts: &'a Facts,
    /// Sightings since the prior state, in the order of the log.
    pub sightings: &'a [Sighting],
    /// How the node is looked at.
    pub mode: Mode,
}

/// How the node is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Again and again, by the agent.
    Live,
    /// Once, now (`check`): a fact sign with `for` counts at once, since there will be no later look.
    Once,
    /// Through saved logs: log signs decide, nothing ends, missing facts are nobody's fault.
    Saved,
}

/// The result of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What is so now.
    pub diagnosis: Diagnosis,
    /// So many causes that would be critical could not be looked for.
    pub critical_unknown: usize,
    /// What changed; empty if nothing did.
    pub transitions: Vec<Transition>,
    /// To be handed in next time.
    pub state: State,
    /// When the result may change without any new input (a `for` elapses, a log has been quiet long enough).
    pub wake_at: Option<Timestamp>,
}

/// Why a case closes whose cause or sign is in the catalogue no longer.
const REMOVED: &str = "rule removed from the catalogue";

/// Judges. Pure: the same catalogue, view and prior state give the same outcome.
pub fn diagnose(catalogue: &Catalogue, view: &View<'_>, prior: &State) -> Outcome {
    let now = state::micros(view.now);
    let derived = derive(view.facts, now);
    let look = Look::new(view, Seen::new(view.facts, &derived, now));
    let mut state = prior.clone();
    state.hear(catalogue, view.sightings.iter().filter(|sighting| judge::concerns(&look, catalogue, sighting)));
    if view.mode != Mode::Saved {
        state.end_at(now);
    }
    let mut found = judge_all(&look, catalogue, &mut state);
    if view.mode == Mode::Saved {
        scant::add(&look, catalogue, &mut state, &mut found);
    }

    let mut transitions: Vec<Transition> = Vec::new();
    close(&mut state, catalogue, &mut found.absent, now, &mut transitions);
    fold::fade(&mut state.fading, &state.cases, &transitions, now);
    fold::fold(&look, catalogue, &mut state, &mut found.present);
    order::order(&mut found.present, catalogue, &state, &look.seen);
    tell(&look, &mut state, &found, &mut transitions);

    let verdict = verdict::verdict(&found.present, found.critical_unknown > 0);
    let mut unknown = unknown::unknown(found.missing);
    unknown.splice(0..0, unknown::no_kubelet(view.facts));
    unknown.extend(unknown::unread(view.facts));
    let diagnosis = Diagnosis { node: view.node.to_owned(), at: now, verdict, causes: found.present, unknown };
    Outcome { diagnosis, critical_unknown: found.critical_unknown, transitions, state, wake_at: look.wake.earliest() }
}

/// What the rules look at in one step.
struct Look<'a> {
    view: &'a View<'a>,
    now: Timestamp,
    seen: Seen<'a>,
    /// Why log signs cannot be seen, if they cannot.
    deaf: Option<(&'static str, Missing)>,
    logs_read_up_to: Option<Timestamp>,
    wake: Wake,
}

impl<'a> Look<'a> {
    fn new(view: &'a View<'a>, seen: Seen<'a>) -> Self {
        Self {
            view,
            now: seen.now,
            deaf: judge::deafness(view.mode, &Scope::facts(&seen)),
            // From before the clock was set back it says nothing.
            logs_read_up_to: view.facts.known(schema::LOGS_READ_UP_TO).filter(|read| *read <= clock::latest(seen.now)),
            wake: Wake::default(),
            seen,
        }
    }

    fn is_saved(&self) -> bool {
        self.view.mode == Mode::Saved
    }

    /// Asks to be called again at a moment to come.
    fn wake_at(&self, moment: Timestamp) {
        if moment > self.now {
            self.wake.at(moment);
        }
    }
}

/// What is so of all causes.
#[derive(Default)]
struct Found {
    present: Vec<PresentCause>,
    /// Why cases open, by code.
    opening: BTreeMap<String, String>,
    /// Why open cases close, by code.
    absent: BTreeMap<String, String>,
    missing: BTreeMap<&'static str, Missing>,
    critical_unknown: usize,
}

fn judge_all(look: &Look<'_>, catalogue: &Catalogue, state: &mut State) -> Found {
    let mut found = Found::default();
    state.watched.retain(|code, _| catalogue.position(code).is_some());
    for cause in catalogue.causes().iter().filter(|cause| cause.found_by == FoundBy::Agent) {
        let mut watched = state.watched.remove(&cause.code).unwrap_or_default();
        let open = state.cases.get(&cause.code);
        let standing = judge::judge(look, cause, &mut watched, open.is_some());
        match standing {
            Standing::Present { since, reason, holding } => {
                let identity = match open {
                    // Saved logs may come newest first.
                    Some(case) => PresentCause { since: case.shown.since.min(since), ..case.shown.clone() },
                    None => {
                        found.opening.insert(cause.code.clone(), reason);
                        new_case(look, &mut state.given, cause, since)
                    }
                };
                found.present.push(show::show(look, cause, &watched, &holding, identity));
            }
            Standing::Absent { reason } => {
                if open.is_some() {
                    found.absent.insert(cause.code.clone(), reason);
                }
            }
            Standing::Pending => found.present.extend(open.map(|case| case.shown.clone())),
            Standing::Unknown(missing) => {
                found.present.extend(open.map(|case| case.shown.clone()));
                let critical = cause.severity == Severity::Critical;
                found.critical_unknown += usize::from(critical);
                // That a trend has not been watched for long enough yet is no failure to look, and nothing hangs on it.
                found.missing.extend(missing.into_iter().filter(|(_, why)| critical || why.kind != MissingKind::NotYet));
            }
        }
        if !watched.is_empty() {
            state.watched.insert(cause.code.clone(), watched);
        }
    }
    found
}

fn new_case(look: &Look<'_>, given: &mut BTreeMap<String, state::Given>, cause: &Cause, since: Timestamp) -> PresentCause {
    PresentCause {
        case_id: transitions::case_id(given, look.view.node, &cause.code, since),
        code: cause.code.clone(),
        title: cause.title.clone(),
        severity: cause.severity,
        layer: cause.layer,
        root: false,
        latent: cause.latent,
        since,
        message: String::new(),
        evidence: Vec::new(),
        explains: Vec::new(),
        explained_by: Vec::new(),
        remedy: Vec::new(),
    }
}

/// Closes the cases of causes that are absent, or gone from the catalogue.
fn close(
    state: &mut State,
    catalogue: &Catalogue,
    absent: &mut BTreeMap<String, String>,
    now: Timestamp,
    transitions: &mut Vec<Transition>,
) {
    for code in state.cases.keys().filter(|code| catalogue.cause(code).is_none_or(|cause| cause.found_by != FoundBy::Agent)) {
        absent.insert(code.clone(), REMOVED.to_owned());
    }
    for (code, reason) in &*absent {
        transitions.extend(state.cases.remove(code).map(|case| transitions::closed(case, now, reason.clone())));
    }
}

/// Opens cases and brings the open ones up to date, in the order in which causes are told.
fn tell(look: &Look<'_>, state: &mut State, found: &Found, transitions: &mut Vec<Transition>) {
    for cause in &found.present {
        if let Some(reason) = found.opening.get(&cause.code) {
            transitions.push(transitions::opened(cause, look.now, reason.clone()));
            state.cases.insert(cause.code.clone(), Case { shown: cause.clone(), told: None, told_at: look.now, told_again: 0 });
        }
    }
    for cause in found.present.iter().filter(|cause| !found.opening.contains_key(&cause.code)) {
        let case = state.cases.get_mut(&cause.code);
        transitions.extend(case.and_then(|case| transitions::confirmed(look, case, cause)));
    }
}

#[cfg(test)]
mod tests;
