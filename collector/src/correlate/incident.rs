//! An incident: cases that are one event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, PresentCause, Severity};
use serde::{Deserialize, Serialize};

use crate::fleet::Mark;
use crate::message::{Event, Kind, Shared};
use crate::policy::Flap;
use crate::tell::{Told, after};

/// Which case: node, and identity within it.
pub type CaseKey = (Arc<str>, Arc<str>);

/// A case in an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its cause.
    pub code: Arc<str>,
    /// The worst of the cause and of what it explains.
    pub severity: Severity,
    /// When the case opened.
    pub opened_at: Timestamp,
}

/// See the module. What is not skipped is kept as JSON; members are rows of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its identity, for ever.
    pub id: String,
    /// What makes it one.
    pub kind: Kind,
    /// Causes of this family.
    pub family: String,
    /// What its nodes share.
    pub shared: Option<Shared>,
    /// The same, to tell whether a further node has it.
    pub mark: Option<Mark>,
    /// The first node, and its cause as told last.
    pub first: (String, PresentCause),
    /// Open cases.
    #[serde(skip)]
    pub members: BTreeMap<CaseKey, Joined>,
    /// Nodes that it was on, since it was told last that it is over.
    #[serde(skip)]
    pub ever: BTreeSet<Arc<str>>,
    /// Those of them that do not have what is shared: what was told as one thing moves as a whole.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub outside: BTreeSet<Arc<str>>,
    /// The worst it has been since it opened.
    pub worst: Severity,
    /// The most nodes it has been on, since it was told last that it is over.
    pub peak: u32,
    /// How many of those did not have what is shared.
    #[serde(default)]
    pub peak_outside: u32,
    /// When it came back after all had been told that it is over: what was before counts no more.
    #[serde(default)]
    pub anew_at: Option<Timestamp>,
    /// When it opened, the last time.
    pub opened_at: Timestamp,
    /// Times at which it opened again: the last of them, as many as [`Flap`] asks about.
    pub again: Vec<Timestamp>,
    /// It comes and goes.
    #[serde(default)]
    pub flapping: bool,
    /// When its last case closed and what ended that.
    pub ended: Option<(Timestamp, String)>,
    /// When it was over.
    pub closed_at: Option<Timestamp>,
    /// What was decided of what it is part of: from then on it may be told.
    pub wait_until: Option<Timestamp>,
    /// It opened together with this greater incident: who hears of that one is told of this one by itself when that is over.
    pub held_by: Option<String>,
    /// It became part of this one.
    pub merged_into: Option<String>,
    /// What keeps all of it from being told now, in words.
    #[serde(default)]
    pub quiet: Option<String>,
    /// What was said last to each hook.
    pub told: BTreeMap<Arc<str>, Told>,
}

impl Incident {
    /// Alone, with its first case.
    pub(super) fn new(id: String, family: &str, node: &str, cause: &PresentCause, severity: Severity, now: Timestamp) -> Self {
        Self {
            id,
            kind: Kind::Node,
            family: family.to_owned(),
            shared: None,
            mark: None,
            first: (node.to_owned(), cause.clone()),
            members: BTreeMap::new(),
            ever: BTreeSet::new(),
            outside: BTreeSet::new(),
            worst: severity,
            peak: 0,
            peak_outside: 0,
            anew_at: None,
            opened_at: now,
            again: Vec::new(),
            flapping: false,
            ended: None,
            closed_at: None,
            wait_until: None,
            held_by: None,
            merged_into: None,
            quiet: None,
            told: BTreeMap::new(),
        }
    }

    /// A case is of it from now on.
    pub(super) fn join(&mut self, key: CaseKey, joined: Joined) {
        self.worst = self.worst.max(joined.severity);
        self.ever.insert(key.0.clone());
        self.members.insert(key, joined);
        self.ended = None;
    }

    /// Whether it is on more nodes than ever. Once a step: to count them takes a look at each.
    pub(super) fn measure(&mut self) {
        let count = self.node_count();
        if count > 0 && count >= self.peak {
            (self.peak, self.peak_outside) = (count, self.outside_now());
        }
    }

    fn outside_now(&self) -> u32 {
        u32::try_from(self.outside.iter().filter(|node| self.is_on(node)).count()).unwrap_or(u32::MAX)
    }

    /// Whether this node has an open case of it.
    pub(super) fn is_on(&self, node: &Arc<str>) -> bool {
        self.members.range((node.clone(), "".into())..).next().is_some_and(|((on, _), _)| on == node)
    }

    /// Of so many nodes, those it is on now or was on at last: how many do not have what is shared.
    pub fn others(&self, nodes: u32) -> u32 {
        let others = if self.members.is_empty() { self.peak_outside } else { self.outside_now() };
        others.min(nodes)
    }

    /// Nodes that have an open case of it.
    pub fn nodes(&self) -> BTreeSet<&Arc<str>> {
        self.members.keys().map(|(node, _)| node).collect()
    }

    /// How many those are.
    pub fn node_count(&self) -> u32 {
        u32::try_from(self.distinct().count()).unwrap_or(u32::MAX)
    }

    /// Whether it is on so many nodes or more; looks at no more of them than that takes.
    pub fn has_nodes(&self, n: u32) -> bool {
        n == 0 || self.distinct().nth(n as usize - 1).is_some()
    }

    /// Each node once: members are in the order of their nodes.
    fn distinct(&self) -> impl Iterator<Item = &Arc<str>> {
        let mut last = None;
        self.members.keys().map(|(node, _)| node).filter(move |node| last.replace(*node) != Some(*node))
    }

    /// It has open cases, or may have some again in a moment.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none() && self.merged_into.is_none()
    }

    /// Of several nodes.
    pub fn is_group(&self) -> bool {
        self.kind != Kind::Node
    }

    /// Nothing more is waited for: it is what it is.
    pub(super) fn is_settled(&self, now: Timestamp) -> bool {
        self.wait_until.is_none_or(|until| until <= now) || !self.is_untold()
    }

    /// No hook has it for open: it was never told, or all were told that it is over.
    pub(super) fn is_untold(&self) -> bool {
        self.told.values().all(|told| told.event == Event::Resolved)
    }

    /// Hooks that hear of it: told, and neither that it is over nor that it is covered.
    pub fn heard_by(&self) -> impl Iterator<Item = &str> {
        self.told.iter().filter(|(_, told)| told.event != Event::Resolved && !told.covered).map(|(hook, _)| &**hook)
    }

    /// Of the cause.
    pub fn layer(&self) -> Layer {
        self.first.1.layer
    }

    /// It opens again: a case of it came back. Gives whether it is told anew from then on.
    pub(super) fn open_again(&mut self, flap: Flap, now: Timestamp) -> bool {
        let was_over = self.closed_at.take().is_some();
        if !was_over && self.ended.is_none() {
            return false;
        }
        let anew = was_over && self.is_untold();
        if anew {
            // How many nodes it was on, and which, has been told.
            (self.peak, self.peak_outside, self.anew_at) = (0, 0, Some(now));
            self.ever.clear();
            self.outside.clear();
        }
        self.opened_again(flap, now);
        self.opened_at = now;
        (self.ended, self.merged_into) = (None, None);
        anew
    }

    /// Counts an opening.
    pub(super) fn opened_again(&mut self, flap: Flap, now: Timestamp) {
        self.again.push(now);
        self.again.drain(..self.again.len().saturating_sub(flap.openings));
        self.flapping = self.flaps(flap, now);
    }

    /// Opened so often, the first time counted, shortly before this time.
    fn flaps(&self, flap: Flap, at: Timestamp) -> bool {
        let lately = self.again.iter().filter(|again| after(**again, flap.within) >= at).count();
        flap.openings > 0 && lately + 1 >= flap.openings
    }

    /// Its last case has closed: over now, or after a while of quiet.
    pub(super) fn end_if_quiet(&mut self, flap: Flap, now: Timestamp) -> Option<Timestamp> {
        let (at, _) = self.ended.as_ref().filter(|_| self.members.is_empty() && self.closed_at.is_none())?;
        let at = (*at).min(now);
        self.flapping = self.flaps(flap, at);
        let quiet_at = after(at, flap.quiet);
        if self.flapping && now < quiet_at {
            return Some(quiet_at);
        }
        self.closed_at = Some(if self.flapping { now } else { at });
        None
    }
}
