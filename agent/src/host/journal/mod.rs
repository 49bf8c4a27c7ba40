//! The journal: read once back to the boot, then followed, on a thread of its own (`systemd::Journal` is neither Send nor Sync).
//!
//! journald holds its change notification back by up to 250 ms, but the entry is in the mapped file at once. So the follower does not
//! wait for it: it looks for entries when somebody has reason to expect some ([`Follower::expect_entries`]) and on a coarse timer, and
//! takes the notification for what it is good for: new and rotated files.

mod fields;
mod reader;
mod scan;
mod thread;

use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::catalogue::{Matcher, Sighting};
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Catalogue, Facts, Missing, MissingKind};
use tokio::sync::mpsc;

use super::Host;

pub use reader::Reader;
pub use scan::Scan;
pub use thread::SharedPosition;

/// Sightings of one scan back to the boot that are kept; of more, the newest.
pub const MAX_SIGHTINGS: usize = 4096;

/// What one pass over the journal gave.
#[derive(Debug, Default)]
pub struct Batch {
    /// Recognised records, in the order of the journal.
    pub sightings: Vec<Sighting>,
    /// Position behind everything in `sightings`; `None` if it did not move.
    pub cursor: Option<String>,
    /// `logs.journal.*`, where something of it changed.
    pub facts: Facts,
    /// The end of the journal was reached: what follows is new. Also when there is nothing to read at all.
    pub caught_up: bool,
    /// The catalogue that the sightings are in terms of; the present one if it does not say.
    pub by: Option<Arc<Catalogue>>,
}

/// What is recognised with; may be another the next moment.
#[derive(Debug)]
pub struct Current<M>(Mutex<Arc<M>>);

impl<M> Current<M> {
    /// Begins with this one.
    pub fn new(first: Arc<M>) -> Self {
        Self(Mutex::new(first))
    }

    /// The present one.
    pub fn get(&self) -> Arc<M> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this one.
    pub fn set(&self, next: Arc<M>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Behind the entry at this cursor; if it is of an earlier boot, from this boot on.
    Cursor(String),
    /// From this boot on.
    Boot,
}

/// A thread that follows the journal; ends when dropped.
#[derive(Debug)]
pub struct Follower {
    wake: std_mpsc::SyncSender<()>,
    position: Arc<SharedPosition>,
}

impl Follower {
    /// Starts the thread. Batches arrive at `out`; a full `out` makes the thread wait.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(host: Arc<Host>, catalogue: Arc<Current<Catalogue>>, from: From, out: mpsc::Sender<Batch>) -> std::io::Result<Self> {
        Self::start_with(host, catalogue, from, out)
    }

    /// [`Follower::start`] for whatever holds a matcher.
    fn start_with<M>(host: Arc<Host>, matcher: Arc<Current<M>>, from: From, out: mpsc::Sender<Batch>) -> std::io::Result<Self>
    where
        M: HasMatcher + Send + Sync + 'static,
    {
        let (wake, woken) = std_mpsc::sync_channel(4);
        let position = Arc::<SharedPosition>::default();
        let thread = thread::Thread::new(host, matcher, from, out, woken, Arc::clone(&position));
        // Decompression and the matcher keep their buffers on the heap.
        std::thread::Builder::new().name("journal".to_owned()).stack_size(256 << 10).spawn(move || thread.run())?;
        Ok(Self { wake, position })
    }

    /// Says that entries are about to come: the journal is drained at once and again after 2, 5, 10, 20, 50 and 100 ms.
    pub fn expect_entries(&self) {
        // Full: the thread has been told and has not come to it yet.
        let _ = self.wake.try_send(());
    }

    /// Everything that the journal held up to this time has been handed over.
    pub fn read_up_to(&self) -> Option<Timestamp> {
        self.position.get()
    }
}

/// What a follower recognises with.
trait HasMatcher {
    fn matcher(&self) -> &Matcher;

    /// For what it knows and `old` does not.
    fn news(&self, _old: &Self) -> Matcher {
        Matcher::default()
    }

    fn catalogue(self: &Arc<Self>) -> Option<Arc<Catalogue>> {
        None
    }
}

impl HasMatcher for Catalogue {
    fn matcher(&self) -> &Matcher {
        Catalogue::matcher(self)
    }

    fn news(&self, old: &Self) -> Matcher {
        self.matcher_of_new(old)
    }

    fn catalogue(self: &Arc<Self>) -> Option<Arc<Catalogue>> {
        Some(Arc::clone(self))
    }
}

impl HasMatcher for Matcher {
    fn matcher(&self) -> &Matcher {
        self
    }
}

/// Reads the journal of this boot newest first for at most `budget`. Blocks.
pub fn scan(host: &Host, catalogue: &Catalogue, budget: Duration) -> Batch {
    let began = Timestamp::now();
    let mut reader = match Reader::open(host) {
        Ok(reader) => reader,
        Err(missing) => return unreadable(&missing, began),
    };
    let scan = reader.scan_boot(catalogue.matcher(), budget);
    let mut facts = readable(&reader, began);
    facts.set(s::LOGS_READ_UP_TO, began, began);
    let gap = scan.gap();
    facts.set(s::LOGS_JOURNAL_GAP, began, gap);
    Batch { sightings: scan.sightings, cursor: scan.tail, facts, caught_up: true, by: None }
}

fn unreadable(missing: &Missing, at: Timestamp) -> Batch {
    let mut facts = Facts::new();
    facts.miss_under("logs.journal", at, missing);
    facts.miss(s::LOGS_READ_UP_TO, at, missing.clone());
    Batch { facts, caught_up: true, ..Batch::default() }
}

fn readable(reader: &Reader, at: Timestamp) -> Facts {
    let mut facts = Facts::new();
    let stale = |why: &str| {
        Missing::new(MissingKind::Failed, why)
            .hint("does systemd-journald write (systemctl status systemd-journald; Storage= in journald.conf)? In a container: is /proc the node's?")
    };
    facts.put(s::LOGS_JOURNAL_READABLE, at, reader.stale().map_or(Ok(true), |why| Err(stale(why))));
    facts.set(s::LOGS_JOURNAL_PATH, at, reader.directories().to_owned());
    facts.set(s::LOGS_JOURNAL_DAMAGED_ENTRIES, at, i64::try_from(reader.damaged()).unwrap_or(i64::MAX));
    facts
}

#[cfg(test)]
#[path = "../../../tests/support/journal_file.rs"]
mod journal_file;
#[cfg(test)]
mod tests;
