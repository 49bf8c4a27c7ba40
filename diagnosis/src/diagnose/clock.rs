//! A clock that was set back: what is remembered from before lies ahead, and would keep cases open until the clock is there again.

use jiff::{SignedDuration, Timestamp};

use super::fold::FADES_FOR;
use super::state::{Heard, State};

/// The journal, the checks and the agent read one clock; a time further ahead than this is from before it was set back.
const AHEAD: SignedDuration = SignedDuration::from_secs(1);

/// The latest time that can be meant by the clock as it goes now.
pub(super) fn latest(now: Timestamp) -> Timestamp {
    now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)
}

impl State {
    /// Times ahead of now become now: it was no later than that. Which case ids were given is left as it is, so that none is given twice.
    pub(super) fn end_at(&mut self, now: Timestamp) {
        let end = |at: &mut Timestamp, latest: Timestamp, by: Timestamp| {
            if *at > latest {
                *at = by;
            }
        };
        let latest = latest(now);
        for watched in self.watched.values_mut() {
            for Heard { first_at, last_at, times, .. } in watched.logs.values_mut() {
                times.iter_mut().chain([first_at, last_at]).for_each(|at| end(at, latest, now));
            }
            watched.facts.values_mut().for_each(|held| end(&mut held.since, latest, now));
        }
        for case in self.cases.values_mut() {
            end(&mut case.shown.since, latest, now);
            end(&mut case.told_at, latest, now);
        }
        let faded = now.checked_add(FADES_FOR).unwrap_or(Timestamp::MAX);
        self.fading.values_mut().for_each(|fading| end(&mut fading.until, faded, faded));
    }
}
