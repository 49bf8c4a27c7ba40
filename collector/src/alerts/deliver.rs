//! One deliverer a hook: takes its messages from the outbox in order, and keeps trying. A hook that is down stops nobody else.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Message, alertmanager, webhook};
use crate::config::{Hook, HookKind};
use crate::store::{Due, Store, StoreError};

/// How long a hook may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// First and longest pause between two attempts.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));
/// A message that the hook itself refuses (4xx) is given up after so many attempts, so that it does not stop those behind it for ever.
const REFUSALS: u32 = 8;
/// How often open alerts are posted to an Alertmanager again.
const AGAIN: Duration = Duration::from_secs(60);

/// A hook that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Its headers file cannot be read.
    #[error("hook {name}: cannot read headersFile {}: {source}", path.display())]
    Headers {
        /// The hook.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of it is no header.
    #[error("hook {name}: {}:{line}: has to be `Name: value`", path.display())]
    Header {
        /// The hook.
        name: String,
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// The HTTP client cannot be made.
    #[error("hook {name}: cannot make an HTTP client: {source}")]
    Client {
        /// The hook.
        name: String,
        /// Why.
        source: reqwest::Error,
    },
}

/// Why a message was not taken.
struct Failure {
    words: String,
    /// The hook answered, and does not want it.
    refused: bool,
}

/// Delivers to one hook.
pub struct Deliverer {
    kind: HookKind,
    hook: Hook,
    client: reqwest::Client,
    store: Store,
}

impl Deliverer {
    /// A deliverer for a hook.
    ///
    /// # Errors
    /// [`HookError`].
    pub fn new(kind: HookKind, hook: &Hook, store: Store) -> Result<Self, HookError> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("nodewhy-collector/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(hook)?)
            .build()
            .map_err(|source| HookError::Client { name: hook.name.clone(), source })?;
        Ok(Self { kind, hook: hook.clone(), client, store })
    }

    /// Delivers until the task is dropped.
    pub async fn run(self) {
        let alerts = self.store.alerts();
        let mut pause = BACK_OFF.0;
        let mut away = false;
        let mut again_at = Instant::now() + AGAIN;
        loop {
            // Asked for before looking: a commit between the look and the wait is not missed.
            let more = alerts.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            match self.deliver_next().await {
                Ok(true) => {
                    if std::mem::take(&mut away) {
                        tracing::info!(hook = self.hook.name, "the hook takes messages again");
                    }
                    pause = BACK_OFF.0;
                }
                Ok(false) => {
                    if timeout_at(again_at, more).await.is_err() {
                        again_at = Instant::now() + AGAIN;
                        self.post_open().await;
                    }
                }
                Err(words) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(
                            hook = self.hook.name,
                            url = self.hook.url,
                            "the hook does not take messages: {words}; they are kept and tried again"
                        );
                    }
                    sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
                    pause = (pause * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    /// Delivers the oldest message. False if there is none.
    async fn deliver_next(&self) -> Result<bool, String> {
        let in_words = |error: StoreError| error.to_string();
        let Some(due) = self.store.due(self.hook.name.clone()).await.map_err(in_words)? else { return Ok(false) };
        match self.send(&due).await {
            Ok(()) => {
                self.store.delivered(due.id).await.map_err(in_words)?;
                Ok(true)
            }
            Err(failure) if failure.refused && due.attempts + 1 >= REFUSALS => {
                tracing::error!(hook = self.hook.name, key = due.key, "given up after {REFUSALS} attempts: {}", failure.words);
                self.store.delivered(due.id).await.map_err(in_words)?;
                Ok(true)
            }
            Err(failure) => {
                self.store.attempted(due.id, failure.words.clone()).await.map_err(in_words)?;
                Err(failure.words)
            }
        }
    }

    async fn send(&self, due: &Due) -> Result<(), Failure> {
        let request = match self.kind {
            HookKind::Webhook => webhook::request(&self.client, &self.hook.url, due),
            HookKind::Alertmanager => {
                let message: Message = serde_json::from_str(&due.message)
                    .map_err(|error| Failure { words: format!("the message in the outbox cannot be read: {error}"), refused: true })?;
                alertmanager::request(&self.client, &self.hook.url, &[alertmanager::of_message(&message, Timestamp::now())])
            }
        };
        post(request).await
    }

    /// Tells an Alertmanager of all that is open, so that it does not take it for over.
    async fn post_open(&self) {
        if self.kind != HookKind::Alertmanager {
            return;
        }
        let Ok(open) = self.store.open_alerts().await else { return };
        let now = Timestamp::now();
        let alerts: Vec<_> = open.iter().map(|alert| alertmanager::of_open(&alert.node, &alert.cause, now)).collect();
        for chunk in alerts.chunks(500) {
            if let Err(failure) = post(alertmanager::request(&self.client, &self.hook.url, chunk)).await {
                tracing::warn!(hook = self.hook.name, open = alerts.len(), "open alerts could not be confirmed: {}", failure.words);
                return;
            }
        }
    }
}

async fn post(request: reqwest::RequestBuilder) -> Result<(), Failure> {
    let response = request.send().await.map_err(|error| Failure { words: chain(&error), refused: false })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body: String = response.text().await.unwrap_or_default().chars().take(300).collect();
    // 408 and 429 ask for another try later.
    let refused = status.is_client_error() && !matches!(status.as_u16(), 408 | 429);
    Err(Failure { words: format!("HTTP {status}: {}", body.trim()), refused })
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

fn headers(hook: &Hook) -> Result<HeaderMap, HookError> {
    let mut headers = HeaderMap::new();
    let Some(path) = &hook.headers_file else { return Ok(headers) };
    let text = fs::read_to_string(path).map_err(|source| HookError::Headers { name: hook.name.clone(), path: path.clone(), source })?;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let header = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        });
        let (name, value) = header.ok_or_else(|| HookError::Header { name: hook.name.clone(), path: path.clone(), line: index + 1 })?;
        headers.append(name, value);
    }
    Ok(headers)
}
