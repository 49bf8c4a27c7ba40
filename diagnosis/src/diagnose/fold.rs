//! Symptoms beneath the roots that explain them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Look;
use super::state::{Case, Fading};
use crate::catalogue::Catalogue;
use crate::model::PresentCause;

/// So long a case does not become a root after the root that explained it is over.
pub(super) const FADES_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Remembers which open cases lose a root now.
pub(super) fn fade(fading: &mut BTreeMap<String, Fading>, open: &BTreeMap<String, Case>, closed: &[String], now: Timestamp) {
    for code in closed {
        fading.remove(code);
    }
    for (code, case) in open {
        let gone: Vec<String> = case.shown.explained_by.iter().filter(|root| closed.contains(root)).cloned().collect();
        if !gone.is_empty() {
            fading.insert(code.clone(), Fading { roots: gone, until: now.checked_add(FADES_FOR).unwrap_or(Timestamp::MAX) });
        }
    }
}

/// Fills in `root`, `explains` and `explained_by`.
pub(super) fn fold(look: &Look<'_>, catalogue: &Catalogue, fading: &mut BTreeMap<String, Fading>, present: &mut [PresentCause]) {
    let places: BTreeMap<u32, usize> =
        present.iter().enumerate().filter_map(|(place, cause)| Some((catalogue.position(&cause.code)? as u32, place))).collect();
    let explained: Vec<Vec<usize>> = present
        .iter()
        .map(|cause| {
            let reached = catalogue.position(&cause.code).map_or(&[][..], |index| catalogue.reach(index));
            reached.iter().filter_map(|index| places.get(index).copied()).collect()
        })
        .collect();
    let mut explainers: Vec<Vec<usize>> = vec![Vec::new(); present.len()];
    for (place, explained) in explained.iter().enumerate() {
        for &symptom in explained {
            explainers[symptom].push(place);
        }
    }
    let tops: Vec<Top> = (0..present.len()).map(|place| top(look, &present[place].code, &explainers[place], fading)).collect();
    let codes: Vec<String> = present.iter().map(|cause| cause.code.clone()).collect();
    for (place, cause) in present.iter_mut().enumerate() {
        cause.root = matches!(tops[place], Top::Root);
        cause.explains = explained[place].iter().map(|symptom| codes[*symptom].clone()).collect();
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
    /// It would be a root, but the one it was explained by is only just over.
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
