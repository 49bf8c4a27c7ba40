//! What is to be said to whom now. Pure: from an incident as it stands, what was said last, the policy and the silences.
//!
//! Called whenever an incident changed, whenever policy or silences did, and at [`Tell::wake_at`]: in between nothing would be said.

mod due;
mod ending;
mod quiet;
mod rates;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, Severity};
use serde::{Deserialize, Serialize};

use crate::message::{Event, Kind};
use crate::policy::{Policy, Silences};

pub use quiet::{Cover, Quiet};
pub(crate) use quiet::{about, subject};
pub use rates::Rates;

/// A node's case in an incident.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The node.
    pub node: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The case's cause.
    pub code: &'a str,
    /// The worst of the cause and what follows from it on the node.
    pub severity: Severity,
}

/// An incident as it stands.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// Its identity.
    pub id: &'a str,
    /// What makes it one.
    pub kind: Kind,
    /// Of the cause.
    pub layer: Layer,
    /// Open cases; of an incident that is over, those that closed last.
    pub members: Vec<Member<'a>>,
    /// When it opened (by the collector's clock), the last time if it came again.
    pub opened_at: Timestamp,
    /// When it was over; with a flapping one, when the last case closed.
    pub closed_at: Option<Timestamp>,
    /// It comes and goes.
    pub flapping: bool,
    /// It is not known yet whether it is part of something greater: nothing is said of it before.
    pub wait_until: Option<Timestamp>,
    /// It became part of this other incident: what was told of it is over.
    pub merged_into: Option<&'a str>,
    /// What is shared is known: another thing to say than that there are many.
    pub explained: bool,
    /// Incidents of single nodes that are told with it and not by themselves.
    pub apart: BTreeSet<Arc<str>>,
    /// Hooks that hear of it with a greater incident.
    pub heard_by: Vec<&'a str>,
}

impl<'a> Standing<'a> {
    /// Of a single node, without members yet: open, settled, and heard of by nobody.
    pub fn alone(id: &'a str, layer: Layer, opened_at: Timestamp) -> Self {
        Self {
            id,
            kind: Kind::Node,
            layer,
            members: Vec::new(),
            opened_at,
            closed_at: None,
            flapping: false,
            wait_until: None,
            merged_into: None,
            explained: false,
            apart: BTreeSet::new(),
            heard_by: Vec::new(),
        }
    }
}

/// What was said last of an incident to a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Why.
    pub event: Event,
    /// When.
    pub at: Timestamp,
    /// How bad it was said to be.
    pub severity: Severity,
    /// On how many nodes.
    pub nodes: u32,
    /// With what is shared.
    pub explained: bool,
    /// With which incidents of single nodes.
    #[serde(default)]
    pub apart: BTreeSet<Arc<str>>,
    /// Since then all of it has been silenced or in maintenance: what is left when that is over is told.
    #[serde(default)]
    pub covered: bool,
    /// How many messages there were.
    pub number: u32,
}

/// One message to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// To whom.
    pub hook: Arc<str>,
    /// Why.
    pub event: Event,
    /// Its place among those about the incident to this hook, from 1.
    pub number: u32,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tell {
    /// In this order. `told` has been brought up to date.
    pub messages: Vec<Saying>,
    /// When time alone will change the answer.
    pub wake_at: Option<Timestamp>,
}

impl Tell {
    /// Time alone may change something then.
    fn wake(&mut self, at: Option<Timestamp>) {
        self.wake_at = self.wake_at.into_iter().chain(at).min();
    }
}

/// When something is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Now(Event),
    At(Timestamp),
    Never,
}

/// What is to be said about an incident now. `told` is what was said of it to each hook (also to hooks that are no more), `rates` is of all
/// incidents together.
///
/// A hook gets one message at a time at most ([`Event::Replaced`] and what comes in its place are one), and never one about something that
/// it was told already.
pub fn tell(
    policy: &Policy,
    silences: &Silences,
    rates: &mut Rates,
    standing: &Standing<'_>,
    told: &mut BTreeMap<Arc<str>, Told>,
    now: Timestamp,
) -> Tell {
    let mut say = Say { policy, rates, told, now, tell: Tell::default() };
    if standing.merged_into.is_some() || standing.closed_at.is_some() {
        ending::tell(&mut say, standing);
    } else {
        due::tell(&mut say, silences, standing);
    }
    say.tell
}

/// What is said, while it is being said.
struct Say<'a> {
    policy: &'a Policy,
    rates: &'a mut Rates,
    told: &'a mut BTreeMap<Arc<str>, Told>,
    now: Timestamp,
    tell: Tell,
}

/// What is kept of what is said.
#[derive(Debug, Clone)]
struct View {
    severity: Severity,
    nodes: u32,
    explained: bool,
    apart: BTreeSet<Arc<str>>,
}

impl From<&Told> for View {
    fn from(told: &Told) -> Self {
        Self { severity: told.severity, nodes: told.nodes, explained: told.explained, apart: told.apart.clone() }
    }
}

impl Say<'_> {
    /// Says it, if it is time and there is room; gives whether it was said.
    fn due(&mut self, hook: &Arc<str>, due: Due, view: &View) -> bool {
        match due {
            Due::Never => {}
            Due::At(at) => self.tell.wake(Some(at)),
            Due::Now(event) => match self.rates.take(hook, self.policy.rate_cap, self.now) {
                Err(free_at) => self.tell.wake(Some(free_at)),
                Ok(()) => {
                    if event == Event::Updated && self.pages_anew(hook, view) {
                        self.say(hook, Event::Replaced, view);
                        self.say(hook, Event::Opened, view);
                    } else {
                        self.say(hook, event, view);
                    }
                    return true;
                }
            },
        }
        false
    }

    fn say(&mut self, hook: &Arc<str>, event: Event, view: &View) {
        let View { severity, nodes, explained, apart } = view.clone();
        let number = self.told.get(hook).map_or(0, |told| told.number).saturating_add(1);
        let covered = event == Event::Acknowledged;
        self.told.insert(hook.clone(), Told { event, at: self.now, severity, nodes, explained, apart, covered, number });
        self.tell.messages.push(Saying { hook: hook.clone(), event, number });
    }

    /// Whether more said of an alert would wake nobody where it wakes somebody elsewhere: it is acknowledged, or was one of less weight.
    fn pages_anew(&self, hook: &str, view: &View) -> bool {
        let reason = self.told.get(hook).is_some_and(|told| told.covered || view.severity > told.severity);
        reason && self.policy.hook(hook).is_some_and(|hook| hook.kind.acknowledges())
    }
}

impl Due {
    /// Once so much time has passed since then. No time at all has always passed, also after the clock was set back.
    fn once(since: Timestamp, delay: Duration, event: Event, now: Timestamp) -> Self {
        let at = after(since, delay);
        if delay.is_zero() || at <= now { Self::Now(event) } else { Self::At(at) }
    }
}

/// Later by so much; times beyond all reckoning are the last there is.
pub(crate) fn after(at: Timestamp, time: Duration) -> Timestamp {
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
