//! Logs that are read for node-problem-detector's rules, each on a thread of its own: one that hangs (a file on a dead file system) holds
//! up nobody else, and is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodewhy_diagnosis::Catalogue;
use nodewhy_diagnosis::catalogue::Sighting;
use nodewhy_diagnosis::record::JournalFields;
use tokio::sync::mpsc;

use super::config::Log;
use super::monitor::{Line, LogMonitor};
use super::report::{Report, State};
use crate::host::Host;
use crate::host::journal::{Batch, Current, Reader};
use crate::host::kmsg::Kmsg;
use crate::host::tail::Tail;

/// node-problem-detector looks at files twice a second and at the journal every five seconds.
const PAUSE: Duration = Duration::from_millis(250);
/// How often a log that cannot be read is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// A thread that has said nothing for so long hangs.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(20);
/// Lines taken before what they gave is handed over.
const LINES: usize = 2000;
const SIGHTINGS: usize = 256;

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// /dev/kmsg, or where it cannot be had the kernel's entries in the journal.
    Kmsg,
    /// A journal; the system's own if the path is empty.
    Journal(String),
    File(String),
}

impl Source {
    pub(super) fn of(log: &Log) -> Self {
        match log {
            Log::Kmsg => Self::Kmsg,
            Log::Journal { path, .. } => match path.trim_end_matches('/') {
                "/var/log/journal" | "/run/log/journal" => Self::Journal(String::new()),
                other => Self::Journal(other.to_owned()),
            },
            Log::File { path, .. } => Self::File(path.clone()),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Kmsg => "the kernel's log".to_owned(),
            Self::Journal(path) if path.is_empty() => "the journal".to_owned(),
            Self::Journal(path) => format!("the journal in {path}"),
            Self::File(path) => path.clone(),
        }
    }
}

/// A monitor and what it listens to.
#[derive(Debug)]
pub(super) struct Listener {
    /// Of its configuration file, in the report.
    pub(super) key: String,
    /// SYSLOG_IDENTIFIER in a journal.
    pub(super) identifier: String,
    pub(super) monitor: LogMonitor,
}

/// A log and those who listen to it.
pub(super) struct Feed {
    pub(super) source: Source,
    pub(super) from: Timestamp,
    pub(super) listeners: Vec<Listener>,
    /// Sightings not handed over yet.
    found: Vec<Sighting>,
}

enum Opened {
    Kmsg(Kmsg),
    Journal(Box<Reader>),
    File(Tail),
}

/// Where a thread stands.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beats: AtomicU64,
    /// Told as hung: the thread has to say that it is not.
    pub(super) hung: AtomicBool,
}

impl Pulse {
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

impl Feed {
    pub(super) fn new(source: Source, from: Timestamp, listeners: Vec<Listener>) -> Self {
        Self { source, from, listeners, found: Vec::new() }
    }

    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.listeners.iter().map(|listener| listener.key.clone()).collect()
    }

    /// Takes in what has come; true if there may be more already. What failed is opened anew the next time.
    fn drain(&mut self, kept: &mut Option<Opened>, host: &Host) -> Result<bool, String> {
        let mut opened = match kept.take() {
            Some(opened) => opened,
            None => self.open(host)?,
        };
        let more = self.read(&mut opened, host)?;
        *kept = Some(opened);
        Ok(more)
    }

    fn open(&self, host: &Host) -> Result<Opened, String> {
        let words = |missing: nodewhy_diagnosis::Missing| missing.why;
        match &self.source {
            Source::File(path) => Ok(Opened::File(Tail::new(path.clone()))),
            Source::Kmsg => match Kmsg::open(host) {
                Ok(kmsg) => Ok(Opened::Kmsg(kmsg)),
                // journald reads the same device and keeps it; anybody may ask it.
                Err(why) => {
                    tracing::debug!("the kernel's log is read from the journal: {why}");
                    self.journal(Reader::open(host).map_err(words)?)
                }
            },
            Source::Journal(path) if path.is_empty() => self.journal(Reader::open(host).map_err(words)?),
            Source::Journal(path) => self.journal(Reader::open_directory(host, path).map_err(words)?),
        }
    }

    fn journal(&self, mut reader: Reader) -> Result<Opened, String> {
        reader.begin_at(self.from).map_err(|error| format!("read {}: {error}", self.source.words()))?;
        Ok(Opened::Journal(Box::new(reader)))
    }

    fn read(&mut self, opened: &mut Opened, host: &Host) -> Result<bool, String> {
        let (listeners, found) = (&mut self.listeners, &mut self.found);
        let mut lines = 0;
        match opened {
            Opened::File(tail) => {
                let now = Timestamp::now();
                return tail.drain(host, |text| {
                    found.extend(listeners.iter_mut().flat_map(|one| one.monitor.take(&Line { at: None, text }, now)))
                });
            }
            Opened::Kmsg(kmsg) => {
                while lines < LINES && found.len() < SIGHTINGS {
                    let Some((at, text)) = kmsg.next_record()? else { return Ok(false) };
                    self.from = self.from.max(at);
                    lines += 1;
                    let line = Line { at: Some(at), text: &text };
                    found.extend(listeners.iter_mut().flat_map(|one| one.monitor.take(&line, at)));
                }
            }
            Opened::Journal(reader) => {
                let kernel_only = self.source == Source::Kmsg;
                while lines < LINES && found.len() < SIGHTINGS {
                    let taken = reader.next_entry(|fields, at| {
                        let line = Line { at: Some(at), text: fields.message };
                        let hears = |one: &&mut Listener| hears(kernel_only, &one.identifier, fields);
                        found.extend(listeners.iter_mut().filter(hears).flat_map(|one| one.monitor.take(&line, at)));
                        at
                    });
                    match taken.map_err(|error| format!("read {}: {error}", self.source.words()))? {
                        Some(at) => self.from = self.from.max(at),
                        None => return Ok(false),
                    }
                    lines += 1;
                }
            }
        }
        Ok(true)
    }

    /// Reads until `stop`, on the calling thread.
    pub(super) fn run(mut self, ends: &Ends, host: &Host, stop: &AtomicBool, pulse: &Pulse) {
        // A journal stays on the thread that opened it.
        let mut kept = None;
        let mut told: Option<Result<(), String>> = None;
        while !stop.load(Ordering::Acquire) {
            pulse.beats.fetch_add(1, Ordering::Relaxed);
            let drained = self.drain(&mut kept, host);
            if pulse.hung.swap(false, Ordering::AcqRel) {
                told = None;
            }
            let found = std::mem::take(&mut self.found);
            if !found.is_empty() && ends.hand_over(found).is_err() {
                return;
            }
            let said = drained.clone().map(drop);
            if told.as_ref() != Some(&said) {
                for key in self.keys() {
                    let state = said.clone().map_or_else(State::Unknown, |()| State::Fine);
                    if ends.tell(&key, state).is_err() {
                        return;
                    }
                }
                told = Some(said);
            }
            match drained {
                Ok(true) => {}
                Ok(false) => std::thread::park_timeout(PAUSE),
                Err(_) => std::thread::park_timeout(RETRY),
            }
        }
    }

    /// Reads once to the end of what is there, or until `until`.
    pub(super) fn once(mut self, host: &Host, until: Instant) -> (Vec<Sighting>, Vec<(String, State)>) {
        let mut kept = None;
        let end = loop {
            match self.drain(&mut kept, host) {
                Ok(true) if Instant::now() < until => {}
                Ok(true) => break State::Unknown(format!("{} is longer than there was time to read", self.source.words())),
                Ok(false) => break State::Fine,
                Err(why) => break State::Unknown(why),
            }
        };
        let states = self.keys().into_iter().map(|key| (key, end.clone())).collect();
        (self.found, states)
    }
}

/// Only the kernel and PID 1 speak as such, and only root by a program's name: anybody may write an entry that says so of itself
/// (`logger -t kubelet`). node-problem-detector believes them.
fn hears(kernel_only: bool, identifier: &str, fields: &JournalFields<'_>) -> bool {
    match identifier {
        _ if kernel_only => fields.transport == "kernel",
        "kernel" => fields.transport == "kernel",
        "systemd" => fields.identifier == "systemd" && fields.pid == "1",
        other => fields.program() == other,
    }
}

/// Where a thread's findings go.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) out: mpsc::Sender<Batch>,
    pub(super) report: Arc<Report>,
    pub(super) current: Arc<Current<Catalogue>>,
}

impl Ends {
    fn hand_over(&self, sightings: Vec<Sighting>) -> Result<(), ()> {
        self.out.blocking_send(Batch { sightings, by: Some(self.current.get()), ..Batch::default() }).map_err(|_| ())
    }

    fn tell(&self, key: &str, state: State) -> Result<(), ()> {
        match self.report.set(key, state) {
            Some(facts) => self.out.blocking_send(Batch { facts, ..Batch::default() }).map_err(|_| ()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_hears_the_program_it_names_and_nobody_who_only_says_so() {
        let of = |identifier, uid, container| JournalFields { identifier, uid, container, ..JournalFields::default() };
        let heard = |fields: &JournalFields<'_>| hears(false, "kubelet", fields);
        assert!(heard(&of("kubelet", "0", "")));
        assert!(heard(&of("kubelet", "", "")), "a journal saved without the field");
        assert!(!heard(&of("kubelet", "1000", "")), "logger -t kubelet");
        assert!(!heard(&of("kubelet", "0", "0a1b2c")), "a container that is named so, written by Docker");
        assert!(!heard(&of("sshd", "0", "")));
    }

    #[test]
    fn the_kernel_and_systemd_are_known_by_what_nobody_else_can_write() {
        let of = |identifier, pid, transport| JournalFields { identifier, pid, transport, uid: "0", ..JournalFields::default() };
        assert!(hears(false, "kernel", &of("kernel", "", "kernel")) && hears(true, "any", &of("", "", "kernel")));
        assert!(!hears(false, "kernel", &of("kernel", "77", "syslog")));
        assert!(hears(false, "systemd", &of("systemd", "1", "journal")));
        assert!(!hears(false, "systemd", &of("systemd", "77", "journal")));
    }
}
