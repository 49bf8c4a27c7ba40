//! The kernel's clocks.

use std::io;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};
use rtime_clock::adjtime::{Timex, adjtimex};

/// Whether something keeps the clock in time: adjtimex(2) without STA_UNSYNC. Reading takes no privilege.
///
/// # Errors
/// The kernel, or a seccomp filter, refuses the call.
pub fn synchronized() -> io::Result<bool> {
    // No modes are set: this reads and changes nothing.
    let mut state = Timex::new();
    adjtimex(&mut state)?;
    Ok(state.0.status & nix::libc::STA_UNSYNC == 0)
}

/// Both clocks further apart than this: the wall clock was set in between.
const SET: SignedDuration = SignedDuration::from_secs(2);

/// The clock on the wall and the one that nobody sets, at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    wall: Timestamp,
    /// CLOCK_MONOTONIC, as systemd's times have it.
    steady: Option<SignedDuration>,
}

impl Clocks {
    pub(crate) fn now() -> Self {
        let steady = clock_gettime(ClockId::CLOCK_MONOTONIC).ok();
        Self { wall: Timestamp::now(), steady: steady.and_then(|time| SignedDuration::try_from(std::time::Duration::from(time)).ok()) }
    }

    /// What a moment is called by the wall clock as it goes now: otherwise than then, if the clock was set since.
    pub(crate) fn now_called(&self, then: Option<Timestamp>, steady: Option<SignedDuration>) -> Option<Timestamp> {
        let then = then?;
        let Some((now, steady)) = self.steady.zip(steady) else { return Some(then) };
        let called = self.wall.checked_sub(now.checked_sub(steady)?).ok()?;
        // To the second: it is computed anew with every look and has to stay what it is.
        let whole = Timestamp::from_second(called.as_second()).unwrap_or(called);
        Some(if called.duration_since(then).abs() > SET { whole } else { then })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(wall: i64, steady: i64) -> Clocks {
        Clocks { wall: Timestamp::from_second(wall).expect("a time"), steady: Some(SignedDuration::from_secs(steady)) }
    }

    #[test]
    fn a_moment_keeps_its_distance_from_now_when_the_clock_is_set() {
        let then = Timestamp::from_second(10_000).ok();
        let steady = Some(SignedDuration::from_secs(500));
        for (now, called) in [(clocks(10_060, 560), 10_000), (clocks(6460, 560), 6400), (clocks(13_660, 560), 13_600)] {
            assert_eq!(now.now_called(then, steady), Timestamp::from_second(called).ok());
        }
    }

    #[test]
    fn without_the_other_clock_a_moment_is_called_as_it_was() {
        let then = Timestamp::from_second(10_000).ok();
        assert_eq!(clocks(1, 1).now_called(then, None), then);
        assert_eq!(clocks(1, 1).now_called(None, Some(SignedDuration::ZERO)), None);
    }
}
