//! `nodewhy-agent check`: look at everything at once, under one deadline, judge, print.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Catalogue, Diagnosis, Facts, Missing, MissingKind, State, Verdict, View, diagnose, render};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Output, exit, output};
use crate::config::Config;
use crate::host::Host;
use crate::host::journal::{self, Batch};
use crate::identity::Identity;
use crate::{catalogue, checks, schedule};

/// The whole look. The answer is on the screen within a second whatever hangs.
const DEADLINE: Duration = Duration::from_millis(900);
/// One look of one check: what it needs first (units, configuration) takes some of the time.
const LOOK: Duration = Duration::from_millis(700);
/// Reading the journal newest first.
const JOURNAL: Duration = Duration::from_millis(650);

pub(super) fn check(host: Arc<Host>, config: &Config, format: Output) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_stack_size(512 << 10).build()?;
    let loaded = catalogue::load(&config.causes_dir);
    loaded.refused.iter().for_each(|why| output::note(&format!("refused: {why}")));
    let catalogue = Arc::new(loaded.catalogue);
    let (facts, batch) = runtime.block_on(look(&host, config, Arc::clone(&catalogue)));
    // What hangs still is left behind, not waited for.
    runtime.shutdown_background();
    let (diagnosis, facts) = judge(&host, config, &catalogue, facts, batch);
    output::value(&diagnosis, format, || render::text(&diagnosis, output::style()))?;
    if let Some(note) = not_kubernetes(&facts) {
        output::note(&note);
    }
    Ok(code(diagnosis.verdict))
}

async fn look(host: &Arc<Host>, config: &Config, catalogue: Arc<Catalogue>) -> (Facts, Batch) {
    let (now, deadline) = (Timestamp::now(), Instant::now() + DEADLINE);
    let reading = read_journal(Arc::clone(host), catalogue);
    let (mut checks, left_out) = schedule::configured(checks::ALL, &config.checks, now);
    for check in &mut checks {
        check.deadline = check.deadline.min(LOOK);
    }
    let looking = schedule::look_once(Arc::clone(host), checks, left_out, deadline);
    let (facts, read) = tokio::join!(looking, tokio::time::timeout_at(deadline, reading));
    let batch = match read {
        Ok(Ok(batch)) => batch,
        Ok(Err(_)) | Err(_) => unread(now),
    };
    (facts, batch)
}

fn read_journal(host: Arc<Host>, catalogue: Arc<Catalogue>) -> oneshot::Receiver<Batch> {
    let (done, reading) = oneshot::channel();
    // Not one of the runtime's threads: a hung disk must not take one away.
    let spawned = std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
        drop(done.send(journal::scan(&host, &catalogue, JOURNAL)));
    });
    if let Err(error) = spawned {
        output::note(&format!("nodewhy-agent: the journal is not read: {error}"));
    }
    reading
}

fn unread(at: Timestamp) -> Batch {
    let why = Missing::new(MissingKind::Hung, format!("reading the journal did not come back within {DEADLINE:?}"))
        .hint("is the disk under /var/log/journal hung?");
    let mut facts = Facts::new();
    facts.miss_under("logs", at, &why);
    Batch { facts, ..Batch::default() }
}

fn judge(host: &Host, config: &Config, catalogue: &Catalogue, mut facts: Facts, batch: Batch) -> (Diagnosis, Facts) {
    facts.absorb(batch.facts);
    let identity = Identity::new(host, config.node_name.as_deref(), &facts);
    let view = View { now: Timestamp::now(), node: &identity.node, facts: &facts, sightings: &batch.sightings, mode: Mode::Once };
    let diagnosis = diagnose(catalogue, &view, &State::default()).diagnosis;
    (diagnosis, facts)
}

/// What a host without a kubelet is told beside its diagnosis.
fn not_kubernetes(facts: &Facts) -> Option<String> {
    if facts.known(s::NODE_IS_KUBERNETES) != Some(false) {
        return None;
    }
    let places = facts.known(s::NODE_LOOKED_IN).unwrap_or_default();
    Some(format!("No kubelet was found on this host. Looked for: {}.", places.join(", ")))
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => exit::HEALTHY,
        Verdict::Degraded => exit::DEGRADED,
        Verdict::NotReady => exit::CRITICAL,
        Verdict::Unknown => exit::COULD_NOT_LOOK,
    }
}
