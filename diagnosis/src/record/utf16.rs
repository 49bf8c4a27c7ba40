//! Text that PowerShell's `>` wrote: UTF-16 with a byte order mark.

/// Turns UTF-16 into UTF-8 as it comes; bytes of anything else pass as they are.
#[derive(Debug, Default)]
pub(super) struct Utf16 {
    state: State,
    /// The first byte of a unit whose second has not come.
    half: Option<u8>,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Fewer than two bytes have come.
    #[default]
    Start,
    Little,
    Big,
    /// Not UTF-16.
    Bytes,
}

impl Utf16 {
    /// Whether bytes from here on need no change. Only then may they be passed by.
    pub(super) fn passes(&self) -> bool {
        self.state == State::Bytes
    }

    /// The next bytes, as UTF-8.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while self.state == State::Start {
            let Some((&byte, after)) = rest.split_first() else { return };
            rest = after;
            self.begin(byte, out);
        }
        if self.state == State::Bytes {
            out.extend_from_slice(rest);
            return;
        }
        for &byte in rest {
            match self.half.take() {
                None => self.half = Some(byte),
                Some(first) => {
                    let pair = [first, byte];
                    let unit = if self.state == State::Little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
                    self.unit(unit, out);
                }
            }
        }
    }

    /// What a stream of one byte, or one that ended within a character, leaves.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Start {
            out.extend(self.half.take());
        }
        if self.high.take().is_some() || self.half.take().is_some() {
            push(char::REPLACEMENT_CHARACTER, out);
        }
    }

    fn begin(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = match (self.half, byte) {
            (None, 0xff | 0xfe) => {
                self.half = Some(byte);
                return;
            }
            (Some(0xff), 0xfe) => State::Little,
            (Some(0xfe), 0xff) => State::Big,
            (first, byte) => {
                out.extend(first);
                out.push(byte);
                State::Bytes
            }
        };
        self.half = None;
    }

    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        let high = self.high.take();
        if (0xd800..0xdc00).contains(&unit) {
            if high.is_some() {
                push(char::REPLACEMENT_CHARACTER, out);
            }
            self.high = Some(unit);
            return;
        }
        let units = high.into_iter().chain([unit]);
        char::decode_utf16(units).for_each(|c| push(c.unwrap_or(char::REPLACEMENT_CHARACTER), out));
    }
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], chunk: usize) -> Vec<u8> {
        let (mut utf16, mut out) = (Utf16::default(), Vec::new());
        bytes.chunks(chunk).for_each(|part| utf16.feed(part, &mut out));
        utf16.finish(&mut out);
        out
    }

    #[test]
    fn both_byte_orders_are_read_however_they_are_chopped() {
        let text = "swap on: 日本 😀\r\n";
        let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        for chunk in 1..little.len() {
            assert_eq!(decoded(&little, chunk), text.as_bytes(), "{chunk}");
            assert_eq!(decoded(&big, chunk), text.as_bytes(), "{chunk}");
        }
    }

    #[test]
    fn other_bytes_pass() {
        for bytes in [&b"plain"[..], b"", b"\xff", b"\xffx", b"\xfe\xfe", b"\xef\xbb\xbfx"] {
            assert_eq!(decoded(bytes, 1), bytes);
        }
    }

    #[test]
    fn what_is_cut_or_unpaired_is_replaced() {
        assert_eq!(decoded(b"\xff\xfea", 1), "\u{fffd}".as_bytes());
        assert_eq!(decoded(b"\xff\xfe\x00\xd8a\0\x00\xd8\x00\xd8", 3), "\u{fffd}a\u{fffd}\u{fffd}".as_bytes());
    }
}
