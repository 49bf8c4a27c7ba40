use super::segment::HEADER;
use super::*;

const SIZE: u64 = 16 << 10;

const BOOTS: [&str; 2] = ["0b0c7ed2-3f3b-4c5a-9e0f-1a2b3c4d5e6f", "f7a8b9c0-0000-4d4d-8e8e-9f9f9f9f9f9f"];

fn open(dir: &Path) -> (Spool, Recovered) {
    open_in(dir, BOOTS[0])
}

fn open_in(dir: &Path, boot: &str) -> (Spool, Recovered) {
    Spool::open(dir, SIZE, boot).expect("nobody else has it")
}

fn entry<'a>(report: Option<&'a [u8]>, state: &'a [u8], cursor: &'a str) -> Entry<'a> {
    Entry { report, state, cursor }
}

fn pending(spool: &Spool) -> Vec<(u64, String)> {
    spool.after(0, usize::MAX).into_iter().map(|(n, report)| (n, String::from_utf8_lossy(&report).into_owned())).collect()
}

fn report(n: u64) -> String {
    format!("report {n} {}", "x".repeat(500))
}

#[test]
fn what_was_appended_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, recovered) = open(dir.path());
    assert_eq!(recovered, Recovered::default());
    assert_eq!(spool.append(&entry(Some(b"one"), b"state 1", "cursor 1")), Some(1));
    assert_eq!(spool.append(&entry(None, b"state 2", "cursor 2")), None);
    assert_eq!(spool.append(&entry(Some(b"two"), b"state 3", "cursor 3")), Some(2));
    let id = spool.id();
    drop(spool);
    let (spool, recovered) = open(dir.path());
    assert_eq!(spool.id(), id);
    assert_eq!(recovered.state.as_deref(), Some(&b"state 3"[..]));
    assert_eq!(recovered.cursor, "cursor 3");
    assert_eq!(pending(&spool), [(1, "one".into()), (2, "two".into())]);
    assert_eq!(recovered.losses, Vec::<String>::new());
}

#[test]
fn acknowledged_reports_are_forgotten_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    for _ in 0..3 {
        spool.append(&entry(Some(b"r"), b"s", "c"));
    }
    spool.acked(2);
    assert_eq!(pending(&spool), [(3, "r".into())]);
    spool.append(&entry(None, b"s", "c"));
    drop(spool);
    let (mut spool, recovered) = open(dir.path());
    assert_eq!(recovered.pending, 1);
    assert_eq!(spool.append(&entry(Some(b"r"), b"s", "c")), Some(4));
    spool.acked(u64::MAX);
    assert_eq!(spool.last(), 4);
    assert_eq!(pending(&spool), []);
}

#[test]
fn many_turns_of_segments_keep_the_newest_state_and_all_that_is_pending() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    for n in 1..=500 {
        assert_eq!(spool.append(&entry(Some(report(n).as_bytes()), format!("state {n}").as_bytes(), &format!("c{n}"))), Some(n));
        if n > 5 {
            spool.acked(n - 5);
        }
        if n % 37 == 0 {
            drop(spool);
            let recovered;
            (spool, recovered) = open(dir.path());
            assert_eq!(recovered.losses, Vec::<String>::new(), "what an earlier life of a segment left is no loss");
            assert_eq!(recovered.state, Some(format!("state {n}").into_bytes()));
            assert_eq!(recovered.cursor, format!("c{n}"));
            spool.welcomed(n - 5);
            assert_eq!(pending(&spool), (n - 4..=n).map(|n| (n, report(n))).collect::<Vec<_>>());
        }
    }
    assert_eq!(spool.stats().dropped, 0);
    let files: u64 = ["segment-0", "segment-1"].iter().map(|name| fs::metadata(dir.path().join(name)).unwrap().len()).sum();
    assert_eq!(files, 2 * SIZE, "the spool does not grow");
}

#[test]
fn when_full_the_oldest_reports_go_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    for n in 1..=100 {
        spool.append(&entry(Some(report(n).as_bytes()), b"s", "c"));
    }
    let left = pending(&spool);
    assert_eq!(spool.stats().dropped, 100 - left.len() as u64);
    assert!(left.len() > 10, "{} left", left.len());
    assert_eq!(left.last().unwrap().0, 100);
    drop(spool);
    assert_eq!(pending(&open(dir.path()).0), left);
}

/// A kill can come between any two writes, and a power failure can tear one: whatever prefix of the writes is on disk, what is recovered is
/// an append that happened, whole, and nothing older than the last one but one.
#[test]
fn a_write_torn_at_any_byte_recovers_a_whole_earlier_moment() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    let mut before = [Vec::new(), Vec::new()];
    for n in 1..=60_u64 {
        let files = ["segment-0", "segment-1"].map(|name| dir.path().join(name));
        spool.append(&entry(Some(report(n).as_bytes()), format!("state {n}").as_bytes(), "c"));
        spool.acked(n.saturating_sub(3));
        let after = files.map(|file| fs::read(file).unwrap());
        for index in 0..2 {
            let changed: Vec<usize> = (0..after[index].len()).filter(|at| before[index].get(*at) != Some(&after[index][*at])).collect();
            let (Some(first), Some(end), true) = (changed.first(), changed.last(), n > 1) else { continue };
            for cut in (*first..=*end).step_by(61) {
                let torn = tempfile::tempdir().unwrap();
                let mut bytes = before.clone();
                // A turn writes the frames first and the header last: a tear in it leaves the old header.
                let from = if *first < HEADER as usize { HEADER as usize } else { *first };
                if cut > from {
                    bytes[index][from..cut].copy_from_slice(&after[index][from..cut]);
                }
                for (name, bytes) in ["segment-0", "segment-1"].iter().zip(&bytes) {
                    fs::write(torn.path().join(name), bytes).unwrap();
                }
                let state = open(torn.path()).1.state.expect("an earlier state is there");
                let of: u64 = String::from_utf8(state).unwrap().strip_prefix("state ").unwrap().parse().unwrap();
                assert!(of == n || of == n - 1, "append {n} torn at byte {cut} of segment {index}: recovered state {of}");
            }
        }
        before = after;
    }
}

#[test]
fn hostile_bytes_in_the_files_are_told_and_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    for (name, byte) in [("segment-0", 0xff), ("segment-1", 0x41)] {
        fs::write(dir.path().join(name), vec![byte; 40_000]).unwrap();
    }
    let (mut spool, recovered) = open(dir.path());
    assert_eq!(recovered.losses.len(), 2, "{:?}", recovered.losses);
    assert_eq!(recovered.state, None);
    assert_eq!(spool.append(&entry(Some(b"r"), b"s", "c")), Some(1));
    drop(spool);
    assert_eq!(pending(&open(dir.path()).0), [(1, "r".into())]);
}

#[test]
fn a_second_agent_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let error = Spool::open(dir.path(), SIZE, BOOTS[0]).expect_err("it is in use").to_string();
    assert!(error.contains("another nodewhy-agent"), "{error}");
}

#[test]
fn a_collector_that_knows_more_than_the_spool_makes_it_number_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    spool.append(&entry(Some(b"a"), b"s", "c"));
    spool.append(&entry(Some(b"b"), b"s", "c"));
    spool.welcomed(7);
    assert_eq!(pending(&spool), [(8, "a".into()), (9, "b".into())]);
    assert_eq!(spool.append(&entry(Some(b"c"), b"s", "c")), Some(10));
    drop(spool);
    assert_eq!(pending(&open(dir.path()).0), [(8, "a".into()), (9, "b".into()), (10, "c".into())]);
}

/// What the disk has after a power failure that took the last of two reports, both of which the collector has.
fn after_a_power_failure() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    spool.append(&entry(Some(b"a"), b"s", "c"));
    let names = ["segment-0", "segment-1"].map(|name| dir.path().join(name));
    let kept = names.clone().map(|name| fs::read(name).unwrap());
    spool.append(&entry(Some(b"b"), b"s", "c"));
    drop(spool);
    names.iter().zip(kept).for_each(|(name, bytes)| fs::write(name, bytes).unwrap());
    dir
}

#[test]
fn after_a_power_failure_no_report_is_taken_for_one_that_the_collector_has() {
    let dir = after_a_power_failure();
    let (mut spool, _) = open_in(dir.path(), BOOTS[1]);
    assert_eq!(spool.append(&entry(Some(b"new"), b"s", "c")), Some(2), "a number that the collector knows");
    spool.append(&entry(Some(b"newer"), b"s", "c"));
    spool.welcomed(2);
    assert_eq!(pending(&spool), [(3, "new".into()), (4, "newer".into())]);
    spool.welcomed(3);
    assert_eq!(pending(&spool), [(4, "newer".into())], "from now on numbers are what they seem");
}

#[test]
fn nor_when_the_agent_was_killed_before_the_collector_answered() {
    let dir = after_a_power_failure();
    for n in [2, 3] {
        let (mut spool, _) = open_in(dir.path(), BOOTS[1]);
        assert_eq!(spool.append(&entry(Some(b"new"), b"s", "c")), Some(n));
    }
    let (mut spool, _) = open_in(dir.path(), BOOTS[1]);
    spool.welcomed(2);
    assert_eq!(pending(&spool), [(3, "new".into()), (4, "new".into())]);
    drop(spool);
    let (mut spool, _) = open_in(dir.path(), BOOTS[1]);
    spool.welcomed(3);
    assert_eq!(pending(&spool), [(4, "new".into())], "killed after the answer: it is kept");
}

#[test]
fn an_ordinary_reboot_sends_nothing_twice_and_numbers_nothing_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    spool.append(&entry(Some(b"a"), b"s", "c"));
    spool.append(&entry(Some(b"b"), b"s", "c"));
    drop(spool);
    let (mut spool, _) = open_in(dir.path(), BOOTS[1]);
    spool.append(&entry(Some(b"c"), b"s", "c"));
    spool.welcomed(1);
    assert_eq!(pending(&spool), [(2, "b".into()), (3, "c".into())]);
}

#[test]
fn a_directory_that_cannot_be_made_leaves_a_spool_in_memory_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let (mut spool, _) = open(&file.join("spool"));
    assert_eq!(spool.append(&entry(Some(b"r"), b"s", "c")), Some(1));
    assert_eq!(pending(&spool), [(1, "r".into())]);
    let reason = spool.stats().disk_error.expect("it says so");
    assert!(reason.contains("cannot make") && reason.contains("memory only"), "still why, and not that there is no thread: {reason}");
}

#[test]
fn a_segment_that_is_a_directory_is_named_and_stays_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("segment-0")).unwrap();
    let (mut spool, _) = open(dir.path());
    spool.append(&entry(Some(b"r"), b"s", "c"));
    spool.welcomed(7);
    let reason = spool.stats().disk_error.expect("it says so");
    assert!(reason.contains("segment-0") && reason.contains("directory"), "{reason}");
}

#[test]
fn a_disk_that_takes_writes_again_gets_all_that_was_held_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    spool.append(&entry(Some(b"1"), b"s1", "c1"));
    let good = spool.disk.segments.clone();
    let read_only = Arc::new(File::open(dir.path().join("lock")).unwrap());
    spool.disk.segments = [Some(read_only.clone()), Some(read_only)];
    spool.append(&entry(Some(b"2"), b"s2", "c2"));
    assert!(spool.stats().disk_error.is_some());
    spool.disk.segments = good;
    spool.append(&entry(Some(b"3"), b"s3", "c3"));
    assert_eq!(spool.stats().disk_error, None);
    drop(spool);
    let (spool, recovered) = open(dir.path());
    assert_eq!(pending(&spool), [(1, "1".into()), (2, "2".into()), (3, "3".into())]);
    assert_eq!((recovered.state.as_deref(), recovered.cursor.as_str()), (Some(&b"s3"[..]), "c3"));
}

#[test]
fn a_hung_disk_is_waited_for_once_and_gets_all_that_was_held_when_it_answers() {
    for hangs_in_a_turn in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(dir.path());
        spool.append(&entry(Some(b"one"), b"state 1", "c1"));
        let writer = spool.disk.writer.as_mut().expect("there is a disk");
        writer.patience = std::time::Duration::from_millis(20);
        // The disk: does nothing until the gate opens.
        let (open_gate, gate) = std::sync::mpsc::channel::<()>();
        let hung = writer.run(Box::new(move || {
            let _ended = gate.recv();
            Ok(())
        }));
        assert_eq!(hung.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        if hangs_in_a_turn {
            spool.disk_error = Some("a turn is due".into());
        }
        spool.append(&entry(Some(b"two"), b"state 2", "c2"));
        spool.append(&entry(Some(b"three"), b"state 3", "c3"));
        let error = spool.stats().disk_error.expect("it says so");
        assert!(error.contains("hangs"), "{error}");
        assert_eq!(spool.after(0, 9).len(), 3, "they can be shipped all the same");
        drop(open_gate);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while spool.stats().disk_error.is_some() {
            assert!(std::time::Instant::now() < deadline);
            spool.append(&entry(None, b"state 4", "c4"));
        }
        drop(spool);
        let (spool, recovered) = open(dir.path());
        assert_eq!(recovered.state.as_deref(), Some(&b"state 4"[..]));
        assert_eq!(pending(&spool), [(1, "one".into()), (2, "two".into()), (3, "three".into())]);
    }
}

#[test]
fn a_turn_that_comes_to_its_end_late_is_gone_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    spool.append(&entry(Some(b"one"), b"state 1", "c1"));
    // No patience at all: the turn is given up and completed behind our back.
    spool.disk.writer.as_mut().expect("there is a disk").patience = std::time::Duration::ZERO;
    spool.disk_error = Some("a turn is due".into());
    for n in 2..200 {
        spool.append(&entry(None, format!("state {n}").as_bytes(), "c"));
    }
    spool.disk.writer.as_mut().expect("there is a disk").patience = std::time::Duration::from_secs(20);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while spool.stats().disk_error.is_some() {
        assert!(std::time::Instant::now() < deadline);
        spool.append(&entry(None, b"state last", "c last"));
    }
    drop(spool);
    let (spool, recovered) = open(dir.path());
    assert_eq!((recovered.state.as_deref(), recovered.cursor.as_str()), (Some(&b"state last"[..]), "c last"));
    assert_eq!(pending(&spool), [(1, "one".into())]);
}

#[test]
fn the_largest_reports_and_a_state_of_half_a_segment_go_to_disk_together() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path());
    let (report, state) = (vec![b'r'; spool.report_bytes()], vec![b's'; usize::try_from(SIZE * 6 / 10).unwrap()]);
    for _ in 0..5 {
        spool.append(&entry(Some(&report), &state, "c"));
        assert_eq!(spool.stats().disk_error, None);
    }
    drop(spool);
    let (spool, recovered) = open(dir.path());
    assert_eq!(recovered.state, Some(state));
    assert_eq!(pending(&spool).last().map(|(sequence, _)| *sequence), Some(5), "the newest is there");
}
