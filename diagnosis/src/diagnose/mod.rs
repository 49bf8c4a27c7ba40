//! The judgement: from what was seen, and what was known before, to the causes present now. The rules are in ARCHITECTURE.md.

mod cases;
mod fold;
mod signs;
mod state;
mod tell;
mod unknown;

use jiff::{SignedDuration, Timestamp};

use crate::catalogue::{Catalogue, Scope, Sighting, Truth};
use crate::facts::{self, Facts};
use crate::model::{Diagnosis, Severity, Transition, Verdict};

pub use state::State;

use signs::{Judgement, Presence};

/// A root that has ended explains its symptoms for so long, so that its end does not page for what is still dying down.
pub const FADING: SignedDuration = SignedDuration::from_secs(30);

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
    /// What changed; empty if nothing did.
    pub transitions: Vec<Transition>,
    /// To be handed in next time.
    pub state: State,
    /// When the result may change without any new input (a `for` elapses, a log has been quiet long enough).
    pub wake_at: Option<Timestamp>,
}

/// One step, put together.
struct Step<'a> {
    catalogue: &'a Catalogue,
    view: &'a View<'a>,
    /// With derived ones.
    facts: Facts,
    wake_at: Option<Timestamp>,
}

/// Judges. Pure: the same catalogue, view and prior state give the same outcome.
pub fn diagnose(catalogue: &Catalogue, view: &View<'_>, prior: &State) -> Outcome {
    let mut state = prior.clone();
    let mut step = Step { catalogue, view, facts: facts::with_derived(view.facts, view.now), wake_at: None };
    state.see(catalogue, view.sightings);
    let judgements = step.judge_all(&mut state);
    let mut transitions = step.close_removed(&mut state);
    step.close(&judgements, &mut state, &mut transitions);
    let folded = step.fold(&judgements, &mut state);
    let (causes, changed) = step.keep_open(&judgements, &folded, &mut state);
    transitions.extend(changed);
    let (verdict, unknown) = step.verdict(&judgements, &causes);
    let diagnosis = Diagnosis { node: view.node.to_owned(), at: view.now, verdict, causes, unknown };
    Outcome { diagnosis, transitions, state, wake_at: step.wake_at }
}

impl Step<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope::of(&self.facts)
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |other| other.min(at)));
    }

    fn verdict(&self, judgements: &[Judgement], causes: &[crate::model::PresentCause]) -> (Verdict, Vec<crate::model::Unknown>) {
        let worst = causes.iter().map(|cause| cause.severity).max();
        let mut critical_unknown = false;
        let mut missing = Vec::new();
        for (cause, judgement) in self.catalogue.causes().iter().zip(judgements) {
            if let Presence::Unknown(of) = &judgement.presence {
                critical_unknown |= cause.severity == Severity::Critical;
                missing.extend(of.iter().cloned());
            }
        }
        let verdict = match worst {
            Some(Severity::Critical) => Verdict::NotReady,
            _ if critical_unknown => Verdict::Unknown,
            Some(Severity::Warning) => Verdict::Degraded,
            Some(Severity::Info) | None => Verdict::Healthy,
        };
        (verdict, unknown::grouped(missing))
    }
}

/// A truth and, where it is unknown, why.
fn missing_of(truth: Truth) -> Vec<(&'static str, crate::facts::Missing)> {
    match truth {
        Truth::Unknown(missing) => missing,
        Truth::True | Truth::False => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
