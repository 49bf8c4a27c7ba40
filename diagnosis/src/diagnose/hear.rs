//! New sightings are added to what was heard before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;

use super::state::{Heard, State, Watched, fingerprint, micros, remember_pod};
use crate::catalogue::{Catalogue, Cause, LogSign, OVER, Sighting, Sign};
use crate::record::pod;

impl State {
    /// Takes sightings in without judging: nothing is opened by it, the next [`super::diagnose`] does that. Those of causes that are not
    /// in the catalogue say nothing.
    pub fn see(&mut self, catalogue: &Catalogue, sightings: &[Sighting]) {
        self.hear(catalogue, sightings.iter());
    }

    pub(super) fn hear<'a>(&mut self, catalogue: &Catalogue, sightings: impl Iterator<Item = &'a Sighting>) {
        for sighting in sightings {
            let Some(cause) = catalogue.cause(&sighting.code) else { continue };
            if sighting.sign == OVER {
                self.end_before(&cause.code, micros(sighting.at));
                continue;
            }
            let Some(sign @ Sign::Log(log)) = cause.signs.get(sighting.sign) else { continue };
            let Ok(index) = u16::try_from(sighting.sign) else { continue };
            let logs = &mut self.watched.entry(cause.code.clone()).or_default().logs;
            let rule = fingerprint(sign);
            let at = micros(sighting.at);
            let heard = match logs.entry(index) {
                Entry::Occupied(known) if known.get().rule == rule => {
                    let heard = known.into_mut();
                    heard.again(sighting, at);
                    heard
                }
                Entry::Occupied(mut known) => {
                    known.insert(Heard::first(sighting, at, rule));
                    known.into_mut()
                }
                Entry::Vacant(place) => place.insert(Heard::first(sighting, at, rule)),
            };
            heard.reach(log, at);
        }
    }

    /// The log says that a cause is over: what was heard of it until then has ended.
    fn end_before(&mut self, code: &str, at: Timestamp) {
        if let Some(watched) = self.watched.get_mut(code) {
            watched.logs.retain(|_, heard| heard.last_at > at);
        }
    }
}

/// Drops what was heard of signs that the cause has no longer, and finds again those that stand in another place. Returns whether
/// anything was dropped.
pub(super) fn forget_changed_signs(cause: &Cause, watched: &mut Watched) -> bool {
    let place = |rule: u32, index: u16| {
        let is = |sign: &Sign| fingerprint(sign) == rule;
        match cause.signs.get(usize::from(index)).is_some_and(is) {
            true => Some(index),
            false => cause.signs.iter().position(is).and_then(|index| u16::try_from(index).ok()),
        }
    };
    let before = watched.logs.len() + watched.facts.len();
    let logs = std::mem::take(&mut watched.logs);
    watched.logs = logs.into_iter().filter_map(|(index, heard)| Some((place(heard.rule, index)?, heard))).collect();
    let facts = std::mem::take(&mut watched.facts);
    watched.facts = facts.into_iter().filter_map(|(index, held)| Some((place(held.rule, index)?, held))).collect();
    watched.logs.len() + watched.facts.len() < before
}

impl Heard {
    fn first(sighting: &Sighting, at: Timestamp, rule: u32) -> Self {
        let mut heard = Self {
            rule,
            first_at: at,
            last_at: at,
            count: 1,
            reached: false,
            times: [at].into(),
            unit: sighting.unit.clone(),
            text: sighting.text.clone(),
            cursor: sighting.cursor.clone(),
            captures: sighting.captures.clone(),
            pods: BTreeMap::new(),
        };
        heard.hear_of_pod(sighting, at);
        heard
    }

    fn hear_of_pod(&mut self, sighting: &Sighting, at: Timestamp) {
        if let Some(pod) = sighting.captures.get(pod::POD) {
            remember_pod(&mut self.pods, pod, at);
        }
    }

    /// Saved logs may come newest first.
    fn again(&mut self, sighting: &Sighting, at: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.remember(at);
        self.hear_of_pod(sighting, at);
        if at >= self.last_at {
            self.last_at = at;
            self.unit.clone_from(&sighting.unit);
            self.text.clone_from(&sighting.text);
            self.cursor.clone_from(&sighting.cursor);
            self.captures.clone_from(&sighting.captures);
        }
    }

    /// Sees whether enough sightings came in time by now, and since when. Once there were enough it is a sign until its rule ends it:
    /// not because later ones come more slowly.
    fn reach(&mut self, sign: &LogSign, at: Timestamp) {
        // As they came, forwards or (in saved logs) backwards in time.
        let earlier = self.times.len().checked_sub(sign.count as usize).and_then(|index| self.times.get(index)).copied();
        let in_time = |first: Timestamp| sign.within.is_none_or(|within| at.duration_since(first).abs() <= within);
        let enough = earlier.filter(|first| in_time(*first)).map(|first| first.min(at));
        match (self.reached, enough) {
            (false, Some(first)) => self.first_at = first,
            (true, Some(first)) => self.first_at = self.first_at.min(first),
            (_, None) => {}
        }
        self.reached |= enough.is_some();
    }
}
