//! What the agent keeps until the collector has it: reports, the state of the judgement and the journal's cursor, in one atomic append.
//!
//! Two preallocated segments. Appends go to the current one; when it is full, what is still needed (reports not acknowledged, the newest
//! state and cursor) is written to the other one, which then becomes the current one: the older stays whole until that is done. Since the
//! blocks are there already, this works on a full disk. A disk that hangs is waited for once, for a second; from then on everything is held
//! in memory until it answers. kill -9 loses nothing that `append` returned from; a power failure loses at most
//! what was written since the last [`Syncer::sync`], and then state and cursor go back together, so that the same lines are read again.
//!
//! Sequences count within the spool's id, over all boots. A power failure may take reports that the collector has: then numbers that it knows
//! are given a second time. So the segments name the boot they were written in; in another one all that is made before the collector has said
//! where it stands is marked ([`Spool::welcomed`]).

mod disk;
mod segment;
mod writer;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nodewhy_wire::REPORT_BYTES;

use disk::{Disk, Place, Segments};
use segment::{BootId, FRAME_OVERHEAD, Frame, HEADER, Header, SpoolId};

/// Bytes of one segment, unless the disk has less.
pub const SEGMENT_BYTES: u64 = 4 << 20;
/// Smallest segment that is of use.
const SEGMENT_MIN: u64 = 256 << 10;

/// A spool that cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process holds it.
    #[error("{path}: another nodewhy-agent uses this state directory (lock held): stop it, or give this one another stateDir")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
}

/// What one append keeps.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// A report for the collector, if there is something to report.
    pub report: Option<&'a [u8]>,
    /// The state of the judgement after it.
    pub state: &'a [u8],
    /// The journal's cursor up to which `state` has taken everything in; empty if nothing was read yet.
    pub cursor: &'a str,
}

/// What was found when the spool was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// State of the last append; `None` for a new spool.
    pub state: Option<Vec<u8>>,
    /// Cursor of the last append, empty if there was none.
    pub cursor: String,
    /// Reports found that the collector has not acknowledged.
    pub pending: usize,
    /// What had to be given up, in words; empty if nothing.
    pub losses: Vec<String>,
}

/// Figures about the spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Reports not acknowledged.
    pub pending: usize,
    /// Their bytes.
    pub pending_bytes: usize,
    /// Reports dropped since the start because the spool was full.
    pub dropped: u64,
    /// Why appends are held in memory only at the moment; `None` while the disk takes them.
    pub disk_error: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Spool {
    id: SpoolId,
    disk: Disk,
    /// Reports not acknowledged, oldest first.
    pending: VecDeque<(u64, Arc<[u8]>)>,
    pending_bytes: usize,
    state: Vec<u8>,
    cursor: String,
    last: u64,
    acked: u64,
    boot: BootId,
    /// See [`Header::unsure_after`].
    unsure_after: Option<u64>,
    dropped: u64,
    disk_error: Option<String>,
    _lock: Option<Flock<File>>,
}

/// Makes what was appended safe against a power failure. Blocks as long as the disk takes: to be called off the agent's own thread.
#[derive(Debug, Clone)]
pub struct Syncer(Option<Arc<File>>);

impl Syncer {
    /// fdatasync(2) of the current segment.
    ///
    /// # Errors
    /// What the disk said.
    pub fn sync(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |file| file.sync_data())
    }
}

impl Spool {
    /// Opens the spool in `dir`, or makes one. A disk that cannot be written is no error: the spool then lives in memory and says so in
    /// [`Stats::disk_error`]. `boot` is the kernel's boot id, as text; empty if it cannot be had.
    ///
    /// # Errors
    /// [`SpoolError::InUse`] if another process has it open.
    pub fn open(dir: &Path, segment_bytes: u64, boot: &str) -> Result<(Self, Recovered), SpoolError> {
        let mut recovered = Recovered::default();
        let opened = fs::create_dir_all(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()));
        let (lock, prepared) = match opened {
            Ok(()) => (lock(dir)?, prepare(dir, segment_bytes)),
            Err(reason) => (None, Err(reason)),
        };
        let (segments, size, disk_error) = match prepared {
            Ok((segments, size)) => (segments, size, None),
            Err(reason) => ([None, None], segment_bytes, Some(format!("{reason}; kept in memory only, a restart would lose it"))),
        };
        let mut spool = Self {
            id: rand::random(),
            disk: Disk::new(segments, size),
            pending: VecDeque::new(),
            pending_bytes: 0,
            state: Vec::new(),
            cursor: String::new(),
            last: 0,
            acked: 0,
            boot: boot_bytes(boot),
            unsure_after: None,
            dropped: 0,
            disk_error,
            _lock: lock,
        };
        spool.recover(&mut recovered);
        recovered.pending = spool.pending.len();
        Ok((spool, recovered))
    }

    /// Identity of this spool: sequences count within it. 32 hexadecimal digits.
    pub fn id(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Keeps an entry and gives its report's sequence. When the disk refuses, the entry is kept in memory and the disk is tried again with
    /// the next one ([`Stats::disk_error`]).
    pub fn append(&mut self, entry: &Entry<'_>) -> Option<u64> {
        self.state.clear();
        self.state.extend_from_slice(entry.state);
        entry.cursor.clone_into(&mut self.cursor);
        let sequence = entry.report.map(|report| {
            self.last += 1;
            self.push(self.last, report.into());
            self.last
        });
        let frame =
            Frame { sequence: self.last, acked: self.acked, state: entry.state, cursor: entry.cursor.as_bytes(), report: entry.report };
        // After a failure the segment's end is not to be trusted: everything goes over into the other one.
        let result = if self.disk_error.is_none() && self.disk.has_room(frame.size()) { self.disk.append(&frame) } else { self.turn() };
        self.note(result);
        sequence
    }

    /// Reports after `sequence`, oldest first, at most `max`. A gap between two sequences is what had to be dropped.
    pub fn after(&self, sequence: u64, max: usize) -> Vec<(u64, Arc<[u8]>)> {
        let from = self.pending.partition_point(|(of, _)| *of <= sequence);
        self.pending.range(from..).take(max).cloned().collect()
    }

    /// The collector has committed everything up to `sequence`: it is forgotten here.
    pub fn acked(&mut self, sequence: u64) {
        self.acked = self.acked.max(sequence.min(self.last));
        while self.pending.front().is_some_and(|(of, _)| *of <= self.acked) {
            self.drop_oldest();
        }
    }

    /// The collector's word at the begin of a stream. If it has committed more than this spool had at the begin of this boot, the spool
    /// went back by a power failure: reports made since are numbered anew behind that, so that none is taken for one already there.
    pub fn welcomed(&mut self, committed: u64) {
        // Where nothing is unsure a collector that has more can only be right about another life of this spool (a disk put back).
        let known = self.unsure_after.take().map_or((committed > self.last).then_some(0), Some);
        let Some(known) = known else { return self.acked(committed) };
        if committed > known {
            while self.pending.front().is_some_and(|(of, _)| *of <= known) {
                self.drop_oldest();
            }
            (self.acked, self.last) = (committed, committed);
            for (sequence, _) in &mut self.pending {
                self.last += 1;
                *sequence = self.last;
            }
        } else {
            self.acked(committed);
        }
        // Before anything is sent under these numbers.
        self.turn_and_tell();
    }

    /// Sequence of the newest report; 0 if there never was one.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Largest report that leaves room for others, for the state, and that a collector takes.
    pub fn report_bytes(&self) -> usize {
        usize::try_from(self.disk.size / 4).unwrap_or(usize::MAX).min(REPORT_BYTES / 4)
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        Stats { pending: self.pending.len(), pending_bytes: self.pending_bytes, dropped: self.dropped, disk_error: self.disk_error.clone() }
    }

    /// For making what was appended safe against a power failure, off this thread.
    pub fn syncer(&self) -> Syncer {
        Syncer(self.disk.current())
    }

    fn push(&mut self, sequence: u64, report: Arc<[u8]>) {
        self.pending_bytes += report.len();
        self.pending.push_back((sequence, report));
        // Half a segment: so that what is carried over always leaves room for more. Less where the state, which goes with it, is large.
        let state = (self.state.len() + self.cursor.len() + 2 * FRAME_OVERHEAD) as u64;
        let room = (self.disk.size / 2).min(self.disk.size.saturating_sub(HEADER + state));
        while (self.pending_bytes + self.pending.len() * FRAME_OVERHEAD) as u64 > room && self.pending.len() > 1 {
            self.drop_oldest();
            self.dropped += 1;
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, report)) = self.pending.pop_front() {
            self.pending_bytes -= report.len();
        }
    }

    fn turn_and_tell(&mut self) {
        let result = self.turn();
        self.note(result);
    }

    /// Without files nothing was tried: the reason why there are none stays.
    fn note(&mut self, result: io::Result<()>) {
        if self.disk_error.is_none() || self.disk.is_there() {
            self.disk_error =
                result.err().map(|error| format!("cannot write the spool: {error}; kept in memory only, a restart would lose it"));
        }
    }

    /// Writes all that is needed into the other segment and goes on there.
    fn turn(&mut self) -> io::Result<()> {
        let mut frames: Vec<Frame<'_>> = self
            .pending
            .iter()
            .map(|(sequence, report)| Frame { sequence: *sequence, acked: self.acked, state: b"", cursor: b"", report: Some(report) })
            .collect();
        frames.push(Frame { sequence: self.last, acked: self.acked, state: &self.state, cursor: self.cursor.as_bytes(), report: None });
        self.disk.turn(Header { id: self.id, generation: 0, boot: self.boot, unsure_after: self.unsure_after }, &frames)
    }

    fn recover(&mut self, recovered: &mut Recovered) {
        let mut best: Option<(Header, usize, Vec<u8>)> = None;
        for (index, file) in self.disk.segments.iter().enumerate() {
            let Some(bytes) = file.as_ref().and_then(|file| read_all(file, self.disk.size).ok()) else { continue };
            match Header::read(&bytes) {
                Some(header) if best.as_ref().is_none_or(|(other, ..)| header.generation > other.generation) => {
                    best = Some((header, index, bytes));
                }
                Some(_) => {}
                None if bytes.iter().all(|byte| *byte == 0) => {}
                None => recovered.losses.push(format!("spool segment {index} has no valid header and was not used")),
            }
        }
        let Some((header, index, bytes)) = best else {
            if self.disk_error.is_none() {
                self.turn_and_tell();
            }
            return;
        };
        let (frames, end, torn) = segment::frames(&bytes, header.generation);
        if torn {
            recovered.losses.push(format!("a torn frame at byte {end} of spool segment {index} was dropped"));
        }
        self.id = header.id;
        self.disk.at = Place { current: index, generation: header.generation, offset: end };
        self.last = frames.iter().map(|frame| frame.sequence).max().unwrap_or(0);
        self.acked = frames.iter().map(|frame| frame.acked).max().unwrap_or(0);
        let acked = self.acked;
        for frame in frames.iter().filter(|frame| frame.sequence > acked) {
            if let Some(report) = frame.report {
                self.push(frame.sequence, report.into());
            }
        }
        // What had to go before is gone from here too, and was counted then.
        self.dropped = 0;
        // Reports that are carried over hold no state of their own: the frame that closes the carrying does.
        if let Some(last) = frames.iter().rfind(|frame| !frame.state.is_empty()) {
            self.state = last.state.to_vec();
            self.cursor = String::from_utf8_lossy(last.cursor).into_owned();
            recovered.state = Some(self.state.clone());
            recovered.cursor.clone_from(&self.cursor);
        }
        let same_boot = header.boot == self.boot && self.boot != [0; 16];
        self.unsure_after = if same_boot { header.unsure_after } else { Some(header.unsure_after.unwrap_or(self.last).min(self.last)) };
        if !same_boot {
            self.turn_and_tell();
        }
    }
}

/// The kernel's boot id (`xxxxxxxx-xxxx-...`); zeros if it is none.
fn boot_bytes(text: &str) -> BootId {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let byte = |at: usize| u8::from_str_radix(std::str::from_utf8(digits.get(at * 2..at * 2 + 2)?).ok()?, 16).ok();
    if digits.len() == 32 { std::array::from_fn(|at| byte(at).unwrap_or(0)) } else { [0; 16] }
}

fn lock(dir: &Path) -> Result<Option<Flock<File>>, SpoolError> {
    let path = dir.join("lock");
    let Ok(file) = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path) else { return Ok(None) };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Err(SpoolError::InUse { path }),
        Err(_) => Ok(None),
    }
}

/// Opens both segments with all their blocks; smaller ones than asked for if the disk has no more.
fn prepare(dir: &Path, wanted: u64) -> Result<(Segments, u64), String> {
    let open = |name: &str| {
        let path = dir.join(name);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        file.map(|file| (path.clone(), file)).map_err(|error| format!("cannot open {}: {error}", path.display()))
    };
    let segments = [open("segment-0")?, open("segment-1")?];
    let mut size = wanted;
    loop {
        match segments.iter().try_for_each(|(path, file)| allocate(file, size).map_err(|error| (path, error))) {
            Ok(()) => return Ok((segments.map(|(_, file)| Some(Arc::new(file))), size)),
            Err((_, error)) if error.raw_os_error() == Some(Errno::ENOSPC as i32) && size > SEGMENT_MIN => size /= 2,
            Err((path, error)) => return Err(format!("cannot set {size} bytes aside for {}: {error}", path.display())),
        }
    }
}

/// Writes zeros to the file's end up to `size`. Not fallocate(2): the first write into its unwritten extents needs metadata blocks, which
/// a full disk does not have.
fn allocate(file: &File, size: u64) -> io::Result<()> {
    let zeros = vec![0; 64 << 10];
    let mut at = file.metadata()?.len();
    let before = at;
    while at < size {
        let step = zeros.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
        if let Err(error) = file.write_all_at(&zeros[..step], at) {
            file.set_len(before)?;
            return Err(error);
        }
        at += step as u64;
    }
    if before < size { file.sync_data() } else { Ok(()) }
}

fn read_all(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len().max(size).min(SEGMENT_BYTES * 4);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut at = 0;
    while at < bytes.len() {
        match file.read_at(&mut bytes[at..], at as u64)? {
            0 => break,
            n => at += n,
        }
    }
    bytes.truncate(at);
    Ok(bytes)
}

/// For the fuzzer.
#[doc(hidden)]
pub fn fuzz_segment(bytes: &[u8]) {
    segment::fuzz(bytes);
}

#[cfg(test)]
mod tests;
