//! Whether the clock was set back, which the facts that are kept have to be told: they carry its times.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Both clocks are slewed together (clock_gettime(2), CLOCK_MONOTONIC), so that only a step sets them apart.
const STEP: SignedDuration = SignedDuration::from_millis(100);

#[derive(Debug)]
pub(super) struct Clock {
    wall: Timestamp,
    steady: Instant,
    /// By how much it was set back last.
    pub(super) last_step: SignedDuration,
}

impl Clock {
    pub(super) fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady, last_step: SignedDuration::ZERO }
    }

    /// By how much it was set back since it was asked last, if it was.
    pub(super) fn set_back(&mut self, wall: Timestamp, steady: Instant) -> Option<SignedDuration> {
        let passed = SignedDuration::try_from(steady.saturating_duration_since(self.steady)).unwrap_or(SignedDuration::MAX);
        let back = passed.saturating_sub(wall.duration_since(self.wall));
        (self.wall, self.steady) = (wall, steady);
        let step = (back >= STEP).then_some(back)?;
        self.last_step = step;
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_step_back_is_seen_once_and_a_step_forward_is_none() {
        let begin = Instant::now();
        let mut clock = Clock::new(at(1000), begin);
        assert_eq!(clock.set_back(at(1010), begin + Duration::from_secs(10)), None);
        assert_eq!(clock.set_back(at(500), begin + Duration::from_secs(20)), Some(SignedDuration::from_secs(520)));
        assert_eq!(clock.set_back(at(501), begin + Duration::from_secs(21)), None);
        assert_eq!(clock.set_back(at(9000), begin + Duration::from_secs(22)), None);
        assert_eq!(clock.last_step, SignedDuration::from_secs(520));
    }
}
