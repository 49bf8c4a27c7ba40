//! Whose lines they are: a central server's log, or logs of several nodes in one, hold the faults of several hosts, and none is another's.

use std::cell::Cell;
use std::rc::Rc;

use nodewhy_diagnosis::record::{LineStats, Source, Spoken};
use nodewhy_diagnosis::{Catalogue, record};

use super::judge::Judge;

/// Bytes kept of a host's name: the longest there is (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;

/// The hosts whose lines lie together, each with its own judge.
pub(super) struct Hosts<'a> {
    catalogue: &'a Catalogue,
    all: Vec<Host<'a>>,
    /// So many more hosts are judged, of all inputs together.
    room: Rc<Cell<usize>>,
    file: File,
    /// Lines that name no host, before any of their file did: they were taken as the first host's.
    pub(super) assumed: u64,
    /// Lines of hosts for which there was no room.
    pub(super) turned_away: u64,
}

struct Host<'a> {
    /// As it is called at most length; empty while no line told it.
    name: String,
    /// It is those lines that name no host, and none will.
    nameless: bool,
    judge: Judge<'a>,
    /// The number of the file it was last heard in, and its lines and bytes of that.
    heard_in: u64,
    lines: u64,
    bytes: u64,
}

/// The file that is being read.
#[derive(Default)]
struct File {
    number: u64,
    name: String,
    /// The host that its lines named last.
    current: Option<usize>,
    records: u64,
    /// One of them shows that it is a log: by its head, or because a sign knew it.
    is_log: bool,
}

impl<'a> Hosts<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, room: &Rc<Cell<usize>>) -> Self {
        Self { catalogue, all: Vec::new(), room: Rc::clone(room), file: File::default(), assumed: 0, turned_away: 0 }
    }

    /// Whether no line was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The judges, in the order of their hosts' names.
    pub(super) fn judges(mut self) -> Vec<Judge<'a>> {
        self.all.sort_by(|one, other| one.name.cmp(&other.name));
        self.all.into_iter().map(|host| host.judge).collect()
    }

    pub(super) fn begin_file(&mut self, name: &str) {
        self.file = File { number: self.file.number + 1, name: name.to_owned(), ..File::default() };
    }

    /// Takes a record to its host's judge.
    pub(super) fn take(&mut self, spoken: &Spoken<'_>) {
        self.file.records += 1;
        self.file.is_log |= is_a_logs(spoken);
        let Some(place) = self.place(spoken) else {
            self.turned_away += 1;
            return;
        };
        self.file.current = Some(place);
        let host = &mut self.all[place];
        if host.heard_in != self.file.number {
            (host.heard_in, host.lines, host.bytes) = (self.file.number, 0, 0);
            host.judge.begin_file(&self.file.name);
        }
        let before = host.judge.stats.sightings;
        host.judge.take(spoken);
        self.file.is_log |= host.judge.stats.sightings > before;
    }

    /// A line ends, of so many bytes.
    pub(super) fn line(&mut self, length: usize) {
        if let Some(host) = self.file.current.and_then(|place| self.all.get_mut(place)) {
            host.lines += 1;
            host.bytes += length as u64 + 1;
        }
    }

    /// The file ends, of which this was read. False if lines were read and none of them is a log's.
    pub(super) fn end_file(&mut self, read: &LineStats, assumed_zone: Option<&str>) -> bool {
        let number = self.file.number;
        let alone = self.all.iter().filter(|host| host.heard_in == number).count() == 1;
        for host in self.all.iter_mut().filter(|host| host.heard_in == number) {
            host.judge.end_file();
            let stats = &mut host.judge.stats;
            // What a file of one host holds is its, down to the blank lines before the first.
            (stats.lines, stats.bytes) = match alone {
                true => (stats.lines + read.lines, stats.bytes + read.bytes),
                false => (stats.lines + host.lines, stats.bytes + host.bytes),
            };
            // Whose they were, nobody knows: every host may have lost them.
            stats.cut_lines += read.cut_lines;
            stats.invalid_utf8_lines += read.invalid_utf8_lines;
            if let Some(zone) = assumed_zone {
                stats.assumed_timezone = Some(zone.to_owned());
            }
        }
        self.file.is_log || self.file.records == 0
    }

    /// The host whose record it is; none if there is no room for another.
    fn place(&mut self, spoken: &Spoken<'_>) -> Option<usize> {
        let named = spoken.host;
        if let Some(current) = self.file.current
            && (named.is_empty() || self.all[current].last_called(named))
        {
            return Some(current);
        }
        if named.is_empty() {
            return self.of_nobody(spoken.headed);
        }
        if !is_name(named) || !self.is_sure(spoken) {
            let place = self.file.current.or_else(|| self.of_nobody(false))?;
            let host = &mut self.all[place];
            // The only name there is: `localhost` of a machine that has no other, a container that is a node.
            if host.name.is_empty() && !host.nameless {
                host.judge.call(named);
            }
            return Some(place);
        }
        let known = self.all.iter().position(|host| host.is_called(named));
        let unnamed = || self.all.iter().position(|host| host.name.is_empty() && !host.nameless);
        let place = known.or_else(unnamed).or_else(|| self.cut_short(named)).or_else(|| self.add(false))?;
        self.all[place].call(named);
        Some(place)
    }

    /// Where lines go that name no host, in a file that named none so far: to the only host there is, or the first to come. Where there are
    /// several, they stay by themselves.
    fn of_nobody(&mut self, headed: bool) -> Option<usize> {
        if self.all.len() > 1 {
            return self.all.iter().position(|host| host.nameless).or_else(|| self.add(true));
        }
        let place = if self.all.is_empty() { self.add(false)? } else { 0 };
        self.assumed += u64::from(headed);
        Some(place)
    }

    /// The host whose name lost its beginning: people copy from within the first line, which then has `v-1 kubelet[...]` for `srv-1`.
    fn cut_short(&self, named: &str) -> Option<usize> {
        let [only] = self.all.as_slice() else { return None };
        let first_line = only.judge.stats.records == 1 && self.file.records == 2;
        (first_line && !only.nameless && named.len() > only.name.len() && named.ends_with(&only.name)).then_some(0)
    }

    /// In prose a word may stand where a host should: one that is new has to look like a host, or to be followed by a speaker's process.
    fn is_sure(&self, spoken: &Spoken<'_>) -> bool {
        let telling = |byte: u8| byte.is_ascii_digit() || byte == b'-' || byte == b'.';
        spoken.pid.is_some()
            || !matches!(spoken.record.source, Source::Other | Source::Unknown)
            || spoken.host.bytes().any(telling)
            || self.all.iter().any(|host| host.is_called(spoken.host))
    }

    fn add(&mut self, nameless: bool) -> Option<usize> {
        self.room.set(self.room.get().checked_sub(1)?);
        let judge = Judge::new(self.catalogue);
        self.all.push(Host { name: String::new(), nameless, judge, heard_in: 0, lines: 0, bytes: 0 });
        Some(self.all.len() - 1)
    }
}

impl Host<'_> {
    /// The quick answer for what most lines are.
    fn last_called(&self, named: &str) -> bool {
        !self.name.is_empty() && self.judge.node() == named
    }

    /// A host has a short name, and a long one that begins with it.
    fn is_called(&self, named: &str) -> bool {
        let (short, long) = if named.len() < self.name.len() { (named, self.name.as_str()) } else { (self.name.as_str(), named) };
        let same = !short.is_empty() && long.get(..short.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(short));
        // `10.0.0.1` is no short name of `10.0.0.1.example`, nor is `10`.
        same && (short.len() == long.len() || long.as_bytes()[short.len()] == b'.' && short.bytes().any(|byte| byte.is_ascii_alphabetic()))
    }

    fn call(&mut self, named: &str) {
        if named.len() > self.name.len() {
            record::clip(named, MAX_NAME).clone_into(&mut self.name);
        }
        self.judge.call(record::clip(named, MAX_NAME));
    }
}

/// Whether a word where a host should stand is a host's name: not what a machine is called before it has one, not a container, and not
/// `daemon.info` (BusyBox' syslogd).
fn is_name(word: &str) -> bool {
    const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "err", "error", "warn", "warning", "notice", "info"];
    let container = matches!(word.len(), 12 | 64) && word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let level =
        word.rsplit_once('.').is_some_and(|(facility, level)| !facility.contains('.') && (LEVELS.contains(&level) || level == "debug"));
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    let nobody = ["localhost", "localhost.localdomain", "localhost4", "localhost6", "none", "unknown", "-"].contains(&word);
    !word.is_empty() && word.bytes().all(host) && !container && !level && !nobody
}

/// Whether a line can only come from a log: it has a time, or a head that prose has not, or klog's pairs.
fn is_a_logs(spoken: &Spoken<'_>) -> bool {
    let record = &spoken.record;
    let headed = spoken.headed && (spoken.pid.is_some() || record.klog.is_some() || record.source == Source::Kernel);
    record.at.is_some() || headed || has_pairs(record.message)
}

/// `"Setting node annotation" node="n1"`: what is left of klog's structured lines when somebody cut their heads off.
fn has_pairs(message: &str) -> bool {
    let pairs = message.strip_prefix('"').and_then(|message| message.split_once("\" "));
    pairs
        .and_then(|(_, pairs)| pairs.split_once('='))
        .is_some_and(|(key, _)| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_and_placeholders_are_no_hosts() {
        for name in ["worker-1", "worker-1.example.org", "10.0.0.7", "WORKER", "fe80::1", "deadbeef", "node_7"] {
            assert!(is_name(name), "{name}");
        }
        let container = "0a1b2c3d4e5f".repeat(6);
        for word in
            ["", "-", "localhost", "localhost.localdomain", "0a1b2c3d4e5f", &container[..64], "daemon.info", "kern.warn", "a/b", "x y"]
        {
            assert!(!is_name(word), "{word}");
        }
    }

    #[test]
    fn a_short_name_is_its_long_ones() {
        let catalogue = nodewhy_causes::catalogue();
        let mut hosts = Hosts::new(catalogue, &Rc::new(Cell::new(9)));
        let place = hosts.add(false).expect("room");
        hosts.all[place].call("worker-1");
        let called = |hosts: &Hosts<'_>, name: &str| hosts.all[place].is_called(name);
        for name in ["worker-1", "Worker-1", "worker-1.example.org"] {
            assert!(called(&hosts, name), "{name}");
        }
        hosts.all[place].call("worker-1.example.org");
        for (name, same) in
            [("worker-1", true), ("worker-1.example.org", true), ("worker-1.example.com", false), ("worker", false), ("worker-11", false)]
        {
            assert_eq!(called(&hosts, name), same, "{name}");
        }
        hosts.all[place].name = "10.0.0.1".to_owned();
        assert!(!called(&hosts, "10") && !called(&hosts, "10.0.0.1.2") && called(&hosts, "10.0.0.1"));
    }
}
