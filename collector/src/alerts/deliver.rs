//! One deliverer a hook: takes its messages from the outbox in order, and keeps trying. A hook that is down stops nobody else, and a message
//! that it does not take holds up none but those of its own case.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, timeout_at};

use super::headers::{self, HookError};
use super::{Message, alertmanager, webhook};
use crate::config::{Hook, HookKind};
use crate::store::Store;

/// How long a hook may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// First and longest pause before a message that the hook refused (4xx) is tried again; others are not held up by it.
const REFUSED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));
/// A message that a hook has refused for so long is given up.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);
/// Alerts in one request to an Alertmanager.
const AT_ONCE: usize = 200;

/// When what is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// First and longest pause while a hook is away.
    pub back_off: (Duration, Duration),
    /// How often open alerts are posted to an Alertmanager again.
    pub again: Duration,
    /// How far ahead the end of an open alert is put. A collector that stays away longer lets it resolve: nobody knows any more.
    pub ahead: Duration,
    /// How long a closed alert is posted again.
    pub closed: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            back_off: (Duration::from_millis(200), Duration::from_secs(60)),
            again: Duration::from_secs(60),
            ahead: Duration::from_secs(600),
            closed: Duration::from_secs(900),
        }
    }
}

/// Why a message was not taken.
struct Failure {
    words: String,
    blame: Blame,
}

/// What a failure says of the others that wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// The hook answered, and does not want this message: nothing.
    Refused,
    /// The hook has trouble (5xx, no answer in time), maybe with this message alone.
    Trouble,
    /// Nobody is there: no other would arrive.
    Away,
}

/// What became of the next message.
enum Next {
    /// The hook has answered.
    Answered,
    /// There is none.
    Nothing,
    /// The hook has trouble: one that has not been tried yet is, at once.
    Trouble(String),
    /// The hook, or the store, is away.
    Away(String),
}

/// Delivers to one hook.
#[derive(Debug)]
pub struct Deliverer {
    kind: HookKind,
    hook: Hook,
    name: Arc<str>,
    client: reqwest::Client,
    timing: Timing,
}

impl Deliverer {
    /// A deliverer for a hook.
    ///
    /// # Errors
    /// [`HookError`].
    pub fn new(kind: HookKind, hook: &Hook, timing: Timing) -> Result<Self, HookError> {
        let mut client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("nodewhy-collector/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers::read(hook)?);
        if let Some(path) = &hook.ca_file {
            client = client.tls_certs_only(headers::authorities(&hook.name, path)?);
        } else if !hook.url.starts_with("https:") {
            // Trusts nobody, needs nobody: a machine without CA certificates (a slim image) can call plain hooks.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|source| HookError::Client { name: hook.name.clone(), source })?;
        Ok(Self { kind, hook: hook.clone(), name: hook.name.as_str().into(), client, timing })
    }

    /// Sends one message now, past the outbox.
    ///
    /// # Errors
    /// What the hook said, or why it could not be asked.
    pub async fn try_out(&self, message: &Message) -> Result<(), String> {
        let text = serde_json::to_string(message).map_err(|error| error.to_string())?;
        self.send(&message.key, &text).await.map_err(|failure| failure.words)
    }

    /// Delivers what is in the store's outbox until the task is dropped.
    pub async fn run(self, store: Store) {
        let mut grew = store.outbox();
        let mut pause = self.timing.back_off.0;
        let mut away = false;
        // At once: an Alertmanager may have forgotten while the collector was away.
        let mut again_at = Instant::now();
        loop {
            // Before the look: what comes while it is taken is not missed.
            grew.mark_unchanged();
            let next = if self.kind == HookKind::Alertmanager && Instant::now() >= again_at {
                again_at = Instant::now() + self.timing.again;
                self.post_open(&store).await
            } else {
                self.deliver_next(&store).await
            };
            match next {
                Next::Answered => {
                    if std::mem::take(&mut away) {
                        tracing::info!(hook = %self.name, "the hook answers again");
                    }
                    pause = self.timing.back_off.0;
                }
                Next::Nothing => {
                    let until = self.wake_at(&store, again_at).await;
                    // Either is a reason to look again. The writer has ended if nothing grows any more.
                    if matches!(timeout_at(until, grew.changed()).await, Ok(Err(_))) {
                        return;
                    }
                }
                Next::Trouble(words) => {
                    self.complain(&mut away, &words);
                    let until = Instant::now() + jittered(pause);
                    let news = timeout_at(until, grew.changed()).await.is_ok();
                    pause = if news { self.timing.back_off.0 } else { (pause * 2).min(self.timing.back_off.1) };
                }
                Next::Away(words) => {
                    self.complain(&mut away, &words);
                    sleep(jittered(pause)).await;
                    pause = (pause * 2).min(self.timing.back_off.1);
                }
            }
        }
    }

    /// Once, until it takes something.
    fn complain(&self, away: &mut bool, words: &str) {
        if !std::mem::replace(away, true) {
            tracing::warn!(hook = %self.name, url = shown(&self.hook.url), "the hook takes nothing: {words}; kept and tried again");
        }
    }

    /// When to look even though nothing new came.
    async fn wake_at(&self, store: &Store, again_at: Instant) -> Instant {
        let due = store.next_due_at(self.name.clone()).await.ok().flatten();
        let wait = due.map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO));
        let due_at = wait.map_or(Instant::now() + self.timing.again, |wait| Instant::now() + wait + Duration::from_millis(1));
        if self.kind == HookKind::Alertmanager { due_at.min(again_at) } else { due_at }
    }

    async fn deliver_next(&self, store: &Store) -> Next {
        let now = Timestamp::now();
        let due = match store.due(self.name.clone(), now).await {
            Ok(Some(due)) => due,
            Ok(None) => return Next::Nothing,
            Err(error) => return Next::Away(error.to_string()),
        };
        let Err(Failure { words, blame }) = self.send(&due.key, &due.message).await else {
            return store.delivered(due.id).await.map_or_else(|error| Next::Away(error.to_string()), |()| Next::Answered);
        };
        let (first, longest) = if blame == Blame::Refused { REFUSED } else { self.timing.back_off };
        let pause = (first * 2_u32.saturating_pow(due.attempts.min(20))).min(longest);
        let done = match blame {
            Blame::Away => return Next::Away(words),
            Blame::Refused if now.duration_since(due.created_at) > GIVE_UP => {
                tracing::error!(hook = %self.name, key = due.key, "the hook has refused a message for {GIVE_UP:#}, it is given up: {words}");
                store.delivered(due.id).await
            }
            Blame::Refused => {
                tracing::warn!(hook = %self.name, key = due.key, "the hook refuses a message, tried again in {pause:?}: {words}");
                store.refused(due.id, words.clone(), pause, now).await
            }
            Blame::Trouble => store.refused(due.id, words.clone(), pause, now).await,
        };
        match done {
            Err(error) => Next::Away(error.to_string()),
            Ok(()) if blame == Blame::Trouble => Next::Trouble(words),
            Ok(()) => Next::Answered,
        }
    }

    async fn send(&self, key: &str, message: &str) -> Result<(), Failure> {
        let request = match self.kind {
            HookKind::Webhook => webhook::request(&self.client, &self.hook.url, key, message),
            HookKind::Alertmanager => {
                let message: Message = serde_json::from_str(message).map_err(|error| Failure {
                    words: format!("the message in the outbox cannot be read: {error}"),
                    blame: Blame::Refused,
                })?;
                let alert = alertmanager::of_message(&message, Timestamp::now(), self.timing.ahead);
                alertmanager::request(&self.client, &self.hook.url, &[alert])
            }
        };
        post(request).await
    }

    /// Tells an Alertmanager of all that is open, so that it does not take it for over, and of what has closed not long ago.
    async fn post_open(&self, store: &Store) -> Next {
        let now = Timestamp::now();
        let recent = SignedDuration::try_from(self.timing.closed).unwrap_or(SignedDuration::ZERO);
        let open = match store.open_alerts(now.checked_sub(recent).unwrap_or(now)).await {
            Ok(open) if open.is_empty() => return Next::Nothing,
            Ok(open) => open,
            Err(error) => return Next::Away(error.to_string()),
        };
        let alerts: Vec<_> = open.iter().map(|alert| alertmanager::of_open(alert, now, self.timing.ahead)).collect();
        for some in alerts.chunks(AT_ONCE) {
            match post(alertmanager::request(&self.client, &self.hook.url, some)).await {
                Ok(()) => {}
                Err(failure) if failure.blame == Blame::Refused => {
                    tracing::warn!(hook = %self.name, "open alerts are refused: {}", failure.words)
                }
                Err(failure) => return Next::Away(failure.words),
            }
        }
        Next::Answered
    }
}

/// A URL without what may be secret in it.
fn shown(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(url) => format!("{}://{}/...", url.scheme(), url.host_str().unwrap_or_default()),
        Err(_) => "?".to_owned(),
    }
}

async fn post(request: reqwest::RequestBuilder) -> Result<(), Failure> {
    let response = request.send().await.map_err(|error| {
        let blame = if error.is_connect() { Blame::Away } else { Blame::Trouble };
        Failure { words: chain(&error.without_url()), blame }
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = beginning(response).await;
    // 408 and 429 ask for another try later.
    let refused = status.is_client_error() && !matches!(status.as_u16(), 408 | 429);
    let blame = if refused { Blame::Refused } else { Blame::Trouble };
    Err(Failure { words: format!("HTTP {status}: {}", body.trim().escape_debug()), blame })
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

/// The first words of an answer, however long it is.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < 300
        && let Ok(Some(more)) = response.chunk().await
    {
        bytes.extend_from_slice(&more);
    }
    String::from_utf8_lossy(&bytes).chars().take(300).collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}
