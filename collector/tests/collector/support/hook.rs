//! A receiver of webhooks that answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

use super::until;

/// How to answer to a message.
type Answer = Box<dyn Fn(&Value) -> u16 + Send>;

#[derive(Default)]
struct Seen {
    taken: Vec<Value>,
    refused: Vec<Value>,
    headers: Option<HeaderMap>,
    answer: Option<Answer>,
}

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Hook {
    seen: Arc<Mutex<Seen>>,
}

impl Hook {
    /// Listening.
    pub(crate) async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let app = Router::new().route("/hook", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    /// From now on.
    pub(crate) fn answer(&self, answer: impl Fn(&Value) -> u16 + Send + 'static) {
        self.seen.lock().expect("whole").answer = Some(Box::new(answer));
    }

    pub(crate) fn taken(&self) -> Vec<Value> {
        self.seen.lock().expect("whole").taken.clone()
    }

    pub(crate) fn refused(&self) -> usize {
        self.seen.lock().expect("whole").refused.len()
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.seen.lock().expect("whole").headers.clone().expect("something came")
    }

    /// Event and cause of what was taken, once there is so much of it.
    pub(crate) async fn told(&self, count: usize) -> Vec<String> {
        let taken = until(&format!("{count} messages"), async || Some(self.taken()).filter(|taken| taken.len() >= count)).await;
        taken.iter().map(told).collect()
    }
}

/// `opened swap-enabled`.
pub(crate) fn told(message: &Value) -> String {
    format!("{} {}", message["event"], message["cause"]["code"]).replace('"', "")
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    let mut seen = hook.seen.lock().expect("whole");
    let status = seen.answer.as_ref().map_or(200, |answer| answer(&message));
    let list = if status == 200 { &mut seen.taken } else { &mut seen.refused };
    list.push(message);
    seen.headers = Some(headers);
    StatusCode::from_u16(status).expect("a status")
}
