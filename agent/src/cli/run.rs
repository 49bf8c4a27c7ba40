//! `nodewhy-agent run`: puts the daemon together.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use nodewhy_diagnosis::State;
use nodewhy_proto::v1::{About, Hello};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{Id, JoinSet};
use tracing_subscriber::EnvFilter;

use super::{exit, left_out};
use crate::brain::{Brain, Inputs, Outputs, Start};
use crate::catalogue::Shelf;
use crate::config::{Config, Problem};
use crate::host::Host;
use crate::host::journal::{Current, Follower, From};
use crate::identity::Names;
use crate::notify::Notifier;
use crate::schedule::{self, Scheduler};
use crate::ship::{Link, Shipper};
use crate::spool::{Recovered, Spool};
use crate::watch::Watch;
use crate::{catalogue, checks, log_files, mount_watch, npd};

/// Each of two segments; reports of about 5 kB wait there while the collector is away.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Looks that block, at once. A hung one keeps its thread; there is never a second of the same check.
const BLOCKING_THREADS: usize = 32;
/// After this much quiet a blocking thread and its stack are gone. Longer than between two looks of the most frequent checks: one is always left,
/// so that looks go on when the machine has no process id to give for another.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A power failure loses this much at most of what the collector has not yet.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The node's name and ids, before anything else; a disk that takes longer hangs.
const NAMES_WITHIN: Duration = Duration::from_secs(1);

pub(super) fn run(host: Arc<Host>, config: Config, problems: &[Problem]) -> anyhow::Result<u8> {
    log_to_stderr();
    problems.iter().for_each(|problem| tracing::error!("left out of the configuration: {problem}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_stack_size(512 << 10)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(daemon(host, config, problems));
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

async fn daemon(host: Arc<Host>, config: Config, problems: &[Problem]) -> anyhow::Result<()> {
    let shutdown = shutdown_signal()?;
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let names = Names::read(&host, NAMES_WITHIN);
    let (spool, recovered) = Spool::open(&config.state_dir, SEGMENT_BYTES, names.boot_id())?;
    if let Some(error) = spool.stats().disk_error {
        tracing::error!("the state directory (stateDir) cannot be used: {error}");
    }
    let mut shelf = Shelf::open(&config);
    let loaded = shelf.load();
    catalogue::log_refused(&loaded.refused, &[]);
    shelf.keep();
    let notes = left_out(problems);
    let current = Arc::new(Current::new(Arc::clone(&loaded.catalogue)));
    let (catalogues_in, catalogues) = mpsc::channel(1);
    let (state, from) = recover(&recovered);
    let read_up_to = time_of(&recovered.cursor);
    let spool = Arc::new(Mutex::new(spool));

    let (batches_in, batches) = mpsc::channel(4);
    let mut npd = npd::Runner::new(Arc::clone(&host), Arc::clone(&current), batches_in.clone());
    npd.follow(&loaded.npd, read_up_to);
    let files_in = batches_in.clone();
    let journal =
        Follower::start(Arc::clone(&host), Arc::clone(&current), from, batches_in).context("cannot start the journal's thread")?;
    let journal = Arc::new(journal);

    let (checks, facts) = schedule::configured(checks::ALL, &config.checks, Timestamp::now());
    let check_names: BTreeSet<&'static str> = checks.iter().map(|check| check.name).collect();
    let (looked_in, looked) = mpsc::channel(64);
    let (orders, ordered) = mpsc::channel(256);
    let mut scheduler = Scheduler::new(Arc::clone(&host), checks, facts.clone(), ordered, looked_in);
    let mut tasks = Tasks::default();
    tasks.spawn("the watch of the causes' files", catalogue::follow(shelf, hangup, catalogues_in));
    tasks.spawn("the scheduler of the checks", async move { scheduler.run().await });
    let mounts = mount_watch::run(Arc::clone(&host), orders.clone());
    // It may end where mounts cannot be followed; the check goes on at its period.
    tasks.spawn("the watch of the mounts", async move {
        mounts.await;
        std::future::pending().await
    });

    let (known, knowing) = watch::channel(Arc::new(facts.clone()));
    let (units_in, units) = mpsc::channel(64);
    log_files::follow(Arc::clone(&host), knowing.clone(), Arc::clone(&current), read_up_to, files_in)
        .context("cannot start the thread that reads the kubelet's log files")?;
    let watching = Watch { host: Arc::clone(&host), known: knowing, journal: Arc::clone(&journal), out: units_in };
    tasks.spawn("the watch of the units", watching.run());

    let (link_in, link) = watch::channel(Link::Connecting);
    let (hello, introduced) = watch::channel(Hello::default());
    let (more, to_sync) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (about, abouts) = watch::channel(About::default());
    match config.collector {
        Some(collector) => {
            let (spool, more, heartbeat) = (Arc::clone(&spool), Arc::clone(&more), config.heartbeat);
            let shipper = Shipper { collector, hello: introduced, about: abouts, spool, more, heartbeat, link: link_in };
            tasks.spawn("the shipping of reports", ship(shipper));
        }
        None => tracing::warn!("no collector is configured: causes are found and kept, and reported to nobody"),
    }
    tasks.spawn("the syncing of the spool", sync(Arc::clone(&spool), Arc::clone(&to_sync)));

    let start = Start {
        names,
        loaded,
        current,
        npd,
        node_name: config.node_name,
        labels: config.labels,
        state,
        cursor: recovered.cursor,
        facts,
        checks: check_names,
        notes,
        spool: Arc::clone(&spool),
        journal,
    };
    let inputs = Inputs { looked, units, batches, catalogues, link, shutdown };
    let outputs = Outputs { orders, known, hello, about, more, to_sync, notifier: Notifier::default() };
    let thinking = Brain::new(start, inputs, outputs).run();
    tokio::select! {
        ended = thinking => ended?,
        // What was not kept by then is read from the journal and judged again.
        whose = tasks.ended() => anyhow::bail!("{whose} has ended unexpectedly: ending, so that the agent is started anew and whole"),
    }
    tracing::info!("ended as ordered");
    Ok(())
}

/// What runs as long as the agent does. None of it may end before the brain: half an agent would go on as if it were whole.
#[derive(Default)]
struct Tasks {
    running: JoinSet<()>,
    names: BTreeMap<Id, &'static str>,
}

impl Tasks {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// The first that ends, whether by itself or by a panic.
    async fn ended(&mut self) -> String {
        let Some(ended) = self.running.join_next_with_id().await else { return std::future::pending().await };
        let (id, how) = match ended {
            Ok((id, ())) => (id, String::new()),
            Err(error) => (error.id(), format!(" ({error})")),
        };
        format!("{}{how}", self.names.get(&id).unwrap_or(&"a task"))
    }
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

/// The time in a journal's cursor (systemd, sd_journal_get_cursor: `t=` in hexadecimal microseconds): everything that lies far enough
/// before it was read and judged.
fn time_of(cursor: &str) -> Option<Timestamp> {
    let micros = cursor.split(';').find_map(|part| part.strip_prefix("t="))?;
    Timestamp::from_microsecond(i64::from_str_radix(micros, 16).ok()?).ok()
}

/// Ships, once it is known who this is.
async fn ship(mut shipper: Shipper) {
    if shipper.hello.wait_for(|hello| !hello.node.is_empty()).await.is_ok() {
        shipper.run().await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_when() {
        let cursor = "s=5e;i=1;b=ab;m=1;t=38d7ea4c68000;x=1";
        assert_eq!(time_of(cursor).map(|at| at.as_microsecond()), Some(1_000_000_000_000_000));
        assert_eq!(time_of("nonsense"), None);
    }

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("one that stays", std::future::pending());
        tasks.spawn("one that ends", async {});
        assert_eq!(tasks.ended().await, "one that ends");
        tasks.spawn("one that panics", async { panic!("in a test") });
        let ended = tasks.ended().await;
        assert!(ended.starts_with("one that panics (") && ended.contains("panic"), "{ended}");
    }
}
