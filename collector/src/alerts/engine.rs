//! From changed nodes to messages, within the transaction that changed them: the fleet and the incidents as they are, held by the store's
//! writer alone. What it holds can be had from the store again at any time, and is after a transaction that failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::model::PresentCause;
use rusqlite::Connection;
use tokio::sync::watch;

use super::look::Look;
use super::order::most_urgent_first;
use super::{COLLECTOR, failing, gone};
use crate::correlate::{Book, CaseKey, Incident, message, title};
use crate::fleet::Fleet;
use crate::message::Event;
use crate::policy::{Loaded, Silences};
use crate::store::incidents as kept;
use crate::store::push;
use crate::tell::{Rates, Saying, after, tell};

/// See the module.
#[derive(Debug)]
pub(crate) struct Engine {
    fleet: Fleet,
    book: Book,
    silences: Silences,
    rates: Rates,
    policy: watch::Receiver<Loaded>,
    /// What the collector has found about itself, once it has looked.
    own: Option<Vec<PresentCause>>,
    /// As written down last.
    written: BTreeMap<String, Incident>,
    /// When time alone will change what is to be said of an incident.
    wakes: BTreeMap<String, Timestamp>,
    correlate_at: Option<Timestamp>,
    /// When a step is needed even if nothing changes.
    next: watch::Sender<Option<Timestamp>>,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct News {
    /// These nodes.
    pub(crate) nodes: BTreeSet<Arc<str>>,
    /// Silences.
    pub(crate) silences: bool,
    /// What the collector finds about itself, if it has looked.
    pub(crate) own: Option<Vec<PresentCause>>,
    /// No hooks but these have been there for long.
    pub(crate) hooks: Option<Arc<[Arc<str>]>>,
}

impl Engine {
    /// From the store.
    pub(crate) fn load(
        connection: &Connection,
        policy: watch::Receiver<Loaded>,
        next: watch::Sender<Option<Timestamp>>,
        now: Timestamp,
    ) -> rusqlite::Result<Self> {
        let again = policy.borrow().policy.flap.within;
        let (incidents, ids) = kept::load(connection, now.checked_sub(again).unwrap_or(Timestamp::MIN))?;
        let written = incidents.iter().map(|one| (one.id.clone(), one.clone())).collect();
        let wakes = incidents.iter().map(|one| (one.id.clone(), now)).collect();
        let mut fleet = Fleet::default();
        for name in kept::node_names(connection)? {
            if let Some(node) = kept::node(connection, &name)? {
                fleet.set(name, node);
            }
        }
        let silences = Silences::new(kept::silences(connection, now)?);
        // All nodes are looked at by the first step.
        next.send_replace(Some(now));
        let mut rates = Rates::default();
        for told in incidents.iter().flat_map(|one| &one.told) {
            rates.remember(told.0, told.1.at);
        }
        let book = Book::new(incidents, ids);
        Ok(Self { fleet, book, silences, rates, policy, own: None, written, wakes, correlate_at: Some(Timestamp::MIN), next })
    }

    /// After a transaction that failed: what the store says.
    pub(crate) fn reload(&mut self, connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let own = self.own.clone();
        *self = Self { own, ..Self::load(connection, self.policy.clone(), self.next.clone(), now)? };
        Ok(())
    }

    /// Takes in what no store can be asked for, even if no step can be made now.
    pub(crate) fn note(&mut self, news: &News) {
        if let Some(own) = &news.own {
            self.own = Some(own.clone());
        }
    }

    /// Whether a step has to be made although no node changed.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.policy.has_changed().unwrap_or(false) || self.due_at().is_some_and(|at| at <= now)
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.wakes.values().copied().chain(self.correlate_at).min()
    }

    /// This changed, or the time has come.
    pub(crate) fn step(&mut self, connection: &Connection, news: &News, now: Timestamp) -> rusqlite::Result<()> {
        self.note(news);
        let News { nodes, silences, own, hooks } = news;
        let first = self.correlate_at == Some(Timestamp::MIN);
        let mut all = if first { kept::node_names(connection)? } else { BTreeSet::new() };
        if self.own.is_some() {
            // The store was read again, and the collector knows better what it has found about itself.
            all.remove(COLLECTOR);
        }
        for name in nodes {
            match kept::node(connection, name)? {
                Some(node) => self.fleet.set(name.clone(), node),
                None => self.fleet.forget(name),
            }
        }
        let mut failed = None;
        let mut ending = |key: &CaseKey| {
            kept::ending(connection, key, now).unwrap_or_else(|error| {
                let reason = error.to_string();
                failed = Some(error);
                crate::correlate::Ending { at: now, reason }
            })
        };
        let flap = self.policy.borrow().policy.flap;
        self.correlate_at = self.book.correlate(&self.fleet, if first { &all } else { nodes }, &mut ending, flap, now);
        failed.map_or(Ok(()), Err)?;
        if let Some(own) = if first { &self.own } else { own } {
            let look_at = self.book.own(own, flap, now);
            self.correlate_at = self.correlate_at.into_iter().chain(look_at).min();
            gone::word_endings(&mut self.book, &self.policy.borrow().policy, now);
        }
        if let Some(hooks) = hooks {
            gone::forget(&mut self.book, hooks, &self.policy.borrow().policy);
        }
        if *silences {
            self.silences = Silences::new(kept::silences(connection, now)?);
        }
        let mut ids = self.book.take_changed();
        if *silences || first || self.policy.has_changed().unwrap_or(false) {
            self.policy.mark_unchanged();
            ids.extend(self.book.incidents().map(|one| one.id.clone()));
        }
        ids.extend(self.wakes.iter().filter(|(_, at)| **at <= now).map(|(id, _)| id.clone()));
        for id in most_urgent_first(&self.book, &ids) {
            self.tell(connection, &id, now)?;
        }
        self.book.take_changed();
        for id in ids {
            self.write(connection, &id, now)?;
        }
        let next = self.due_at();
        self.next.send_if_modified(|known| std::mem::replace(known, next) != next);
        Ok(())
    }

    /// Says what is to be said of an incident.
    fn tell(&mut self, connection: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<()> {
        self.wakes.remove(id);
        let Some(one) = self.book.get(id) else { return Ok(()) };
        let greater = one.held_by.as_ref().and_then(|id| self.book.get(id)).filter(|_| one.is_open());
        if let Some(until) = greater.and_then(|greater| greater.wait_until).filter(|until| *until > now) {
            self.wakes.insert(id.to_owned(), until);
            return Ok(());
        }
        let policy = self.policy.borrow().policy.clone();
        let look = Look { book: &self.book, fleet: &self.fleet, policy: &policy, silences: &self.silences, now };
        let standing = look.standing(one, greater);
        let quiet = look.covered(&standing);
        let mut told = one.told.clone();
        let say = tell(&policy, &self.silences, &mut self.rates, &standing, &mut told, now);
        // A hook that takes nothing need not be told so.
        let about = failing::about_hook(one);
        let sayings: Vec<_> = say.messages.iter().filter(|said| Some(&*said.hook) != about).collect();
        if !sayings.is_empty() {
            let scene = look.scene(one, &standing);
            for Saying { hook, event, number } in sayings {
                let severity = told.get(hook).map_or(one.worst, |told| told.severity);
                push(connection, hook, &message(one, &scene, (*event, *number, severity)))?;
            }
        }
        if let Some(at) = say.wake_at {
            self.wakes.insert(id.to_owned(), at);
        }
        if (&told, &quiet) != (&one.told, &one.quiet)
            && let Some(one) = self.book.get_mut(id)
        {
            (one.told, one.quiet) = (told, quiet);
        }
        Ok(())
    }

    /// Writes an incident down as it stands; one that is over and that nobody will hear of any more is let go.
    fn write(&mut self, connection: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<()> {
        let Some(one) = self.book.get(id) else { return Ok(()) };
        let telling = one.told.values().any(|told| told.event != Event::Resolved);
        if one.merged_into.is_some() && one.told.is_empty() {
            kept::remove(connection, id)?;
            self.forget(id);
            return Ok(());
        }
        let written = self.written.get(id);
        if written != Some(one) {
            let count = if one.members.is_empty() { one.peak } else { one.node_count() };
            let none = BTreeMap::new();
            let before = written.map_or(&none, |written| &written.members);
            kept::save(connection, one, &title(one, count, self.fleet.len()), telling, before, now)?;
            self.written.insert(id.to_owned(), one.clone());
        }
        // It may open again for a while.
        match one.closed_at.map(|at| after(at, self.policy.borrow().policy.flap.within)) {
            Some(gone) if !telling && gone < now => self.forget(id),
            Some(gone) if !telling => {
                self.wakes.entry(id.to_owned()).or_insert(after(gone, Duration::from_secs(1)));
            }
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, id: &str) {
        self.book.forget(id);
        self.written.remove(id);
        self.wakes.remove(id);
    }
}
