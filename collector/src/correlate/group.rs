//! Puts the incidents of one family together, as far as they are one event.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::incident::{CaseKey, Incident, Joined};
use super::predicate::{Affected, Fit, best, fits};
use super::unit::Unit;
use super::{Book, GREATER, calm, number};
use crate::fleet::{Fleet, Mark, OpenCase};
use crate::message::{Kind, Shared};
use crate::policy::Flap;
use crate::silence;

/// Things that nodes of one family may share side by side.
const ROUNDS: usize = 6;

impl Book {
    /// See the module.
    pub(super) fn group(&mut self, family: &str, fleet: &Fleet, (flap, now): (Flap, Timestamp)) {
        let mut units = self.units(family, now);
        let mut groups = Vec::new();
        for _ in 0..ROUNDS {
            let Some(found) = next_group(family, &mut units, fleet, now) else { break };
            groups.push(found);
        }
        if let Some(found) = unexplained(&mut units, now) {
            groups.push(found);
        }
        let mut taken = BTreeSet::new();
        for found in groups {
            taken.extend(self.unite(&found, fleet, &taken, (flap, now)));
        }
        self.keep_apart(family, &units, fleet, now);
    }

    /// Makes one incident of these, by no identity that another group has taken; gives its identity.
    fn unite(&mut self, found: &Found, fleet: &Fleet, taken: &BTreeSet<String>, (flap, now): (Flap, Timestamp)) -> Option<String> {
        let Found { units, fit } = found;
        let mut one = self.identity(found, fleet, taken, (flap, now))?;
        let (id, before) = (one.id.clone(), one.clone());
        let others: BTreeSet<&String> = units.iter().map(|unit| &unit.from).filter(|from| **from != id).collect();
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
        one.look_at_nodes(fleet, one.mark != before.mark);
        let grew = one.members.len() != before.members.len() || !before.is_group();
        if one.is_untold() && grew {
            one.wait_until = Some(self.wait_of(&one, now));
        }
        if one != before {
            self.changed.insert(id.clone());
        }
        self.incidents.insert(id.clone(), one);
        Some(id)
    }

    /// Takes out the incident that these become: the one that was told, or one that is back, or the oldest; a new one if all are taken.
    fn identity(&mut self, found: &Found, fleet: &Fleet, taken: &BTreeSet<String>, (flap, now): (Flap, Timestamp)) -> Option<Incident> {
        let Found { units, fit } = found;
        let oldest = |unit: &&Unit| (!unit.told, unit.opened_at, number(&unit.from));
        let first = units.iter().min_by_key(oldest)?;
        let (family, wait_until) = self.incidents.get(&first.from).map(|one| (one.family.clone(), one.wait_until))?;
        let forms = units.iter().all(|unit| !unit.is_group());
        let nodes = units.iter().flat_map(Unit::nodes).collect();
        let returned = self.returned(&family, &nodes, fit.as_ref(), (flap, now)).filter(|_| forms).map(|one| one.id.clone());
        if let Some(id) = returned.as_ref().filter(|_| !first.told) {
            let mut one = self.incidents.remove(id)?;
            one.open_again(flap, now);
            one.wait_until = wait_until;
            return Some(one);
        }
        let free = units.iter().filter(|unit| !taken.contains(&unit.from)).min_by_key(oldest);
        let Some(unit) = free else {
            let (key, joined) = first.cases.first()?;
            let case = case(fleet, key)?;
            let one = Incident::new(self.ids.next(), &family, &key.0, &case.cause, joined.severity, first.opened_at);
            return Some(Incident { wait_until, ..one });
        };
        let history = returned.and_then(|id| self.incidents.get(&id)).map(|one| one.again.clone());
        let mut one = self.incidents.remove(&unit.from)?;
        if let Some(history) = history {
            // Told by its first node, and so by another identity; that it comes and goes is known all the same.
            one.again = history;
            one.opened_again(flap, now);
        }
        Some(one)
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
        let Some((case, one)) = case(fleet, key).zip(self.incidents.get_mut(from)) else { return };
        one.members.remove(key);
        let wait_until = one.wait_until;
        let empty = one.members.is_empty();
        self.changed.insert(from.to_owned());
        let id = if empty { from.to_owned() } else { self.ids.next() };
        let mut alone = match self.incidents.remove(&id) {
            Some(same) => same.of_one_node(now),
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

/// What is one event, and what its nodes share, if that was found.
struct Found {
    units: Vec<Unit>,
    fit: Option<Fit>,
}

/// Takes out of the units those that share something, if any do.
fn next_group(family: &str, units: &mut Vec<Unit>, fleet: &Fleet, now: Timestamp) -> Option<Found> {
    let mut left_out = BTreeSet::new();
    loop {
        let considered = |unit: &&Unit| !left_out.contains(&unit.from) && unit.may_be_part(family, now);
        let affected: Vec<Affected> = units.iter().filter(considered).flat_map(Unit::affected).collect();
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
        return Some(Found { units: found, fit: Some(fit) });
    }
}

/// Of what shares nothing: the same cause on many nodes at about the same time is one event all the same. What was so days ago is another.
fn unexplained(units: &mut Vec<Unit>, now: Timestamp) -> Option<Found> {
    let is_part = |unit: &Unit| !unit.is_explained() && unit.is_recent(now);
    let nodes: BTreeSet<_> = units.iter().filter(|unit| is_part(unit)).flat_map(Unit::nodes).collect();
    if nodes.len() < GREATER as usize {
        return None;
    }
    let (found, rest) = std::mem::take(units).into_iter().partition::<Vec<_>, _>(is_part);
    *units = rest;
    Some(Found { units: found, fit: None })
}

impl Incident {
    /// Looks which nodes do not have what is shared, and that what is said of the first node is of one of them. `other`: it is something
    /// else that they share than before, and nodes that have left are looked at too.
    fn look_at_nodes(&mut self, fleet: &Fleet, other: bool) {
        let Incident { kind, mark, members, ever, .. } = &*self;
        let mut outside = BTreeSet::new();
        if let Some(mark) = mark {
            let has = |node: &str, at| fleet.node(node).is_some_and(|node| fits(*kind, mark, node, at));
            let of_members = members.iter().filter(|((node, _), joined)| !has(node, joined.opened_at)).map(|((node, _), _)| node);
            outside.extend(of_members.cloned());
            outside.extend(ever.iter().filter(|node| other && !self.is_on(node) && !has(node, self.opened_at)).cloned());
        }
        if other {
            self.peak_outside = u32::try_from(outside.len()).unwrap_or(u32::MAX);
        }
        self.outside = outside;
        let first: CaseKey = (self.first.0.as_str().into(), self.first.1.case_id.as_str().into());
        let oldest = self.members.iter().min_by_key(|(_, joined)| joined.opened_at).map(|(key, _)| key);
        if self.is_untold()
            && !self.members.contains_key(&first)
            && let Some((key, case)) = oldest.and_then(|key| Some((key, case(fleet, key)?)))
        {
            self.first = (key.0.to_string(), (*case.cause).clone());
            self.worst = self.members.values().map(|joined| joined.severity).max().unwrap_or(self.worst);
        }
    }

    /// It was taken for a greater one and is of one node, of which nobody heard.
    fn of_one_node(mut self, now: Timestamp) -> Self {
        self.ever.clear();
        self.outside.clear();
        let (peak, peak_outside) = (0, 0);
        Incident { kind: Kind::Node, mark: None, shared: None, peak, peak_outside, anew_at: Some(now), ..self }
    }
}

fn case<'a>(fleet: &'a Fleet, (node, case_id): &CaseKey) -> Option<&'a OpenCase> {
    fleet.node(node)?.cases.iter().find(|case| case.case_id == *case_id)
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
