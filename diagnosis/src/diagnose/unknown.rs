//! What could not be looked at, in few lines: facts missing for one reason are told together.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, Missing, schema};
use crate::model::Unknown;

/// More lines than anyone reads.
const MAX_LINES: usize = 64;

/// How [`no_kubelet`] begins.
pub(crate) const NO_KUBELET: &str = "no kubelet was found on this host";

/// One line a reason.
pub(super) fn unknown(missing: BTreeMap<&'static str, Missing>) -> Vec<Unknown> {
    let mut by_reason: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for (path, missing) in missing {
        by_reason.entry(words(&missing)).or_default().insert(path);
    }
    let mut lines: Vec<Unknown> = by_reason.into_iter().flat_map(|(why, paths)| lines(&why, &paths)).collect();
    lines.sort();
    lines.truncate(MAX_LINES);
    lines
}

/// That this host has no kubelet, and where one was looked for: what concerns one does not apply here, and if there is one all the same,
/// nobody has looked at it.
pub(super) fn no_kubelet(facts: &Facts) -> Option<Unknown> {
    if facts.known(schema::NODE_IS_KUBERNETES) != Some(false) {
        return None;
    }
    let places = facts.known(schema::NODE_LOOKED_IN).unwrap_or_default();
    let why = format!("{NO_KUBELET}; looked for {}", places.join(", "));
    Some(Unknown { what: "kubelet".to_owned(), why })
}

/// That entries of the journal were not read, which may have said what nobody knows now. Nothing depends on them alone for sure, so they
/// make no verdict.
pub(super) fn unread(facts: &Facts) -> Option<Unknown> {
    let why = facts.known(schema::LOGS_JOURNAL_GAP).filter(|why| !why.is_empty())?;
    Some(Unknown { what: "logs.journal".to_owned(), why })
}

fn words(missing: &Missing) -> String {
    match &missing.hint {
        Some(hint) => format!("{}; {hint}", missing.why),
        None => missing.why.clone(),
    }
}

/// Paths that begin alike in one line: `kubelet.unit` for all beneath it.
fn lines(why: &str, paths: &BTreeSet<&'static str>) -> Vec<Unknown> {
    let mut by_head: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths {
        by_head.entry(path.split('.').next().unwrap_or(path)).or_default().push(path);
    }
    by_head.into_values().map(|paths| Unknown { what: common(&paths), why: why.to_owned() }).collect()
}

fn common(paths: &[&str]) -> String {
    let Some((first, others)) = paths.split_first() else { return String::new() };
    let mut shared: Vec<&str> = first.split('.').collect();
    for path in others {
        let same = shared.iter().zip(path.split('.')).take_while(|(one, other)| **one == *other).count();
        shared.truncate(same);
    }
    shared.join(".")
}
