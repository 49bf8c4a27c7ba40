//! The first judgement waits until there is something to judge by: every check has looked and the journal is read to its end. Otherwise
//! a fault of last week, still in the journal, would be told as present until the facts that end it are in.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// A check that hangs for longer is unknown; the rest is told.
const AT_MOST: Duration = Duration::from_secs(5);
/// A journal that takes longer (a long time away, a slow disk) is waited for this long.
const JOURNAL_AT_MOST: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Settling {
    began: Instant,
    checks: BTreeSet<&'static str>,
    caught_up: bool,
}

impl Settling {
    pub(super) fn new(checks: BTreeSet<&'static str>) -> Self {
        Self { began: Instant::now(), checks, caught_up: false }
    }

    pub(super) fn looked(&mut self, check: &str) {
        self.checks.remove(check);
    }

    pub(super) fn caught_up(&mut self) {
        self.caught_up = true;
    }

    pub(super) fn ends(&self) -> Instant {
        self.began + if self.caught_up { AT_MOST } else { JOURNAL_AT_MOST }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        (self.checks.is_empty() && self.caught_up) || now >= self.ends()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_every_check_has_looked_and_the_journal_is_read() {
        let mut settling = Settling::new(BTreeSet::from(["a", "b"]));
        let now = settling.began;
        settling.looked("a");
        settling.looked("b");
        assert!(!settling.is_over(now));
        settling.caught_up();
        assert!(settling.is_over(now));
    }

    #[test]
    fn a_hung_check_does_not_keep_the_rest_from_being_told() {
        let mut settling = Settling::new(BTreeSet::from(["hung"]));
        settling.caught_up();
        assert!(!settling.is_over(settling.began));
        assert!(settling.is_over(settling.began + AT_MOST));
    }
}
