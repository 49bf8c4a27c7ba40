//! `nodewhy-collector run`: puts the daemon together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{exit, output};
use crate::alerts::{Deliverer, Plan, Timing};
use crate::config::Config;
use crate::ingest::Ingest;
use crate::presence::Presence;
use crate::query::Query;
use crate::server::{self, Listener, Refusals};
use crate::silence::{GRACE, Silence};
use crate::store::{Keep, MAX_WAITING, Store};

/// How long each of the last things may take: systemd and Kubernetes are told to wait for some seconds.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often the outbox is looked over.
const TIDY: Duration = Duration::from_secs(60);

pub(super) fn run(config: Config) -> anyhow::Result<u8> {
    output::log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(daemon(config));
    runtime.shutdown_timeout(LAST_WORDS);
    result.map(|()| exit::DONE)
}

async fn daemon(config: Config) -> anyhow::Result<()> {
    let shutdown = shutdown_signal()?;
    let plan = Plan::new(&config.alerts);
    let mut left_out = config.left_out.clone();
    let mut hooks = Vec::new();
    for (kind, hook) in config.alerts.hooks() {
        match Deliverer::new(kind, hook, Timing::default()) {
            Ok(deliverer) => hooks.push(deliverer),
            Err(error) => left_out.push(format!("{:#}; this hook is left out, what it should be told is kept", anyhow::Error::from(error))),
        }
    }
    left_out.iter().for_each(|problem| tracing::error!("left out of the configuration: {problem}"));
    let (store, mut ended) = Store::open(&config.data_dir)?;
    let listener = Listener::bind(config.listen, config.tls.clone()).await?;

    let presence = Presence::default();
    let (refusals, keep) = (Arc::new(Refusals::default()), Keep::from(&config.retention));
    let silence = Arc::new(Silence { store: store.clone(), presence: presence.clone(), plan: plan.clone(), keep });
    silence.recall(GRACE).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(silence.clone().run());
    tasks.spawn(tidy(store.clone(), plan.clone()));
    for hook in hooks {
        tasks.spawn(hook.run(store.clone()));
    }

    let (store_in, presence_in) = (store.clone(), presence.clone());
    let ingest =
        Ingest { store: store_in, presence: presence_in, plan: plan.clone(), refusals: refusals.clone(), shutdown: shutdown.clone() };
    let readers = config.tls.as_ref().and_then(|tls| tls.readers.clone()).map(Arc::new);
    let query = Query { store: store.clone(), presence: presence.clone(), readers, shutdown: shutdown.clone() };
    let address = listener.address();
    let how = if config.tls.is_some() { "TLS, client certificates" } else { "plain, this machine only" };
    tracing::info!(%address, data = %config.data_dir.display(), nodes = presence.count(), "listening ({how})");
    let less = if left_out.is_empty() { String::new() } else { format!("; {} mistakes in the configuration, see the log", left_out.len()) };
    let status = format!("listening on {address} ({how}){less}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let served = tokio::select! {
        served = server::serve(listener, ingest, query, refusals, shutdown) => served.context("serving failed"),
        _ = &mut ended => bail!("the store's thread has ended; its last words are above"),
    };
    tell(&[NotifyState::Stopping]);
    tasks.shutdown().await;
    // The store may hang with its disk: then the times of the last heartbeats are a little old.
    drop(tokio::time::timeout(LAST_WORDS, silence.keep()).await);
    drop((store, silence));
    drop(tokio::time::timeout(LAST_WORDS, ended).await);
    served?;
    tracing::info!("ended as ordered");
    Ok(())
}

/// Keeps the outbox within its bounds.
async fn tidy(store: Store, plan: Plan) {
    let mut look = tokio::time::interval(TIDY);
    loop {
        look.tick().await;
        match store.tidy_outbox(plan.hooks()).await {
            Ok(0) => {}
            Ok(gone) => {
                tracing::warn!(
                    gone,
                    "messages are dropped: their hooks are not configured any more, or more than {MAX_WAITING} wait for one"
                );
            }
            Err(error) => tracing::error!("cannot look the outbox over: {error}"),
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

fn shutdown_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (end, shutdown) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        end.send_replace(true);
        // Kept, so that receivers see the value and not an end.
        end.closed().await;
    });
    Ok(shutdown)
}
