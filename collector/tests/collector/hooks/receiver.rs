//! A server that keeps what it was sent, byte for byte, and answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use nodewhy_collector::message::Message;

use crate::support::until;

/// A request.
#[derive(Clone)]
pub(crate) struct Got {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers)).to_str().expect("text")
    }

    /// The body of a webhook in our own format.
    pub(crate) fn message(&self) -> Message {
        serde_json::from_slice(&self.body).expect("a message")
    }
}

/// What is answered.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<&'static str>,
    pub(crate) body: &'static str,
}

pub(crate) fn status(status: u16) -> Answer {
    Answer { status, retry_after: None, body: "" }
}

type Rule = Box<dyn FnMut(&Got) -> Answer + Send>;

#[derive(Default)]
struct Seen {
    all: Vec<(Got, u16)>,
    rule: Option<Rule>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    /// Listening, and content with everything.
    pub(crate) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.expect("a port");
        let receiver = Self { address: listener.local_addr().expect("bound"), seen: Arc::default() };
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub(crate) fn answer(&self, rule: impl FnMut(&Got) -> Answer + Send + 'static) {
        self.seen.lock().expect("whole").rule = Some(Box::new(rule));
    }

    /// All that came, with what was answered.
    pub(crate) fn all(&self) -> Vec<(Got, u16)> {
        self.seen.lock().expect("whole").all.clone()
    }

    /// What was taken.
    pub(crate) fn taken(&self) -> Vec<Got> {
        self.all().into_iter().filter(|(_, status)| *status < 300).map(|(got, _)| got).collect()
    }

    /// What was taken, once it is so much.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Got> {
        until(&format!("{count} taken"), async || Some(self.taken()).filter(|taken| taken.len() >= count)).await
    }

    /// Keys of the messages that were taken.
    pub(crate) async fn keys(&self, count: usize) -> Vec<String> {
        self.wait(count).await.iter().map(|got| got.message().key).collect()
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let got = Got { uri, headers, body, at: Instant::now() };
    let mut seen = receiver.seen.lock().expect("whole");
    let answer = seen.rule.as_mut().map_or(Answer { status: 200, retry_after: None, body: "ok" }, |rule| rule(&got));
    seen.all.push((got, answer.status));
    drop(seen);
    let mut response = (StatusCode::from_u16(answer.status).expect("a status"), answer.body).into_response();
    if let Some(pause) = answer.retry_after {
        response.headers_mut().insert("retry-after", pause.parse().expect("a header"));
    }
    response
}
