//! What affected nodes have in common and the others have not.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::family;
use crate::fleet::{Fleet, Mark, Node};
use crate::message::Kind;

/// A change counts as the reason of what opened within this time after it ...
const CHANGED_BEFORE: SignedDuration = SignedDuration::from_mins(10);
/// ... and a little before it: a cause may be known before the change is heard of.
const CHANGED_AFTER: SignedDuration = SignedDuration::from_mins(2);
/// Traits whose change breaks nodes.
const CHANGES: [&str; 6] = ["kubeletConfig", "kubeletVersion", "kernel", "os", "runtimeVersion", "agentVersion"];
/// The share of "affected" and "has it" among "affected or has it" (Jaccard index) from which on it is believed.
const BELIEVED: f64 = 0.5;
/// The same of the API server: that so many of its nodes cannot use it is nothing to be guessed, it is what they say.
const BELIEVED_OF_API_SERVER: f64 = 0.2;

/// An affected node, and when its case opened.
#[derive(Debug, Clone)]
pub(super) struct Affected {
    pub(super) node: Arc<str>,
    pub(super) opened_at: Timestamp,
}

/// Something that fits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    pub(super) kind: Kind,
    pub(super) mark: Mark,
    /// How well, 0 to 1.
    pub(super) score: f64,
    /// Affected nodes that have it, and all that have it.
    pub(super) affected: u32,
    pub(super) having: u32,
}

/// What fits best, if anything is to be believed.
pub(super) fn best(family: &str, affected: &[Affected], fleet: &Fleet, now: Timestamp) -> Option<Fit> {
    let distinct: BTreeSet<&Arc<str>> = affected.iter().map(|one| &one.node).collect();
    let all = count(distinct.len());
    if all < 2 {
        return None;
    }
    let mut hits: HashMap<(Kind, Mark), BTreeSet<&Arc<str>>> = HashMap::new();
    for one in affected {
        let Some(node) = fleet.node(&one.node) else { continue };
        for candidate in candidates(family, node, one.opened_at) {
            hits.entry(candidate).or_default().insert(&one.node);
        }
    }
    let since = changed_since(now);
    let fits = hits.into_iter().filter_map(|((kind, mark), nodes)| {
        let (affected, having) = (count(nodes.len()), fleet.having(&mark, since).max(count(nodes.len())));
        let score = f64::from(affected) / f64::from(all + having - affected);
        let says_something = having < fleet.len() || matches!(kind, Kind::ControlPlane | Kind::Fleet | Kind::Clock | Kind::Change);
        let enough = affected >= if kind == Kind::Label { 3.min(having) } else { 2 } && affected >= 2;
        let believed = if kind == Kind::ControlPlane { BELIEVED_OF_API_SERVER } else { BELIEVED };
        (says_something && enough && score >= believed).then_some(Fit { kind, mark, score, affected, having })
    });
    // Of what fits alike the stronger reason; then always the same.
    fits.max_by(|a, b| a.score.total_cmp(&b.score).then(strength(a.kind).cmp(&strength(b.kind))).then(b.mark.cmp(&a.mark)))
}

/// Changes before this are no reason of what is open now.
pub(super) fn changed_since(now: Timestamp) -> Timestamp {
    now.checked_sub(CHANGED_BEFORE * 2).unwrap_or(Timestamp::MIN)
}

fn strength(kind: Kind) -> u8 {
    match kind {
        Kind::Change => 5,
        Kind::Issuer => 4,
        Kind::ControlPlane => 3,
        Kind::Label => 2,
        Kind::Fleet | Kind::Clock => 1,
        Kind::Node | Kind::Cause | Kind::Collector => 0,
    }
}

/// What a node that has a case of this family may have it from.
fn candidates(family: &str, node: &Node, opened_at: Timestamp) -> Vec<(Kind, Mark)> {
    let mut found: Vec<(Kind, Mark)> =
        node.about.labels.iter().map(|(name, value)| (Kind::Label, Mark::Label(name.as_str().into(), value.as_str().into()))).collect();
    let of_trait = |name: &str| Some(Mark::Trait(name.into(), node.about.traits.get(name)?.value.as_str().into()));
    if family::of_api_server(family) {
        found.extend(of_trait("apiServer").map(|mark| (Kind::ControlPlane, mark)));
    }
    if family::of_issuer(family) {
        found.extend(of_trait("certificateIssuer").map(|mark| (Kind::Issuer, mark)));
    }
    if family::of_fleet(family) {
        found.push((if family == crate::silence::CODE { Kind::Fleet } else { Kind::Clock }, Mark::Fleet));
    }
    for name in CHANGES {
        if node.changed_at(name).is_some_and(|at| is_reason(at, opened_at)) {
            found.extend(of_trait(name).map(|mark| (Kind::Change, mark)));
            found.push((Kind::Change, Mark::Changed(name.into())));
        }
    }
    found
}

/// Whether a change at that time can be why something opened.
fn is_reason(changed_at: Timestamp, opened_at: Timestamp) -> bool {
    let after = opened_at.duration_since(changed_at);
    after <= CHANGED_BEFORE && -after <= CHANGED_AFTER
}

/// Whether a node has what an incident's nodes share; a change only if it can be the reason.
pub(super) fn fits(kind: Kind, mark: &Mark, node: &Node, opened_at: Timestamp) -> bool {
    let reason = |name: &str| node.changed_at(name).is_some_and(|at| is_reason(at, opened_at));
    match (kind, mark) {
        (Kind::Change, Mark::Trait(name, _)) => node.has(mark) && reason(name),
        (Kind::Change, Mark::Changed(name)) => reason(name),
        _ => node.has(mark),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fleet::{About, Changed, Trait};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// 100 nodes in 10 racks, one zone, one API server.
    fn fleet() -> Fleet {
        let mut fleet = Fleet::default();
        for n in 0..100 {
            fleet.set(name(n), node(n));
        }
        fleet
    }

    fn name(n: usize) -> Arc<str> {
        format!("n{n:02}").into()
    }

    fn node(n: usize) -> Node {
        let labels = BTreeMap::from([("rack".into(), format!("r{}", n / 10)), ("zone".into(), "a".into())]);
        let traits = [("apiServer", "10.0.0.1:6443"), ("kubeletConfig", "old")]
            .map(|(name, value)| (name.to_owned(), Trait { value: value.into(), changed: None }));
        Node { about: About { labels, traits: traits.into() }, ..Node::default() }
    }

    fn affected(nodes: impl IntoIterator<Item = usize>) -> Vec<Affected> {
        nodes.into_iter().map(|n| Affected { node: name(n), opened_at: at(1000) }).collect()
    }

    fn best_of(family: &str, nodes: impl IntoIterator<Item = usize>, fleet: &Fleet) -> Option<(Kind, Mark)> {
        best(family, &affected(nodes), fleet, at(1001)).map(|fit| (fit.kind, fit.mark))
    }

    #[test]
    fn nearly_all_nodes_blame_the_api_server_and_one_rack_its_rack() {
        let api_server = Mark::Trait("apiServer".into(), "10.0.0.1:6443".into());
        let rack = Mark::Label("rack".into(), "r3".into());
        let fleet = fleet();
        assert_eq!(best_of(family::CONTROL_PLANE, 0..98, &fleet), Some((Kind::ControlPlane, api_server)));
        assert_eq!(best_of(family::CONTROL_PLANE, 30..40, &fleet), Some((Kind::Label, rack.clone())));
        assert_eq!(best_of(family::CONTROL_PLANE, 30..38, &fleet), Some((Kind::Label, rack)), "two of the rack are well");
        let scattered = (0..100).step_by(4);
        assert!(matches!(best_of(family::CONTROL_PLANE, scattered, &fleet), Some((Kind::ControlPlane, _))), "a quarter, in all racks");
        assert_eq!(best_of(family::CONTROL_PLANE, [1, 55], &fleet), None, "two nodes of a hundred share nothing that others have not");
    }

    #[test]
    fn what_every_node_has_says_nothing() {
        assert_eq!(best_of("disk-pressure", 0..100, &fleet()), None);
    }

    #[test]
    fn nodes_that_took_the_same_change_shortly_before_blame_it() {
        let mut fleet = fleet();
        let change = |n: usize, at_second: i64| {
            let mut node = node(n);
            let changed = Some(Changed { from: "old".into(), at: at(at_second) });
            node.about.traits.insert("kubeletConfig".into(), Trait { value: "new".into(), changed });
            node
        };
        for n in [3, 27, 64, 81] {
            fleet.set(name(n), change(n, 900));
        }
        let new = Mark::Trait("kubeletConfig".into(), "new".into());
        assert_eq!(best_of("kubelet-config-invalid", [3, 27, 64], &fleet), Some((Kind::Change, new)));
        for n in [3, 27, 64, 81] {
            fleet.set(name(n), change(n, -5000));
        }
        assert_eq!(best_of("kubelet-config-invalid", [3, 27, 64], &fleet), None, "it changed long ago");
    }

    #[test]
    fn changes_to_different_values_at_the_same_time_are_a_change_too() {
        let mut fleet = fleet();
        for n in [3, 27, 64] {
            let mut node = node(n);
            let changed = Some(Changed { from: "old".into(), at: at(900) });
            node.about.traits.insert("kubeletConfig".into(), Trait { value: format!("new{n}"), changed });
            fleet.set(name(n), node);
        }
        assert_eq!(best_of("kubelet-config-invalid", [3, 27, 64], &fleet), Some((Kind::Change, Mark::Changed("kubeletConfig".into()))));
    }

    #[test]
    fn silence_of_most_is_the_fleets_and_of_a_rack_the_racks() {
        let fleet = fleet();
        assert_eq!(best_of(crate::silence::CODE, 0..70, &fleet), Some((Kind::Fleet, Mark::Fleet)));
        assert_eq!(best_of(crate::silence::CODE, 70..80, &fleet), Some((Kind::Label, Mark::Label("rack".into(), "r7".into()))));
    }
}
