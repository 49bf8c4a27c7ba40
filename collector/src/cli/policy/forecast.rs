//! What a policy makes of an incident: who is told, by which route, and when. The messages come from the planner itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, Severity};
use serde::Serialize;

use super::incident::Incident;
use crate::message::{Event, Kind};
use crate::policy::{Differs, Match, Policy, Route, Silences, When};
use crate::tell::{Cover, Member, Quiet, Rates, Saying, Standing, about, subject, tell};

/// The incident is thought to last so long.
pub(super) const LASTS: Duration = Duration::from_secs(24 * 3600);
/// Messages shown at most: with `repeat: 1m` there are many in a day.
const MOST: usize = 100;

/// What a policy makes of an incident.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Forecast {
    /// When it begins.
    pub(super) at: Timestamp,
    pub(super) cause: String,
    pub(super) kind: Kind,
    pub(super) layer: Layer,
    /// The worst of the nodes that count.
    pub(super) severity: Severity,
    pub(super) nodes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) doubt: Option<String>,
    /// Nodes in maintenance when it begins.
    pub(super) quiet: Vec<QuietNode>,
    pub(super) routes: Vec<Asked>,
    /// In a day, if it lasts so long; then its end.
    pub(super) messages: Vec<Said>,
    /// There are more in that day.
    pub(super) more: bool,
}

/// A node in maintenance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QuietNode {
    pub(super) node: String,
    pub(super) maintenance: String,
    pub(super) line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
}

/// A route, asked when the incident begins.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    pub(super) line: u64,
    pub(super) hooks: Vec<Arc<str>>,
    #[serde(flatten)]
    pub(super) answer: Taken,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub(super) enum Taken {
    /// It takes the incident.
    #[serde(rename_all = "camelCase")]
    Takes {
        /// And those behind it are asked.
        goes_on: bool,
    },
    /// It is about something else.
    Differs {
        /// What is in the way, of the node that comes nearest.
        why: Vec<Differs>,
    },
    /// A route before it took the incident.
    NotAsked {
        /// Which.
        behind: u64,
    },
    /// All nodes are in maintenance.
    Quiet,
}

/// A message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    pub(super) at: Timestamp,
    /// Since the incident began; for its end, since it was over.
    pub(super) after_seconds: f64,
    pub(super) hook: Arc<str>,
    pub(super) event: Event,
}

impl Forecast {
    pub(super) fn of(policy: &Policy, incident: &Incident, at: Timestamp) -> Self {
        let standing = incident.standing(at, None);
        let silences = Silences::default();
        let quiet = Quiet::at(policy, &silences, at);
        let members = quiet.effective(&standing);
        let all = if members.is_empty() { &standing.members } else { &members };
        let severity = all.iter().map(|member| member.severity).max().unwrap_or(Severity::Info);
        let (messages, more) = messages(policy, incident, at);
        Self {
            at,
            cause: incident.code.clone(),
            kind: incident.kind,
            layer: incident.layer,
            severity,
            nodes: incident.nodes.len(),
            doubt: incident.doubt.clone(),
            quiet: standing.members.iter().filter_map(|member| quiet_node(&quiet, &standing, member, at)).collect(),
            routes: asked(policy, &standing, &members, severity),
            messages,
            more,
        }
    }
}

fn quiet_node(quiet: &Quiet<'_>, standing: &Standing<'_>, member: &Member<'_>, now: Timestamp) -> Option<QuietNode> {
    let Some(Cover::Maintenance(window)) = quiet.cover(standing, member) else { return None };
    let until = match &window.when {
        When::Once { until, .. } => Some(*until),
        every @ When::Every(_) => every.next_change(now),
    };
    Some(QuietNode { node: member.node.to_owned(), maintenance: window.name.clone(), line: window.line, until })
}

fn asked(policy: &Policy, standing: &Standing<'_>, members: &[Member<'_>], severity: Severity) -> Vec<Asked> {
    let mut ended_by = None;
    let ask = |route: &Route| {
        let answer = match ended_by {
            Some(behind) => Taken::NotAsked { behind },
            None if members.is_empty() => Taken::Quiet,
            None if about(&route.matches, standing, members, severity) => {
                ended_by = (!route.goes_on).then_some(route.line);
                Taken::Takes { goes_on: route.goes_on }
            }
            None => Taken::Differs { why: nearest(&route.matches, standing, members, severity) },
        };
        Asked { line: route.line, hooks: route.hooks.clone(), answer }
    };
    policy.routes.iter().map(ask).collect()
}

fn nearest(matches: &Match, standing: &Standing<'_>, members: &[Member<'_>], severity: Severity) -> Vec<Differs> {
    let differs = members.iter().map(|member| matches.differs(&subject(standing, member, severity)));
    differs.min_by_key(Vec::len).unwrap_or_default()
}

/// Lets the incident last for [`LASTS`] and end. Whether there are more messages than are given.
fn messages(policy: &Policy, incident: &Incident, at: Timestamp) -> (Vec<Said>, bool) {
    let (silences, mut rates, mut told) = (Silences::default(), Rates::default(), BTreeMap::new());
    let (mut said, mut more) = (Vec::new(), false);
    let end = at.checked_add(LASTS).unwrap_or(Timestamp::MAX);
    for (standing, begin) in [(incident.standing(at, None), at), (incident.standing(at, Some(end)), end)] {
        let mut now = Some(begin);
        while let Some(time) = now.filter(|time| standing.closed_at.is_some() || *time < end) {
            let tell = tell(policy, &silences, &mut rates, &standing, &mut told, time);
            for Saying { hook, event, .. } in tell.messages {
                if said.len() < MOST || event == Event::Resolved {
                    let after_seconds = time.duration_since(begin).as_secs_f64();
                    said.push(Said { at: time, after_seconds, hook, event });
                } else {
                    more = true;
                }
            }
            now = tell.wake_at;
        }
    }
    (said, more)
}
