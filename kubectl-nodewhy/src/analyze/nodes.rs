//! The nodes in what was gathered: a directory's hosts, each with the facts that are its own.

use std::collections::BTreeMap;

use nodewhy_diagnosis::Catalogue;
use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::node::SavedFile;

use super::gather::Node;
use super::judge::Judge;

/// A node, and what there is of it.
pub(super) struct Found<'a> {
    /// Its directory in the bundle; empty for files that were named themselves.
    pub(super) directory: String,
    pub(super) judge: Judge<'a>,
    pub(super) files: Vec<SavedFile>,
}

/// Those that have a log. Facts that lie in a directory without one belong to the node above or beneath it, or to the only one. What cannot
/// be said of a host for certain goes to the problems.
pub(super) fn found<'a>(catalogue: &'a Catalogue, mut all: BTreeMap<String, Node<'a>>, problems: &mut Vec<Unknown>) -> Vec<Found<'a>> {
    let silent: Vec<String> = all.iter().filter(|(_, node)| node.hosts.is_empty()).map(|(key, _)| key.clone()).collect();
    let mut lone: Vec<_> = silent.into_iter().filter_map(|key| all.remove_entry(&key)).filter(|(_, node)| !node.files.is_empty()).collect();
    if all.is_empty() && lone.len() == 1 {
        let lone = lone.into_iter().map(|(directory, node)| Found { directory, judge: Judge::new(catalogue), files: node.files });
        return lone.collect();
    }
    let only = all.len() == 1;
    for (key, node) in &mut lone {
        let related = |other: &str| only || other.starts_with(key.as_str()) || key.starts_with(other);
        let mut owners = all.iter_mut().filter(|(other, _)| related(other));
        if let (Some((_, owner)), None) = (owners.next(), owners.next()) {
            owner.files.append(&mut node.files);
        }
    }
    all.into_iter().flat_map(|(directory, node)| of_directory(directory, node, problems)).collect()
}

/// The node that is wanted, of several.
pub(super) fn only<'a>(wanted: &str, nodes: Vec<Found<'a>>) -> anyhow::Result<Vec<Found<'a>>> {
    let name = |found: &Found<'_>| match found.judge.node() {
        "" => found.directory.rsplit('/').next().unwrap_or_default().to_owned(),
        node => node.to_owned(),
    };
    let names: Vec<String> = nodes.iter().map(name).collect();
    let matching: Vec<_> = nodes.into_iter().zip(&names).filter(|(_, name)| *name == wanted).map(|(found, _)| found).collect();
    match matching.len() {
        1 => Ok(matching),
        0 => anyhow::bail!("--node {wanted}: the input is of the nodes {}; leave --node out to have all of them", names.join(", ")),
        several => {
            anyhow::bail!("--node {wanted}: {several} directories of the input have a node of this name; name one of the directories")
        }
    }
}

fn of_directory<'a>(directory: String, node: Node<'a>, problems: &mut Vec<Unknown>) -> Vec<Found<'a>> {
    let place = || if directory.is_empty() { "input".to_owned() } else { directory.clone() };
    let (assumed, turned_away, mut files) = (node.hosts.assumed, node.hosts.turned_away, node.files);
    let judges = node.hosts.judges();
    let names = judges
        .iter()
        .map(|judge| if judge.node().is_empty() { "a host that is not named" } else { judge.node() })
        .collect::<Vec<_>>()
        .join(", ");
    if turned_away > 0 {
        problems.push(Unknown {
            what: place(),
            why: format!("{turned_away} records are of one more host than can be told and were not judged"),
        });
    }
    if judges.len() > 1 && assumed > 0 {
        let why = format!("{assumed} lines name no host and were taken as those of the first that is named; there are several: {names}");
        problems.push(Unknown { what: place(), why });
    }
    let owner = owner(&directory, &judges);
    if owner.is_none() && !files.is_empty() {
        let why = format!(
            "the logs here are of several hosts ({names}), and nothing says whose the {} files of facts are: they were not used",
            files.len()
        );
        problems.push(Unknown { what: place(), why });
    }
    let found = judges.into_iter().enumerate().map(|(index, judge)| {
        let files = if owner == Some(index) { std::mem::take(&mut files) } else { Vec::new() };
        Found { directory: directory.clone(), judge, files }
    });
    found.collect()
}

/// Whose the facts of a directory are: those of the only host, or of the one that the directory is named after.
fn owner(directory: &str, judges: &[Judge<'_>]) -> Option<usize> {
    if judges.len() == 1 {
        return Some(0);
    }
    let last = directory.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let short = |judge: &Judge<'_>| judge.node().split('.').next().unwrap_or_default().to_ascii_lowercase();
    // `worker-1` is in `sosreport-worker-1-2026-11-23` and in `worker-11`, which is another's.
    let named = |name: &str| {
        let ends = |rest: &str, at: Option<char>| rest.is_empty() || at.is_some_and(|c| !c.is_ascii_alphanumeric());
        !name.is_empty()
            && last.match_indices(name).any(|(at, _)| {
                let (before, after) = (&last[..at], &last[at + name.len()..]);
                ends(before, before.chars().next_back()) && ends(after, after.chars().next())
            })
    };
    let mut owners = judges.iter().enumerate().filter(|(_, judge)| named(&short(judge)));
    match (owners.next(), owners.next()) {
        (Some((owner, _)), None) => Some(owner),
        _ => None,
    }
}
