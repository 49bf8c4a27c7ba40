//! Which present causes are roots, which are symptoms of which, and in what order they are told.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::signs::{Judgement, Presence, dying_words};
use super::state::State;
use super::{FADING, Step};
use crate::facts::schema;

/// A present cause with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Folded {
    /// Index in the catalogue.
    pub(super) index: usize,
    /// Codes of present causes that it explains.
    pub(super) explains: Vec<String>,
    /// Codes of the roots that explain it; empty for a root.
    pub(super) explained_by: Vec<String>,
}

impl Step<'_> {
    /// Present causes (and those whose case stays open), roots first, in the order in which they are told.
    pub(super) fn fold(&mut self, judgements: &[Judgement], state: &mut State) -> Vec<Folded> {
        let causes = self.catalogue.causes();
        let stays = |index: usize| match &judgements[index].presence {
            Presence::Present { .. } => true,
            Presence::Pending | Presence::Unknown(_) => state.causes.get(&causes[index].code).is_some_and(|state| state.case.is_some()),
            Presence::Absent { .. } => false,
        };
        let present: Vec<usize> = (0..causes.len()).filter(|index| stays(*index)).collect();
        let explained = |symptom: usize| present.iter().any(|other| self.catalogue.reach(*other).contains(&symptom));
        let roots: Vec<usize> = present.iter().copied().filter(|index| !explained(*index)).collect();
        let codes = |indices: &mut dyn Iterator<Item = usize>| indices.map(|index| causes[index].code.clone()).collect::<Vec<_>>();
        let mut folded: Vec<Folded> = present
            .iter()
            .map(|&index| Folded {
                index,
                explains: codes(&mut present.iter().copied().filter(|other| self.catalogue.reach(index).contains(other))),
                explained_by: codes(&mut roots.iter().copied().filter(|root| self.catalogue.reach(*root).contains(&index))),
            })
            .collect();
        self.explain_by_faded(&mut folded, state);
        self.order(&mut folded, judgements, state);
        folded
    }

    /// What no present cause explains may be left over from one that has just ended.
    fn explain_by_faded(&mut self, folded: &mut [Folded], state: &mut State) {
        let now = self.view.now;
        let over = |closed_at: Timestamp| closed_at.checked_add(FADING).map_or(true, |until| until <= now);
        state.faded.retain(|_, closed_at| !over(*closed_at));
        let mut wake = None;
        for symptom in folded.iter_mut().filter(|folded| folded.explained_by.is_empty()) {
            for (code, closed_at) in &state.faded {
                if self.catalogue.index(code).is_some_and(|root| self.catalogue.reach(root).contains(&symptom.index)) {
                    symptom.explained_by.push(code.clone());
                    wake = wake.into_iter().chain(closed_at.checked_add(FADING)).min();
                }
            }
        }
        // What a fading symptom explains is explained by the same root.
        let fading: Vec<_> = folded
            .iter()
            .filter(|folded| !folded.explained_by.is_empty())
            .map(|folded| (folded.index, folded.explained_by.clone()))
            .collect();
        let roots: Vec<String> = folded
            .iter()
            .filter(|folded| folded.explained_by.is_empty())
            .map(|folded| self.catalogue.causes()[folded.index].code.clone())
            .collect();
        for symptom in folded.iter_mut() {
            let mut explained_by = Vec::new();
            for code in &symptom.explained_by {
                match self.catalogue.index(code).and_then(|index| fading.iter().find(|(fading, _)| *fading == index)) {
                    Some((_, roots)) if !roots.is_empty() => explained_by.extend(roots.iter().cloned()),
                    _ => explained_by.push(code.clone()),
                }
            }
            explained_by.sort();
            explained_by.dedup();
            // A root that is present says more than one that is over.
            if explained_by.iter().any(|code| roots.contains(code)) {
                explained_by.retain(|code| roots.contains(code));
            }
            symptom.explained_by = explained_by;
        }
        if let Some(at) = wake {
            self.wake(at);
        }
    }

    fn order(&self, folded: &mut [Folded], judgements: &[Judgement], state: &State) {
        let exited_at = self.facts.known(schema::KUBELET_UNIT_EXITED_AT);
        let running = self.facts.known(schema::KUBELET_UNIT_RUNNING) == Some(true);
        let key = |folded: &Folded| {
            let cause = &self.catalogue.causes()[folded.index];
            let of_cause = state.causes.get(&cause.code);
            let last_words = !running && exited_at.is_some_and(|at| of_cause.is_some_and(|state| dying_words(cause, state, at)));
            let open_since = of_cause.and_then(|state| state.case.as_ref()).map(|case| case.told.since);
            let since = open_since.or(match &judgements[folded.index].presence {
                Presence::Present { since, .. } => Some(*since),
                _ => None,
            });
            (!folded.explained_by.is_empty(), !last_words, Reverse(cause.severity), cause.layer, since, cause.code.clone())
        };
        folded.sort_by_cached_key(key);
    }
}
