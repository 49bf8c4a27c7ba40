//! One file of the spool: a header and checksummed frames behind it.
//!
//! Layout: 64 bytes of header (magic, spool identity, generation, boot, unsure mark, crc32), then frames `len u32, crc32 u32, payload`, all little endian. A
//! frame's checksum covers the segment's generation and the frame's offset too, so that bytes left over from an earlier life of the file
//! are never taken for frames of this one. The header is written last: a segment without its frames is not valid.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const MAGIC: &[u8; 8] = b"NWSPOOL2";
/// Without boot and mark.
const MAGIC_1: &[u8; 8] = b"NWSPOOL1";
/// Bytes before the first frame.
pub(super) const HEADER: u64 = 64;
/// Bytes before a frame's payload.
pub(super) const FRAME: usize = 8;
/// Bytes that a frame takes beside its state, cursor and report.
pub(super) const FRAME_OVERHEAD: usize = FRAME + 29;
/// Identity of a spool, random.
pub(super) type SpoolId = [u8; 16];
/// Identity of a boot; all zero if it could not be had, and then like no other.
pub(super) type BootId = [u8; 16];

/// What is in a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: SpoolId,
    /// Counts up; of two valid segments the one with the higher generation is the current one.
    pub(super) generation: u64,
    /// The boot in which it was written.
    pub(super) boot: BootId,
    /// The sequence found at the begin of that boot, until the collector has said where it stands: a power failure may have taken later
    /// ones, whose numbers were then given a second time.
    pub(super) unsure_after: Option<u64>,
}

/// What one frame says. Each is complete in itself: the last one is all that recovery needs, beside the reports not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Sequence of the report in this frame, or of the last one made if there is none in it.
    pub(super) sequence: u64,
    /// Highest sequence that the collector has acknowledged.
    pub(super) acked: u64,
    pub(super) state: &'a [u8],
    pub(super) cursor: &'a [u8],
    pub(super) report: Option<&'a [u8]>,
}

impl<'a> Frame<'a> {
    /// Bytes this frame takes in a segment.
    pub(super) fn size(&self) -> usize {
        FRAME_OVERHEAD + self.state.len() + self.cursor.len() + self.report.map_or(0, <[u8]>::len)
    }

    /// The frame as it stands in the file at `offset` of a segment of `generation`.
    pub(super) fn encode(&self, generation: u64, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        bytes.extend_from_slice(&[0; FRAME]);
        bytes.push(u8::from(self.report.is_some()));
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.acked.to_le_bytes());
        for part in [self.state, self.cursor, self.report.unwrap_or_default()] {
            bytes.extend_from_slice(&length(part).to_le_bytes());
        }
        for part in [self.state, self.cursor, self.report.unwrap_or_default()] {
            bytes.extend_from_slice(part);
        }
        let (len, crc) = (length(&bytes[FRAME..]), checksum(generation, offset, &bytes[FRAME..]));
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4..FRAME].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(payload: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = payload.split_first()?;
        let (sequence, rest) = take_u64(rest)?;
        let (acked, rest) = take_u64(rest)?;
        let (lengths, rest) = rest.split_at_checked(12)?;
        let part_len = |n: usize| lengths[n * 4..n * 4 + 4].try_into().ok().map(|bytes| u32::from_le_bytes(bytes) as usize);
        let (state, rest) = rest.split_at_checked(part_len(0)?)?;
        let (cursor, rest) = rest.split_at_checked(part_len(1)?)?;
        let (report, rest) = rest.split_at_checked(part_len(2)?)?;
        (kind <= 1 && rest.is_empty()).then_some(Self { sequence, acked, state, cursor, report: (kind == 1).then_some(report) })
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*head), rest))
}

fn checksum(generation: u64, offset: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&generation.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

impl Header {
    /// Writes the header; the frames behind it count from now on.
    pub(super) fn write(self, file: &File) -> io::Result<()> {
        let mut bytes = [0; HEADER as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&self.id);
        bytes[24..32].copy_from_slice(&self.generation.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.boot);
        bytes[48..56].copy_from_slice(&self.unsure_after.unwrap_or(u64::MAX).to_le_bytes());
        let crc = crc32fast::hash(&bytes[..56]);
        bytes[56..60].copy_from_slice(&crc.to_le_bytes());
        file.write_all_at(&bytes, 0)
    }

    /// The header of a segment's bytes; `None` if they have none that is whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER as usize)?;
        let number = |at: usize| header[at..at + 8].try_into().ok().map(u64::from_le_bytes);
        let whole = |end: usize| header[end..end + 4] == crc32fast::hash(&header[..end]).to_le_bytes();
        let (id, generation) = (header[8..24].try_into().ok()?, number(24)?);
        match header.first_chunk::<8>()? {
            MAGIC if whole(56) => {
                let unsure_after = number(48).filter(|after| *after != u64::MAX);
                Some(Self { id, generation, boot: header[32..48].try_into().ok()?, unsure_after })
            }
            MAGIC_1 if whole(32) => Some(Self { id, generation, boot: [0; 16], unsure_after: None }),
            _ => None,
        }
    }
}

/// The whole frames of a segment in order, the offset behind the last one, and whether bytes of a torn frame follow it.
pub(super) fn frames(bytes: &[u8], generation: u64) -> (Vec<Frame<'_>>, u64, bool) {
    let mut found = Vec::new();
    let mut offset = HEADER as usize;
    loop {
        let Some((len, crc)) = bytes.get(offset..offset + FRAME).and_then(|head| {
            Some((u32::from_le_bytes(head[..4].try_into().ok()?) as usize, u32::from_le_bytes(head[4..].try_into().ok()?)))
        }) else {
            return (found, offset as u64, false);
        };
        let payload = bytes.get(offset + FRAME..offset.saturating_add(FRAME).saturating_add(len));
        let whole = payload.filter(|payload| len > 0 && checksum(generation, offset as u64, payload) == crc);
        let Some(frame) = whole.and_then(Frame::decode) else {
            return (found, offset as u64, len != 0);
        };
        found.push(frame);
        offset += FRAME + len;
    }
}

/// For the fuzzer: a segment of any bytes, and a payload of any bytes whose checksum is right.
pub(super) fn fuzz(bytes: &[u8]) {
    let generation = Header::read(bytes).map_or(0, |header| header.generation);
    let (found, end, _) = frames(bytes, generation);
    assert!(found.is_empty() || end <= bytes.len() as u64);
    if let Some(frame) = Frame::decode(bytes) {
        let mut segment = vec![0; HEADER as usize];
        segment.extend(frame.encode(1, HEADER));
        assert_eq!(frames(&segment, 1).0, [frame]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame<'static> {
        Frame { sequence: 7, acked: 3, state: b"{}", cursor: b"s=1;i=2", report: Some(b"report") }
    }

    #[test]
    fn frames_come_back_as_written() {
        let mut bytes = vec![0; HEADER as usize];
        for frame in [frame(), Frame { report: None, ..frame() }, Frame { report: Some(b""), state: b"", ..frame() }] {
            let encoded = frame.encode(5, bytes.len() as u64);
            assert_eq!(encoded.len(), frame.size());
            bytes.extend(encoded);
        }
        let end = bytes.len() as u64;
        bytes.extend([0; 100]);
        let (found, at, torn) = frames(&bytes, 5);
        assert_eq!((found.len(), at, torn), (3, end, false));
        assert_eq!(found[0], frame());
        assert_eq!(found[1].report, None);
        assert_eq!(found[2].report, Some(&b""[..]));
    }

    #[test]
    fn a_frame_of_another_generation_or_place_is_not_taken_for_one() {
        let mut bytes = vec![0; HEADER as usize];
        bytes.extend(frame().encode(5, HEADER));
        assert_eq!(frames(&bytes, 6).0.len(), 0);
        let mut moved = vec![0; HEADER as usize];
        moved.extend(frame().encode(5, HEADER + 1));
        assert_eq!(frames(&moved, 5).0.len(), 0);
    }

    #[test]
    fn any_single_flipped_byte_of_a_frame_is_seen() {
        let mut bytes = vec![0; HEADER as usize];
        bytes.extend(frame().encode(5, HEADER));
        for at in HEADER as usize..bytes.len() {
            let mut hurt = bytes.clone();
            hurt[at] ^= 0x40;
            assert_eq!(frames(&hurt, 5).0.len(), 0, "flip at {at}");
        }
    }

    #[test]
    fn a_frame_cut_anywhere_is_torn_and_those_before_it_stay() {
        let mut bytes = vec![0; HEADER as usize];
        bytes.extend(frame().encode(5, HEADER));
        let first = bytes.len();
        bytes.extend(frame().encode(5, first as u64));
        for cut in first + 4..bytes.len() {
            let mut torn = bytes[..cut].to_vec();
            torn.resize(bytes.len() + 64, 0);
            let (found, at, _) = frames(&torn, 5);
            // The last bytes of this frame are not zero, so a cut always hurts.
            assert_eq!((found.len(), at), (1, first as u64), "cut at {cut}");
        }
    }

    #[test]
    fn headers_of_this_version_and_of_the_one_before_are_read() {
        let file = tempfile::tempfile().expect("a file");
        let header = Header { id: [7; 16], generation: 3, boot: [9; 16], unsure_after: Some(0) };
        header.write(&file).expect("written");
        let mut bytes = [0; HEADER as usize];
        file.read_exact_at(&mut bytes, 0).expect("read");
        assert_eq!(Header::read(&bytes), Some(header));
        let mut old = [0; HEADER as usize];
        old[..32].copy_from_slice(&bytes[..32]);
        old[7] = b'1';
        let crc = crc32fast::hash(&old[..32]);
        old[32..36].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::read(&old), Some(Header { boot: [0; 16], unsure_after: None, ..header }));
        bytes[50] ^= 1;
        assert_eq!(Header::read(&bytes), None);
    }

    #[test]
    fn garbage_has_no_header_and_hostile_lengths_do_no_harm() {
        assert_eq!(Header::read(b""), None);
        assert_eq!(Header::read(&[0xff; 200]), None);
        let mut bytes = vec![0; HEADER as usize];
        bytes.extend([0xff; 64]);
        assert_eq!(frames(&bytes, 0).0.len(), 0);
    }
}
