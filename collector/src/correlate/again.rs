//! What is over and comes back is the same incident, open again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::predicate::Fit;
use super::{Book, Incident};
use crate::message::Kind;
use crate::policy::Flap;
use crate::tell::after;

/// Nodes of one event come and go one by one: for so long after the last case of a greater incident one of its nodes alone is of it still.
/// It is not told as over before.
const TAIL: Duration = Duration::from_secs(60);

impl Incident {
    /// It has no open case, and would open again if it got one.
    pub(super) fn is_back(&self, flap: Flap, now: Timestamp) -> bool {
        self.members.is_empty() && self.merged_into.is_none() && self.closed_at.is_none_or(|at| after(at, flap.within) >= now)
    }

    /// Whether a case of its family that opens on this node opens it again. What many nodes had is not what one of them has minutes later:
    /// a greater incident that is over comes back by [`Book::returned`], when it is a greater one again.
    pub(super) fn takes_again(&self, node: &Arc<str>, flap: Flap, now: Timestamp) -> bool {
        let in_tail = |at: Timestamp| !self.flapping && after(at, TAIL) > now;
        self.is_back(flap, now) && self.ever.contains(node) && (!self.is_group() || self.closed_at.is_none_or(in_tail))
    }
}

impl Book {
    /// The greater incident, over since recently, that these nodes have again: they share the same, or are for the most part the same.
    pub(super) fn returned(
        &self,
        family: &str,
        nodes: &BTreeSet<&Arc<str>>,
        fit: Option<&Fit>,
        (flap, now): (Flap, Timestamp),
    ) -> Option<&Incident> {
        let same = |one: &&Incident| match fit {
            Some(fit) => one.kind == fit.kind && one.mark.as_ref() == Some(&fit.mark),
            None => one.kind == Kind::Cause && nodes.iter().filter(|node| one.ever.contains(**node)).count() * 2 >= nodes.len(),
        };
        let over = |one: &&Incident| one.family == family && one.closed_at.is_some() && one.is_back(flap, now);
        self.incidents.values().filter(over).filter(same).max_by_key(|one| one.closed_at)
    }
}
