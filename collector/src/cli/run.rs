//! `nodewhy-collector run`: puts the daemon together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::tasks::{Tasks, feed_watchdog};
use super::{exit, output};
use crate::alerts::{self, Board};
use crate::config::Config;
use crate::ingest::Ingest;
use crate::metrics::{self, Metrics};
use crate::policy::{self, Watcher};
use crate::presence::Presence;
use crate::query::{self, Query};
use crate::server::{self, Listener, Refusals};
use crate::silence::{GRACE, Silence};
use crate::store::{Keep, Opened, Store};

/// How long each of the last things may take: systemd and Kubernetes are told to wait for some seconds.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) fn run(config: Config) -> anyhow::Result<u8> {
    output::log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(daemon(config));
    runtime.shutdown_timeout(LAST_WORDS);
    result.map(|()| exit::DONE)
}

async fn daemon(config: Config) -> anyhow::Result<()> {
    let shutdown = shutdown_signal()?;
    let left_out = config.left_out.clone();
    left_out.iter().for_each(|problem| tracing::error!("left out of the configuration: {problem}"));
    let alerts_file = config.alerts_file.clone();
    let watcher =
        Watcher::start(alerts_file.as_deref().unwrap_or(Path::new(policy::DEFAULT_PATH)), alerts_file.is_some(), Timestamp::now());
    let policy = watcher.subscribe();
    let Opened { store, mut ended, alerts_due } = Store::open(&config.data_dir, policy.clone())?;
    let listener = Listener::bind(config.listen, config.tls.clone()).await?;

    let presence = Presence::default();
    let (refusals, keep, board) = (Arc::new(Refusals::default()), Keep::from(&config.retention), Board::default());
    let silence = Arc::new(Silence { store: store.clone(), presence: presence.clone(), keep });
    silence.recall(GRACE).await?;
    let mut tasks = Tasks::default();
    tasks.spawn("the watch of silent nodes", silence.clone().run());
    tasks.spawn("the watch of the policy's file", watcher.run());
    let alerts = alerts::Alerts { store: store.clone(), policy: policy.clone(), due: alerts_due, board: board.clone() };
    tasks.spawn("what tells the hooks", alerts.run());
    if let Some(address) = config.metrics {
        let (store, presence, refusals) = (store.clone(), presence.clone(), refusals.clone());
        let metrics = Metrics { store, presence, refusals, policy: policy.clone(), board: board.clone() };
        tasks.spawn("the metrics", async move {
            if let Err(error) = metrics::serve(address, metrics).await {
                tracing::error!("metrics cannot be served on {address}: {error}; everything else goes on");
            }
            std::future::pending().await
        });
    }

    let (store_in, presence_in) = (store.clone(), presence.clone());
    let ingest = Ingest { store: store_in, presence: presence_in, refusals: refusals.clone(), shutdown: shutdown.clone() };
    let readers = config.tls.as_ref().and_then(|tls| tls.readers.clone()).map(Arc::new);
    let query = Query { store: store.clone(), presence: presence.clone(), readers, shutdown: shutdown.clone() };
    let service = query::Alerts { query, policy: policy.clone(), board };
    let address = listener.address();
    let how = if config.tls.is_some() { "TLS, client certificates" } else { "plain, this machine only" };
    tracing::info!(%address, data = %config.data_dir.display(), nodes = presence.count(), "listening ({how})");
    let mistakes = left_out.len() + policy.borrow().problem.as_ref().map_or(0, |problems| problems.len());
    let less = if mistakes == 0 { String::new() } else { format!("; {mistakes} mistakes in the configuration, see the log") };
    let status = format!("listening on {address} ({how}){less}");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let served = tokio::select! {
        served = server::serve(listener, ingest, service, refusals, shutdown) => served.context("serving failed"),
        _ = &mut ended => bail!("the store's thread has ended; its last words are above"),
        whose = tasks.ended() => Err(anyhow!("{whose} has ended unexpectedly: ending, so that the collector is started anew and whole")),
        never = feed_watchdog() => match never {},
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

pub(super) fn tell(state: &[NotifyState<'_>]) {
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
