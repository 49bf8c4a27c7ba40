//! What systemd is told: READY, STATUS, WATCHDOG, STOPPING (sd_notify(3)). Without systemd it goes nowhere.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Speaks to systemd; says the same status once.
#[derive(Debug, Default)]
pub struct Notifier {
    ready: bool,
    status: String,
}

impl Notifier {
    /// How often [`Notifier::alive`] has to be said: twice in the watchdog's time, or hardly ever without one.
    pub fn beat(&self) -> Interval {
        let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |limit| limit / 2);
        let mut beat = interval(every.max(Duration::from_millis(100)));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat
    }

    /// The loop that says this is the one that has to live.
    pub fn alive(&self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// The first judgement is made, or another one: the status in one line.
    pub fn status(&mut self, status: String) {
        if self.ready && self.status == status {
            return;
        }
        tell(&[NotifyState::Ready, NotifyState::Status(&status)][usize::from(self.ready)..]);
        self.ready = true;
        self.status = status;
    }

    /// The end was ordered.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
