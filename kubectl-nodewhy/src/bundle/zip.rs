//! zip as a stream, by the headers before the members (APPNOTE 6.3.10, 4.3.7): so that it is read from a pipe and from within archives.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::DeflateDecoder;

use super::{Budget, Expanded, Problem};

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// What is called for every file: its name, and its content or why that cannot be had.
pub(super) type Each<'a> = &'a mut dyn FnMut(&str, Result<&mut dyn BufRead, Problem>) -> Result<(), Problem>;

/// What stands before a member.
struct Header {
    flags: u16,
    method: u16,
    compressed: u64,
    wide: bool,
    name: String,
}

impl Header {
    fn encrypted(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Sizes come after the content.
    fn described(&self) -> bool {
        self.flags & 8 != 0
    }
}

/// Goes through the archive, up to its directory.
pub(super) fn members(input: &mut dyn BufRead, budget: &Budget, each: Each<'_>) -> Result<(), Problem> {
    let mut signature = [0; 4];
    loop {
        exact(input, &mut signature)?;
        if signature != LOCAL {
            // The central directory, or the end of an archive of nothing.
            return if signature.starts_with(b"PK") { Ok(()) } else { Err(Problem::Damaged("zip", "a header is not where it should be")) };
        }
        let header = header(input)?;
        if header.described() && header.compressed == 0 {
            streamed(input, &header, budget, each)?;
            descriptor(input, header.wide)?;
        } else {
            let mut content = (&mut *input).take(header.compressed);
            sized(&mut content, &header, budget, each)?;
            while content.limit() > 0 {
                let there = content.fill_buf()?.len();
                if there == 0 {
                    return Err(Problem::Damaged("zip", "it ends within a file"));
                }
                content.consume(there);
            }
            if header.described() {
                descriptor(input, header.wide)?;
            }
        }
    }
}

fn sized(content: &mut dyn BufRead, header: &Header, budget: &Budget, each: Each<'_>) -> Result<(), Problem> {
    if header.name.ends_with('/') {
        return Ok(());
    }
    match header.method {
        _ if header.encrypted() => each(&header.name, Err(Problem::Encrypted)),
        STORED => each(&header.name, Ok(content)),
        DEFLATED => {
            let mut inflated = DeflateDecoder::new(content);
            each(&header.name, Ok(&mut BufReader::new(Expanded { input: &mut inflated, budget })))
        }
        other => each(&header.name, Err(Problem::Method(other))),
    }
}

/// Only a deflated member tells by itself where it ends.
fn streamed(input: &mut dyn BufRead, header: &Header, budget: &Budget, each: Each<'_>) -> Result<(), Problem> {
    if header.method == STORED && header.name.ends_with('/') {
        return Ok(());
    }
    if header.encrypted() {
        return Err(Problem::Encrypted);
    }
    if header.method != DEFLATED {
        return Err(if header.method == STORED { Problem::Unsized } else { Problem::Method(header.method) });
    }
    let mut inflated = DeflateDecoder::new(input);
    let mut content = BufReader::new(Expanded { input: &mut inflated, budget });
    each(&header.name, Ok(&mut content))?;
    io::copy(&mut content, &mut io::sink())?;
    Ok(())
}

fn header(input: &mut dyn BufRead) -> Result<Header, Problem> {
    let mut fixed = [0; 26];
    exact(input, &mut fixed)?;
    let short = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let long = |at: usize| u64::from(u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]));
    let mut name = vec![0; short(22).into()];
    exact(input, &mut name)?;
    let mut extra = vec![0; short(24).into()];
    exact(input, &mut extra)?;
    let wide = zip64(&extra);
    let compressed = match (long(14), &wide) {
        (0xffff_ffff, Some(sizes)) => sizes.get(8..16).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes).unwrap_or(0),
        (size, _) => size,
    };
    let name = String::from_utf8_lossy(&name).replace('\\', "/");
    Ok(Header { flags: short(2), method: short(4), compressed, wide: wide.is_some(), name })
}

/// The content of the zip64 field (4.5.3): sizes that do not fit into the header.
fn zip64(extra: &[u8]) -> Option<&[u8]> {
    let mut rest = extra;
    while let [id0, id1, len0, len1, more @ ..] = rest {
        let field = more.get(..u16::from_le_bytes([*len0, *len1]).into())?;
        if [*id0, *id1] == [1, 0] {
            return Some(field);
        }
        rest = &more[field.len()..];
    }
    None
}

/// Checksum and sizes after a member, with or without a signature (4.3.9).
fn descriptor(input: &mut dyn BufRead, wide: bool) -> Result<(), Problem> {
    let mut first = [0; 4];
    exact(input, &mut first)?;
    let sizes = if wide { 16 } else { 8 };
    let mut rest = vec![0; if first == DESCRIPTOR { 4 + sizes } else { sizes }];
    exact(input, &mut rest)
}

fn exact(input: &mut dyn BufRead, buffer: &mut [u8]) -> Result<(), Problem> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Damaged("zip", "it ends early"),
        _ => error.into(),
    })
}
