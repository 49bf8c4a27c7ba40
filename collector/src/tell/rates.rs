//! No hook gets more than so many messages in a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::after;
use crate::policy::RateCap;

/// When each hook was told something, as far as it still counts.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    sent: BTreeMap<Arc<str>, VecDeque<Timestamp>>,
}

impl Rates {
    /// One message more, if there is room for it.
    ///
    /// # Errors
    /// When there will be, if nobody else takes it.
    pub fn take(&mut self, hook: &Arc<str>, cap: RateCap, now: Timestamp) -> Result<(), Timestamp> {
        let sent = self.sent.entry(hook.clone()).or_default();
        while sent.front().is_some_and(|at| after(*at, cap.within) <= now) {
            sent.pop_front();
        }
        // The clock was set back: what seems to be to come is past, and would shut the hook until then.
        while sent.back().is_some_and(|at| *at > now) {
            sent.pop_back();
        }
        // With a smaller cap than before there are more than there may be: as many have to go as are too many, and one.
        match sent.len().checked_sub(cap.messages.max(1)).and_then(|too_many| sent.get(too_many)) {
            Some(at) => Err(after(*at, cap.within)),
            None => {
                sent.push_back(now);
                Ok(())
            }
        }
    }

    /// What was said before, for the time after a restart. In the order of time.
    pub fn remember(&mut self, hook: &Arc<str>, at: Timestamp) {
        let sent = self.sent.entry(hook.clone()).or_default();
        let place = sent.partition_point(|other| *other <= at);
        sent.insert(place, at);
    }

    /// Forgets hooks that are no more.
    pub fn keep(&mut self, hooks: impl Fn(&str) -> bool) {
        self.sent.retain(|hook, _| hooks(hook));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    #[test]
    fn a_place_is_free_again_when_the_window_has_passed() {
        let (mut rates, hook) = (Rates::default(), Arc::from("a"));
        let cap = RateCap { messages: 2, within: Duration::from_secs(60) };
        assert_eq!(rates.take(&hook, cap, at(0)), Ok(()));
        assert_eq!(rates.take(&hook, cap, at(10)), Ok(()));
        assert_eq!(rates.take(&hook, cap, at(59)), Err(at(60)));
        assert_eq!(rates.take(&hook, cap, at(60)), Ok(()));
        assert_eq!(rates.take(&hook, cap, at(60)), Err(at(70)));
        assert_eq!(rates.take(&Arc::from("b"), cap, at(60)), Ok(()), "each hook has its own");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_shut_a_hook() {
        let (mut rates, hook) = (Rates::default(), Arc::from("a"));
        let cap = RateCap { messages: 1, within: Duration::from_secs(60) };
        assert_eq!(rates.take(&hook, cap, at(3600)), Ok(()));
        assert_eq!(rates.take(&hook, cap, at(0)), Ok(()));
        assert_eq!(rates.take(&hook, cap, at(1)), Err(at(60)));
    }

    #[test]
    fn a_smaller_cap_holds_from_its_first_moment() {
        let (mut rates, hook) = (Rates::default(), Arc::from("a"));
        for second in [2, 0, 1] {
            rates.remember(&hook, at(second));
        }
        let cap = RateCap { messages: 1, within: Duration::from_secs(60) };
        assert_eq!(rates.take(&hook, cap, at(3)), Err(at(62)), "all three have to be out of the window");
    }
}
