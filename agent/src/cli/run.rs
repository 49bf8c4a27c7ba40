//! `nodewhy-agent run`: puts the daemon together.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use nodewhy_diagnosis::State;
use nodewhy_proto::v1::Hello;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tracing_subscriber::EnvFilter;

use super::exit;
use crate::brain::{Brain, Inputs, Outputs, Start};
use crate::config::{Collector, Config};
use crate::host::Host;
use crate::host::journal::{Follower, From};
use crate::notify::Notifier;
use crate::schedule::{self, Scheduler};
use crate::ship::{Link, Shipper};
use crate::spool::{Recovered, Spool};
use crate::watch::Watch;
use crate::{catalogue, checks, mount_watch};

/// Each of two segments; reports of about 5 kB wait there while the collector is away.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Looks that block, at once. A hung one keeps its thread; there is never a second of the same check.
const BLOCKING_THREADS: usize = 32;
/// After this much quiet the blocking threads and their stacks are gone.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(2);
/// A power failure loses this much at most of what the collector has not yet.
const SYNC_EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(host: Arc<Host>, config: Config) -> anyhow::Result<u8> {
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_stack_size(512 << 10)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(daemon(host, config));
    // A hung look is left behind, not waited for.
    runtime.shutdown_background();
    result.map(|()| exit::HEALTHY)
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("NODEWHY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    // journald has the time.
    let set = if std::env::var_os("JOURNAL_STREAM").is_some() { log.without_time().try_init() } else { log.try_init() };
    drop(set);
}

async fn daemon(host: Arc<Host>, config: Config) -> anyhow::Result<()> {
    let shutdown = shutdown_signal()?;
    let loaded = catalogue::load(&config.causes_dir);
    loaded.refused.iter().for_each(|why| tracing::error!("a cause file is refused, the others stay: {why}"));
    let catalogue = Arc::new(loaded.catalogue);
    let (spool, recovered) = Spool::open(&config.state_dir, SEGMENT_BYTES)?;
    let (state, from) = recover(&recovered);
    let spool = Arc::new(Mutex::new(spool));

    let (batches_in, batches) = mpsc::channel(4);
    let journal =
        Follower::start(Arc::clone(&host), Arc::clone(&catalogue), from, batches_in).context("cannot start the journal's thread")?;
    let journal = Arc::new(journal);

    let (checks, facts) = schedule::configured(checks::ALL, &config.checks, Timestamp::now());
    let names: BTreeSet<&'static str> = checks.iter().map(|check| check.name).collect();
    let (looked_in, looked) = mpsc::channel(64);
    let (orders, ordered) = mpsc::channel(256);
    let mut scheduler = Scheduler::new(Arc::clone(&host), checks, facts.clone(), ordered, looked_in);
    tokio::spawn(async move { scheduler.run().await });
    tokio::spawn(mount_watch::run(Arc::clone(&host), orders.clone()));

    let (known, knowing) = watch::channel(Arc::new(facts.clone()));
    let (units_in, units) = mpsc::channel(64);
    let watching = Watch { host: Arc::clone(&host), known: knowing, journal: Arc::clone(&journal), out: units_in };
    tokio::spawn(watching.run());

    let (link_in, link) = watch::channel(Link::Connecting);
    let (hello, introduced) = watch::channel(Hello::default());
    let (more, to_sync) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    match config.collector {
        Some(collector) => {
            tokio::spawn(ship(collector, introduced, Arc::clone(&spool), Arc::clone(&more), config.heartbeat, link_in));
        }
        None => tracing::warn!("no collector is configured: causes are found and kept, and reported to nobody"),
    }
    tokio::spawn(sync(Arc::clone(&spool), Arc::clone(&to_sync)));

    let start = Start {
        host,
        catalogue,
        node_name: config.node_name,
        state,
        cursor: recovered.cursor,
        facts,
        checks: names,
        spool: Arc::clone(&spool),
        journal,
    };
    let inputs = Inputs { looked, units, batches, link, shutdown };
    let outputs = Outputs { orders, known, hello, more, to_sync, notifier: Notifier::default() };
    Brain::new(start, inputs, outputs).run().await;
    tracing::info!("ended as ordered");
    Ok(())
}

/// State and place to go on from.
fn recover(recovered: &Recovered) -> (State, From) {
    recovered.losses.iter().for_each(|loss| tracing::warn!("the spool: {loss}"));
    let Some(bytes) = &recovered.state else { return (State::default(), From::Boot) };
    match serde_json::from_slice(bytes) {
        Ok(state) if recovered.cursor.is_empty() => (state, From::Boot),
        Ok(state) => (state, From::Cursor(recovered.cursor.clone())),
        Err(error) => {
            tracing::warn!("the state in the spool is of another version and begun anew: {error}");
            (State::default(), From::Boot)
        }
    }
}

/// Ships, once it is known who this is.
async fn ship(
    collector: Collector,
    mut hello: watch::Receiver<Hello>,
    spool: Arc<Mutex<Spool>>,
    more: Arc<Notify>,
    heartbeat: Duration,
    link: watch::Sender<Link>,
) {
    if hello.wait_for(|hello| !hello.node.is_empty()).await.is_ok() {
        Shipper { collector, hello, spool, more, heartbeat, link }.run().await;
    }
}

/// Makes appends safe against a power failure, on a thread that may hang with the disk.
async fn sync(spool: Arc<Mutex<Spool>>, wanted: Arc<Notify>) {
    loop {
        wanted.notified().await;
        let syncer = spool.lock().unwrap_or_else(PoisonError::into_inner).syncer();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || syncer.sync()).await {
            tracing::warn!("fdatasync of the spool: {error}");
        }
        tokio::time::sleep(SYNC_EVERY).await;
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
        // Kept, so that the receiver sees the value and not an end.
        end.closed().await;
    });
    Ok(shutdown)
}
