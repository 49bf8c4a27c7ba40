//! tar as a stream: ustar, GNU long names, pax paths, old V7 headers (POSIX.1-2017 pax; GNU tar's manual, "Basic Tar Format").

use std::io::{self, BufRead, Read};

use super::Problem;

const BLOCK: usize = 512;
/// A name in an extended header may be so long.
const MAX_EXTENDED: u64 = 64 << 10;

/// What is called for every file: its name and its content.
pub(super) type Each<'a> = &'a mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), Problem>;

/// Whether this is a tar header: its checksum is right.
pub(super) fn is_header(block: &[u8]) -> bool {
    if block.len() < BLOCK || block[0] == 0 {
        return false;
    }
    let Some(said) = octal(&block[148..156]) else { return false };
    // The field itself counts as blanks; old programs added signed bytes.
    let bytes = || block[..BLOCK].iter().enumerate().map(|(at, &byte)| if (148..156).contains(&at) { b' ' } else { byte });
    let unsigned: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
    said == unsigned || i64::try_from(said) == Ok(signed)
}

/// Goes through the archive.
pub(super) fn members(input: &mut dyn BufRead, each: Each<'_>) -> Result<(), Problem> {
    let mut extended = Extended::default();
    loop {
        let mut block = [0; BLOCK];
        if !full(input, &mut block)? || block.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        if !is_header(&block) {
            return Err(Problem::Damaged("tar", "a header's checksum is wrong"));
        }
        let kind = block[156];
        if kind == b'S' {
            sparse_maps(input, &block)?;
        }
        let own = size(&block[124..136]).ok_or(Problem::Damaged("tar", "a size is no number"))?;
        let size = match kind {
            b'L' | b'K' | b'x' | b'g' | b'X' => own,
            _ => extended.size.unwrap_or(own),
        };
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        let mut content = (&mut *input).take(size);
        match kind {
            b'L' => extended.name = Some(trimmed(&short(&mut content)?)),
            b'x' | b'X' => extended.pax(&short(&mut content)?),
            b'0' | 0 | b'7' | b'S' => {
                let name = extended.name.take().unwrap_or_else(|| name(&block));
                // What old archives call a file may be a directory.
                if !name.ends_with('/') {
                    each(&name, &mut content)?;
                }
            }
            _ => {}
        }
        if !matches!(kind, b'L' | b'K' | b'x' | b'X') {
            extended = Extended::default();
        }
        pass(&mut content)?;
        pass(&mut (&mut *input).take(padding))?;
    }
}

/// What headers before a member's own say of it.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    size: Option<u64>,
}

impl Extended {
    /// Records of `length key=value\n`.
    fn pax(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for record in text.split('\n') {
            let Some((key, value)) = record.split_once(' ').and_then(|(_, pair)| pair.split_once('=')) else { continue };
            match key {
                "path" => self.name = Some(value.to_owned()),
                "size" => self.size = value.parse().ok(),
                _ => {}
            }
        }
    }
}

/// The whole block; false if the input ends before it.
fn full(input: &mut dyn BufRead, block: &mut [u8; BLOCK]) -> Result<bool, Problem> {
    let mut got = 0;
    while got < BLOCK {
        match input.read(&mut block[got..]) {
            Ok(0) if got == 0 => return Ok(false),
            Ok(0) => return Err(Problem::Damaged("tar", "it ends within a header")),
            Ok(read) => got += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// An extended header's content.
fn short(content: &mut dyn Read) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    content.take(MAX_EXTENDED).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads on to the end; the archive must not end first.
fn pass(content: &mut io::Take<impl BufRead>) -> Result<(), Problem> {
    while content.limit() > 0 {
        let there = content.fill_buf()?.len();
        if there == 0 {
            return Err(Problem::Damaged("tar", "it ends within a file"));
        }
        content.consume(there);
    }
    Ok(())
}

/// Old GNU sparse files have further headers before their content.
fn sparse_maps(input: &mut dyn BufRead, block: &[u8; BLOCK]) -> Result<(), Problem> {
    let mut more = block[482] != 0;
    while more {
        let mut map = [0; BLOCK];
        if !full(input, &mut map)? {
            return Err(Problem::Damaged("tar", "it ends within a header"));
        }
        more = map[504] != 0;
    }
    Ok(())
}

fn name(block: &[u8; BLOCK]) -> String {
    let name = trimmed(&block[..100]);
    let prefix = if &block[257..262] == b"ustar" && block[262] == 0 { trimmed(&block[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

fn trimmed(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Octal digits, or big-endian binary where the first bit is set (GNU, for what is larger than 8 GiB).
fn size(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 == 0 {
        return octal(field);
    }
    let (high, low) = field.split_at(field.len() - 8);
    if high[0] != 0x80 || high[1..].iter().any(|&byte| byte != 0) {
        return None;
    }
    low.iter().try_fold(0_u64, |sum, &byte| sum.checked_mul(256)?.checked_add(byte.into())).filter(|size| *size < 1 << 62)
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}
