//! Who is called about alerts: a real Alertmanager (Debian's), and a plain receiver of webhooks.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::World;
use super::collector::in_group;
use crate::wait::until;

/// Port of the Alertmanager, and of the receiver, at this machine's end of the node's cable.
const ALERTMANAGER_PORT: u16 = 9093;
const RECEIVER_PORT: u16 = 9000;

/// A real Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    url: String,
    _running: Child,
}

impl Alertmanager {
    /// Starts one.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(world: &World) -> Result<Self> {
        let slot = world.node.slot();
        let dir = slot.dir().join("alertmanager");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("config.yml"), "route: {receiver: nobody, group_wait: 0s}\nreceivers: [{name: nobody}]\n")?;
        let log = fs::File::create(dir.join("log"))?;
        let url = format!("http://{}:{ALERTMANAGER_PORT}", slot.host_address());
        let mut command = in_group(slot)?;
        command
            .arg("prometheus-alertmanager")
            .arg(format!("--config.file={}", dir.join("config.yml").display()))
            .arg(format!("--storage.path={}", dir.display()))
            .arg(format!("--web.listen-address={}", url.trim_start_matches("http://")))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let alertmanager = Self { url, _running: command.spawn().context("cannot start prometheus-alertmanager")? };
        until("Alertmanager is ready", Duration::from_secs(20), async || {
            Ok(reqwest::get(format!("{}/-/ready", alertmanager.url)).await?.status().is_success().then_some(()))
        })
        .await
        .with_context(|| fs::read_to_string(dir.join("log")).unwrap_or_default())?;
        Ok(alertmanager)
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Alerts that are active now (`GET /api/v2/alerts`); Alertmanager leaves out those that have ended.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        Ok(reqwest::get(format!("{}/api/v2/alerts", self.url)).await?.json().await?)
    }
}

/// Takes webhooks. It can refuse them, as one does that is down.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    state: Arc<Taken>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Taken {
    messages: Mutex<Vec<(Timestamp, Value)>>,
    refusing: Mutex<bool>,
    refused: Mutex<usize>,
}

impl Receiver {
    /// Starts one.
    ///
    /// # Errors
    /// Its port is taken.
    pub async fn start(world: &World) -> Result<Self> {
        let address = SocketAddr::from((world.node.slot().host_address(), RECEIVER_PORT));
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let state = Arc::new(Taken::default());
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            // Ends with its being aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url: format!("http://{address}/hook"), state, serving })
    }

    /// Where to post.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers 503 from now on, or takes messages.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn refuse(&self, refuse: bool) {
        *self.state.refusing.lock().expect("no thread panics with the lock") = refuse;
    }

    /// How many messages were refused.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn refused(&self) -> usize {
        *self.state.refused.lock().expect("no thread panics with the lock")
    }

    /// All messages taken, in order.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn messages(&self) -> Vec<Value> {
        self.state.messages.lock().expect("no thread panics with the lock").iter().map(|(_, message)| message.clone()).collect()
    }

    /// When the newest message of this kind came, if it came after `since`.
    ///
    /// # Errors
    /// None comes.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub async fn told_at(&self, event: &str, code: &str, since: Timestamp, deadline: Duration) -> Result<Timestamp> {
        until(&format!("the receiver is told that {code} is {event}"), deadline, async || {
            let messages = self.state.messages.lock().expect("no thread panics with the lock");
            let told = messages.iter().rfind(|(at, message)| *at > since && message["event"] == event && message["cause"]["code"] == code);
            Ok(told.map(|(at, _)| *at))
        })
        .await
    }

    /// Waits for a message about a cause.
    ///
    /// # Errors
    /// None comes.
    pub async fn message(&self, event: &str, code: &str, deadline: Duration) -> Result<Value> {
        until(&format!("the receiver is told that {code} is {event}"), deadline, async || {
            Ok(self.messages().into_iter().find(|message| message["event"] == event && message["cause"]["code"] == code))
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(state): State<Arc<Taken>>, axum::Json(message): axum::Json<Value>) -> StatusCode {
    if *state.refusing.lock().expect("no thread panics with the lock") {
        *state.refused.lock().expect("no thread panics with the lock") += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    state.messages.lock().expect("no thread panics with the lock").push((Timestamp::now(), message));
    StatusCode::OK
}
