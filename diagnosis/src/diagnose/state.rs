//! What is remembered from one judgement to the next.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::catalogue::{MAX_COUNT, Sign, Spoken};
use crate::model::PresentCause;

/// What has to be remembered between two moments; small, serialisable, bounded. Starts empty.
///
/// An agent reads what an older or newer one has written: every field has a default, and so must any that is added here or to
/// [`PresentCause`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Signs that hold or begin to, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) watched: BTreeMap<String, Watched>,
    /// Open cases, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) cases: BTreeMap<String, Case>,
    /// Cases whose root is over, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) fading: BTreeMap<String, Fading>,
    /// Which case ids were given out, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) given: BTreeMap<String, Given>,
}

impl State {
    /// Codes of the cases that are open.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        self.cases.keys().map(String::as_str)
    }
}

/// The signs of one cause, by their places in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Watched {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) logs: BTreeMap<u16, Heard>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) facts: BTreeMap<u16, Held>,
}

impl Watched {
    pub(super) fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.facts.is_empty()
    }

    /// The last sighting of any sign.
    pub(super) fn last_at(&self) -> Option<Timestamp> {
        self.logs.values().map(|heard| heard.last_at).max()
    }

    /// What was heard of these signs, the newest first.
    pub(super) fn heard(&self, signs: &[u16]) -> Vec<&Heard> {
        let mut heard: Vec<_> = signs.iter().filter_map(|index| Some((*index, self.logs.get(index)?))).collect();
        heard.sort_by_key(|(index, heard)| (std::cmp::Reverse(heard.last_at), *index));
        heard.into_iter().map(|(_, heard)| heard).collect()
    }
}

/// The sightings of one log sign that have not ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Heard {
    /// Fingerprint of the sign: the catalogue may have changed since.
    pub(super) rule: u32,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) count: u64,
    /// So many sightings within that time were seen: it is a sign until it ends.
    pub(super) reached: bool,
    /// The latest, as they came.
    pub(super) times: VecDeque<Timestamp>,
    pub(super) unit: String,
    pub(super) text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) cursor: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) captures: BTreeMap<String, String>,
    /// Pods spoken of at about the same time, each with its last sighting.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) pods: BTreeMap<String, Timestamp>,
}

impl Heard {
    pub(super) fn spoken(&self) -> Spoken<'_> {
        let Self { captures, text, pods, .. } = self;
        Spoken { captures, text, pods, count: self.count, first_at: self.first_at, last_at: self.last_at }
    }

    /// Adds a time; the first beyond the bound goes.
    pub(super) fn remember(&mut self, at: Timestamp) {
        if self.times.len() == MAX_COUNT as usize {
            self.times.pop_front();
        }
        self.times.push_back(at);
    }
}

/// Pods within so much time of the last sighting count as hit at once.
pub(super) const AT_ONCE: SignedDuration = SignedDuration::from_mins(10);
/// So many pods are remembered.
const MAX_PODS: usize = 16;

/// Adds a pod; those that are not of the same time go, and the longest unseen beyond the bound.
pub(super) fn remember_pod(pods: &mut BTreeMap<String, Timestamp>, pod: &str, at: Timestamp) {
    let known = pods.entry(pod.to_owned()).or_insert(at);
    *known = at.max(*known);
    let newest = pods.values().max().copied().unwrap_or(at);
    pods.retain(|_, seen| newest.duration_since(*seen) <= AT_ONCE);
    if pods.len() > MAX_PODS
        && let Some(oldest) = pods.iter().min_by_key(|(_, seen)| **seen).map(|(pod, _)| pod.clone())
    {
        pods.remove(&oldest);
    }
}

/// A fact sign that is true.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Held {
    pub(super) rule: u32,
    pub(super) since: Timestamp,
}

/// A cause present over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    /// As it stood last; its id and `since` are the case's.
    pub(super) shown: PresentCause,
    /// The message last told in a transition, if it is another than the one shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) told: Option<String>,
    /// When a message was last told.
    #[serde(default)]
    pub(super) told_at: Timestamp,
    /// How often another message was told than the one before.
    #[serde(default)]
    pub(super) told_again: u32,
}

/// A case whose root is over does not become a root at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fading {
    /// Codes of the roots that explained it.
    pub(super) roots: Vec<String>,
    pub(super) until: Timestamp,
}

/// Case ids given out for a code.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    /// The latest `since` in one.
    pub(super) since: Timestamp,
    /// How many needed a suffix.
    pub(super) suffixes: u32,
}

/// Tells one sign from another across changes of the catalogue (FNV-1a).
pub(super) fn fingerprint(sign: &Sign) -> u32 {
    let (one, other) = match sign {
        Sign::Log(log) => (log.pattern.as_str(), log.unless.as_deref().unwrap_or_default()),
        Sign::Fact(fact) => (fact.expr.source.as_str(), ""),
    };
    let bytes = one.bytes().chain([0]).chain(other.bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Times are kept to the microsecond, as the journal and case ids have them.
pub(super) fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
