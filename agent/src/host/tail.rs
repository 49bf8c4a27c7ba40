//! A log file as it grows, over rotations: known by device and inode, read to its end before the next is begun.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use super::Host;
use super::files::os_words;

/// Of a file that is there at first so much is read, from its end back.
const FIRST: u64 = 64 << 20;
/// A line is cut to this; what is longer is no log line.
const MAX_LINE: usize = 64 << 10;
/// Read in one drain; what is left waits for the next.
const DRAIN: usize = 4 << 20;

/// See the module.
#[derive(Debug)]
pub struct Tail {
    path: String,
    first: u64,
    open: Option<Open>,
    begun: bool,
    partial: Vec<u8>,
    /// The rest of a line that was too long is left out.
    overlong: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    offset: u64,
}

impl Tail {
    /// Of this path on the node. Nothing is opened yet.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), first: FIRST, open: None, begun: false, partial: Vec::new(), overlong: false }
    }

    /// Of what is there at first, so much is read.
    #[must_use]
    pub fn first(self, bytes: u64) -> Self {
        Self { first: bytes, ..self }
    }

    /// Hands over the whole lines that have come. True if more is there already.
    ///
    /// # Errors
    /// In words, when there is no such file or it cannot be read.
    pub fn drain(&mut self, host: &Host, mut take: impl FnMut(&str)) -> Result<bool, String> {
        let mut budget = DRAIN;
        loop {
            if self.open.is_none() {
                self.open = Some(self.open_file(host)?);
                self.begun = true;
            }
            let read = self.read(&mut budget, &mut take)?;
            if budget == 0 {
                return Ok(true);
            }
            debug_assert!(read, "read to its end");
            if !self.has_turned(host) {
                return Ok(false);
            }
        }
    }

    fn open_file(&mut self, host: &Host) -> Result<Open, String> {
        let failed = |error: std::io::Error| format!("open {}: {}", self.path, os_words(&error));
        let real = host.resolve(&self.path).map_err(|error| error.sentence())?;
        // Without O_NONBLOCK the open of a FIFO somebody put there would wait for its writer for ever.
        let mut file = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(real).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(format!("{} is not a file", self.path));
        }
        let offset = if self.begun { 0 } else { meta.len().saturating_sub(self.first) };
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        // What it begins with is the rest of a line.
        self.overlong = offset > 0;
        Ok(Open { file, identity: (meta.dev(), meta.ino()), offset })
    }

    /// Reads to the end or as far as the budget goes; true at the end.
    fn read(&mut self, budget: &mut usize, take: &mut impl FnMut(&str)) -> Result<bool, String> {
        let Some(open) = &mut self.open else { return Ok(true) };
        let mut buffer = [0_u8; 16 << 10];
        while *budget > 0 {
            let length = match open.file.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.open = None;
                    return Err(format!("read {}: {}", self.path, os_words(&error)));
                }
            };
            open.offset += length as u64;
            *budget = budget.saturating_sub(length);
            for part in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
                let whole = part.last() == Some(&b'\n');
                if !self.overlong {
                    let room = MAX_LINE.saturating_sub(self.partial.len());
                    self.partial.extend_from_slice(&part[..part.len().min(room)]);
                }
                if whole {
                    if !std::mem::take(&mut self.overlong) {
                        take(String::from_utf8_lossy(&self.partial).trim_end_matches(['\n', '\r']));
                    }
                    self.partial.clear();
                }
            }
        }
        Ok(false)
    }

    /// At its end: whether the path leads to another file by now, or the file was cut (logrotate's copytruncate). A file that is gone with
    /// nothing in its place is still read: whoever writes into it has it open.
    fn has_turned(&mut self, host: &Host) -> bool {
        let Some(open) = &self.open else { return false };
        let Ok(meta) = host.stat(&self.path) else { return false };
        let other = (meta.dev(), meta.ino()) != open.identity;
        if other || meta.len() < open.offset {
            self.open = None;
            self.partial.clear();
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn node() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().expect("a directory");
        let host = Host::new(root.path());
        (root, host)
    }

    fn append(root: &tempfile::TempDir, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(root.path().join(name)).expect("opened");
        file.write_all(text.as_bytes()).expect("written");
    }

    fn lines(tail: &mut Tail, host: &Host) -> Vec<String> {
        let mut lines = Vec::new();
        while tail.drain(host, |line| lines.push(line.to_owned())).expect("it can be read") {}
        lines
    }

    #[test]
    fn whole_lines_are_handed_over_as_they_come() {
        let (root, host) = node();
        append(&root, "log", "one\r\ntw");
        let mut tail = Tail::new("/log");
        assert_eq!(lines(&mut tail, &host), ["one"]);
        append(&root, "log", "o\nthree\n");
        assert_eq!(lines(&mut tail, &host), ["two", "three"]);
        assert!(lines(&mut tail, &host).is_empty());
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_and_the_next_from_its_beginning() {
        let (root, host) = node();
        append(&root, "log", "one\n");
        let mut tail = Tail::new("/log");
        assert_eq!(lines(&mut tail, &host), ["one"]);
        append(&root, "log", "two\n");
        fs::rename(root.path().join("log"), root.path().join("log.1")).expect("renamed");
        append(&root, "log.1", "three\n");
        assert_eq!(lines(&mut tail, &host), ["two", "three"], "nothing in its place yet");
        append(&root, "log", "four\n");
        assert_eq!(lines(&mut tail, &host), ["four"]);
    }

    #[test]
    fn a_file_cut_in_place_is_begun_anew() {
        let (root, host) = node();
        append(&root, "log", "a long first line\n");
        let mut tail = Tail::new("/log");
        assert_eq!(lines(&mut tail, &host), ["a long first line"]);
        fs::write(root.path().join("log"), "new\n").expect("written");
        assert_eq!(lines(&mut tail, &host), ["new"]);
    }

    #[test]
    fn what_is_not_there_is_told_and_found_later() {
        let (root, host) = node();
        let mut tail = Tail::new("/log");
        assert!(tail.drain(&host, |_| ()).expect_err("not there").contains("/log"));
        append(&root, "log", "one\n");
        assert_eq!(lines(&mut tail, &host), ["one"]);
        fs::create_dir(root.path().join("directory")).expect("made");
        assert!(Tail::new("/directory").drain(&host, |_| ()).expect_err("no file").contains("not a file"));
    }

    #[test]
    fn of_a_long_file_only_the_end_is_read_from_the_next_line_on() {
        let (root, host) = node();
        append(&root, "log", "one\ntwo\nthree\n");
        assert_eq!(lines(&mut Tail::new("/log").first(8), &host), ["three"]);
    }

    #[test]
    fn an_endless_line_is_cut_and_bytes_that_are_no_text_are_replaced() {
        let (root, host) = node();
        fs::write(root.path().join("log"), [vec![b'x'; 1 << 20], b"\nnext \xff\n".to_vec()].concat()).expect("written");
        let found = lines(&mut Tail::new("/log"), &host);
        assert_eq!((found[0].len(), found[1].as_str()), (MAX_LINE, "next \u{fffd}"));
    }
}
