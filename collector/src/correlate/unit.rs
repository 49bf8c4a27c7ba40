//! What is put together.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::incident::{CaseKey, Joined};
use super::predicate::{Affected, Fit, fits};
use super::{Book, TOGETHER, family};
use crate::fleet::{Fleet, Mark};
use crate::message::Kind;

/// What moves as one: an incident as it is, or one case of an incident that is not settled yet.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// The incident it is of.
    pub(super) from: String,
    pub(super) cases: Vec<(CaseKey, Joined)>,
    pub(super) kind: Kind,
    pub(super) mark: Option<Mark>,
    pub(super) opened_at: Timestamp,
    /// A hook has its incident for open.
    pub(super) told: bool,
}

impl Unit {
    pub(super) fn is_group(&self) -> bool {
        self.kind != Kind::Node
    }

    /// It is known what its nodes share, and it may have been told.
    pub(super) fn is_explained(&self) -> bool {
        self.mark.is_some()
    }

    pub(super) fn nodes(&self) -> BTreeSet<&Arc<str>> {
        self.cases.iter().map(|((node, _), _)| node).collect()
    }

    /// The share of its nodes that has it.
    pub(super) fn share(&self, fit: &Fit, fleet: &Fleet) -> f64 {
        let has =
            |(key, joined): &&(CaseKey, Joined)| fleet.node(&key.0).is_some_and(|node| fits(fit.kind, &fit.mark, node, joined.opened_at));
        self.cases.iter().filter(has).count() as f64 / self.cases.len().max(1) as f64
    }

    /// From which share on it belongs to something: what was told as one thing moves as a whole or not at all.
    pub(super) fn needed(&self) -> f64 {
        match (self.is_group(), self.is_explained()) {
            (false, _) => 1.0,
            (true, false) => 0.5,
            (true, true) => 0.8,
        }
    }

    /// It, or what it is part of, is not long ago: what opened alone, long ago, is nothing that begins now; certificates of one issuer end
    /// when they end.
    pub(super) fn may_be_part(&self, family: &str, now: Timestamp) -> bool {
        self.is_group() || family::of_issuer(family) || now.duration_since(self.opened_at) <= TOGETHER
    }

    /// A case of it opened a short while ago.
    pub(super) fn is_recent(&self, now: Timestamp) -> bool {
        let newest = self.cases.iter().map(|(_, joined)| joined.opened_at).max();
        newest.is_some_and(|at| now.duration_since(at) <= TOGETHER) || (!self.is_group() && now.duration_since(self.opened_at) <= TOGETHER)
    }

    pub(super) fn affected(&self) -> impl Iterator<Item = Affected> {
        self.cases.iter().map(|((node, _), joined)| Affected { node: node.clone(), opened_at: joined.opened_at })
    }
}

impl Book {
    /// Those of a family.
    pub(super) fn units(&self, family: &str, now: Timestamp) -> Vec<Unit> {
        let mut units = Vec::new();
        for one in self.incidents.values().filter(|one| one.family == family && one.is_open() && !one.members.is_empty()) {
            let unit = |cases| Unit {
                from: one.id.clone(),
                cases,
                kind: one.kind,
                mark: one.mark.clone(),
                opened_at: one.opened_at,
                told: !one.is_untold(),
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
}
