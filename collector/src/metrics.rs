//! Metrics in OpenMetrics text, for Prometheus, on a loopback port. They are read when somebody asks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::alerts::Board;
use crate::policy::Loaded;
use crate::presence::Presence;
use crate::server::Refusals;
use crate::store::{Store, StoreError};

/// What metrics are made of. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    /// What is known.
    pub store: Store,
    /// Who is there.
    pub presence: Presence,
    /// What was not taken.
    pub refusals: Arc<Refusals>,
    /// The policy in force.
    pub policy: watch::Receiver<Loaded>,
    /// How the hooks are.
    pub board: Board,
}

/// Serves `/metrics` until the task is dropped.
///
/// # Errors
/// The address cannot be listened on, or serving failed.
pub async fn serve(address: SocketAddr, metrics: Metrics) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "metrics are served at /metrics");
    axum::serve(listener, Router::new().route("/metrics", get(answer)).with_state(metrics)).await
}

async fn answer(State(metrics): State<Metrics>) -> Response {
    let text = async {
        let registry = metrics.registry().await?;
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)
            .map(|()| text)
            .map_err(|error| StoreError::Sqlite(error.to_string().into()))
    };
    match text.await {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}\n")).into_response(),
    }
}

type Labels = Vec<(&'static str, String)>;

impl Metrics {
    /// As it is now.
    async fn registry(&self) -> Result<Registry, StoreError> {
        let mut registry = Registry::with_prefix("nodewhy");
        let counts = self.store.counts().await?;
        let nodes = gauges(&mut registry, "nodes", "Nodes by verdict; silent ones are unknown");
        counts.nodes.iter().for_each(|(verdict, many)| set(&nodes, "verdict", verdict, *many as f64));
        gauge(&mut registry, "nodes_attached", "Nodes whose agent has a stream now", self.presence.attached() as f64);
        gauge(&mut registry, "incidents_open", "Incidents that are open", counts.incidents as f64);
        gauge(&mut registry, "cases_open", "Cases that are open", counts.cases as f64);
        let refused = counters(&mut registry, "refused", "What was not taken: connections, streams, reports");
        for (what, count) in
            [("connection", &self.refusals.connections), ("stream", &self.refusals.streams), ("report", &self.refusals.reports)]
        {
            refused.get_or_create(&vec![("what", what.to_owned())]).inc_by(count.count());
        }
        let loaded = self.policy.borrow().clone();
        let valid = if loaded.problem.is_none() { 1.0 } else { 0.0 };
        gauge(&mut registry, "policy_valid", "1 if the policy's file is what is in force, 0 if it cannot be used", valid);
        gauge(
            &mut registry,
            "policy_loaded_seconds",
            "When the policy in force was read, Unix time",
            loaded.since.as_microsecond() as f64 / 1e6,
        );
        self.hooks(&mut registry).await?;
        Ok(registry)
    }

    async fn hooks(&self, registry: &mut Registry) -> Result<(), StoreError> {
        let (now, backlog) = (Timestamp::now(), self.store.letter_backlog().await?);
        let waiting = gauges(registry, "hook_backlog", "Messages that wait for the hook");
        let age = gauges(registry, "hook_backlog_age_seconds", "Age of the oldest message that waits for the hook");
        let dead = gauges(registry, "hook_dead_letters", "Messages that were given up and are kept");
        let failing = gauges(registry, "hook_failing", "1 while the hook takes nothing");
        let delivered = counters(registry, "hook_delivered", "Messages that the hook has taken");
        let failures = counters(registry, "hook_failures", "Attempts that failed");
        for state in self.board.states() {
            let (counts, waits) = (state.counts(), backlog.iter().find(|one| *one.hook == *state.name));
            set(&waiting, "hook", &state.name, waits.map_or(0, |one| one.waiting) as f64);
            let oldest = waits.and_then(|one| one.oldest).map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
            set(&age, "hook", &state.name, oldest);
            set(&dead, "hook", &state.name, waits.map_or(0, |one| one.dead) as f64);
            set(&failing, "hook", &state.name, if counts.failing_since.is_some() { 1.0 } else { 0.0 });
            delivered.get_or_create(&vec![("hook", state.name.to_string())]).inc_by(counts.delivered);
            failures.get_or_create(&vec![("hook", state.name.to_string())]).inc_by(counts.failed);
        }
        Ok(())
    }
}

type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

fn gauges(registry: &mut Registry, name: &str, help: &str) -> Gauges {
    let family = Gauges::default();
    registry.register(name, help, family.clone());
    family
}

fn counters(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, Counter> {
    let family = Family::<Labels, Counter>::default();
    registry.register(name, help, family.clone());
    family
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn set(gauges: &Gauges, label: &'static str, of: &str, value: f64) {
    gauges.get_or_create(&vec![(label, of.to_owned())]).set(value);
}
