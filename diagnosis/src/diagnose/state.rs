//! What has to be remembered between two moments.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, LogSign, MAX_TIMES, Sighting};
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
    /// There were enough of them in time, once: what ends it is the sign's own rule, not that later ones came more slowly.
    pub(super) reached: bool,
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

    /// Takes sightings in without judging. Nothing is opened by it: the next [`super::diagnose`] does that.
    pub fn see(&mut self, catalogue: &Catalogue, sightings: &[Sighting]) {
        for sighting in sightings.iter().filter(|sighting| catalogue.index(&sighting.code).is_some()) {
            let cause = self.causes.entry(sighting.code.clone()).or_default();
            let seen = match cause.seen.entry(sighting.sign) {
                Entry::Occupied(seen) => {
                    let seen = seen.into_mut();
                    seen.again(sighting);
                    seen
                }
                Entry::Vacant(place) => place.insert(Seen::first(sighting)),
            };
            seen.reached |= catalogue.log_sign(&sighting.code, sighting.sign).is_some_and(|sign| seen.enough_for(sign));
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
            reached: false,
        }
    }

    /// Whether the last sightings are enough in time.
    fn enough_for(&self, sign: &LogSign) -> bool {
        let count = sign.count as usize;
        let Some(within) = sign.within.filter(|_| count > 1) else { return true };
        // Not in order where files are read newest first; then a step back is a step all the same.
        let first = self.times.len().checked_sub(count).and_then(|index| self.times.get(index));
        first.zip(self.times.back()).is_some_and(|(first, last)| last.duration_since(*first).abs() <= within)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let yaml = "code: flapping\ntitle: T\nlayer: network\nseverity: warning\nfound_by: agent\nsigns:\n  - log: {from: [kernel], match: 'link down', count: 3, within: 1m, quiet_for: 10m, examples: ['link down']}\nexplains: []\nmessage: M\nevidence: []\nremedy: []\ndocs: {meaning: m, knows: k, lookalikes: l}\n";
        let (catalogue, errors) = Catalogue::load([("flapping.yaml", yaml)]);
        assert!(errors.is_empty(), "{errors:?}");
        catalogue
    }

    fn seen_at(seconds: &[i64]) -> bool {
        let catalogue = catalogue();
        let mut state = State::default();
        for second in seconds {
            let at = Timestamp::from_second(*second).expect("a time");
            let (unit, text, cursor, captures) = ("kernel".to_owned(), "link down".to_owned(), String::new(), BTreeMap::new());
            state.see(&catalogue, &[Sighting { code: "flapping".to_owned(), sign: 0, at, unit, text, cursor, captures }]);
        }
        state.causes["flapping"].seen[&0].reached
    }

    #[test]
    fn so_many_in_that_time_are_enough_in_either_order_of_time() {
        assert!(seen_at(&[0, 100, 130, 160]) && seen_at(&[160, 130, 100, 0]));
        assert!(!seen_at(&[0, 1]) && !seen_at(&[0, 31, 62, 93]));
    }

    #[test]
    fn what_was_enough_once_stays_so_until_its_rule_ends_it() {
        let slowly = (1..100).map(|n| 1000 * n);
        assert!(seen_at(&[0, 1, 2].into_iter().chain(slowly).collect::<Vec<_>>()));
    }
}
