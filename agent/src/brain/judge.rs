//! One judgement, and what is kept and reported of it.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::model::{Transition, TransitionKind};
use nodewhy_diagnosis::render::verdict_word;
use nodewhy_diagnosis::{Diagnosis, View, diagnose};
use nodewhy_proto::v1::Report;
use tokio::time::Instant;

use super::{Brain, instant_of, report};
use crate::about::about;
use crate::identity::Identity;
use crate::schedule::Order;
use crate::ship::Link;
use crate::spool::Entry;

/// A diagnosis that changed without a transition (an unknown fact, a remedy) is reported this often at most.
const REFRESH: Duration = Duration::from_secs(10);
/// How long a state, or a journal's position, that nobody has to be told of may stay out of the spool. Until then a restart reads the
/// same lines again and comes to the same state.
const SAVE_STATE: Duration = Duration::from_secs(5);
const SAVE_CURSOR: Duration = Duration::from_secs(30);

/// What of the state is not in the spool yet.
#[derive(Debug, Default)]
pub(super) struct Appended {
    save_at: Option<Instant>,
}

impl Appended {
    pub(super) fn cursor_moved(&mut self) {
        self.save_within(SAVE_CURSOR);
    }

    pub(super) fn state_changed(&mut self) {
        self.save_within(SAVE_STATE);
    }

    fn save_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.save_at = Some(self.save_at.map_or(at, |earlier| earlier.min(at)));
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.save_at
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.save_at.is_some_and(|at| at <= now)
    }
}

impl Brain {
    pub(super) fn judge(&mut self) {
        let now = Timestamp::now();
        self.hearing.at(self.start.journal.read_up_to(), &mut self.facts, Instant::now(), now);
        if let Some(read_up_to) = self.read_up_to.take()
            && self.facts.known(s::LOGS_JOURNAL_READABLE) == Some(true)
        {
            self.facts.set(s::LOGS_READ_UP_TO, read_up_to, read_up_to);
        }
        let identity = self.identify();
        let view = View { now, node: &identity.node, facts: &self.facts, sightings: &self.waiting, mode: Mode::Live };
        let mut outcome = diagnose(&self.start.loaded.catalogue, &view, &self.state);
        outcome.diagnosis.unknown.extend(self.notes());
        if outcome.state != self.state {
            self.appended.state_changed();
        }
        outcome.diagnosis.unknown.extend(self.start.loaded.unknown());
        self.state = outcome.state;
        self.waiting.clear();
        (self.changed, self.gathering) = (false, None);
        self.judged = Instant::now();
        self.wake = outcome.wake_at.map(|at| instant_of(at, now));
        outcome.transitions.iter().for_each(log);
        self.keep(&identity, &outcome.diagnosis, &outcome.transitions);
        let open: BTreeSet<String> = outcome.diagnosis.causes.iter().map(|cause| cause.code.clone()).collect();
        if let Some(checks) = self.hurry.open(open) {
            self.order(Order::Hurry(checks));
        }
        self.outputs.notifier.status(status(&outcome.diagnosis, self.start.loaded.refused.len()));
    }

    /// Who this is, settled with the first judgement and again when better is known; the ship introduces itself with it.
    fn identify(&mut self) -> Identity {
        let now = Identity::new(&self.start.names, self.start.node_name.as_deref(), &self.facts);
        let identity = match self.identity.take() {
            Some(old) => {
                let name = old.node.clone();
                let better = old.or_better(now);
                if better.node != name {
                    tracing::warn!(was = name, is = better.node, from = ?better.source, "this node has another name than was thought");
                }
                better
            }
            None => now,
        };
        self.identity = Some(identity.clone());
        let mut hello = identity.hello(&self.facts);
        if hello.kubelet_version.is_empty() {
            // Only an API server that answers tells it; while it is away the kubelet is of no other version.
            hello.kubelet_version.clone_from(&self.outputs.hello.borrow().kubelet_version);
        }
        self.outputs.hello.send_if_modified(|old| {
            let changed = *old != hello;
            *old = hello;
            changed
        });
        self.outputs.about.send_if_modified(|old| {
            let about = about(&self.facts, &self.start.labels, old);
            let changed = *old != about;
            *old = about;
            changed
        });
        identity
    }

    fn keep(&mut self, identity: &Identity, diagnosis: &Diagnosis, transitions: &[Transition]) {
        let report = self.is_to_report(diagnosis, transitions).then(|| {
            let report = Report {
                at: Some(nodewhy_wire::time_to_wire(diagnosis.at)),
                boot_id: identity.boot_id.clone(),
                diagnosis: Some(nodewhy_wire::diagnosis_to_wire(diagnosis)),
                transitions: transitions.iter().map(nodewhy_wire::transition_to_wire).collect(),
                ..Report::default()
            };
            report::encode(report, self.start.spool.lock().unwrap_or_else(PoisonError::into_inner).report_bytes())
        });
        if report.is_some() || self.appended.is_due(Instant::now()) {
            self.append(report.as_deref());
        }
        if report.is_some() {
            self.reported = Some(lasting(diagnosis));
            self.reported_at = Some(Instant::now());
            self.outputs.more.notify_one();
        }
    }

    /// Transitions always. The diagnosis alone when a stream begins, and while it lasts if anything that matters is another; never while
    /// the collector is away, where it would take the room of transitions.
    fn is_to_report(&mut self, diagnosis: &Diagnosis, transitions: &[Transition]) -> bool {
        let attached = *self.inputs.link.borrow_and_update() == Link::Attached;
        let newly = attached && !std::mem::replace(&mut self.attached, attached);
        self.attached = attached;
        if !transitions.is_empty() || newly {
            return true;
        }
        let Some(reported) = self.reported.as_ref().filter(|_| attached) else { return false };
        if reported.verdict != diagnosis.verdict {
            return true;
        }
        let other = *reported != lasting(diagnosis);
        let rested = self.reported_at.is_none_or(|at| at.elapsed() >= REFRESH);
        if other && !rested {
            self.wake = Some(self.wake.map_or(Instant::now() + REFRESH, |wake| wake.min(Instant::now() + REFRESH)));
        }
        other && rested
    }

    /// Writes the state down, with a report if there is one.
    fn append(&mut self, report: Option<&[u8]>) {
        let state = match serde_json::to_vec(&self.state) {
            Ok(state) => state,
            Err(error) => {
                tracing::error!(%error, "the state cannot be written down: this is a defect of nodewhy-agent, please report it");
                return;
            }
        };
        let mut spool = self.start.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.append(&Entry { report, state: &state, cursor: &self.cursor });
        let disk_error = spool.stats().disk_error;
        drop(spool);
        if disk_error != self.disk_error {
            match &disk_error {
                Some(error) => tracing::warn!("{error}"),
                None => tracing::info!("the spool is on disk again"),
            }
            self.disk_error = disk_error;
        }
        self.appended = Appended::default();
        self.outputs.to_sync.notify_one();
    }

    /// At the end: what is known goes into the spool. Sightings that no judgement has taken in yet go with it: they lie before the cursor
    /// and would not be read again.
    pub(super) fn save(&mut self) {
        self.state.see(&self.start.loaded.catalogue, &std::mem::take(&mut self.waiting));
        if self.appended.due().is_some() {
            self.append(None);
        }
    }
}

/// The diagnosis without what changes with every look: times, counts and the words of the newest log line.
fn lasting(diagnosis: &Diagnosis) -> Diagnosis {
    let mut lasting = diagnosis.clone();
    lasting.at = Timestamp::UNIX_EPOCH;
    for cause in &mut lasting.causes {
        cause.evidence.retain(|evidence| !evidence.source.starts_with("log:"));
        for evidence in &mut cause.evidence {
            (evidence.at, evidence.count) = (None, 0);
        }
    }
    lasting
}

/// The rule that decided is for whoever asks for more: it is an expression, and a long one.
fn log(transition: &Transition) {
    let Transition { kind, code, reason, cause, .. } = transition;
    match kind {
        TransitionKind::Opened => tracing::warn!(cause = code, root = cause.root, "opened: {}", cause.message),
        TransitionKind::Confirmed => tracing::info!(cause = code, root = cause.root, "confirmed: {}", cause.message),
        TransitionKind::Closed => tracing::info!(cause = code, "closed"),
    }
    tracing::debug!(cause = code, reason, "decided");
}

/// One line for `systemctl status`.
fn status(diagnosis: &Diagnosis, refused: usize) -> String {
    let roots: Vec<&str> = diagnosis.causes.iter().filter(|cause| cause.root).map(|cause| cause.code.as_str()).collect();
    let verdict = verdict_word(diagnosis.verdict);
    let said = if roots.is_empty() { verdict.to_owned() } else { format!("{verdict}: {}", roots.join(", ")) };
    if refused == 0 { said } else { format!("{said}; own rules refused: {refused}, see the log") }
}
