//! A receiver of webhooks that keeps what came and when, and fails as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::wait::until;

/// A message, and when it came.
#[derive(Debug, Clone)]
pub struct Taken {
    /// When.
    pub at: Instant,
    /// What.
    pub message: Value,
}

impl Taken {
    /// Why it was sent: opened, updated, resolved.
    pub fn event(&self) -> &str {
        self.message["event"].as_str().unwrap_or_default()
    }

    /// A text of the message.
    pub fn text(&self, key: &str) -> &str {
        self.message[key].as_str().unwrap_or_default()
    }
}

/// What is to become of the `n`th request.
pub type Fate = Box<dyn Fn(usize) -> Option<StatusCode> + Send + Sync>;

struct Heard {
    taken: Mutex<Vec<Taken>>,
    requests: Mutex<usize>,
    fate: Fate,
}

/// See the module.
#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    heard: Arc<Heard>,
}

impl Receiver {
    /// One that takes everything.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start() -> Result<Self> {
        Self::failing(Box::new(|_| Some(StatusCode::OK))).await
    }

    /// One with a will of its own. `None` is no answer at all; what is answered with success has been taken, and so has what the fate answers
    /// with `202 Accepted`, whose answer gets lost on the way.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn failing(fate: Fate) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Heard { taken: Mutex::default(), requests: Mutex::default(), fate });
        let router = Router::new().route("/hook", post(take)).with_state(heard.clone());
        tokio::spawn(async move {
            // Until the runtime ends.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, heard })
    }

    /// Where to post.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All that was taken, in the order in which it came.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn taken(&self) -> Vec<Taken> {
        self.heard.taken.lock().expect("no thread panics with the lock").clone()
    }

    /// How many pages there were: messages that something opened.
    pub fn opened(&self) -> Vec<Taken> {
        self.taken().into_iter().filter(|taken| taken.event() == "opened").collect()
    }

    /// Waits until so much was opened.
    ///
    /// # Errors
    /// It was not.
    pub async fn wait_opened(&self, count: usize, within: Duration) -> Result<Vec<Taken>> {
        let what = format!("{count} messages that something opened");
        let opened = until(&what, within, async || Ok(Some(self.opened()).filter(|opened| opened.len() >= count)));
        opened.await.with_context(|| format!("{:?}", self.words()))
    }

    /// For messages of tests.
    pub fn words(&self) -> Vec<String> {
        self.taken().iter().map(|taken| format!("{} {}: {}", taken.event(), taken.text("incident"), taken.text("title"))).collect()
    }
}

async fn take(State(heard): State<Arc<Heard>>, axum::Json(message): axum::Json<Value>) -> StatusCode {
    let n = {
        let mut requests = heard.requests.lock().expect("no thread panics with the lock");
        *requests += 1;
        *requests
    };
    let fate = (heard.fate)(n);
    if fate.is_some_and(|status| status.is_success()) {
        heard.taken.lock().expect("no thread panics with the lock").push(Taken { at: Instant::now(), message });
    }
    match fate {
        // Taken, and the answer is lost.
        Some(StatusCode::ACCEPTED) => StatusCode::BAD_GATEWAY,
        Some(status) => status,
        None => std::future::pending().await,
    }
}
