//! What has to be remembered between two moments.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, MAX_TIMES, Sighting};
use crate::model::PresentCause;

/// Case ids remembered per cause, so that none is used again.
const MAX_IDS: usize = 16;

/// What has to be remembered between two moments; small, serialisable, bounded. Starts empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// By code. A cause that was never seen is not in it.
    pub(super) causes: BTreeMap<String, CauseState>,
    /// When cases of these codes closed, for as long as they still explain what they left behind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) faded: BTreeMap<String, Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct CauseState {
    /// Log signs seen and not ended, by index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) seen: BTreeMap<usize, Seen>,
    /// Fact signs that are true, by index: since when, without a break.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) true_since: BTreeMap<usize, Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) case: Option<Case>,
    /// Ids of its last cases.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    ids: VecDeque<String>,
}

/// A log sign's sightings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) count: u64,
    /// The last ones, oldest first.
    pub(super) times: VecDeque<Timestamp>,
    pub(super) unit: String,
    pub(super) text: String,
    pub(super) captures: BTreeMap<String, String>,
}

/// An open case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    /// The cause as told last; its id, and since when it is present.
    pub(super) told: PresentCause,
    /// When that was.
    pub(super) told_at: Timestamp,
}

impl State {
    /// Codes of the cases that are open.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        self.causes.iter().filter(|(_, state)| state.case.is_some()).map(|(code, _)| &**code)
    }

    /// Takes sightings in.
    pub(super) fn see(&mut self, catalogue: &Catalogue, sightings: &[Sighting]) {
        for sighting in sightings.iter().filter(|sighting| catalogue.index(&sighting.code).is_some()) {
            let cause = self.causes.entry(sighting.code.clone()).or_default();
            match cause.seen.get_mut(&sighting.sign) {
                Some(seen) => seen.again(sighting),
                None => {
                    cause.seen.insert(sighting.sign, Seen::first(sighting));
                }
            }
        }
    }

    /// Drops what says nothing any more.
    pub(super) fn tidy(&mut self) {
        let says =
            |state: &CauseState| state.case.is_some() || !state.seen.is_empty() || !state.true_since.is_empty() || !state.ids.is_empty();
        self.causes.retain(|_, state| says(state));
    }
}

impl Seen {
    fn first(sighting: &Sighting) -> Self {
        Self {
            first_at: sighting.at,
            last_at: sighting.at,
            count: 1,
            times: [sighting.at].into(),
            unit: sighting.unit.clone(),
            text: sighting.text.clone(),
            captures: sighting.captures.clone(),
        }
    }

    fn again(&mut self, sighting: &Sighting) {
        self.first_at = self.first_at.min(sighting.at);
        self.count += 1;
        if self.times.len() == MAX_TIMES {
            self.times.pop_front();
        }
        self.times.push_back(sighting.at);
        // Clocks jump, and files are read in any order: the latest is the one that says so.
        if sighting.at >= self.last_at {
            self.last_at = sighting.at;
            self.unit.clone_from(&sighting.unit);
            self.text.clone_from(&sighting.text);
            self.captures.clone_from(&sighting.captures);
        }
    }
}

impl CauseState {
    /// A case id that was not used before: node, code and time; numbered if the same cause opens a case of the same time again.
    pub(super) fn new_id(&mut self, node: &str, code: &str, since: Timestamp) -> String {
        let stem = format!("{node}/{code}/{}", base36(since.as_microsecond()));
        let mut id = stem.clone();
        let mut n = 2;
        while self.ids.contains(&id) {
            id = format!("{stem}-{n}");
            n += 1;
        }
        if self.ids.len() == MAX_IDS {
            self.ids.pop_front();
        }
        self.ids.push_back(id.clone());
        id
    }
}

fn base36(n: i64) -> String {
    let mut left = n.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(left % 36).unwrap_or(0), 36).unwrap_or('0'));
        left /= 36;
        if left == 0 {
            break;
        }
    }
    if n < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}
