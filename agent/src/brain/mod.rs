//! The one loop: facts and sightings in, [`diagnose`], spool, and word to the ship. It takes all that is waiting before it judges.
//!
//! What makes a restart neither lose a transition nor make one twice: each entry of the spool holds the report, the state after it and
//! the journal's cursor up to which the state has taken everything in. After a kill at any point the agent goes on from the last entry:
//! what was not in it is read from the journal again and judged again, with the same result.

mod clock;
mod deaf;
mod hurry;
mod judge;
mod notes;
mod report;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::catalogue::Sighting;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::{Catalogue, Diagnosis, Facts, State};
use nodewhy_proto::v1::{About, Hello};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::catalogue::Loaded;
use crate::checks;
use crate::host::journal::{Batch, Current, Follower};
use crate::identity::{Identity, Names};
use crate::notify::Notifier;
use crate::npd;
use crate::schedule::{Looked, Order};
use crate::ship::Link;
use crate::spool::Spool;

use clock::Clock;
use deaf::Hearing;
use hurry::Hurry;
use settle::Settling;

/// Even if nothing says that anything changed.
const JUDGE_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// What waits for time to pass is not looked at more often than this.
const JUDGE_AT_MOST_EVERY: Duration = Duration::from_millis(100);
/// How long a new sighting waits for the facts that its cause quotes to be read again.
const HOLD: Duration = Duration::from_millis(30);
/// How long what a look brought waits for those that began with it: many checks look at the same time, and one judgement does for all.
const GATHER: Duration = Duration::from_millis(15);
/// Sightings that may wait for a judgement before one is made all the same.
const MAX_WAITING: usize = 8192;

/// What the brain is connected to.
pub struct Inputs {
    /// From the checks.
    pub looked: mpsc::Receiver<Looked>,
    /// From the units' watch.
    pub units: mpsc::Receiver<Facts>,
    /// From the journal.
    pub batches: mpsc::Receiver<Batch>,
    /// From the catalogue's files, whenever they change.
    pub catalogues: mpsc::Receiver<Loaded>,
    /// From the ship.
    pub link: watch::Receiver<Link>,
    /// True when it is time to end.
    pub shutdown: watch::Receiver<bool>,
}

/// Whom the brain tells.
pub struct Outputs {
    /// The scheduler.
    pub orders: mpsc::Sender<Order>,
    /// What is known, for the watch.
    pub known: watch::Sender<Arc<Facts>>,
    /// How the agent introduces itself; its node is empty until the first judgement is made.
    pub hello: watch::Sender<Hello>,
    /// What the node is.
    pub about: watch::Sender<About>,
    /// A report was appended.
    pub more: Arc<Notify>,
    /// Something was appended that should be made safe against a power failure.
    pub to_sync: Arc<Notify>,
    /// systemd.
    pub notifier: Notifier,
}

/// What the brain starts from.
pub struct Start {
    /// What the node's files say of who it is.
    pub names: Names,
    /// What can be wrong.
    pub loaded: Loaded,
    /// The same, as those know it who recognise.
    pub current: Arc<Current<Catalogue>>,
    /// Runs node-problem-detector's monitors.
    pub npd: npd::Runner,
    /// The name from the configuration.
    pub node_name: Option<String>,
    /// The node's labels from the configuration.
    pub labels: BTreeMap<String, String>,
    /// State as recovered.
    pub state: State,
    /// Cursor as recovered.
    pub cursor: String,
    /// Facts known without looking (checks that are disabled).
    pub facts: Facts,
    /// Names of the checks that will report.
    pub checks: BTreeSet<&'static str>,
    /// What the agent itself had to leave out (of its configuration, of its causes): told with every diagnosis.
    pub notes: Vec<Unknown>,
    /// Where entries go.
    pub spool: Arc<Mutex<Spool>>,
    /// The journal, for the time up to which it was read.
    pub journal: Arc<Follower>,
}

/// Something the brain lives on has ended before it was told to: it would go on knowing less and less.
#[derive(Debug, thiserror::Error)]
#[error("{0} has ended unexpectedly; its last words are above")]
pub struct Starved(&'static str);

/// See the module.
pub struct Brain {
    start: Start,
    inputs: Inputs,
    outputs: Outputs,
    facts: Facts,
    state: State,
    cursor: String,
    /// Set with the first judgement, and with every later one that knows better.
    identity: Option<Identity>,
    waiting: Vec<Sighting>,
    settling: Option<Settling>,
    hurry: Hurry,
    /// A fact's value or reason, or the link, changed since the last judgement.
    changed: bool,
    /// Until then a judgement waits for the facts it was ordered.
    hold: Option<Instant>,
    /// Since then nothing changed but what looks brought.
    gathering: Option<Instant>,
    judged: Instant,
    wake: Option<Instant>,
    /// As reported last, without what changes all the time.
    reported: Option<Diagnosis>,
    reported_at: Option<Instant>,
    /// The stream was there at the last judgement.
    attached: bool,
    /// The journal has been read and taken in up to here.
    read_up_to: Option<Timestamp>,
    hearing: Hearing,
    clock: Clock,
    disk_error: Option<String>,
    appended: judge::Appended,
}

impl Brain {
    /// A brain; [`Brain::run`] makes it work.
    pub fn new(start: Start, inputs: Inputs, outputs: Outputs) -> Self {
        let settling = Settling::new(start.checks.clone());
        let hurry = Hurry::new(&start.loaded.catalogue);
        let disk_error = start.spool.lock().unwrap_or_else(PoisonError::into_inner).stats().disk_error;
        Self {
            facts: start.facts.clone(),
            state: start.state.clone(),
            cursor: start.cursor.clone(),
            start,
            inputs,
            outputs,
            identity: None,
            waiting: Vec::new(),
            settling: Some(settling),
            hurry,
            changed: true,
            hold: None,
            gathering: None,
            judged: Instant::now(),
            wake: None,
            reported: None,
            reported_at: None,
            attached: false,
            read_up_to: None,
            hearing: Hearing::new(Instant::now()),
            clock: Clock::new(Timestamp::now(), Instant::now()),
            disk_error,
            appended: judge::Appended::default(),
        }
    }

    /// Thinks until told to end. What is known by then is in the spool when this returns.
    ///
    /// # Errors
    /// [`Starved`].
    pub async fn run(mut self) -> Result<(), Starved> {
        let mut beat = self.outputs.notifier.beat();
        let ended = loop {
            let next = self.next_wake();
            let inputs = &mut self.inputs;
            let heard = tokio::select! {
                looked = inputs.looked.recv() => looked.map_or(Heard::End("the scheduler of the checks"), Heard::Looked),
                facts = inputs.units.recv() => facts.map_or(Heard::End("the watch of the units"), Heard::Units),
                batch = inputs.batches.recv() => batch.map_or(Heard::End("the journal's thread"), Heard::Batch),
                loaded = inputs.catalogues.recv() => loaded.map_or(Heard::End("the watch of the causes' files"), Heard::Catalogue),
                Ok(()) = inputs.link.changed() => Heard::Link,
                () = tokio::time::sleep_until(next) => Heard::Time,
                _ = beat.tick() => Heard::Beat,
                _ = inputs.shutdown.wait_for(|end| *end) => break Ok(()),
            };
            self.notice_clock();
            match heard {
                Heard::Looked(looked) => self.take_looked(looked),
                Heard::Units(facts) => self.take_units(facts),
                Heard::Batch(batch) => self.take_batch(batch),
                Heard::Catalogue(loaded) => self.take_catalogue(loaded),
                Heard::Link => self.changed = true,
                Heard::Time => {}
                Heard::Beat => self.say_alive(),
                Heard::End(whose) => break Err(Starved(whose)),
            }
            self.take_all_waiting();
            if self.is_time_to_judge() {
                self.judge();
            }
        };
        self.outputs.notifier.stopping();
        self.save();
        ended
    }

    /// Feeds systemd's watchdog, as long as judgements are made: a loop that turns and never comes to one is not alive.
    fn say_alive(&self) {
        if self.judged.elapsed() < JUDGE_AT_LEAST_EVERY * 2 {
            self.outputs.notifier.alive();
        }
    }

    fn notice_clock(&mut self) {
        if let Some(step) = self.clock.set_back(Timestamp::now(), Instant::now()) {
            tracing::warn!("the clock was set back by {step:#}");
            self.facts.clock_set_back(step);
            self.hurry.clock_set_back();
            self.order(Order::ClockSetBack(step));
            self.changed = true;
        }
    }

    /// What a look brings that began before the clock was set back.
    fn by_this_clock(&self, mut facts: Facts) -> Facts {
        let now = Timestamp::now();
        if facts.iter().any(|(_, fact)| fact.read_at > now) {
            facts.clock_set_back(self.clock.last_step);
        }
        facts
    }

    fn take_all_waiting(&mut self) {
        // Before the batches, so that it is not ahead of them.
        self.read_up_to = self.start.journal.read_up_to();
        while let Ok(looked) = self.inputs.looked.try_recv() {
            self.take_looked(looked);
        }
        while let Ok(facts) = self.inputs.units.try_recv() {
            self.take_units(facts);
        }
        while self.waiting.len() < MAX_WAITING
            && let Ok(batch) = self.inputs.batches.try_recv()
        {
            self.take_batch(batch);
        }
    }

    fn take_looked(&mut self, looked: Looked) {
        if let Some(settling) = &mut self.settling {
            settling.looked(looked.check);
        }
        let only_looks = !self.changed && self.waiting.is_empty();
        // Facts read since a sighting may end it even if they are what they were.
        self.changed |= self.hurry.came_back(looked.check, looked.began_at);
        // All that the watch asks for is whether this is a Kubernetes node and where its runtime is; the rest changes too often to be copied for it.
        let asked_for = [s::NODE_IS_KUBERNETES.path(), s::KUBELET_CONFIG_RUNTIME_ENDPOINT.path()];
        let of_interest = asked_for.iter().any(|path| looked.facts.get(path).is_some());
        if self.facts.absorb(self.by_this_clock(looked.facts)) {
            self.changed = true;
            if of_interest {
                self.outputs.known.send_replace(Arc::new(self.facts.clone()));
            }
        }
        if only_looks && self.changed {
            self.gathering = Some(Instant::now() + GATHER);
        }
    }

    fn take_units(&mut self, facts: Facts) {
        self.gathering = None;
        let facts = self.by_this_clock(facts);
        if let Some(began_at) = facts.get(s::KUBELET_UNIT_NAME.path()).map(|fact| fact.read_at) {
            for check in [&checks::UNITS, &checks::RUNTIME_UNIT] {
                self.changed |= self.hurry.came_back(check.name, began_at);
            }
        }
        self.order(Order::Learn(facts.clone()));
        if self.facts.absorb(facts) {
            self.changed = true;
            let checks = self.hurry.after_unit_change();
            self.order(Order::LookNow(checks));
        }
    }

    fn take_batch(&mut self, batch: Batch) {
        if let Some(settling) = &mut self.settling
            && batch.caught_up
        {
            settling.caught_up();
        }
        let wanted = self.hurry.for_sightings(&batch.sightings);
        match batch.by.filter(|by| !Arc::ptr_eq(by, &self.start.loaded.catalogue)) {
            // Recognised with a catalogue that has been replaced since.
            Some(by) => self.see(&by, &batch.sightings),
            None => self.waiting.extend(batch.sightings),
        }
        if let Some(cursor) = batch.cursor {
            self.cursor = cursor;
            self.appended.cursor_moved();
        }
        self.changed |= self.facts.absorb(self.by_this_clock(batch.facts));
        if !wanted.is_empty() && self.settling.is_none() {
            self.hold.get_or_insert_with(|| Instant::now() + HOLD);
            self.order(Order::LookNow(wanted));
        }
    }

    /// Another catalogue is in force. Open cases, and what was heard and not judged yet, are told in terms of the old one: the state
    /// remembers signs by what they say, and finds them again or drops them.
    fn take_catalogue(&mut self, loaded: Loaded) {
        let waiting = std::mem::take(&mut self.waiting);
        self.see(&Arc::clone(&self.start.loaded.catalogue), &waiting);
        tracing::info!(causes = loaded.catalogue.causes().len(), "the catalogue was loaded anew");
        crate::catalogue::log_refused(&loaded.refused, &self.start.loaded.refused);
        self.hurry.learn(&loaded.catalogue);
        self.start.current.set(Arc::clone(&loaded.catalogue));
        self.start.npd.follow(&loaded.npd, Some(Timestamp::now()));
        self.start.loaded = loaded;
        self.changed = true;
    }

    fn see(&mut self, by: &Catalogue, sightings: &[Sighting]) {
        if !sightings.is_empty() {
            self.state.see(by, sightings);
            self.appended.state_changed();
            self.changed = true;
        }
    }

    fn order(&self, order: Order) {
        // Never waits: the scheduler may be waiting for the brain. An order lost in a full queue is one of very many.
        if self.outputs.orders.try_send(order).is_err() {
            tracing::debug!("the scheduler does not take orders");
        }
    }

    fn is_time_to_judge(&mut self) -> bool {
        let now = Instant::now();
        if let Some(settling) = &self.settling {
            if !settling.is_over(now) && self.waiting.len() < MAX_WAITING {
                return false;
            }
            self.settling = None;
            return true;
        }
        if let Some(until) = self.hold {
            if now < until && !self.hurry.all_came_back() {
                return false;
            }
            self.hold = None;
        }
        let due = self.wake.is_some_and(|wake| wake <= now) || self.judged + JUDGE_AT_LEAST_EVERY <= now;
        if !due && self.waiting.is_empty() && self.gathering.is_some_and(|until| now < until) {
            return false;
        }
        // With nothing present or pending, facts that did not change cannot change the judgement.
        self.changed || !self.waiting.is_empty() || due || self.appended.is_due(now)
    }

    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        if let Some(settling) = &self.settling {
            return settling.ends();
        }
        let judge = self.wake.map_or(self.judged + JUDGE_AT_LEAST_EVERY, |wake| wake.max(self.judged + JUDGE_AT_MOST_EVERY));
        let times = [Some(judge), Some(self.judged + JUDGE_AT_LEAST_EVERY), self.hold, self.gathering, self.appended.due()];
        times.into_iter().flatten().min().unwrap_or(now)
    }
}

/// What the brain was woken by.
enum Heard {
    Looked(Looked),
    Units(Facts),
    Batch(Batch),
    Catalogue(Loaded),
    Link,
    Time,
    Beat,
    /// Of something that should never end.
    End(&'static str),
}

/// From a wall-clock moment to one of this clock.
fn instant_of(at: Timestamp, now: Timestamp) -> Instant {
    let ahead = Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
    Instant::now() + ahead
}
