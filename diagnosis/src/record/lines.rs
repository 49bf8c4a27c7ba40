//! From bytes of any kind to bounded lines of text.

use std::borrow::Cow;

use super::utf16::Utf16;

/// Cuts a stream of bytes into lines without holding more than one bounded line: what is too long is cut and counted, what is not
/// UTF-8 is replaced and counted. No I/O: the caller feeds chunks.
#[derive(Debug)]
pub struct Lines {
    utf16: Utf16,
    held: Vec<u8>,
    /// Bytes of the present line that were not kept.
    cut: u64,
    stats: LineStats,
}

/// What was read and what could not be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineStats {
    /// Lines.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// Lines longer than the bound.
    pub cut_lines: u64,
    /// Bytes cut from them.
    pub cut_bytes: u64,
    /// Lines with bytes that are not UTF-8.
    pub invalid_utf8_lines: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

impl Lines {
    /// Ordinary lines keep so many bytes: a message and room for what stands before it.
    const MAX_LINE: usize = super::MAX_MESSAGE + 512;
    /// A line that is one JSON object is useless when cut; a quoted one may hold many lines.
    const MAX_JSON_LINE: usize = 256 << 10;

    /// At the beginning of the stream.
    pub fn new() -> Self {
        Self { utf16: Utf16::default(), held: Vec::new(), cut: 0, stats: LineStats::default() }
    }

    /// Takes the next bytes and hands out every line that is complete.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        self.stats.bytes += bytes.len() as u64;
        if self.utf16.passes() {
            return self.cut(bytes, &mut each);
        }
        let mut text = Vec::new();
        self.utf16.feed(bytes, &mut text);
        self.cut(&text, &mut each);
    }

    fn cut(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&str)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            if self.held.is_empty() && self.cut == 0 && end <= Self::MAX_LINE {
                // The usual one is given as it lies there.
                self.stats.lines += 1;
                self.give(line, each);
            } else {
                self.hold(line);
                self.hand_out(each);
            }
            bytes = &rest[1..];
        }
        self.hold(bytes);
    }

    /// Hands out a last line that no line end follows.
    pub fn finish(&mut self, mut each: impl FnMut(&str)) {
        let mut text = Vec::new();
        self.utf16.finish(&mut text);
        self.cut(&text, &mut each);
        if !self.held.is_empty() || self.cut > 0 {
            self.hand_out(&mut each);
        }
    }

    /// What was read so far.
    pub fn stats(&self) -> LineStats {
        self.stats
    }

    fn hold(&mut self, bytes: &[u8]) {
        let first = self.held.first().or_else(|| bytes.first());
        let max = if first.is_some_and(|byte| matches!(byte, b'{' | b'[' | b'"')) { Self::MAX_JSON_LINE } else { Self::MAX_LINE };
        let kept = bytes.len().min(max.saturating_sub(self.held.len()));
        self.held.extend_from_slice(&bytes[..kept]);
        self.cut += (bytes.len() - kept) as u64;
    }

    fn hand_out(&mut self, each: &mut impl FnMut(&str)) {
        self.stats.lines += 1;
        self.stats.cut_lines += u64::from(self.cut > 0);
        self.stats.cut_bytes += self.cut;
        let mut held = std::mem::take(&mut self.held);
        self.give(if self.cut > 0 { without_torn_end(&held) } else { &held }, each);
        held.clear();
        // One monstrous line must not hold its memory for the rest of the stream.
        held.shrink_to(Self::MAX_LINE);
        self.held = held;
        self.cut = 0;
    }

    fn give(&mut self, mut line: &[u8], each: &mut impl FnMut(&str)) {
        if self.stats.lines == 1 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = String::from_utf8_lossy(line);
        if matches!(text, Cow::Owned(_)) {
            self.stats.invalid_utf8_lines += 1;
        }
        each(&text);
    }
}

/// Without the bytes of a last character that the cut went through.
fn without_torn_end(line: &[u8]) -> &[u8] {
    match std::str::from_utf8(line) {
        Err(error) if error.error_len().is_none() => &line[..error.valid_up_to()],
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<String>, LineStats) {
        let (mut lines, mut out) = (Lines::new(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, |line| out.push(line.to_owned()));
        }
        lines.finish(|line| out.push(line.to_owned()));
        (out, lines.stats())
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_chopped() {
        let text = "one\r\ntwo\n\nthrée\nlast".as_bytes();
        let (want, stats) = split(&[text]);
        assert_eq!(want, ["one", "two", "", "thrée", "last"]);
        assert_eq!((stats.lines, stats.bytes, stats.cut_lines, stats.invalid_utf8_lines), (5, text.len() as u64, 0, 0));
        for size in 1..text.len() {
            assert_eq!(split(&text.chunks(size).collect::<Vec<_>>()).0, want, "chunks of {size}");
        }
    }

    #[test]
    fn a_long_line_is_cut_and_counted_and_the_next_one_is_whole() {
        let long = "é".repeat(512 << 10);
        let (lines, stats) = split(&[long.as_bytes(), b"\nnext\n"]);
        assert_eq!(lines[1], "next");
        assert!(lines[0].len() <= Lines::MAX_LINE && lines[0].chars().all(|c| c == 'é'), "cut between characters");
        assert_eq!((stats.cut_lines, stats.invalid_utf8_lines), (1, 0));
        assert!(stats.cut_bytes > 1_000_000);
    }

    #[test]
    fn nul_and_invalid_utf8_pass_and_are_counted() {
        let (lines, stats) = split(&[b"\xef\xbb\xbfa\0b\n\xff\xfe\xc3\n"]);
        assert_eq!(lines, ["a\0b", "\u{fffd}\u{fffd}\u{fffd}"]);
        assert_eq!(stats.invalid_utf8_lines, 1);
    }
}
