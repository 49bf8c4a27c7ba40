//! Cases that are one event become one incident. Pure: from the fleet and the incidents as they stood, by the rules in ARCHITECTURE.md.

mod again;
mod family;
mod group;
mod ids;
mod incident;
mod own;
mod predicate;
mod regroup;
mod unit;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::Severity;

use crate::fleet::{Fleet, OpenCase};
use crate::message::Kind;
use crate::policy::Flap;
use crate::silence;
use crate::tell::after;
use family::{CALM, LONGEST, Wait};
pub use ids::Ids;
pub(crate) use ids::number;
pub use incident::{CaseKey, Incident, Joined};
use regroup::{News, Regroup};
pub use words::{Scene, message, title};

/// The same cause on several nodes within this time may be one event.
const TOGETHER: SignedDuration = SignedDuration::from_mins(10);
/// Another node got the same cause so shortly before, or several did within [`TOGETHER`]: there may be more of them.
const RECENT: SignedDuration = SignedDuration::from_secs(10);
/// What opens on single nodes so close to a greater incident is told with it.
const STORM: SignedDuration = SignedDuration::from_mins(2);
/// From so many nodes on an incident is greater than one of a node.
const GREATER: u32 = 3;

/// All incidents that are open, that may open again, or that have something left to be told.
#[derive(Debug, Clone, Default)]
pub struct Book {
    incidents: BTreeMap<String, Incident>,
    of_case: BTreeMap<CaseKey, String>,
    /// Changed since the last [`Book::take_changed`].
    changed: BTreeSet<String>,
    ids: Ids,
    regroup: Regroup,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl Book {
    /// From what was kept. `ids` are those that incidents get from now on.
    pub fn new(incidents: Vec<Incident>, ids: Ids) -> Self {
        let of_case = incidents.iter().flat_map(|one| one.members.keys().map(|key| (key.clone(), one.id.clone()))).collect();
        let incidents = incidents.into_iter().map(|one| (one.id.clone(), one)).collect();
        Self { incidents, of_case, changed: BTreeSet::new(), ids, regroup: Regroup::default() }
    }

    /// All of them, by identity.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Incident> {
        self.incidents.get(id)
    }

    /// One of them, to be told: counts as changed.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Incident> {
        let incident = self.incidents.get_mut(id)?;
        self.changed.insert(incident.id.clone());
        Some(incident)
    }

    /// Which incidents changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.changed)
    }

    /// Forgets what is over and told.
    pub fn forget(&mut self, id: &str) {
        let Some(one) = self.incidents.remove(id) else { return };
        for key in one.members.keys() {
            self.of_case.remove(key);
        }
    }

    /// Takes in how these nodes are now; `ending` says how a case that is open no more ended. Gives when time alone will change something.
    pub fn correlate(
        &mut self,
        fleet: &Fleet,
        nodes: &BTreeSet<Arc<str>>,
        ending: &mut dyn FnMut(&CaseKey) -> Ending,
        flap: Flap,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut news = News::default();
        for node in nodes {
            self.take_node(fleet, node, ending, &mut news, (flap, now));
        }
        // What waits may have come to be part of something by what other families' nodes said of themselves.
        let waiting =
            self.incidents.values().filter(|one| !nodes.is_empty() && one.is_open() && one.wait_until.is_some_and(|until| until > now));
        news.families.extend(waiting.map(|one| one.family.clone()));
        let grouped_at = self.regroup(news, fleet, (flap, now));
        self.hold();
        self.end(flap, now).into_iter().chain(grouped_at).min()
    }

    fn take_node(
        &mut self,
        fleet: &Fleet,
        name: &Arc<str>,
        ending: &mut dyn FnMut(&CaseKey) -> Ending,
        news: &mut News,
        (flap, now): (Flap, Timestamp),
    ) {
        let open = fleet.node(name).map(|node| node.cases.as_slice()).unwrap_or_default();
        let from: CaseKey = (name.clone(), "".into());
        let known: Vec<CaseKey> =
            self.of_case.range(from..).take_while(|((node, _), _)| node == name).map(|(key, _)| key.clone()).collect();
        for key in known.iter().filter(|key| !open.iter().any(|case| case.case_id == key.1)) {
            let ending = ending(key);
            self.leave(key, ending);
        }
        for case in open {
            let key = (name.clone(), case.case_id.clone());
            match self.of_case.get(&key).cloned() {
                Some(id) => self.confirm(&id, &key, case),
                None => {
                    let family = family::family(&case.cause.code).to_owned();
                    self.admit(key, case, family, fleet, news, (flap, now));
                }
            }
        }
        // What the node says of itself may explain what it has and nothing has explained yet.
        let of = known.iter().filter_map(|key| self.incidents.get(self.of_case.get(key)?));
        news.families.extend(of.filter(|one| one.mark.is_none()).map(|one| one.family.clone()));
    }

    fn leave(&mut self, key: &CaseKey, ending: Ending) {
        let Some(id) = self.of_case.remove(key) else { return };
        let Some(incident) = self.get_mut(&id) else { return };
        incident.members.remove(key);
        if incident.members.is_empty() {
            incident.ended = Some((ending.at, ending.reason));
        }
    }

    fn confirm(&mut self, id: &str, key: &CaseKey, case: &OpenCase) {
        let Some(incident) = self.incidents.get(id) else { return };
        let is_first = incident.first.0 == *key.0 && incident.first.1.case_id == *key.1;
        let same = incident.members.get(key).is_some_and(|joined| joined.severity == case.severity);
        if same && (!is_first || incident.first.1 == *case.cause) {
            return;
        }
        let Some(incident) = self.get_mut(id) else { return };
        incident.worst = incident.worst.max(case.severity);
        if is_first {
            incident.first.1 = (*case.cause).clone();
        }
        if let Some(joined) = incident.members.get_mut(key) {
            joined.severity = case.severity;
        }
    }

    /// A case that is of no incident yet: it opens one again, becomes part of a greater one, or is one alone.
    fn admit(&mut self, key: CaseKey, case: &OpenCase, family: String, fleet: &Fleet, news: &mut News, (flap, now): (Flap, Timestamp)) {
        let node = fleet.node(&key.0);
        let of_family = || self.incidents.values().filter(|one| one.family == family && one.merged_into.is_none());
        let is_part = |one: &&Incident| {
            let mark = one.mark.as_ref().zip(node).is_some_and(|(mark, node)| predicate::fits(one.kind, mark, node, case.opened_at));
            one.is_open() && one.is_group() && (mark || (one.kind == Kind::Cause && now.duration_since(one.opened_at) <= TOGETHER))
        };
        let part_of = of_family().filter(is_part).min_by_key(|one| one.opened_at).map(|one| one.id.clone());
        let again = of_family().filter(|one| one.takes_again(&key.0, flap, now)).max_by_key(|one| one.opened_at).map(|one| one.id.clone());
        let joined = Joined { code: case.cause.code.as_str().into(), severity: case.severity, opened_at: case.opened_at };
        let heartbeat = node.map(|node| node.heartbeat).unwrap_or_default();
        let wait_until = if part_of.is_none() { self.wait(case, &family, heartbeat, now) } else { None };
        let id = part_of.or(again).unwrap_or_else(|| {
            let id = self.ids.next();
            let mut one = Incident::new(id.clone(), &family, &key.0, &case.cause, case.severity, now);
            one.wait_until = wait_until;
            self.incidents.insert(id.clone(), one);
            id
        });
        let Some(incident) = self.get_mut(&id) else { return };
        if incident.open_again(flap, now) {
            incident.wait_until = wait_until;
        }
        let fits = incident.mark.as_ref().zip(node).map(|(mark, node)| predicate::fits(incident.kind, mark, node, case.opened_at));
        if fits == Some(false) {
            incident.outside.insert(key.0.clone());
        }
        if incident.members.is_empty() {
            (incident.first, incident.worst) = ((key.0.to_string(), (*case.cause).clone()), case.severity);
        }
        incident.join(key.clone(), joined);
        // Others came: there may be more.
        if incident.wait_until.is_some_and(|until| until > now) && family != silence::CODE {
            incident.wait_until = Some(calm(incident.opened_at, now));
        }
        let (of, what) = match (incident.is_settled(now), fits) {
            (true, Some(true)) => (&mut news.joined, id.clone()),
            // It would be told in this step.
            (true, _) if !incident.is_group() => (&mut news.at_once, family),
            _ => (&mut news.families, family),
        };
        of.insert(what);
        self.of_case.insert(key, id);
    }

    fn wait(&self, case: &OpenCase, family: &str, heartbeat: std::time::Duration, now: Timestamp) -> Option<Timestamp> {
        let mut others = self.incidents.values().filter(|one| one.family == family && one.is_open());
        let grew = |one: &Incident| one.members.values().any(|joined| now.duration_since(joined.opened_at) <= TOGETHER);
        let more = others.any(|one| now.duration_since(one.opened_at) <= RECENT || (one.is_group() && grew(one)));
        match family::wait(&case.cause, heartbeat) {
            Wait::For(time) => now.checked_add(time).ok(),
            Wait::Calm => Some(calm(now, now)),
            Wait::No if more => now.checked_add(LONGEST).ok(),
            Wait::No => None,
        }
    }

    /// What opened on single nodes together with a greater incident is listed in what is told of that.
    fn hold(&mut self) {
        let greater: Vec<(String, String, Timestamp)> = self
            .incidents
            .values()
            .filter(|one| one.is_open() && one.is_group() && one.has_nodes(GREATER) && one.worst == Severity::Critical)
            .map(|one| (one.id.clone(), one.family.clone(), one.opened_at))
            .collect();
        let mut changed = Vec::new();
        for one in self.incidents.values_mut().filter(|one| !one.is_group() && one.worst == Severity::Critical) {
            let with = |(_, family, at): &&(String, String, Timestamp)| {
                *family != one.family && at.duration_since(one.opened_at).abs() <= STORM && one.told.is_empty()
            };
            let still = greater.iter().find(|(id, ..)| Some(id) == one.held_by.as_ref());
            let held_by = still.or_else(|| greater.iter().find(with)).map(|(id, ..)| id.clone());
            if held_by != one.held_by && one.is_open() {
                changed.extend(held_by.clone());
                changed.push(one.id.clone());
                one.held_by = held_by;
            }
        }
        self.changed.extend(changed);
    }

    fn end(&mut self, flap: Flap, now: Timestamp) -> Option<Timestamp> {
        let mut wake = None::<Timestamp>;
        let mut sooner = |at: Timestamp| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        for one in self.incidents.values_mut() {
            if self.changed.contains(&one.id) {
                one.measure();
            }
            let was_open = one.closed_at.is_none();
            if let Some(at) = one.end_if_quiet(flap, now) {
                sooner(at);
            }
            if was_open && one.closed_at.is_some() {
                self.changed.insert(one.id.clone());
            }
            if let Some(until) = one.wait_until.filter(|_| one.is_open()) {
                if until > now {
                    sooner(until);
                } else {
                    one.wait_until = None;
                    self.changed.insert(one.id.clone());
                }
            }
        }
        wake
    }
}

/// When what began then, and grew now, is told at the latest.
fn calm(began: Timestamp, now: Timestamp) -> Timestamp {
    after(now, CALM).min(after(began, LONGEST))
}

#[cfg(test)]
mod tests;
