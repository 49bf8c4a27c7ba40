//! One deliverer a hook: takes its messages from the outbox in order, and keeps trying. A hook that is down stops nobody else, and a message
//! that it does not take holds up none but those of its own incident.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::again;
use super::hook::{AHEAD, Hook};
use super::state::HookState;
use crate::message::{Event, Message};
use crate::store::{Letter, OVER_FOR, StandingAlert, Store};

/// When what is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// First and longest pause while a hook is away or has trouble.
    pub back_off: (Duration, Duration),
    /// First and longest pause before a message that the hook refused (4xx) is tried again; others are not held up by it. The store takes
    /// none for longer than a quarter of an hour.
    pub refused: (Duration, Duration),
    /// A message that a hook has refused for so long is given up.
    pub give_up: SignedDuration,
    /// How often open alerts are posted to an Alertmanager again.
    pub again: Duration,
    /// How far ahead the end of an open alert is put. A collector that stays away longer lets it resolve: nobody knows any more.
    pub ahead: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            back_off: (Duration::from_millis(200), Duration::from_secs(60)),
            refused: (Duration::from_secs(1), Duration::from_secs(600)),
            give_up: SignedDuration::from_hours(24),
            again: Duration::from_secs(60),
            ahead: AHEAD,
        }
    }
}

/// Why a message was not taken.
#[derive(Debug)]
pub(super) struct Failure {
    /// In words; no secret in them.
    pub(super) words: String,
    /// What it says of the others.
    pub(super) blame: Blame,
}

/// What a failure says of the others that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The hook answered, and does not want this message: nothing.
    Refused,
    /// The hook has trouble (5xx, no answer in time), maybe with this message alone.
    Trouble,
    /// It wants to be left alone, for so long if it says so.
    Limited(Option<Duration>),
    /// Nobody is there, or a file of ours is missing: no other would arrive.
    Away,
}

/// What became of the next message.
enum Next {
    /// The hook has answered.
    Answered,
    /// There is none.
    Nothing,
    /// The hook has trouble: one that has not been tried yet is, at once.
    Trouble,
    /// The hook, or the store, is away; for so long at least.
    Away(Duration),
}

/// Delivers to one hook.
#[derive(Debug)]
pub struct Deliverer {
    hook: Arc<Hook>,
    state: Arc<HookState>,
    store: Store,
    timing: Timing,
    /// The message that the hook has taken last, while that is not written down: it is not sent again.
    taken: Option<(i64, Option<StandingAlert>)>,
}

impl Deliverer {
    /// A deliverer for a hook.
    pub fn new(hook: Arc<Hook>, state: Arc<HookState>, store: Store, timing: Timing) -> Self {
        Self { hook, state, store, timing, taken: None }
    }

    /// Delivers what is in the outbox until the task is dropped.
    pub async fn run(mut self) {
        let mut grew = self.store.outbox();
        let mut pause = self.timing.back_off.0;
        // At once: an Alertmanager may have forgotten while the collector was away.
        let mut again_at = Instant::now();
        loop {
            // Before the look: what comes while it is taken is not missed.
            grew.mark_unchanged();
            let next = if self.hook.forgets() && Instant::now() >= again_at {
                let next = self.tell_again().await;
                // From its end: however long it takes, what is new is delivered in between.
                again_at = Instant::now() + self.timing.again;
                next
            } else {
                self.deliver_next().await
            };
            match next {
                Next::Answered => pause = self.timing.back_off.0,
                Next::Nothing => {
                    if !self.rest(&mut grew, again_at).await {
                        return;
                    }
                }
                Next::Trouble => {
                    let until = Instant::now() + jittered(pause);
                    let news = timeout_at(until, grew.changed()).await.is_ok();
                    pause = if news { self.timing.back_off.0 } else { (pause * 2).min(self.timing.back_off.1) };
                }
                Next::Away(least) => {
                    self.look().await;
                    sleep(jittered(pause).max(least)).await;
                    pause = (pause * 2).min(self.timing.back_off.1);
                }
            }
        }
    }

    /// Until there is a reason to look again. False: the store has ended.
    async fn rest(&self, grew: &mut watch::Receiver<i64>, again_at: Instant) -> bool {
        self.look().await;
        let due = self.store.next_letter_at(self.hook.name().clone(), Timestamp::now()).await.ok().flatten();
        let wait = due.map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO));
        let due_at = wait.map_or(Instant::now() + self.timing.again, |wait| Instant::now() + wait + Duration::from_millis(1));
        let until = if self.hook.forgets() { due_at.min(again_at) } else { due_at };
        !matches!(timeout_at(until, grew.changed()).await, Ok(Err(_)))
    }

    /// Counts what waits.
    async fn look(&self) {
        if let Ok(all) = self.store.letter_backlog().await {
            let mine = all.into_iter().find(|one| *one.hook == **self.hook.name());
            let (waiting, oldest) = mine.map_or((0, None), |mine| (mine.waiting, mine.oldest));
            self.state.backlog(waiting, oldest);
        }
    }

    async fn deliver_next(&mut self) -> Next {
        if self.taken.is_some() {
            return self.write_down().await;
        }
        let now = Timestamp::now();
        let letter = match self.store.due_letter(self.hook.name().clone(), now).await {
            Ok(Some(letter)) => letter,
            Ok(None) => return Next::Nothing,
            Err(error) => return self.away(&error.to_string()),
        };
        match self.send(&letter).await {
            Ok(standing) => {
                if self.state.counts().failing_since.is_some() {
                    tracing::info!(hook = %self.hook.name(), "the hook answers again");
                }
                self.state.delivered(now);
                self.taken = Some((letter.id, standing));
                self.write_down().await
            }
            Err(failure) => self.not_taken(&letter, failure, now).await,
        }
    }

    /// That the hook has taken a message.
    async fn write_down(&mut self) -> Next {
        let Some((id, standing)) = self.taken.clone() else { return Next::Answered };
        if let Err(error) = self.store.letter_taken(id, standing).await {
            return self.away(&format!("it took a message, and that cannot be written down, so the next one is not sent yet: {error}"));
        }
        self.taken = None;
        self.state.answered();
        Next::Answered
    }

    async fn send(&self, letter: &Letter) -> Result<Option<StandingAlert>, Failure> {
        let message: Message = serde_json::from_str(&letter.message)
            .map_err(|error| Failure { words: format!("the message in the outbox cannot be read: {error}"), blame: Blame::Refused })?;
        let store = |error: crate::store::StoreError| Failure { words: error.to_string(), blame: Blame::Away };
        let kept = if self.hook.keeps_labels() {
            let kept = self.store.standing_alert(self.hook.name().clone(), letter.incident.clone()).await.map_err(store)?;
            kept.and_then(|kept| again::labels(&kept))
        } else {
            None
        };
        let (number, over) = (message.number, message.event == Event::Resolved);
        let known = message.event != Event::Test;
        let labels = self.hook.send(message, kept, self.timing.ahead).await?;
        Ok(labels.filter(|_| known).map(|labels| StandingAlert {
            hook: self.hook.name().clone(),
            incident: letter.incident.clone(),
            number,
            labels: serde_json::to_string(&labels).unwrap_or_default(),
            message: letter.message.clone(),
            resolved_at: over.then(Timestamp::now),
        }))
    }

    async fn not_taken(&self, letter: &Letter, failure: Failure, now: Timestamp) -> Next {
        let Failure { words, blame } = failure;
        let refused = blame == Blame::Refused;
        self.complain(&words, refused, now);
        let (first, longest) = if refused { self.timing.refused } else { self.timing.back_off };
        let pause = (first * 2_u32.saturating_pow(letter.attempts.min(20))).min(longest);
        let (hook, key) = (self.hook.name(), &letter.key);
        let done = match blame {
            Blame::Away => return Next::Away(Duration::ZERO),
            Blame::Limited(asked) => return Next::Away(asked.unwrap_or(Duration::ZERO)),
            Blame::Refused if letter.refused_since.is_some_and(|since| now.duration_since(since) > self.timing.give_up) => {
                tracing::error!(%hook, key, "the hook has refused a message for {:#}, it is a dead letter now: {words}", self.timing.give_up);
                self.state.died(1);
                self.store.bury_letter(letter.id, words, now).await
            }
            Blame::Refused => {
                tracing::warn!(%hook, key, "the hook refuses a message, tried again in {pause:?}: {words}");
                self.store.letter_refused(letter.id, words, true, jittered(pause), now).await
            }
            Blame::Trouble => self.store.letter_refused(letter.id, words, false, jittered(pause), now).await,
        };
        match done {
            Err(error) => self.away(&error.to_string()),
            Ok(()) if refused => Next::Answered,
            Ok(()) => Next::Trouble,
        }
    }

    fn away(&self, words: &str) -> Next {
        self.complain(words, false, Timestamp::now());
        Next::Away(Duration::ZERO)
    }

    /// Once, until it takes something.
    fn complain(&self, words: &str, refused: bool, now: Timestamp) {
        if self.state.failed(words, refused, now) {
            let at = self.hook.place();
            tracing::warn!(hook = %self.hook.name(), at, "the hook takes nothing: {words}; what it should be told is kept and tried again");
        }
    }

    /// Tells an Alertmanager of all that is open, so that it does not take it for over, and of what was over not long ago.
    async fn tell_again(&self) -> Next {
        let now = Timestamp::now();
        let after = now.checked_sub(OVER_FOR).unwrap_or(now);
        let standing = match self.store.standing_alerts(self.hook.name().clone(), after).await {
            Ok(standing) if standing.is_empty() => {
                self.state.unconfirmed(false);
                return Next::Nothing;
            }
            Ok(standing) => standing,
            Err(error) => return self.away(&error.to_string()),
        };
        let ahead = self.timing.ahead;
        let worded = tokio::task::spawn_blocking(move || again::alerts(&standing, now, ahead)).await;
        for alerts in worded.unwrap_or_default() {
            match self.hook.post_again(alerts).await {
                Ok(()) => {}
                Err(Failure { words, blame: Blame::Refused }) => {
                    tracing::warn!(hook = %self.hook.name(), "open alerts are refused: {words}");
                }
                Err(Failure { words, blame }) => {
                    let asked = if let Blame::Limited(Some(asked)) = blame { asked } else { Duration::ZERO };
                    self.complain(&words, false, now);
                    self.state.unconfirmed(true);
                    return Next::Away(asked);
                }
            }
        }
        if self.state.answered() {
            tracing::info!(hook = %self.hook.name(), "the hook answers again");
        }
        Next::Answered
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
