use std::fmt::Write as _;
use std::io::Write as _;

use super::*;

/// What was found: paths with their content's beginning, and what was wrong.
#[derive(Default)]
struct Found {
    files: Vec<(String, String)>,
    bytes: u64,
    problems: Vec<String>,
}

impl Visitor for Found {
    fn file(&mut self, path: &str, content: &mut dyn BufRead) -> io::Result<()> {
        let mut head = Vec::new();
        (&mut *content).take(32).read_to_end(&mut head)?;
        self.files.push((path.to_owned(), String::from_utf8_lossy(&head).into_owned()));
        self.bytes += head.len() as u64 + io::copy(content, &mut io::sink())?;
        Ok(())
    }

    fn problem(&mut self, path: &str, problem: Problem) {
        self.problems.push(format!("{path}: {problem}"));
    }
}

fn walked(name: &str, bytes: &[u8]) -> Found {
    let (mut found, budget) = (Found::default(), Budget::default());
    walk(name, &mut BufReader::new(budget.metered(bytes)), &budget, &mut found);
    found
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar_of(members: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, content) in members {
        let mut block = [0_u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        let mut size = String::new();
        write!(size, "{:011o}", content.len()).unwrap();
        block[124..135].copy_from_slice(size.as_bytes());
        block[156] = *kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend_from_slice(&block);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// A zip as a stream writes it: sizes after the content.
fn streamed_zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in members {
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(content).unwrap();
        let deflated = deflate.finish().unwrap();
        out.extend_from_slice(b"PK\x03\x04\x14\0\x08\0\x08\0");
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&deflated);
        out.extend_from_slice(b"PK\x07\x08");
        out.extend_from_slice(&[0; 12]);
    }
    out.extend_from_slice(b"PK\x01\x02");
    out
}

#[test]
fn a_plain_file_is_itself_and_a_compressed_one_too() {
    let plain = walked("kubelet.log", b"line\n");
    assert_eq!(plain.files, [("kubelet.log".to_owned(), "line\n".to_owned())]);
    let twice = [gzip(b"one\n"), gzip(b"two\n")].concat();
    assert_eq!(walked("kubelet.log.gz", &twice).files, [("kubelet.log".to_owned(), "one\ntwo\n".to_owned())]);
    assert_eq!(walked("empty", b"").files, [("empty".to_owned(), String::new())]);
}

#[test]
fn archives_within_archives_are_gone_through() {
    let inner = tar_of(&[("var/log/messages", b'0', b"m\n"), ("var/", b'5', b""), ("link", b'2', b"")]);
    let outer = tar_of(&[("./node-1.tar.gz", b'0', &gzip(&inner)), ("readme", b'0', b"r")]);
    let found = walked("b.tgz", &gzip(&outer));
    assert_eq!(found.files, [("b/node-1/var/log/messages".to_owned(), "m\n".to_owned()), ("b/readme".to_owned(), "r".to_owned())]);
    assert_eq!(found.problems, [""; 0]);
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let long = "d/".repeat(80) + "kubelet.log";
    let found = walked("b", &tar_of(&[("././@LongLink", b'L', long.as_bytes()), ("cut", b'0', b"x")]));
    assert_eq!(found.files[0].0, format!("b/{long}"));
    let pax = format!("{} path={long}\n", long.len() + 10);
    let found = walked("b", &tar_of(&[("PaxHeaders/x", b'x', pax.as_bytes()), ("cut", b'0', b"x")]));
    assert_eq!(found.files[0].0, format!("b/{long}"));
}

#[test]
fn a_zip_is_read_from_a_stream() {
    let found = walked("b.zip", &streamed_zip(&[("n/kubelet.log", b"one\n"), ("n/b.log", b"two\n")]));
    assert_eq!(found.files, [("b/n/kubelet.log".to_owned(), "one\n".to_owned()), ("b/n/b.log".to_owned(), "two\n".to_owned())]);
    assert_eq!(found.problems, [""; 0]);
}

#[test]
fn a_damaged_archive_gives_what_is_whole_and_says_what_is_not() {
    let tar = tar_of(&[("a.log", b'0', b"a\n"), ("b.log", b'0', &[b'x'; 4000])]);
    let cut = walked("b.tar", &tar[..2500]);
    assert_eq!(cut.files.len(), 2);
    assert_eq!(cut.problems, ["b.tar: is a damaged tar archive: it ends within a file"]);
    let noise: Vec<u8> = (0..8000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let gz = gzip(&tar_of(&[("a.log", b'0', b"a\n"), ("b.log", b'0', &noise)]));
    let cut = walked("b.tar.gz", &gz[..gz.len() / 2]);
    assert!(!cut.problems.is_empty() && cut.files[0].0 == "b/a.log", "{:?}", cut.problems);
    let one_bad = tar_of(&[("bad.gz", b'0', &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), ("good.log", b'0', b"g\n")]);
    let found = walked("b", &one_bad);
    assert!(found.files.iter().any(|(path, _)| path == "b/good.log"), "{:?}", found.files);
    assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
}

#[test]
fn nesting_is_bounded() {
    let mut bytes = b"deep\n".to_vec();
    for _ in 0..20 {
        bytes = gzip(&bytes);
    }
    let found = walked("b.gz", &bytes);
    assert!(found.files.is_empty());
    assert!(found.problems[0].contains("archives deep"), "{:?}", found.problems);
}

#[test]
fn a_bomb_is_stopped() {
    let zeros = vec![0_u8; 64 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..6).for_each(|_| encoder.write_all(&zeros).unwrap());
    let found = walked("b.gz", &gzip(&encoder.finish().unwrap()));
    assert!(found.problems[0].contains("expands more than"), "{:?}", found.problems);
    assert!(found.bytes <= RATIO_FROM + (1 << 20), "{}", found.bytes);
}

#[test]
fn a_window_beyond_all_measure_is_refused() {
    // An xz block header that asks for a dictionary of 4 GiB less one byte; its checksum is right.
    let xz = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0!\x01\x28\0\0\0".as_slice();
    let found = walked("b.xz", &[xz, &[0; 64]].concat());
    assert_eq!((found.files.len(), found.problems.len()), (0, 1), "{:?}", found.problems);
    // A Zstandard frame with a window of 2 TiB (RFC 8878, 3.1.1.1.2).
    let found = walked("b.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 0, 0, 0, 0]);
    assert_eq!((found.files.len(), found.problems.len()), (0, 1), "{:?}", found.problems);
}

#[test]
fn names_cannot_move_the_cursor_or_fill_the_memory() {
    let found = walked("b", &tar_of(&[("a\x1b[2Jb.log", b'0', b"x")]));
    assert_eq!(found.files[0].0, "b/a?[2Jb.log");
    let long = "x".repeat(60_000);
    let found = walked("b", &tar_of(&[("././@LongLink", b'L', long.as_bytes()), ("cut", b'0', b"x")]));
    assert!(found.files[0].0.len() <= MAX_NAME);
}

#[test]
fn every_cut_and_every_flipped_byte_ends_without_a_panic() {
    let tar = tar_of(&[("a.log", b'0', b"a\n"), ("././@LongLink", b'L', b"long"), ("b.log", b'0', b"b\n")]);
    let zip = streamed_zip(&[("n/kubelet.log", b"one\n")]);
    for whole in [gzip(&tar), tar, zip.clone(), gzip(&zip)] {
        for at in 0..whole.len() {
            walked("b", &whole[..at]);
            let mut flipped = whole.clone();
            flipped[at] ^= 0xff;
            walked("b", &flipped);
        }
    }
}
