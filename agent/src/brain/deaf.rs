//! Whether the journal's thread still reads: a thread that hangs in the page fault of a mapped journal file (a disk in state D), or that has
//! ended, says nothing, and nothing must not be taken for "nothing in the log".

use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Facts, Missing, MissingKind};
use tokio::time::Instant;

/// The thread tells its position ten times a second, whether there are entries or not; reading a backlog it tells it with each batch.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Hearing {
    position: Option<Timestamp>,
    moved: Instant,
    deaf: bool,
}

impl Hearing {
    pub(super) fn new(now: Instant) -> Self {
        Self { position: None, moved: now, deaf: false }
    }

    /// Takes the thread's position, and tells what follows from it: that log signs cannot be told while it stands still.
    pub(super) fn at(&mut self, position: Option<Timestamp>, facts: &mut Facts, now: Instant, read_at: Timestamp) {
        if position != self.position {
            self.position = position;
            self.moved = now;
        }
        let stands = self.moved + PATIENCE <= now;
        let readable = facts.known(s::LOGS_JOURNAL_READABLE) == Some(true);
        if stands && readable {
            self.deaf = true;
            let why = format!("reading the journal has not moved for {:?}: its disk or its reader hangs", now - self.moved);
            let hint = "look at: dmesg | grep -i 'blocked for more than', and at the disk under /var/log/journal";
            facts.miss(s::LOGS_JOURNAL_READABLE, read_at, Missing::new(MissingKind::Hung, why).hint(hint));
        } else if !stands && std::mem::take(&mut self.deaf) {
            facts.set(s::LOGS_JOURNAL_READABLE, read_at, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn readable(facts: &Facts) -> Result<bool, MissingKind> {
        facts.value(s::LOGS_JOURNAL_READABLE.path()).map(|_| true).map_err(|missing| missing.kind)
    }

    #[test]
    fn a_reader_that_stands_still_makes_log_signs_unknown_until_it_moves() {
        let begin = Instant::now();
        let mut facts = Facts::new();
        facts.set(s::LOGS_JOURNAL_READABLE, at(1), true);
        let mut hearing = Hearing::new(begin);
        for second in 1..=30 {
            hearing.at(Some(at(second.min(12))), &mut facts, begin + Duration::from_secs(second.unsigned_abs()), at(second));
            assert_eq!(readable(&facts), if second < 22 { Ok(true) } else { Err(MissingKind::Hung) }, "second {second}");
        }
        hearing.at(Some(at(31)), &mut facts, begin + Duration::from_secs(31), at(31));
        assert_eq!(readable(&facts), Ok(true));
    }

    #[test]
    fn a_journal_that_cannot_be_read_keeps_its_own_reason() {
        let begin = Instant::now();
        let mut facts = Facts::new();
        facts.miss(s::LOGS_JOURNAL_READABLE, at(1), Missing::new(MissingKind::Denied, "no"));
        Hearing::new(begin).at(None, &mut facts, begin + PATIENCE * 2, at(20));
        assert_eq!(readable(&facts), Err(MissingKind::Denied));
    }
}
