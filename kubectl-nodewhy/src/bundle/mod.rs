//! Saved logs as they come: files, compressed files, archives within archives, read as streams.
//!
//! Nothing is written to disk and nothing is held but the decoders' windows, whatever the input claims: depth, number of members and
//! expansion are bounded. What cannot be read is told, and the rest is read all the same.

mod broken;
mod content;
mod node;
mod tar;
mod zip;
mod zstd;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use bzip2::read::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

pub use broken::beginning;
pub use content::{Content, content};
pub use node::node_of;
use zstd::Zstd;

/// Archives lie in archives: a support bundle of bundles of compressed logs is four deep.
const MAX_DEPTH: usize = 6;
/// Members of one input.
const MAX_MEMBERS: u64 = 200_000;
/// From so many expanded bytes on, an input may not be more than [`MAX_RATIO`] times what was read of it. Repetitive logs come to 100.
const RATIO_FROM: u64 = 256 << 20;
const MAX_RATIO: u64 = 250;
/// The most memory an xz or zstd stream may ask for its window: `xz -9` asks for 64 MiB, `zstd --long` for 128.
const MAX_WINDOW: u64 = 128 << 20;
/// Enough of the beginning to know an archive by.
const HEAD: u64 = 512;
/// Bytes kept of a member's name.
const MAX_NAME: usize = 512;

/// Why something in the input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes end early, are damaged, or the disk says no.
    #[error("cannot be read to its end: {0}")]
    Unreadable(#[from] io::Error),
    /// Too deep.
    #[error("lies more than {MAX_DEPTH} archives deep and was not read")]
    TooDeep,
    /// Too many members.
    #[error("has more than {MAX_MEMBERS} files; the rest was not read")]
    TooMany,
    /// A damaged archive.
    #[error("is a damaged {0} archive: {1}")]
    Damaged(&'static str, &'static str),
    /// A member that takes a password.
    #[error("is encrypted; decrypt it first")]
    Encrypted,
    /// A zip member that is compressed in another way.
    #[error("is compressed in a way that is not read (zip method {0}); unpack it and name the directory")]
    Method(u16),
    /// A zip member whose end cannot be found in a stream.
    #[error("is stored without its size before it; unpack the zip and name the directory")]
    Unsized,
}

/// What was read of one input, and what it became.
#[derive(Debug, Default)]
pub struct Budget {
    read: Cell<u64>,
    expanded: Cell<u64>,
    members: Cell<u64>,
}

impl Budget {
    /// Bytes read of the input itself.
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    /// Counts what is read of the input itself.
    pub fn metered<R: Read>(&self, input: R) -> impl Read {
        Metered { input, budget: self }
    }

    fn expand(&self, bytes: u64) -> io::Result<()> {
        let expanded = self.expanded.get().saturating_add(bytes);
        self.expanded.set(expanded);
        if expanded > RATIO_FROM && expanded / MAX_RATIO > self.read.get() {
            return Err(io::Error::other(format!("it expands more than {MAX_RATIO}-fold; the rest was not read")));
        }
        Ok(())
    }

    fn member(&self) -> Result<(), Problem> {
        self.members.set(self.members.get() + 1);
        if self.members.get() > MAX_MEMBERS { Err(Problem::TooMany) } else { Ok(()) }
    }
}

/// Takes what is found.
pub trait Visitor {
    /// A file that is no archive. What it does not read is passed over.
    ///
    /// # Errors
    /// Those of `content`.
    fn file(&mut self, path: &str, content: &mut dyn BufRead) -> io::Result<()>;
    /// Something that could not be read.
    fn problem(&mut self, path: &str, problem: Problem);
}

/// Goes through an input: a file, or an archive's files, one after the other.
pub fn walk(path: &str, input: &mut dyn BufRead, budget: &Budget, visitor: &mut dyn Visitor) {
    if let Err(problem) = open(path, input, 0, &mut Walk { budget, visitor }) {
        visitor.problem(path, problem);
    }
}

struct Walk<'a> {
    budget: &'a Budget,
    visitor: &'a mut dyn Visitor,
}

fn open(path: &str, input: &mut dyn BufRead, depth: usize, walk: &mut Walk<'_>) -> Result<(), Problem> {
    let (head, rest) = beginning(input, HEAD);
    let kind = Kind::of(&head);
    let mut whole = Cursor::new(head).chain(rest);
    if kind != Kind::Plain && depth >= MAX_DEPTH {
        return Err(Problem::TooDeep);
    }
    let budget = walk.budget;
    let expanded = |input| Expanded { input, budget };
    match kind {
        Kind::Plain => Ok(walk.visitor.file(path, &mut whole)?),
        Kind::Gzip => inner(path, expanded(&mut MultiGzDecoder::new(whole) as &mut dyn Read), depth, walk),
        Kind::Bzip2 => inner(path, expanded(&mut MultiBzDecoder::new(whole)), depth, walk),
        Kind::Xz => inner(path, expanded(&mut XzReader::new_mem_limit(whole, true, (MAX_WINDOW >> 10) as u32)), depth, walk),
        Kind::Zstd => inner(path, expanded(&mut Zstd::new(whole)), depth, walk),
        Kind::Tar => tar::members(&mut whole, &mut |name, content| {
            budget.member()?;
            member(path, name, content, depth, walk);
            Ok(())
        }),
        Kind::Zip => zip::members(&mut whole, budget, &mut |name, content| {
            budget.member()?;
            match content {
                Ok(content) => member(path, name, content, depth, walk),
                Err(problem) => walk.visitor.problem(&join(path, name), problem),
            }
            Ok(())
        }),
    }
}

/// What a compressed stream holds, under its own name.
fn inner(path: &str, content: impl Read, depth: usize, walk: &mut Walk<'_>) -> Result<(), Problem> {
    const ENDINGS: [&str; 6] = [".gz", ".zst", ".xz", ".bz2", ".zstd", ".Z"];
    const TARS: [&str; 5] = [".tgz", ".txz", ".tbz2", ".tbz", ".tzst"];
    let name = ENDINGS.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
    let name = TARS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    open(name, &mut BufReader::with_capacity(64 << 10, content), depth + 1, walk)
}

fn member(path: &str, name: &str, content: &mut dyn BufRead, depth: usize, walk: &mut Walk<'_>) {
    let path = join(path, name);
    if let Err(problem) = open(&path, content, depth + 1, walk) {
        walk.visitor.problem(&path, problem);
    }
}

/// A member's path beneath its archive's; bounded, and without what would move a terminal's cursor.
fn join(archive: &str, name: &str) -> String {
    let archive = [".tar", ".zip"].iter().find_map(|ending| archive.strip_suffix(ending)).unwrap_or(archive);
    let name: String = name.trim_start_matches("./").chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    nodewhy_diagnosis::record::clip(&format!("{archive}/{name}"), MAX_NAME).to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Tar,
    Zip,
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            _ if tar::is_header(head) => Self::Tar,
            _ => Self::Plain,
        }
    }
}

struct Metered<'a, R> {
    input: R,
    budget: &'a Budget,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.budget.read.set(self.budget.read.get() + read as u64);
        Ok(read)
    }
}

/// What a decoder gives, counted.
struct Expanded<'a, 'b> {
    input: &'a mut dyn Read,
    budget: &'b Budget,
}

impl Read for Expanded<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.budget.expand(read as u64)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
