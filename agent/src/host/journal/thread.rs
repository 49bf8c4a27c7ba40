//! The thread that follows the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodewhy_diagnosis::catalogue::Sighting;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Missing, MissingKind};
use tokio::sync::mpsc;

use super::reader::{Reader, Resumed};
use super::{Batch, Current, From, HasMatcher, Host, MAX_SIGHTINGS, readable, unreadable};

/// Ten looks a second cost 0.04 % of a core and find an entry 50 ms after it was written, on average.
const TICK: Duration = Duration::from_millis(100);
/// How often the library looks for new and rotated files while nothing happens. Entries are seen at every look all the same, for they are in
/// the file that is mapped already.
const FILES_EVERY: Duration = Duration::from_secs(1);
/// When entries are expected: a kubelet's last words reach journald through a pipe, within milliseconds of its exit.
const BURST_MS: [u64; 7] = [0, 2, 5, 10, 20, 50, 100];
/// A batch ends with the entry that fills it, so that a long catch-up can be saved and resumed on the way.
const BATCH_ENTRIES: u64 = 20_000;
const BATCH_SIGHTINGS: usize = 512;
/// How often the position is handed over when there is nothing to tell but that it moved.
const CURSOR_EVERY: Duration = Duration::from_secs(10);
/// How often an unreadable journal, or one whose files nobody tells about, is opened anew.
const REOPEN: Duration = Duration::from_secs(5);
/// A first look back may take so long; a journal that is longer is told as `logs.journal.gap`.
const SCAN_BUDGET: Duration = Duration::from_secs(5);

/// Time up to which everything was handed over; read by others.
#[derive(Debug, Default)]
pub struct SharedPosition(AtomicI64);

impl SharedPosition {
    pub(super) fn get(&self) -> Option<Timestamp> {
        let micros = self.0.load(Ordering::Acquire);
        (micros != 0).then(|| Timestamp::from_microsecond(micros).ok()).flatten()
    }

    fn set(&self, at: Timestamp) {
        self.0.store(at.as_microsecond(), Ordering::Release);
    }
}

pub(super) struct Thread<M> {
    host: Arc<Host>,
    current: Arc<Current<M>>,
    /// What everything read so far was recognised with.
    matcher: Arc<M>,
    from: From,
    out: mpsc::Sender<Batch>,
    woken: Receiver<()>,
    position: Arc<SharedPosition>,
    /// Why entries may have been missed; stays until the next start, so that it is seen.
    gap: String,
    told_damaged: u64,
    /// Entries were expected since then.
    burst: Option<(Instant, usize)>,
}

/// Why a loop ended.
enum End {
    /// Nobody listens any more.
    Stop,
    /// To be opened anew.
    Reopen,
}

impl<M: HasMatcher> Thread<M> {
    pub(super) fn new(
        host: Arc<Host>,
        current: Arc<Current<M>>,
        from: From,
        out: mpsc::Sender<Batch>,
        woken: Receiver<()>,
        position: Arc<SharedPosition>,
    ) -> Self {
        let matcher = current.get();
        Self { host, current, matcher, from, out, woken, position, gap: String::new(), told_damaged: 0, burst: None }
    }

    pub(super) fn run(mut self) {
        loop {
            let end = match Reader::open(&self.host) {
                Ok(reader) => self.follow(reader),
                Err(missing) => self.told_unreadable(&missing),
            };
            // Opening again and again without a pause would be a busy loop.
            if matches!(end, End::Stop) || self.woken.recv_timeout(TICK) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn told_unreadable(&mut self, missing: &Missing) -> End {
        if self.send(unreadable(missing, Timestamp::now())).is_err() {
            return End::Stop;
        }
        match self.woken.recv_timeout(REOPEN) {
            Err(RecvTimeoutError::Disconnected) => End::Stop,
            _ => End::Reopen,
        }
    }

    fn follow(&mut self, mut reader: Reader) -> End {
        let opened = Instant::now();
        let end = match self.begin(&mut reader) {
            Ok(()) => self.drain_for_ever(&mut reader, opened),
            Err(end) => return end,
        };
        match end {
            Ok(end) => end,
            Err(error) => {
                let why = format!("read the journal in {}: {error}", reader.directories());
                self.gap = format!("{why}; it was opened anew");
                self.told_unreadable(&Missing::new(MissingKind::Failed, why).hint("look at: journalctl --verify"))
            }
        }
    }

    /// Finds the place to begin and hands over what a first look back finds.
    fn begin(&mut self, reader: &mut Reader) -> Result<(), End> {
        let mut lost = None;
        if let From::Cursor(cursor) = self.from.clone()
            && reader.is_cursor_of_this_boot(&cursor)
        {
            match reader.resume(&cursor) {
                Resumed::Exactly => return self.send(self.batch(reader, Vec::new(), None, false)).map_err(|()| End::Stop),
                Resumed::Lost(why) => lost = Some(why),
            }
        }
        let read_up_to = Timestamp::now();
        let scan = reader.scan_boot(self.matcher.matcher(), SCAN_BUDGET);
        self.gap = match lost {
            Some(why) => format!("{why}; the journal of this boot was read again from its end back. {}", scan.gap()).trim().to_owned(),
            None => scan.gap(),
        };
        let placed = match &scan.tail {
            Some(tail) if reader.resume(tail) == Resumed::Exactly => true,
            _ => reader.go_to_end().is_ok(),
        };
        let batch = self.batch(reader, scan.sightings, scan.tail, true);
        self.send(batch).map_err(|()| End::Stop)?;
        self.position.set(read_up_to);
        if placed { Ok(()) } else { Err(End::Reopen) }
    }

    fn drain_for_ever(&mut self, reader: &mut Reader, opened: Instant) -> Result<End, systemd::Error> {
        let (mut saved, mut noticed) = (Instant::now(), Instant::now());
        let mut moved = false;
        // Until the end is reached for the first time, the brain is told so with the first batch that reaches it.
        let mut catching_up = true;
        loop {
            let began = Timestamp::now();
            let was_stale = reader.stale().is_some();
            let drained = self.drain(reader)?;
            moved |= drained.entries > 0;
            let to_save = moved && saved.elapsed() >= CURSOR_EVERY;
            let damaged = reader.damaged() != self.told_damaged;
            self.told_damaged = reader.damaged();
            let news = damaged || was_stale != reader.stale().is_some();
            if !drained.sightings.is_empty() || to_save || news || catching_up || !drained.at_end {
                let cursor = if moved { reader.cursor() } else { None };
                let batch = self.batch(reader, drained.sightings, cursor, drained.at_end);
                if self.send(batch).is_err() {
                    return Ok(End::Stop);
                }
                (saved, moved) = (Instant::now(), false);
            }
            if drained.at_end {
                catching_up = false;
                self.position.set(began);
                if self.learn(reader)?.is_err() {
                    return Ok(End::Stop);
                }
                if self.wait() {
                    return Ok(End::Stop);
                }
                if self.burst.is_some() || noticed.elapsed() >= FILES_EVERY {
                    reader.notice_files()?;
                    noticed = Instant::now();
                }
                if !reader.notices_files && opened.elapsed() >= REOPEN {
                    return Ok(End::Reopen);
                }
            } else if let Some(at) = reader.entry_time() {
                self.position.set(at);
            }
        }
    }

    /// Takes a new catalogue into use. Signs that the old one did not have are looked for in what this boot has said already: an admin
    /// adds a rule because of what has happened.
    fn learn(&mut self, reader: &mut Reader) -> Result<Result<(), ()>, systemd::Error> {
        let next = self.current.get();
        if Arc::ptr_eq(&next, &self.matcher) {
            return Ok(Ok(()));
        }
        let news = next.news(&self.matcher);
        self.matcher = next;
        let Some(here) = reader.cursor().filter(|_| !news.is_empty()) else { return Ok(Ok(())) };
        let read_up_to = reader.entry_time();
        let mut scan = reader.scan_boot(&news, SCAN_BUDGET);
        // What was written meanwhile will be read with the rest.
        scan.sightings.retain(|sighting| read_up_to.is_none_or(|at| sighting.at <= at));
        if reader.resume(&here) != Resumed::Exactly {
            reader.go_to_end()?;
        }
        self.gap = [std::mem::take(&mut self.gap), scan.gap()].join(" ").trim().to_owned();
        Ok(self.send(self.batch(reader, scan.sightings, None, true)))
    }

    fn drain(&self, reader: &mut Reader) -> Result<Drained, systemd::Error> {
        let mut drained = Drained::default();
        while drained.entries < BATCH_ENTRIES && drained.sightings.len() < BATCH_SIGHTINGS {
            match reader.next(self.matcher.matcher())? {
                Some(found) => {
                    drained.entries += 1;
                    drained.sightings.extend(found);
                }
                None => {
                    drained.at_end = true;
                    break;
                }
            }
        }
        Ok(drained)
    }

    /// Waits until it is time to look again; true when nobody listens any more.
    fn wait(&mut self) -> bool {
        let timeout = match self.burst {
            Some((since, step)) => Duration::from_millis(BURST_MS[step]).saturating_sub(since.elapsed()),
            None => TICK,
        };
        match self.woken.recv_timeout(timeout) {
            Ok(()) => self.burst = Some((Instant::now(), 1)),
            Err(RecvTimeoutError::Timeout) => {
                self.burst = self.burst.and_then(|(since, step)| (step + 1 < BURST_MS.len()).then_some((since, step + 1)));
            }
            Err(RecvTimeoutError::Disconnected) => return true,
        }
        false
    }

    fn batch(&self, reader: &Reader, sightings: Vec<Sighting>, cursor: Option<String>, caught_up: bool) -> Batch {
        let at = Timestamp::now();
        let mut facts = readable(reader, at);
        facts.set(s::LOGS_JOURNAL_GAP, at, self.gap.clone());
        debug_assert!(sightings.len() <= MAX_SIGHTINGS + BATCH_SIGHTINGS, "batches are bounded");
        Batch { sightings, cursor, facts, caught_up, by: self.matcher.catalogue() }
    }

    fn send(&mut self, batch: Batch) -> Result<(), ()> {
        if let Some(cursor) = &batch.cursor {
            self.from = From::Cursor(cursor.clone());
        }
        self.out.blocking_send(batch).map_err(|_| ())
    }
}

#[derive(Default)]
struct Drained {
    sightings: Vec<Sighting>,
    entries: u64,
    at_end: bool,
}
