//! How it goes with a hook: for metrics, for the command line, and for the finding `hook-failing`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// Counted since the collector started, but for what waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookCounts {
    /// Messages taken.
    pub delivered: u64,
    /// Attempts that failed, of whatever kind.
    pub failed: u64,
    /// Of these, those that the hook refused.
    pub refused: u64,
    /// Messages that were given up: dead letters.
    pub dead: u64,
    /// Messages that wait now.
    pub waiting: u64,
    /// When the oldest of these was made.
    pub oldest: Option<Timestamp>,
    /// When something was taken last.
    pub delivered_at: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Since when nothing has been taken though something was to be delivered; none while all is well.
    pub failing_since: Option<Timestamp>,
    /// What is open could not be told again to one that forgets: it fails though nothing new waits for it.
    pub unconfirmed: bool,
}

/// Shared by a hook's deliverer and those who look.
#[derive(Debug)]
pub struct HookState {
    /// The hook.
    pub name: Arc<str>,
    /// Its kind's word.
    pub kind: &'static str,
    counts: Mutex<HookCounts>,
}

impl HookState {
    /// Nothing yet.
    pub fn new(name: Arc<str>, kind: &'static str) -> Arc<Self> {
        Arc::new(Self { name, kind, counts: Mutex::default() })
    }

    /// As it is now.
    pub fn counts(&self) -> HookCounts {
        self.lock().clone()
    }

    pub(crate) fn delivered(&self, now: Timestamp) {
        let mut counts = self.lock();
        counts.delivered += 1;
        counts.waiting = counts.waiting.saturating_sub(1);
        counts.delivered_at = Some(now);
        counts.unconfirmed = false;
        counts.failing_since = None;
    }

    /// True if all was well before.
    pub(crate) fn failed(&self, words: &str, refused: bool, now: Timestamp) -> bool {
        let mut counts = self.lock();
        counts.failed += 1;
        counts.refused += u64::from(refused);
        counts.last_error = Some(words.to_owned());
        let first = counts.failing_since.is_none();
        counts.failing_since.get_or_insert(now);
        first
    }

    /// The hook was reached, with nothing to deliver. True if it was failing.
    pub(super) fn answered(&self) -> bool {
        let mut counts = self.lock();
        counts.unconfirmed = false;
        counts.failing_since.take().is_some()
    }

    /// Whether open alerts wait to be told again.
    pub(super) fn unconfirmed(&self, unconfirmed: bool) {
        self.lock().unconfirmed = unconfirmed;
    }

    pub(crate) fn died(&self, many: u64) {
        self.lock().dead += many;
    }

    pub(super) fn backlog(&self, waiting: u64, oldest: Option<Timestamp>) {
        let mut counts = self.lock();
        (counts.waiting, counts.oldest) = (waiting, oldest);
        // Nothing to deliver: nothing fails.
        if waiting == 0 && !counts.unconfirmed {
            counts.failing_since = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HookCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
