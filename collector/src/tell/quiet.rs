//! What is not told: silences and maintenance. Each node's case is looked at by itself; one that is covered does not count.

use jiff::Timestamp;
use nodewhy_diagnosis::model::Severity;

use super::{Member, Standing};
use crate::policy::{Maintenance, Match, Policy, Silence, Silences, Subject};

/// Why a node's case is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover<'a> {
    /// The user says that it is so.
    Maintenance(&'a Maintenance),
    /// Somebody does not want to hear of it.
    Silence(&'a Silence),
}

/// All that may keep an incident quiet, as it is at one time.
#[derive(Debug)]
pub struct Quiet<'a> {
    now: Timestamp,
    /// With whether they are in force.
    windows: Vec<(&'a Maintenance, bool)>,
    /// Those that are not over.
    silences: Vec<(&'a Silence, bool)>,
}

impl<'a> Quiet<'a> {
    /// Looks at the times once, for all members.
    pub fn at(policy: &'a Policy, silences: &'a Silences, now: Timestamp) -> Self {
        let windows = policy.maintenance.iter().map(|window| (window, window.when.active(now))).collect();
        let lasting = silences.all().iter().filter(|silence| now < silence.ends_at);
        Self { now, windows, silences: lasting.map(|silence| (silence, silence.active(now))).collect() }
    }

    /// What covers a member now.
    pub fn cover(&self, standing: &Standing<'_>, member: &Member<'_>) -> Option<Cover<'a>> {
        let subject = subject(standing, member, member.severity);
        let window = self.windows.iter().find(|(window, active)| *active && window.matches.fits(&subject));
        let silence = || self.silences.iter().find(|(silence, active)| *active && silence.matches.fits(&subject));
        window.map(|(window, _)| Cover::Maintenance(window)).or_else(|| silence().map(|(silence, _)| Cover::Silence(silence)))
    }

    /// The members that count.
    pub fn effective<'m>(&self, standing: &Standing<'m>) -> Vec<Member<'m>> {
        standing.members.iter().filter(|member| self.cover(standing, member).is_none()).copied().collect()
    }

    /// When time alone may change what is covered.
    pub fn next_change(&self, standing: &Standing<'_>) -> Option<Timestamp> {
        let any = |matches: &Match| standing.members.iter().any(|member| matches.fits(&subject(standing, member, member.severity)));
        let windows =
            self.windows.iter().filter(|(window, _)| any(&window.matches)).filter_map(|(window, _)| window.when.next_change(self.now));
        let silences =
            self.silences.iter().filter(|(silence, _)| any(&silence.matches)).filter_map(|(silence, _)| silence.next_change(self.now));
        windows.chain(silences).min()
    }
}

/// Whether a route's match is about the incident: some member fits it, with the incident's severity.
pub(crate) fn about(matches: &Match, standing: &Standing<'_>, members: &[Member<'_>], severity: Severity) -> bool {
    members.iter().any(|member| matches.fits(&subject(standing, member, severity)))
}

/// A member as routes, silences and maintenance look at it.
pub(crate) fn subject<'m>(standing: &Standing<'_>, member: &Member<'m>, severity: Severity) -> Subject<'m> {
    Subject { kind: standing.kind, layer: standing.layer, severity, code: member.code, node: member.node, labels: member.labels }
}
