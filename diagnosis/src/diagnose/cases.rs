//! Opening, confirming and closing cases.

use jiff::SignedDuration;

use super::Step;
use super::fold::Folded;
use super::signs::{Judgement, Presence};
use super::state::{Case, State};
use crate::model::{PresentCause, Transition, TransitionKind};

/// A changed message alone is told at most so often.
const MESSAGE_PAUSE: SignedDuration = SignedDuration::from_secs(30);

impl Step<'_> {
    /// Closes cases of causes that the catalogue does not have any more.
    pub(super) fn close_removed(&self, state: &mut State) -> Vec<Transition> {
        let removed: Vec<String> = state.causes.keys().filter(|code| self.catalogue.index(code).is_none()).cloned().collect();
        let gone = removed.iter().filter_map(|code| state.causes.remove(code));
        gone.filter_map(|state| state.case)
            .map(|case| self.transition(TransitionKind::Closed, "rule removed from the catalogue".to_owned(), case.told))
            .collect()
    }

    /// Closes cases whose cause is absent.
    pub(super) fn close(&self, judgements: &[Judgement], state: &mut State, transitions: &mut Vec<Transition>) {
        for (cause, judgement) in self.catalogue.causes().iter().zip(judgements) {
            let Presence::Absent { reason } = &judgement.presence else { continue };
            let Some(case) = state.causes.get_mut(&cause.code).and_then(|state| state.case.take()) else { continue };
            if !cause.explains.is_empty() {
                state.faded.insert(cause.code.clone(), self.view.now);
            }
            transitions.push(self.transition(TransitionKind::Closed, reason.clone(), case.told));
        }
        state.tidy();
    }

    /// Opens cases of what is present, tells what changed about those that are open, and gives all of them as they stand.
    pub(super) fn keep_open(
        &mut self,
        judgements: &[Judgement],
        folded: &[Folded],
        state: &mut State,
    ) -> (Vec<PresentCause>, Vec<Transition>) {
        let (mut causes, mut transitions) = (Vec::new(), Vec::new());
        for folded in folded {
            let code = &self.catalogue.causes()[folded.index].code;
            let of_cause = state.causes.entry(code.clone()).or_default();
            let mut cause = self.tell(folded, of_cause);
            match &mut of_cause.case {
                Some(case) => {
                    cause.case_id.clone_from(&case.told.case_id);
                    cause.since = case.told.since;
                    // Pending and unknown say nothing new: the proof that there was stays.
                    if !matches!(judgements[folded.index].presence, Presence::Present { .. }) {
                        cause.evidence.clone_from(&case.told.evidence);
                        cause.message.clone_from(&case.told.message);
                    }
                    if let Some(reason) = self.change(case, &cause) {
                        *case = Case { told: cause.clone(), told_at: self.view.now };
                        transitions.push(self.transition(TransitionKind::Confirmed, reason, cause.clone()));
                    }
                }
                None => {
                    let Presence::Present { since, reason } = &judgements[folded.index].presence else { continue };
                    cause.since = *since;
                    cause.case_id = of_cause.new_id(self.view.node, code, *since);
                    of_cause.case = Some(Case { told: cause.clone(), told_at: self.view.now });
                    state.faded.remove(code);
                    transitions.push(self.transition(TransitionKind::Opened, reason.clone(), cause.clone()));
                }
            }
            causes.push(cause);
        }
        (causes, transitions)
    }

    /// What is worth telling about an open case, in words.
    fn change(&mut self, case: &Case, cause: &PresentCause) -> Option<String> {
        let told = &case.told;
        if told.root != cause.root || told.explained_by != cause.explained_by {
            return Some(if cause.root {
                "nothing explains it any more: a root".to_owned()
            } else {
                format!("explained by {}", cause.explained_by.join(", "))
            });
        }
        if told.message == cause.message {
            return None;
        }
        let due = case.told_at.checked_add(MESSAGE_PAUSE).unwrap_or(case.told_at);
        if due <= self.view.now {
            return Some(cause.message.clone());
        }
        self.wake(due);
        None
    }

    fn transition(&self, kind: TransitionKind, reason: String, cause: PresentCause) -> Transition {
        Transition { kind, case_id: cause.case_id.clone(), code: cause.code.clone(), at: self.view.now, since: cause.since, reason, cause }
    }
}
