//! An incident as whoever tells needs it, from all that the engine holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::Severity;

use crate::correlate::{Book, CaseKey, Incident, Joined, Scene};
use crate::fleet::Fleet;
use crate::message::Kind;
use crate::policy::{Policy, Silence, Silences};
use crate::tell::{Cover, Member, Quiet, Standing};

/// All that the engine holds, at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) book: &'a Book,
    pub(super) fleet: &'a Fleet,
    pub(super) policy: &'a Policy,
    pub(super) silences: &'a Silences,
    pub(super) now: Timestamp,
}

impl<'a> Look<'a> {
    /// An incident, `greater` being the one that it is told with.
    pub(super) fn standing(self, one: &'a Incident, greater: Option<&'a Incident>) -> Standing<'a> {
        let held = if one.is_group() { self.apart(|other| other.held_by.as_ref() == Some(&one.id)) } else { Vec::new() };
        Standing {
            id: &one.id,
            kind: one.kind,
            layer: one.layer(),
            members: self.members(one),
            opened_at: one.opened_at,
            closed_at: one.closed_at,
            flapping: one.flapping,
            wait_until: one.wait_until,
            merged_into: one.merged_into.as_deref(),
            explained: one.mark.is_some(),
            apart: held.into_iter().map(|held| Arc::from(&*held.id)).collect::<BTreeSet<_>>(),
            heard_by: greater.into_iter().flat_map(Incident::heard_by).collect(),
        }
    }

    /// What is said of it now is made from this.
    pub(super) fn scene(self, one: &'a Incident, standing: &Standing<'a>) -> Scene<'a> {
        let mut members = match one.is_open() {
            true => self.quiet().effective(standing),
            false => Vec::new(),
        };
        if members.is_empty() {
            members.clone_from(&standing.members);
        }
        let mut apart = if one.is_group() && one.kind != Kind::Collector { self.apart(|_| true) } else { Vec::new() };
        apart.sort_by(|a, b| (&a.first.0, &a.first.1.code).cmp(&(&b.first.0, &b.first.1.code)));
        Scene { fleet: self.fleet, members, apart, now: self.now, external_url: self.policy.external_url.as_deref() }
    }

    /// What keeps all of an open incident from being told, in words.
    pub(super) fn covered(self, standing: &Standing<'_>) -> Option<String> {
        let quiet = self.quiet();
        let cover = |member: &Member<'_>| quiet.cover(standing, member);
        if standing.closed_at.is_some() || standing.merged_into.is_some() || !standing.members.iter().all(|member| cover(member).is_some())
        {
            return None;
        }
        Some(match cover(standing.members.first()?)? {
            Cover::Maintenance(window) => format!("in maintenance: {}", window.name),
            Cover::Silence(Silence { id, comment, created_by, ends_at, .. }) => {
                let by = [("by", created_by), ("for", comment)]
                    .map(|(how, who)| if who.is_empty() { String::new() } else { format!(" {how} {who}") });
                format!("silenced until {}{} ({id})", ends_at.strftime("%Y-%m-%d %H:%M:%SZ"), by.concat())
            }
        })
    }

    fn quiet(self) -> Quiet<'a> {
        Quiet::at(self.policy, self.silences, self.now)
    }

    /// Critical faults of single nodes that are neither silenced nor in maintenance.
    fn apart(self, is_of: impl Fn(&Incident) -> bool) -> Vec<&'a Incident> {
        let quiet = self.quiet();
        let counts = |one: &Incident| {
            let members = self.members(one);
            let alone = Standing { members, ..Standing::alone(&one.id, one.layer(), one.opened_at) };
            !quiet.effective(&alone).is_empty()
        };
        let single = |one: &&Incident| !one.is_group() && one.is_open() && one.worst == Severity::Critical && !one.members.is_empty();
        self.book.incidents().filter(single).filter(|one| is_of(one) && counts(one)).collect()
    }

    /// Its open cases. Of one that is over, and of one that flaps between its last case and its end: the nodes it was on.
    fn members<'b>(self, one: &'b Incident) -> Vec<Member<'b>>
    where
        'a: 'b,
    {
        static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();
        let labels = |node: &str| self.fleet.node(node).map_or(&NO_LABELS, |node| &node.about.labels);
        if one.members.is_empty() {
            let code = one.first.1.code.as_str();
            return one.ever.iter().map(|node| Member { node, labels: labels(node), code, severity: one.worst }).collect();
        }
        let member = |((node, _), joined): (&'b CaseKey, &'b Joined)| Member {
            node,
            labels: labels(node),
            code: &joined.code,
            severity: joined.severity,
        };
        one.members.iter().map(member).collect()
    }
}
