//! What can be told of the files only together: codes used twice, codes that are nowhere, circles.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Severity;

use super::{Cause, LoadError, LoadProblem, Single, at};

/// The causes that are good together, with their files. Files are taken in the order given: of two with one code the first stays, of a
/// circle the file that closes it goes.
pub(super) fn check(singles: Vec<Single>, refused_codes: &BTreeSet<String>, errors: &mut Vec<LoadError>) -> Vec<(String, Cause)> {
    let singles = drop_duplicates(singles, errors);
    let mut named: BTreeSet<String> = refused_codes.clone();
    named.extend(singles.iter().map(|single| single.cause.code.clone()));
    let mut good: Vec<(String, Cause)> = Vec::new();
    let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for single in singles {
        match problem(&single, &named, &edges) {
            Some((index, problem)) => errors.push(at(&single.file, single.explains_at[index], problem)),
            None => {
                edges.insert(single.cause.code.clone(), single.cause.explains.clone());
                good.push((single.file, single.cause));
            }
        }
    }
    good
}

fn drop_duplicates(singles: Vec<Single>, errors: &mut Vec<LoadError>) -> Vec<Single> {
    let mut by_code: BTreeMap<String, String> = BTreeMap::new();
    let mut kept = Vec::with_capacity(singles.len());
    for single in singles {
        let code = single.cause.code.clone();
        match by_code.get(&code) {
            Some(other) => errors.push(at(&single.file, single.code_at, LoadProblem::Duplicate { code, other: other.clone() })),
            None => {
                by_code.insert(code, single.file.clone());
                kept.push(single);
            }
        }
    }
    kept
}

fn problem(single: &Single, named: &BTreeSet<String>, edges: &BTreeMap<String, Vec<String>>) -> Option<(usize, LoadProblem)> {
    single.cause.explains.iter().enumerate().find_map(|(index, code)| {
        if !named.contains(code) {
            return Some((index, LoadProblem::UnknownCode(code.clone())));
        }
        let way = way(code, &single.cause.code, edges, &mut BTreeSet::new())?;
        let mut circle = vec![single.cause.code.clone()];
        circle.extend(way);
        Some((index, LoadProblem::Circle(circle.join(" -> "))))
    })
}

/// The codes from `from` to `to`, both included, along `explains`.
fn way<'a>(from: &'a str, to: &str, edges: &'a BTreeMap<String, Vec<String>>, been: &mut BTreeSet<&'a str>) -> Option<Vec<String>> {
    if from == to {
        return Some(vec![from.to_owned()]);
    }
    if !been.insert(from) {
        return None;
    }
    edges.get(from)?.iter().find_map(|next| {
        let rest = way(next, to, edges, been)?;
        Some(std::iter::once(from.to_owned()).chain(rest).collect())
    })
}

/// For each cause, the places of those it leads to directly: those it names, and what is of last resort if it is, or may be, critical. The causes are in
/// the order of their codes.
pub(super) fn edges(causes: &[Cause]) -> Vec<Vec<u32>> {
    let place = |code: &String| causes.binary_search_by(|cause| cause.code.as_str().cmp(code)).ok().map(|place| place as u32);
    let last: Vec<u32> = (0..).zip(causes).filter(|(_, cause)| cause.last_resort).map(|(place, _)| place).collect();
    let implied = |cause: &Cause| {
        if (cause.severity == Severity::Critical || cause.critical_when.is_some()) && !cause.last_resort {
            last.clone()
        } else {
            Vec::new()
        }
    };
    causes.iter().map(|cause| cause.explains.iter().filter_map(place).chain(implied(cause)).collect()).collect()
}
