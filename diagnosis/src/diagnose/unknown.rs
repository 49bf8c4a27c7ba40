//! What could not be looked at, told once per reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Missing;
use crate::model::Unknown;

/// Groups missing facts by their reason; several of one reason are told by what their paths have in common.
pub(super) fn grouped(missing: Vec<(&'static str, Missing)>) -> Vec<Unknown> {
    let mut by_reason: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for (path, why) in missing {
        let words = why.hint.map_or(why.why.clone(), |hint| format!("{}; {hint}", why.why));
        by_reason.entry(words).or_default().insert(path);
    }
    let mut unknown: Vec<_> = by_reason.into_iter().map(|(why, paths)| Unknown { what: what(&paths), why }).collect();
    unknown.sort();
    unknown
}

fn what(paths: &BTreeSet<&'static str>) -> String {
    let heads: BTreeSet<&str> = paths.iter().map(|path| path.rsplit_once('.').map_or(*path, |(head, _)| head)).collect();
    if paths.len() == 1 { paths.iter().copied().collect() } else { heads.into_iter().collect::<Vec<_>>().join(", ") }
}
