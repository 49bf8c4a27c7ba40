//! Symptoms beneath the roots that explain them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::state::{Case, Fading, State};
use super::{Look, gone};
use crate::catalogue::Catalogue;
use crate::model::{PresentCause, Transition};

/// So long a case does not become a root after the root that explained it, or a link between the two, is over.
pub(super) const FADES_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Remembers which open cases lose now what explained them.
pub(super) fn fade(fading: &mut BTreeMap<String, Fading>, open: &BTreeMap<String, Case>, closed: &[Transition], now: Timestamp) {
    for over in closed {
        fading.remove(&over.code);
    }
    for (code, case) in open {
        let roots = &case.shown.explained_by;
        let loses = |over: &Transition| roots.contains(&over.code) || over.cause.explains.contains(code);
        if !roots.is_empty() && closed.iter().any(loses) {
            fading.insert(code.clone(), Fading { roots: roots.clone(), until: now.checked_add(FADES_FOR).unwrap_or(Timestamp::MAX) });
        }
    }
}

/// Fills in `root`, `explains` and `explained_by`.
pub(super) fn fold(look: &Look<'_>, catalogue: &Catalogue, state: &mut State, present: &mut [PresentCause]) {
    let places: BTreeMap<u32, usize> =
        present.iter().enumerate().filter_map(|(place, cause)| Some((catalogue.position(&cause.code)? as u32, place))).collect();
    let explained: Vec<Vec<usize>> = present
        .iter()
        .map(|cause| {
            let beneath = catalogue.position(&cause.code).map(|index| catalogue.explains(index, |index| places.contains_key(&index)));
            let beneath = beneath.iter().flatten().filter_map(|index| places.get(index).copied());
            let explains = |symptom: &usize| !look.is_saved() || !gone::before(catalogue, state, &cause.code, &present[*symptom].code);
            beneath.filter(explains).collect()
        })
        .collect();
    let mut explainers: Vec<Vec<usize>> = vec![Vec::new(); present.len()];
    for (place, explained) in explained.iter().enumerate() {
        for &symptom in explained {
            explainers[symptom].push(place);
        }
    }
    let fading = &mut state.fading;
    let mut tops: Vec<Top> = (0..present.len()).map(|place| top(look, &present[place].code, &explainers[place], fading)).collect();
    let codes: Vec<String> = present.iter().map(|cause| cause.code.clone()).collect();
    let left_over = left_over(&mut tops, &codes);
    for (place, cause) in present.iter_mut().enumerate() {
        cause.root = matches!(tops[place], Top::Root);
        let symptoms = explained[place].iter().chain(left_over.get(&place).into_iter().flatten());
        cause.explains = symptoms.map(|symptom| codes[*symptom].clone()).collect();
        cause.explained_by = match &tops[place] {
            Top::Root => Vec::new(),
            Top::Fading(roots) => roots.clone(),
            Top::Beneath => roots_of(&explainers[place], &tops, &codes),
        };
    }
}

/// Where a present cause stands.
enum Top {
    Root,
    /// It would be a root, but the one it was explained by, or what led from that to it, is only just over.
    Fading(Vec<String>),
    Beneath,
}

fn top(look: &Look<'_>, code: &str, explainers: &[usize], fading: &mut BTreeMap<String, Fading>) -> Top {
    match fading.get(code) {
        Some(fade) if fade.until > look.now => {
            look.wake_at(fade.until);
            if explainers.is_empty() { Top::Fading(fade.roots.clone()) } else { Top::Beneath }
        }
        other => {
            if other.is_some() {
                fading.remove(code);
            }
            if explainers.is_empty() { Top::Root } else { Top::Beneath }
        }
    }
}

/// Of the roots that explained what is fading those that are over or still roots; the others speak for themselves. What fades beneath a root
/// that is still one, by that root's place.
fn left_over(tops: &mut [Top], codes: &[String]) -> BTreeMap<usize, Vec<usize>> {
    let standing: Vec<bool> = tops.iter().map(|top| matches!(top, Top::Root)).collect();
    let mut beneath: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (symptom, top) in tops.iter_mut().enumerate() {
        let Top::Fading(roots) = top else { continue };
        roots.retain(|root| match codes.iter().position(|code| code == root) {
            Some(place) if standing[place] => {
                beneath.entry(place).or_default().push(symptom);
                true
            }
            Some(_) => false,
            None => true,
        });
        if roots.is_empty() {
            *top = Top::Root;
        }
    }
    beneath
}

fn roots_of(explainers: &[usize], tops: &[Top], codes: &[String]) -> Vec<String> {
    let roots: BTreeSet<String> = explainers.iter().filter(|one| matches!(tops[**one], Top::Root)).map(|one| codes[*one].clone()).collect();
    if !roots.is_empty() {
        return roots.into_iter().collect();
    }
    let gone: BTreeSet<String> = explainers
        .iter()
        .flat_map(|one| match &tops[*one] {
            Top::Fading(roots) => roots.clone(),
            Top::Root | Top::Beneath => Vec::new(),
        })
        .collect();
    gone.into_iter().collect()
}
