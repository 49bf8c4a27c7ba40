//! Puts the incidents of one family together, as far as they are one event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::incident::{CaseKey, Incident, Joined};
use super::predicate::{Affected, Fit, best, fits};
use super::{Book, GREATER, TOGETHER, calm, family, next_id, number};
use crate::fleet::{Fleet, Mark};
use crate::message::{Kind, Shared};
use crate::silence;

/// Things that nodes of one family may share side by side.
const ROUNDS: usize = 6;

/// What moves as one: an incident as it is, or one case of an incident that is not settled yet.
#[derive(Debug, Clone)]
struct Unit {
    /// The incident it is of.
    from: String,
    cases: Vec<(CaseKey, Joined)>,
    kind: Kind,
    mark: Option<Mark>,
    opened_at: Timestamp,
    told: bool,
}

impl Unit {
    fn is_group(&self) -> bool {
        self.kind != Kind::Node
    }

    /// It is known what its nodes share, and it may have been told.
    fn is_explained(&self) -> bool {
        self.mark.is_some()
    }

    fn nodes(&self) -> BTreeSet<&Arc<str>> {
        self.cases.iter().map(|((node, _), _)| node).collect()
    }

    /// The share of its nodes that has it.
    fn share(&self, fit: &Fit, fleet: &Fleet) -> f64 {
        let has =
            |(key, joined): &&(CaseKey, Joined)| fleet.node(&key.0).is_some_and(|node| fits(fit.kind, &fit.mark, node, joined.opened_at));
        self.cases.iter().filter(has).count() as f64 / self.cases.len().max(1) as f64
    }

    /// From which share on it belongs to something: what was told as one thing moves as a whole or not at all.
    fn needed(&self) -> f64 {
        match (self.is_group(), self.is_explained()) {
            (false, _) => 1.0,
            (true, false) => 0.5,
            (true, true) => 0.8,
        }
    }
}

impl Book {
    /// See the module.
    pub(super) fn group(&mut self, family: &str, fleet: &Fleet, now: Timestamp) {
        let mut units = self.units(family, now);
        let mut groups = Vec::new();
        for _ in 0..ROUNDS {
            let Some(found) = next_group(family, &mut units, fleet, now) else { break };
            groups.push(found);
        }
        if let Some(found) = unexplained(family, &mut units, now) {
            groups.push((found, None));
        }
        for (units, fit) in groups {
            self.unite(&units, fit.as_ref(), fleet, now);
        }
        self.keep_apart(family, &units, fleet, now);
    }

    fn units(&self, family: &str, now: Timestamp) -> Vec<Unit> {
        let mut units = Vec::new();
        for one in self.incidents.values().filter(|one| one.family == family && one.is_open() && !one.members.is_empty()) {
            let unit = |cases| Unit {
                from: one.id.clone(),
                cases,
                kind: one.kind,
                mark: one.mark.clone(),
                opened_at: one.opened_at,
                told: !one.told.is_empty(),
            };
            let cases = one.members.iter().map(|(key, joined)| (key.clone(), joined.clone()));
            if one.is_group() && !one.is_settled(now) {
                units.extend(cases.map(|case| Unit { kind: Kind::Node, mark: None, opened_at: case.1.opened_at, ..unit(vec![case]) }));
            } else {
                units.push(unit(cases.collect()));
            }
        }
        units
    }

    /// Makes one incident of these.
    fn unite(&mut self, units: &[Unit], fit: Option<&Fit>, fleet: &Fleet, now: Timestamp) {
        let first = units.iter().min_by_key(|unit| (!unit.told, unit.opened_at, number(&unit.from)));
        let Some(id) = first.map(|unit| unit.from.clone()) else { return };
        let others: BTreeSet<&String> = units.iter().map(|unit| &unit.from).filter(|from| **from != id).collect();
        let Some(mut one) = self.incidents.remove(&id) else { return };
        let before = one.clone();
        one.members = BTreeMap::new();
        for (key, joined) in units.iter().flat_map(|unit| &unit.cases) {
            one.join(key.clone(), joined.clone());
            self.of_case.insert(key.clone(), id.clone());
        }
        one.opened_at = units.iter().map(|unit| unit.opened_at).min().map_or(one.opened_at, |at| at.min(one.opened_at));
        match fit {
            Some(fit) => (one.kind, one.mark, one.shared) = (fit.kind, Some(fit.mark.clone()), Some(shared(fit, &one, fleet))),
            None => (one.kind, one.mark, one.shared) = (Kind::Cause, None, None),
        }
        for other in &others {
            self.merge(other, &mut one, now);
        }
        let grew = one.members.len() != before.members.len() || !before.is_group();
        if one.told.is_empty() && grew && before.is_open() {
            one.wait_until = Some(self.wait_of(&one, now));
        }
        if one != before {
            self.changed.insert(id.clone());
        }
        self.incidents.insert(id, one);
    }

    /// What is left of an incident whose cases went to another: nothing, or what has to be told of it.
    fn merge(&mut self, other: &str, into: &mut Incident, now: Timestamp) {
        let Some(one) = self.incidents.get_mut(other) else { return };
        one.members.retain(|key, _| !into.members.contains_key(key));
        if !one.members.is_empty() {
            // Not settled, and the rest of it goes elsewhere.
            return;
        }
        into.ever.extend(one.ever.iter().cloned());
        into.again.extend(one.again.iter().copied());
        one.merged_into = Some(into.id.clone());
        one.ended = Some((now, format!("it is part of {}", into.id)));
        one.closed_at = Some(now);
        self.changed.insert(other.to_owned());
    }

    fn wait_of(&self, one: &Incident, now: Timestamp) -> Timestamp {
        if one.family == silence::CODE {
            return one.wait_until.unwrap_or(now).max(now);
        }
        calm(one.opened_at, now)
    }

    /// Cases of incidents that were not settled and are part of nothing: each is an incident alone, the first of them the one it was of.
    fn keep_apart(&mut self, family: &str, units: &[Unit], fleet: &Fleet, now: Timestamp) {
        for unit in units.iter().filter(|unit| !unit.is_group()) {
            let Some(one) = self.incidents.get(&unit.from) else { continue };
            if !one.is_group() && one.members.len() == unit.cases.len() {
                continue;
            }
            for (key, joined) in &unit.cases {
                self.alone(&unit.from, key, joined, family, fleet, now);
            }
        }
    }

    fn alone(&mut self, from: &str, key: &CaseKey, joined: &Joined, family: &str, fleet: &Fleet, now: Timestamp) {
        let case = fleet.node(&key.0).and_then(|node| node.cases.iter().find(|case| case.case_id == key.1));
        let Some((case, one)) = case.zip(self.incidents.get_mut(from)) else { return };
        one.members.remove(key);
        let wait_until = one.wait_until;
        let empty = one.members.is_empty();
        self.changed.insert(from.to_owned());
        let id = if empty { from.to_owned() } else { next_id(&mut self.last) };
        let mut alone = match self.incidents.remove(&id) {
            Some(same) => Incident { kind: Kind::Node, mark: None, shared: None, ..same },
            None => Incident::new(id.clone(), family, &key.0, &case.cause, case.severity, joined.opened_at.min(now)),
        };
        alone.first = (key.0.to_string(), (*case.cause).clone());
        alone.wait_until = wait_until;
        alone.join(key.clone(), joined.clone());
        self.of_case.insert(key.clone(), id.clone());
        self.changed.insert(id.clone());
        self.incidents.insert(id, alone);
    }
}

/// Takes out of the units those that share something, if any do.
fn next_group(family: &str, units: &mut Vec<Unit>, fleet: &Fleet, now: Timestamp) -> Option<(Vec<Unit>, Option<Fit>)> {
    let mut left_out = BTreeSet::new();
    loop {
        let considered = |unit: &&Unit| !left_out.contains(&unit.from) && may_be_part(family, unit, now);
        let affected: Vec<Affected> = units.iter().filter(considered).flat_map(affected).collect();
        let fit = best(family, &affected, fleet, now)?;
        let is_in = |unit: &Unit| considered(&unit) && unit.share(&fit, fleet) >= unit.needed();
        let nodes: BTreeSet<_> = units.iter().filter(|unit| is_in(unit)).flat_map(Unit::nodes).collect();
        // What was told with a reason keeps it, unless it is part of something much greater.
        let settled = units.iter().filter(|unit| is_in(unit) && unit.is_explained() && unit.mark.as_ref() != Some(&fit.mark));
        let lesser = settled.filter(|unit| unit.nodes().len() * 2 > nodes.len()).map(|unit| unit.from.clone()).next();
        if let Some(lesser) = lesser {
            left_out.insert(lesser);
            continue;
        }
        if nodes.len() < 2 {
            return None;
        }
        let (found, rest) = std::mem::take(units).into_iter().partition::<Vec<_>, _>(is_in);
        *units = rest;
        return Some((found, Some(fit)));
    }
}

/// Of what shares nothing: the same cause on many nodes at about the same time is one event all the same.
fn unexplained(family: &str, units: &mut Vec<Unit>, now: Timestamp) -> Option<Vec<Unit>> {
    let is_part = |unit: &Unit| !unit.is_explained() && (unit.is_group() || may_be_part(family, unit, now));
    let nodes: BTreeSet<_> = units.iter().filter(|unit| is_part(unit)).flat_map(Unit::nodes).collect();
    if nodes.len() < GREATER as usize {
        return None;
    }
    let (found, rest) = std::mem::take(units).into_iter().partition::<Vec<_>, _>(is_part);
    *units = rest;
    Some(found)
}

/// What opened alone, long ago, is nothing that begins now; certificates of one issuer end when they end.
fn may_be_part(family: &str, unit: &Unit, now: Timestamp) -> bool {
    unit.is_group() || family::of_issuer(family) || now.duration_since(unit.opened_at) <= TOGETHER
}

fn affected(unit: &Unit) -> impl Iterator<Item = Affected> {
    unit.cases.iter().map(|((node, _), joined)| Affected { node: node.clone(), opened_at: joined.opened_at })
}

fn shared(fit: &Fit, one: &Incident, fleet: &Fleet) -> Shared {
    let (name, value) = match &fit.mark {
        Mark::Label(name, value) | Mark::Trait(name, value) => (name.to_string(), value.to_string()),
        Mark::Changed(name) => (name.to_string(), String::new()),
        Mark::Fleet => ("fleet".to_owned(), String::new()),
    };
    let mut before: BTreeSet<&str> = BTreeSet::new();
    if fit.kind == Kind::Change {
        let nodes = one.members.keys().filter_map(|(node, _)| fleet.node(node)?.about.traits.get(&name)?.changed.as_ref());
        before.extend(nodes.map(|changed| &*changed.from));
    }
    let before = if before.len() == 1 { before.first().map(|&before| before.to_owned()) } else { None };
    Shared { name, value, before, affected: fit.affected, having: fit.having }
}
