//! Runs the monitors: threads for logs, tasks for plugins; and once, for `check`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodewhy_diagnosis::Catalogue;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Set;
use super::causes::key;
use super::config::{Does, Log, Monitor, PluginConfig};
use super::feeds::{Ends, Feed, HANGS_AFTER, Listener, Pulse, Source};
use super::monitor::{LogMonitor, begins};
use super::plugins::Plugin;
use super::report::{Report, State};
use crate::host::Host;
use crate::host::journal::{Batch, Current};

/// Said of a plugin before it has run for the first time.
const NOT_YET: &str = "the plugin has not come back yet";

/// Keeps the monitors of the present set running.
pub struct Runner {
    host: Arc<Host>,
    current: Arc<Current<Catalogue>>,
    out: mpsc::Sender<Batch>,
    set: Arc<Set>,
    running: Option<Running>,
}

/// Monitors at work; they end when dropped.
struct Running {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::Thread>,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.threads.iter().for_each(std::thread::Thread::unpark);
    }
}

impl Runner {
    /// Nothing runs yet.
    pub fn new(host: Arc<Host>, current: Arc<Current<Catalogue>>, out: mpsc::Sender<Batch>) -> Self {
        Self { host, current, out, set: Arc::default(), running: None }
    }

    /// From now on this set. Logs are read from where an agent before (or the set before) had read to, if that is known.
    pub fn follow(&mut self, set: &Arc<Set>, read_up_to: Option<Timestamp>) {
        if *set == self.set {
            return;
        }
        self.running = None;
        self.set = Arc::clone(set);
        if !set.is_empty() {
            self.running = Some(self.start(read_up_to));
        }
    }

    fn start(&self, read_up_to: Option<Timestamp>) -> Running {
        let report = Arc::<Report>::default();
        let ends = Ends { out: self.out.clone(), report: Arc::clone(&report), current: Arc::clone(&self.current) };
        let stop = Arc::<AtomicBool>::default();
        let (mut tasks, mut threads, mut pulses) = (JoinSet::new(), Vec::new(), Vec::new());
        for feed in feeds(&self.set, &self.host, read_up_to, &report) {
            let pulse = Arc::<Pulse>::default();
            pulses.push((feed.keys(), Arc::clone(&pulse)));
            let (host, ends, stop) = (Arc::clone(&self.host), ends.clone(), Arc::clone(&stop));
            let thread = std::thread::Builder::new().name("npd-log".to_owned()).stack_size(512 << 10);
            match thread.spawn(move || feed.run(&ends, &host, &stop, &pulse)) {
                Ok(handle) => threads.push(handle.thread().clone()),
                Err(error) => {
                    tracing::error!("a log of node-problem-detector's rules is not read: the system has no thread to give: {error}")
                }
            }
        }
        for (plugin, turns) in plugins(&self.set) {
            drop(report.set(&plugin.key, State::Unknown(NOT_YET.to_owned())));
            let (ends, key) = (ends.clone(), plugin.key.clone());
            tracing::info!(rule = key, "a plugin of node-problem-detector's configuration will run: {}", plugin.path);
            tasks.spawn(plugin.run_for_ever(turns, ends));
        }
        tasks.spawn(watch(pulses, ends, report));
        Running { stop, threads, _tasks: tasks }
    }
}

/// Tells what is known at first, and then which threads hang.
async fn watch(pulses: Vec<(std::collections::BTreeSet<String>, Arc<Pulse>)>, ends: Ends, report: Arc<Report>) {
    let mut facts = Some(report.facts());
    let mut before: Vec<u64> = vec![u64::MAX; pulses.len()];
    loop {
        if let Some(facts) = facts.take()
            && ends.out.send(Batch { facts, ..Batch::default() }).await.is_err()
        {
            return;
        }
        tokio::time::sleep(HANGS_AFTER).await;
        for ((keys, pulse), before) in pulses.iter().zip(&mut before) {
            let beats = pulse.beats();
            if beats == *before && !pulse.hung.swap(true, Ordering::AcqRel) {
                let why = format!("reading its log has not moved for {HANGS_AFTER:?}: its disk or file system hangs");
                facts = keys.iter().filter_map(|key| report.set(key, State::Unknown(why.clone()))).next_back().or(facts.take());
            }
            *before = beats;
        }
    }
}

/// The logs, each with all that listen to it.
fn feeds(set: &Set, host: &Host, read_up_to: Option<Timestamp>, report: &Report) -> Vec<Feed> {
    let (now, booted_at) = (Timestamp::now(), host.booted_at().ok());
    let mut by_source: BTreeMap<Source, (Timestamp, Vec<Listener>)> = BTreeMap::new();
    for (file, monitor) in &set.monitors {
        let Monitor::Log(config) = monitor else { continue };
        let from = begins(config, now, booted_at, read_up_to);
        let key = key(file, None);
        match LogMonitor::new(config, set.signs_of(file), from) {
            Ok(monitor) => {
                let identifier = match &config.log {
                    Log::Journal { identifier, .. } => identifier.clone(),
                    Log::Kmsg | Log::File { .. } => String::new(),
                };
                let (earliest, listeners) = by_source.entry(Source::of(&config.log)).or_insert_with(|| (from, Vec::new()));
                *earliest = from.min(*earliest);
                listeners.push(Listener { key, identifier, monitor });
            }
            Err(why) => drop(report.set(&key, State::Unknown(why))),
        }
    }
    by_source.into_iter().map(|(source, (from, listeners))| Feed::new(source, from, listeners)).collect()
}

/// The plugins, those of one file with turns to take.
fn plugins(set: &Set) -> Vec<(Plugin, Arc<Semaphore>)> {
    let mut plugins = Vec::new();
    for (file, monitor) in &set.monitors {
        let Monitor::Plugins(config) = monitor else { continue };
        let turns = Arc::new(Semaphore::new(config.concurrency));
        plugins.extend(plugins_of(file, config).map(|plugin| (plugin, Arc::clone(&turns))));
    }
    plugins
}

fn plugins_of(file: &str, config: &PluginConfig) -> impl Iterator<Item = Plugin> {
    config.rules.iter().enumerate().filter_map(move |(index, rule)| {
        let Does::Run { path, args, timeout, every } = &rule.does else { return None };
        Some(Plugin {
            key: key(file, Some(index)),
            file: PathBuf::from(file),
            path: path.clone(),
            args: args.clone(),
            timeout: *timeout,
            every: *every,
            max_output: config.max_output,
            // Of a temporary problem each event is told with its own message.
            follows_message: config.follows_message || !rule.permanent,
        })
    })
}

/// Looks at everything once and comes back by `until`: logs as far as they could be read, plugins that ended by then. The others are
/// killed, and unknown.
pub async fn once(set: &Arc<Set>, host: &Arc<Host>, until: tokio::time::Instant) -> Batch {
    let report = Arc::<Report>::default();
    let mut batch = Batch::default();
    let (logs_in, mut logs) = mpsc::channel(64);
    let until_std: Instant = until.into_std();
    let mut waiting = BTreeMap::new();
    for feed in feeds(set, host, None, &report) {
        let (host, done) = (Arc::clone(host), logs_in.clone());
        let source = feed.source.clone();
        for key in feed.keys() {
            drop(report.set(&key, State::Unknown("there was no time to read its log".to_owned())));
        }
        let thread = std::thread::Builder::new().name("npd-log".to_owned()).stack_size(512 << 10);
        if thread.spawn(move || drop(done.blocking_send((feed.source.clone(), feed.once(&host, until_std))))).is_ok() {
            waiting.insert(source, ());
        }
    }
    let mut tasks = JoinSet::new();
    for (plugin, turns) in plugins(set) {
        drop(report.set(&plugin.key, State::Unknown(NOT_YET.to_owned())));
        tasks.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let left = until.saturating_duration_since(tokio::time::Instant::now()).saturating_sub(KILLED_BEFORE);
            let (state, _) = plugin.run(plugin.timeout.min(left)).await;
            (plugin.key.clone(), state)
        });
    }
    while !(waiting.is_empty() && tasks.is_empty()) {
        tokio::select! {
            Some((source, (sightings, states))) = logs.recv(), if !waiting.is_empty() => {
                waiting.remove(&source);
                batch.sightings.extend(sightings);
                states.into_iter().for_each(|(key, state)| drop(report.set(&key, state)));
            }
            Some(Ok((key, state))) = tasks.join_next(), if !tasks.is_empty() => drop(report.set(&key, state)),
            () = tokio::time::sleep_until(until) => break,
        }
    }
    batch.facts = report.facts();
    batch
}

/// A plugin is killed so long before the end of a look that it can still be told.
const KILLED_BEFORE: Duration = Duration::from_millis(100);
