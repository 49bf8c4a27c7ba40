//! `nodewhy-agent check`: look at everything at once, under one deadline, judge, print.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::render::{self, Style};
use nodewhy_diagnosis::{Facts, Missing, MissingKind, Outcome, State, Verdict, View, diagnose};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Output, exit, left_out, output};
use crate::catalogue::{Loaded, Shelf};
use crate::config::{Config, Problem};
use crate::host::Host;
use crate::host::journal::{self, Batch};
use crate::identity::{Identity, Names};
use crate::{checks, log_files, npd, schedule};

/// The whole look. The answer is on the screen within a second whatever hangs.
const DEADLINE: Duration = Duration::from_millis(900);
/// One look of one check: what it needs first (units, configuration) takes some of the time.
const LOOK: Duration = Duration::from_millis(700);
/// What is left for the journal once all looks are back.
const GRACE: Duration = Duration::from_millis(50);
/// The node's name and ids, which are read first.
const NAMES_WITHIN: Duration = Duration::from_millis(100);
/// Reading the journal newest first.
const JOURNAL: Duration = Duration::from_millis(650);

pub(super) fn check(host: Arc<Host>, config: &Config, problems: &[Problem], format: Output) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_stack_size(512 << 10).build()?;
    let names = Names::read(&host, NAMES_WITHIN);
    let (loaded, facts, batch) = runtime.block_on(look(&host, config))?;
    // What hangs still is left behind, not waited for.
    runtime.shutdown_background();
    loaded.refused.iter().for_each(|why| output::note(&format!("refused: {why}")));
    let Outcome { mut diagnosis, critical_unknown, .. } = judge(&names, config, &loaded, facts, batch);
    diagnosis.unknown.extend(left_out(problems));
    let style = Style { critical_unknown: Some(critical_unknown), ..output::style() };
    output::value(&diagnosis, format, || render::text(&diagnosis, style))?;
    Ok(code(diagnosis.verdict))
}

async fn look(host: &Arc<Host>, config: &Config) -> anyhow::Result<(Arc<Loaded>, Facts, Batch)> {
    let (now, deadline) = (Timestamp::now(), Instant::now() + DEADLINE);
    let (monitors, loading, mut reading) = read_journal(Arc::clone(host), Shelf::open(config))?;
    let (mut checks, left_out) = schedule::configured(checks::ALL, &config.checks, now);
    for check in &mut checks {
        check.deadline = check.deadline.min(LOOK);
    }
    let looking = schedule::look_once(Arc::clone(host), checks, left_out, deadline);
    let npd = async {
        let set = Arc::new(monitors.await.unwrap_or_default());
        if set.is_empty() { Batch::default() } else { npd::once(&set, host, deadline).await }
    };
    let (facts, loaded, npd) = tokio::join!(looking, loading, npd);
    let loaded = loaded.context("the thread that loads the catalogue broke off")?;
    // Where the looks came late, the machine is busy, and the journal is waited for a little as well.
    let until = deadline.max(Instant::now() + GRACE);
    let mut batch = match tokio::time::timeout_at(until, &mut reading).await {
        Ok(Ok(batch)) => batch,
        Ok(Err(_)) | Err(_) => unread(now),
    };
    let files = read_files(host, &facts, &loaded, until).await;
    for other in [npd, files] {
        batch.sightings.extend(other.sightings);
        batch.facts.absorb(other.facts);
    }
    Ok((loaded, facts, batch))
}

type Reading = (oneshot::Receiver<npd::Set>, oneshot::Receiver<Arc<Loaded>>, oneshot::Receiver<Batch>);

/// Loads the catalogue and reads the journal with it.
fn read_journal(host: Arc<Host>, mut shelf: Shelf) -> anyhow::Result<Reading> {
    let (find, monitors) = oneshot::channel();
    let (load, loading) = oneshot::channel();
    let (done, reading) = oneshot::channel();
    // Not one of the runtime's threads: a hung disk must not take one away.
    let thread = std::thread::Builder::new().name("journal".to_owned());
    let spawned = thread.spawn(move || {
        // First what takes hardly any time and then needs some.
        drop(find.send(shelf.npd()));
        let loaded = Arc::new(shelf.load());
        drop(load.send(Arc::clone(&loaded)));
        drop(done.send(journal::scan(&host, &loaded.catalogue, JOURNAL)));
    });
    spawned.context("cannot start a thread to read the journal")?;
    Ok((monitors, loading, reading))
}

/// Which they are is known only now that the kubelet is.
async fn read_files(host: &Arc<Host>, facts: &Facts, loaded: &Arc<Loaded>, until: Instant) -> Batch {
    let (host, facts, loaded) = (Arc::clone(host), facts.clone(), Arc::clone(loaded));
    let reading = tokio::task::spawn_blocking(move || log_files::once(&host, &facts, &loaded.catalogue, until.into_std()));
    match tokio::time::timeout_at(until, reading).await {
        Ok(Ok(batch)) => batch,
        Ok(Err(_)) | Err(_) => {
            let why = Missing::new(MissingKind::Hung, "reading the kubelet's log files did not come back in time");
            Batch { facts: log_files::fact(&Err(why), Timestamp::now()), ..Batch::default() }
        }
    }
}

fn unread(at: Timestamp) -> Batch {
    let why = Missing::new(MissingKind::Hung, format!("reading the journal did not come back within {DEADLINE:?}"))
        .hint("is the disk under /var/log/journal hung?");
    let mut facts = Facts::new();
    facts.miss_under("logs", at, &why);
    Batch { facts, ..Batch::default() }
}

fn judge(names: &Names, config: &Config, loaded: &Loaded, mut facts: Facts, batch: Batch) -> Outcome {
    facts.absorb(batch.facts);
    let identity = Identity::new(names, config.node_name.as_deref(), &facts);
    let view = View { now: Timestamp::now(), node: &identity.node, facts: &facts, sightings: &batch.sightings, mode: Mode::Once };
    let mut outcome = diagnose(&loaded.catalogue, &view, &State::default());
    outcome.diagnosis.unknown.extend(loaded.unknown());
    outcome
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => exit::HEALTHY,
        Verdict::Degraded => exit::DEGRADED,
        Verdict::NotReady => exit::CRITICAL,
        Verdict::Unknown => exit::COULD_NOT_LOOK,
    }
}
