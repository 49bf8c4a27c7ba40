//! What the inputs hold, sorted by node: logs to their hosts' judges as they come, facts kept until their end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_diagnosis::Catalogue;
use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::node::{FileKind, SavedFile, recognise};
use nodewhy_diagnosis::record::clip;

use super::hosts::Hosts;
use super::progress::Progress;
use super::reading::Reading;
use crate::bundle::{self, Budget, Content, Problem, Visitor};

/// So many nodes of one bundle are told.
const MAX_NODES: usize = 256;
/// So many files of facts a node has, so large at most.
const MAX_FACT_FILES: usize = 64;
const MAX_FACT_FILE: u64 = 1 << 20;
/// So much of such files is kept of all nodes together.
const MAX_FACTS: usize = 64 << 20;
/// Enough of a file to know what it is.
const HEAD: u64 = 64 << 10;
/// What is said of a file that was named as a log and is none.
const NO_LOG: &str = "no line of it has a time, a program's name or a kubelet's head, so it is no log that could be judged: save one with \
                      `journalctl -b > FILE`";
/// So many problems are told one by one.
const MAX_PROBLEMS: usize = 20;
/// A directory's files, and how deep they may lie.
const MAX_ENTRIES: usize = 200_000;
const MAX_DEPTH: usize = 24;

/// The logs and facts that lie together: of a node, mostly.
pub(super) struct Node<'a> {
    pub(super) hosts: Hosts<'a>,
    pub(super) files: Vec<SavedFile>,
}

/// All that was found.
pub(super) struct Gathered<'a> {
    catalogue: &'a Catalogue,
    zone: TimeZone,
    now: Timestamp,
    /// By the directory in its bundle; empty for files that were named themselves.
    pub(super) nodes: BTreeMap<String, Node<'a>>,
    /// What could not be read: where it lies, and why.
    pub(super) problems: Vec<Unknown>,
    pub(super) problems_not_told: u64,
    /// Journals in their binary form, which journalctl reads.
    pub(super) journals: u64,
    /// Bytes read of all inputs.
    pub(super) bytes: u64,
    /// So many more hosts may be judged.
    room: Rc<Cell<usize>>,
    /// So much more of facts may be kept.
    facts_left: usize,
    progress: Progress,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, zone: TimeZone, now: Timestamp) -> Self {
        Self {
            catalogue,
            zone,
            now,
            nodes: BTreeMap::new(),
            problems: Vec::new(),
            problems_not_told: 0,
            journals: 0,
            bytes: 0,
            room: Rc::new(Cell::new(MAX_NODES)),
            facts_left: MAX_FACTS,
            progress: Progress::new(),
        }
    }

    /// Reads an input: a file, an archive, a directory, `-`.
    pub(super) fn read(&mut self, path: &Path) {
        if path == Path::new("-") {
            self.stream("stdin", io::stdin().lock(), None, self.now, true);
        } else if path.is_dir() {
            self.directory(path);
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.file(path, &name, true);
        }
        self.progress.clear();
    }

    fn directory(&mut self, top: &Path) {
        let mut left: Vec<(PathBuf, usize)> = vec![(top.to_owned(), 0)];
        let mut seen = 0;
        while let Some((path, depth)) = left.pop() {
            let listed = std::fs::read_dir(&path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
            let mut entries = match listed {
                Ok(entries) => entries,
                Err(error) => {
                    self.tell(&path.display().to_string(), &error.to_string());
                    continue;
                }
            };
            // In a fixed order, so that the same bundle gives the same answer.
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                seen += 1;
                // Links lead out of the bundle, or to what is in it anyhow.
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() && depth < MAX_DEPTH {
                    left.push((entry.path(), depth + 1));
                } else if kind.is_file() && seen <= MAX_ENTRIES {
                    let within = entry.path();
                    let name = within.strip_prefix(top).unwrap_or(&within).to_string_lossy().into_owned();
                    self.file(&within, &name, false);
                }
            }
        }
        if seen > MAX_ENTRIES {
            self.tell(&top.display().to_string(), &format!("has more than {MAX_ENTRIES} files; the rest was not read"));
        }
    }

    fn file(&mut self, path: &Path, name: &str, given: bool) {
        match File::open(path) {
            Ok(file) => {
                let meta = file.metadata().ok();
                let size = meta.as_ref().map(std::fs::Metadata::len);
                self.stream(name, file, size, written_at(meta.as_ref(), self.now), given);
            }
            Err(error) => self.tell(&path.display().to_string(), &error.to_string()),
        }
    }

    /// Reads what may be anything: a log, an archive.
    pub(super) fn stream(&mut self, name: &str, input: impl Read, size: Option<u64>, written_at: Timestamp, given: bool) {
        let budget = Budget::default();
        let mut input = BufReader::with_capacity(256 << 10, budget.metered(input));
        let whole = if given { Some(name.to_owned()) } else { None };
        let mut member = Members { all: self, budget: &budget, whole, name, size, written_at };
        bundle::walk(name, &mut input, &budget, &mut member);
        self.bytes += budget.read();
    }

    fn tell(&mut self, path: &str, words: &str) {
        let problem = Unknown { what: path.to_owned(), why: words.to_owned() };
        if self.problems.contains(&problem) {
            return;
        }
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.problems_not_told += 1;
        }
    }

    fn node(&mut self, key: &str) -> Option<&mut Node<'a>> {
        if !self.nodes.contains_key(key) && self.nodes.len() >= MAX_NODES {
            return None;
        }
        let (catalogue, room) = (self.catalogue, &self.room);
        Some(self.nodes.entry(key.to_owned()).or_insert_with(|| Node { hosts: Hosts::new(catalogue, room), files: Vec::new() }))
    }
}

/// A file's last change bounds the times within it; one copied without its times says nothing wrong, only less.
fn written_at(meta: Option<&std::fs::Metadata>, now: Timestamp) -> Timestamp {
    let at = meta.and_then(|meta| Timestamp::try_from(meta.modified().ok()?).ok());
    at.filter(|at| *at < now).unwrap_or(now)
}

/// The files of one input.
struct Members<'m, 'a> {
    all: &'m mut Gathered<'a>,
    budget: &'m Budget,
    /// The input's own path while nothing within it was found: it is itself what was named.
    whole: Option<String>,
    name: &'m str,
    size: Option<u64>,
    written_at: Timestamp,
}

impl Visitor for Members<'_, '_> {
    fn file(&mut self, path: &str, content: &mut dyn BufRead) -> io::Result<()> {
        let (head, mut content) = bundle::beginning(content, HEAD);
        let content = &mut content;
        // A compressed file is named like the file: what is in an archive has the archive's name before it.
        let given = self.whole.as_deref().is_some_and(|whole| whole.starts_with(path));
        let key = if given { String::new() } else { bundle::node_of(path).to_owned() };
        let name = path.rsplit('/').next().unwrap_or(path);
        match bundle::content(path, &head, given) {
            Content::Log(speaker) => {
                let (ended, is_log) = self.log(&key, name, speaker, head, content);
                if !is_log {
                    self.all.tell(path, NO_LOG);
                }
                ended
            }
            Content::Facts => self.facts(&key, path, head, content),
            Content::Journal => {
                self.all.journals += 1;
                Ok(())
            }
            Content::Other => Ok(()),
        }
    }

    fn problem(&mut self, path: &str, problem: Problem) {
        self.all.tell(path, &problem.to_string());
    }
}

impl Members<'_, '_> {
    /// Reads a log to its end; false if none of its lines is a log's.
    fn log(&mut self, key: &str, name: &str, speaker: &str, head: Vec<u8>, content: &mut dyn BufRead) -> (io::Result<()>, bool) {
        let mut reading = Reading::new(&self.all.zone, self.written_at, speaker);
        let Some(node) = self.all.node(key) else {
            self.all.tell(name, &format!("is of one more than {MAX_NODES} nodes and was not read"));
            return (Ok(()), true);
        };
        node.hosts.begin_file(name);
        reading.feed(&head, &mut node.hosts);
        drop(head);
        let ended = loop {
            let read = match content.fill_buf() {
                Ok([]) => break Ok(()),
                Ok(bytes) => {
                    if let Some(node) = self.all.nodes.get_mut(key) {
                        reading.feed(bytes, &mut node.hosts);
                    }
                    bytes.len()
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                // What came before it counts.
                Err(error) => break Err(error),
            };
            content.consume(read);
            self.all.progress.tell(self.name, self.budget.read(), self.size);
        };
        let is_log = self.all.nodes.get_mut(key).is_none_or(|node| reading.end(&mut node.hosts));
        (ended, is_log)
    }

    fn facts(&mut self, key: &str, path: &str, mut text: Vec<u8>, content: &mut dyn BufRead) -> io::Result<()> {
        content.take(MAX_FACT_FILE).read_to_end(&mut text)?;
        let words = String::from_utf8_lossy(&text).into_owned();
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some(kind) = recognise(name, &words) else { return Ok(()) };
        let left = self.all.facts_left.checked_sub(words.len());
        if let Some(node) = self.all.node(key).filter(|node| node.files.len() < MAX_FACT_FILES) {
            if left.is_some() {
                node.files.push((kind, clip(path, 512).to_owned(), words));
            }
            match left {
                Some(left) => self.all.facts_left = left,
                None => self.all.tell(path, &format!("is beyond the first {} MiB of facts and was not kept", MAX_FACTS >> 20)),
            }
        }
        if kind == FileKind::UnitStatus {
            return self.log(key, name, "", text, &mut io::empty()).0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_beyond_what_is_kept_of_all_nodes_are_told_of() {
        let swaps = "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n/swapfile\tfile\t1024\t0\t-2\n";
        let now = Timestamp::UNIX_EPOCH;
        let mut all = Gathered::new(nodewhy_causes::catalogue(), TimeZone::UTC, now);
        all.facts_left = 2 * swaps.len();
        for node in ["a", "b", "c"] {
            all.stream(&format!("{node}/swaps"), swaps.as_bytes(), None, now, false);
        }
        assert_eq!(all.nodes.values().map(|node| node.files.len()).sum::<usize>(), 2);
        let told: Vec<_> = all.problems.iter().map(|problem| (&*problem.what, &*problem.why)).collect();
        assert_eq!(told, [("c/swaps", "is beyond the first 64 MiB of facts and was not kept")]);
    }
}
