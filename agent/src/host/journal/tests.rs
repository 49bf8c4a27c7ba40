//! On journal files written as journald writes them.

use std::path::Path;
use std::time::Instant;

use nodewhy_diagnosis::catalogue::{Matcher, MatcherSign};
use nodewhy_diagnosis::record::Source;
use tempfile::TempDir;

use super::reader::Resumed;
use super::*;

use super::journal_file::{BOOT, EARLIER_BOOT, JournalFile, kubelet_fields, now_micros};

const SECOND: u64 = 1_000_000;
const AGES: Duration = Duration::from_secs(20);

fn node() -> (TempDir, Host) {
    let root = tempfile::tempdir().expect("a temporary directory");
    journal_file::root(root.path());
    let host = Host::new(root.path());
    (root, host)
}

fn matcher() -> Matcher {
    let sign = MatcherSign {
        code: "swap-enabled",
        sign_index: 0,
        from: &[Source::Kubelet],
        named: false,
        pattern: "swap on (?<n>[0-9]+)",
        unless: None,
    };
    Matcher::build([sign]).expect("a good pattern")
}

fn open(host: &Host) -> Reader {
    Reader::open(host).expect("the journal can be read")
}

fn texts(sightings: &[Sighting]) -> Vec<&str> {
    sightings.iter().map(|sighting| sighting.text.as_str()).collect()
}

fn write_boot(file: &mut JournalFile, count: u64) {
    let now = now_micros();
    file.entry(now - 900 * SECOND, EARLIER_BOOT, &kubelet_fields(b"swap on 0"));
    for number in 1..=count {
        let at = now - 600 * SECOND + number;
        file.entry(at, BOOT, &kubelet_fields(format!("swap on {number}").as_bytes()));
        file.entry(at, BOOT, &kubelet_fields(b"nothing of interest"));
    }
}

#[test]
fn a_scan_finds_what_this_boot_said_in_the_order_it_was_said() {
    let (root, host) = node();
    write_boot(&mut JournalFile::system(root.path()), 3);
    let scan = open(&host).scan_boot(&matcher(), AGES);
    assert_eq!(texts(&scan.sightings), ["swap on 1", "swap on 2", "swap on 3"]);
    assert_eq!((scan.entries, scan.cut_at, scan.dropped), (6, None, 0));
    let first = &scan.sightings[0];
    assert_eq!((first.unit.as_str(), first.captures["n"].as_str()), ("kubelet.service", "1"));
    assert!(first.at.as_microsecond() > 0 && first.cursor.starts_with("s="), "{first:?}");
    assert_eq!(scan.gap(), "");
}

#[test]
fn a_scan_without_time_says_from_when_on_it_read() {
    let (root, host) = node();
    write_boot(&mut JournalFile::system(root.path()), 1000);
    let scan = open(&host).scan_boot(&matcher(), Duration::ZERO);
    assert!(scan.cut_at.is_some() && scan.entries < 1000, "{} entries", scan.entries);
    assert_eq!(texts(&scan.sightings).last(), Some(&"swap on 1000"));
    assert!(scan.gap().contains("longer than there was time to read"), "{}", scan.gap());
}

#[test]
fn of_too_many_sightings_the_newest_are_kept_and_the_rest_is_counted() {
    let (root, host) = node();
    write_boot(&mut JournalFile::system(root.path()), 5000);
    let scan = open(&host).scan_boot(&matcher(), AGES);
    assert_eq!((scan.sightings.len(), scan.dropped), (MAX_SIGHTINGS, 5000 - MAX_SIGHTINGS as u64));
    assert_eq!(texts(&scan.sightings).last(), Some(&"swap on 5000"));
    assert!(scan.gap().contains("904"), "{}", scan.gap());
}

#[test]
fn hostile_fields_lose_nothing_else() {
    let (root, host) = node();
    let mut file = JournalFile::system(root.path());
    let now = now_micros();
    file.entry(now, BOOT, &kubelet_fields(b"swap on 1 \0\xff\xfe"));
    let mut long = vec![b'x'; 1 << 20];
    long.extend_from_slice(b"swap on 2");
    file.entry(now + 1, BOOT, &kubelet_fields(&long));
    file.entry(now + 2, BOOT, &[b"no equals sign".to_vec(), b"=".to_vec(), b"MESSAGE".to_vec()]);
    file.kubelet("swap on 3");
    let scan = open(&host).scan_boot(&matcher(), AGES);
    assert_eq!(texts(&scan.sightings), ["swap on 1 \0\u{fffd}\u{fffd}", "swap on 3"]);
    assert_eq!(scan.entries, 4);
}

#[test]
fn a_position_is_found_again_and_a_lost_one_is_told() {
    let (root, host) = node();
    let mut file = JournalFile::system(root.path());
    write_boot(&mut file, 2);
    let mut reader = open(&host);
    let tail = reader.scan_boot(&matcher(), AGES).tail.expect("a newest entry");
    assert!(reader.is_cursor_of_this_boot(&tail));
    file.kubelet("swap on 3");
    assert_eq!(reader.resume(&tail), Resumed::Exactly);
    assert_eq!(texts(&reader.next(&matcher()).expect("read").expect("an entry")), ["swap on 3"]);
    assert!(reader.next(&matcher()).expect("read").is_none());
    let gone = tail.replace(";i=", ";i=f");
    for lost in ["", "hostile", "s=x;i=\0", gone.as_str()] {
        assert!(matches!(reader.resume(lost), Resumed::Lost(_)), "{lost:?}");
    }
    assert!(!reader.is_cursor_of_this_boot(&tail.replace(BOOT, EARLIER_BOOT)));
}

#[test]
fn an_empty_root_says_where_it_looked() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let missing = Reader::open(&Host::new(root.path())).expect_err("there is no journal");
    assert_eq!(missing.kind, MissingKind::Failed);
    assert!(missing.why.contains("var/log/journal") && missing.why.contains("run/log/journal"), "{}", missing.why);
}

#[test]
fn files_that_are_no_journal_are_told_as_such() {
    let (root, host) = node();
    let path = journal_file::journal_directory(root.path()).join("system.journal");
    for garbage in [&b"not a journal, but long enough to be one"[..], b"LPK", b""] {
        std::fs::write(&path, garbage).expect("written");
        let missing = Reader::open(&host).expect_err("nothing can be read");
        assert_eq!(missing.kind, MissingKind::Failed, "{}", missing.why);
    }
}

#[test]
fn a_damaged_file_does_not_hide_a_whole_one() {
    let (root, host) = node();
    let mut damaged = JournalFile::create(root.path(), "system@damaged.journal", 100, 1 << 20, 1);
    let entry = damaged.entry(now_micros() - SECOND, BOOT, &kubelet_fields(b"swap on 1"));
    damaged.damage(entry, &[0xff; 64]);
    let mut whole = JournalFile::create(root.path(), "system.journal", 100, 1 << 20, 1000);
    whole.kubelet("swap on 2");
    let scan = open(&host).scan_boot(&matcher(), AGES);
    assert_eq!(texts(&scan.sightings), ["swap on 2"]);
}

#[test]
fn a_damaged_field_loses_neither_its_entry_nor_the_next() {
    let (root, host) = node();
    let mut file = JournalFile::system(root.path());
    let now = now_micros();
    let entry = file.entry(now, BOOT, &kubelet_fields(b"swap on 1"));
    // The entry's reference to its first field (items begin at 64).
    file.damage(entry + 64, &7_u64.to_le_bytes());
    file.entry(now + 1, BOOT, &kubelet_fields(b"swap on 2"));
    assert_eq!(texts(&open(&host).scan_boot(&matcher(), AGES).sightings), ["swap on 1", "swap on 2"]);
}

/// A follower and what it hands over.
struct Following {
    follower: Follower,
    batches: mpsc::Receiver<Batch>,
}

impl Following {
    fn start(root: &Path, from: From) -> Self {
        let (out, batches) = mpsc::channel(4);
        let follower =
            Follower::start_with(Arc::new(Host::new(root)), Arc::new(Current::new(Arc::new(matcher()))), from, out).expect("a thread");
        Self { follower, batches }
    }

    /// Batches until `enough`, all of them.
    fn until(&mut self, enough: impl Fn(&[Batch]) -> bool) -> Vec<Batch> {
        let deadline = Instant::now() + AGES;
        let mut seen = Vec::new();
        while !enough(&seen) {
            assert!(Instant::now() < deadline, "not enough came in time: {seen:?}");
            match self.batches.try_recv() {
                Ok(batch) => seen.push(batch),
                Err(_) => std::thread::park_timeout(Duration::from_millis(1)),
            }
        }
        seen
    }

    fn lines(&mut self, wanted: usize) -> (Vec<String>, Vec<Batch>) {
        let count = |batches: &[Batch]| batches.iter().map(|batch| batch.sightings.len()).sum::<usize>();
        let batches = self.until(|batches| count(batches) >= wanted);
        (batches.iter().flat_map(|batch| batch.sightings.iter().map(|sighting| sighting.text.clone())).collect(), batches)
    }
}

#[test]
fn following_begins_with_this_boot_and_goes_on_with_what_is_written() {
    let (root, _) = node();
    let mut file = JournalFile::system(root.path());
    write_boot(&mut file, 2);
    let mut following = Following::start(root.path(), From::Boot);
    assert_eq!(following.lines(2).0, ["swap on 1", "swap on 2"]);
    file.kubelet("swap on 3");
    following.follower.expect_entries();
    let (lines, batches) = following.lines(1);
    assert_eq!(lines, ["swap on 3"]);
    assert!(batches.last().is_some_and(|batch| batch.caught_up && batch.cursor.is_some()));
    // Without anybody expecting it, by the timer alone.
    file.kubelet("swap on 4");
    assert_eq!(following.lines(1).0, ["swap on 4"]);
}

#[test]
fn following_resumes_behind_the_saved_position() {
    let (root, _) = node();
    let mut file = JournalFile::system(root.path());
    write_boot(&mut file, 2);
    let mut first = Following::start(root.path(), From::Boot);
    let cursor = first.lines(2).1.pop().and_then(|batch| batch.cursor).expect("a cursor");
    drop(first);
    file.kubelet("swap on 3");
    let mut second = Following::start(root.path(), From::Cursor(cursor));
    assert_eq!(second.lines(1).0, ["swap on 3"]);
}

#[test]
fn a_rotated_journal_is_followed_over_the_turn() {
    let (root, _) = node();
    let mut file = JournalFile::system(root.path());
    write_boot(&mut file, 1);
    let mut following = Following::start(root.path(), From::Boot);
    assert_eq!(following.lines(1).0, ["swap on 1"]);
    file.kubelet("swap on 2");
    let mut file = file.rotate(root.path());
    file.kubelet("swap on 3");
    assert_eq!(following.lines(2).0, ["swap on 2", "swap on 3"]);
}

#[test]
fn a_lost_position_reads_the_boot_again_and_tells_so() {
    let (root, _) = node();
    let mut file = JournalFile::system(root.path());
    write_boot(&mut file, 2);
    let lost = format!("s=5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e;i=ffff;b={BOOT};m=1;t=1;x=1");
    let mut following = Following::start(root.path(), From::Cursor(lost));
    let (lines, batches) = following.lines(2);
    assert_eq!(lines, ["swap on 1", "swap on 2"]);
    let gap = batches.iter().find_map(|batch| batch.facts.known(s::LOGS_JOURNAL_GAP)).unwrap_or_default();
    assert!(gap.contains("gone"), "{gap}");
}

#[test]
fn a_journal_that_appears_later_is_found() {
    let (root, _) = node();
    let mut following = Following::start(root.path(), From::Boot);
    let unreadable = following.until(|batches| !batches.is_empty());
    assert!(unreadable[0].caught_up && unreadable[0].facts.value(s::LOGS_JOURNAL_READABLE.path()).is_err());
    JournalFile::system(root.path()).kubelet("swap on 1");
    following.follower.expect_entries();
    assert_eq!(following.lines(1).0, ["swap on 1"]);
}

#[test]
fn everything_up_to_a_moment_is_handed_over_before_that_moment_is_told() {
    let (root, _) = node();
    let mut file = JournalFile::system(root.path());
    let mut following = Following::start(root.path(), From::Boot);
    for number in 0..50 {
        file.kubelet(&format!("swap on {number}"));
        let written = Timestamp::now();
        let deadline = Instant::now() + AGES;
        let mut seen = false;
        while following.follower.read_up_to().is_none_or(|up_to| up_to < written) {
            assert!(Instant::now() < deadline);
            following.follower.expect_entries();
            std::thread::park_timeout(Duration::from_millis(1));
            seen |= following.batches.try_recv().is_ok_and(|batch| !batch.sightings.is_empty());
        }
        while let Ok(batch) = following.batches.try_recv() {
            seen |= !batch.sightings.is_empty();
        }
        assert!(seen, "line {number} was told as read before it was handed over");
    }
}

#[test]
fn a_journal_that_ends_in_another_boot_is_not_readable_until_this_boot_writes() {
    let (root, host) = node();
    let mut file = JournalFile::system(root.path());
    file.entry(now_micros(), EARLIER_BOOT, &kubelet_fields(b"swap on 1"));
    let mut following = Following::start(root.path(), From::Boot);
    let readable = |batches: &[Batch]| batches.last().and_then(|batch| batch.facts.known(s::LOGS_JOURNAL_READABLE));
    let first = following.until(|batches| !batches.is_empty());
    assert_eq!(readable(&first), None);
    let why = first[0].facts.value(s::LOGS_JOURNAL_READABLE.path()).expect_err("nobody sees what happens").why;
    assert!(why.contains("another boot"), "{why}");
    file.kubelet("nothing of interest");
    following.until(|batches| readable(batches) == Some(true));
    drop(host);
}
