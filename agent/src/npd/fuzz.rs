//! For the fuzzer: node-problem-detector's configurations, patterns and times, with what must hold of what is read.

use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::catalogue::LoadProblem;
use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::{Catalogue, Facts, State, View, diagnose};

use super::buffer::Buffer;
use super::config::{self, Does, LogConfig, Monitor};
use super::monitor::{Line, LogMonitor};
use super::pattern::Pattern;
use super::{Set, check, gotime, set};

/// The latest time that a process can wait for, in nanoseconds: what Go's time.Duration holds.
const LONGEST_NANOS: u128 = i64::MAX as u128;
/// 1000-01-01, and the seconds from there to 9999: years that layouts write with four digits.
const FIRST_SECOND: i64 = -30_610_224_000;
const SECONDS: i64 = 284_012_524_800;

/// 2026-11-25T12:00:00Z.
fn now() -> Timestamp {
    Timestamp::from_second(1_795_608_000).unwrap_or_default()
}

/// A configuration is refused in words, or all of it can be used: its rules are causes that the catalogue takes, and what they recognise is
/// present in the diagnosis.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let file = ("/etc/npd/fuzz.json".to_owned(), text.clone().into_owned());
    let (found, rules) = set(std::slice::from_ref(&file));
    if let Err((line, _, words)) = check(&text) {
        assert!(!words.trim().is_empty() && line <= 1 + text.matches('\n').count() as u64, "{line}: {words}");
        assert!(found.is_empty() && rules.is_empty(), "a refused file has rules");
        return;
    }
    let (catalogue, refused) = Catalogue::load(rules.iter().map(|rules| (rules.code.as_str(), rules.text.as_str())));
    if refused.iter().any(|error| matches!(error.problem, LoadProblem::TooLarge(_)) || error.to_string().ends_with("at most 64")) {
        return;
    }
    assert!(refused.is_empty(), "{}", refused[0]);
    assert_eq!(catalogue.causes().len(), rules.len());
    match config::parse(&text) {
        Ok(Monitor::Log(log)) => hear(&catalogue, &found, &file.0, &log, &text),
        Ok(Monitor::Plugins(plugins)) => plugins.rules.iter().for_each(|rule| {
            let Does::Run { timeout, every, .. } = &rule.does else { panic!("a plugin that matches") };
            assert!(timeout.as_nanos() <= LONGEST_NANOS && (1..=LONGEST_NANOS).contains(&every.as_nanos()));
        }),
        _ => assert!(rules.is_empty()),
    }
}

/// Lines of a log: the file's own, which hold its patterns.
fn hear(catalogue: &Catalogue, set: &Set, file: &str, log: &LogConfig, text: &str) {
    let mut monitor = LogMonitor::new(log, set.signs_of(file), Timestamp::MIN).unwrap_or_else(|why| panic!("taken and of no use: {why}"));
    let mut sightings = Vec::new();
    for line in text.split(['\n', '"', '\\']).take(64) {
        sightings.extend(monitor.take(&Line { at: Some(now()), text: line }, now()));
        sightings.truncate(64);
    }
    let facts = Facts::new();
    let view = View { now: now(), node: "n", facts: &facts, sightings: &sightings, mode: Mode::Live };
    let diagnosis = diagnose(catalogue, &view, &State::default()).diagnosis;
    for sighting in &sightings {
        let cause = diagnosis.causes.iter().find(|cause| cause.code == sighting.code);
        assert!(cause.is_some(), "{} is recognised and not present", sighting.code);
    }
}

/// A pattern (the first line) on the lines after it; a carriage return stands for a line's end within an entry of the journal. That some
/// patterns are looked for in the newest line alone changes nothing of what they find, and a text quoted as Go quotes it matches itself.
pub fn pattern(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let expr = lines.next().unwrap_or_default();
    let lines: Vec<String> = lines.take(32).map(|line| line.replace('\r', "\n")).collect();
    if let Some(line) = lines.last().filter(|line| line.len() < 1024 && !line.contains("\\E")) {
        let quoted = Pattern::compile(&format!("\\Q{line}\\E"));
        assert!(quoted.is_ok_and(|pattern| pattern.regex.is_match(line.as_bytes())), "{line:?}");
    }
    let pattern = match Pattern::compile(expr) {
        Ok(pattern) => pattern,
        Err(words) => return assert!(!words.trim().is_empty()),
    };
    let of_all_lines = Pattern { last_line_only: false, ..pattern.clone() };
    let (mut buffer, mut again) = (Buffer::new(3), Buffer::new(3));
    for (second, line) in (0..).zip(&lines) {
        let at = Timestamp::from_second(second).unwrap_or_default();
        buffer.push(at, line.clone());
        again.push(at, line.clone());
        let found = buffer.matched(&pattern);
        assert_eq!(found, again.matched(&of_all_lines), "{expr:?}");
        if let Some((at, text)) = found {
            assert!(text.ends_with(line.as_str()) && (second - 2..=second).contains(&at.as_second()), "{at}: {text:?}");
        }
    }
}

/// A layout and, after a line's end, a time in it; both as lengths of time too. What is written as Go writes it is read as the same.
pub fn time(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (layout, written) = text.split_once('\n').unwrap_or((&text, ""));
    let read = gotime::parse(layout, written, now());
    if !layout.contains("06") {
        assert!(read.is_none_or(|at| at <= now() + SignedDuration::from_hours(24)), "{layout:?}, {written:?}: {read:?} is to come");
    }
    for text in [layout, written] {
        match gotime::duration(text) {
            Err(words) => assert!(words.contains("30s")),
            Ok(length) => {
                assert!(length.as_nanos() <= LONGEST_NANOS, "{text:?}: Go has no such length");
                let again = gotime::duration(&format!("{}ns", length.as_nanos()));
                let off = again.map(|again| again.abs_diff(length).as_secs_f64()).unwrap_or(f64::MAX);
                assert!(off <= 1e-6 + length.as_secs_f64() * 1e-12, "{text:?}: {length:?}");
            }
        }
    }
    written_times(bytes);
}

/// Go's layout, the same for the printer, and the nanoseconds of its smallest unit.
const LAYOUTS: [(&str, &str, i32); 5] = [
    ("2006-01-02T15:04:05.999999999Z07:00", "%Y-%m-%dT%H:%M:%S%.f%:z", 1),
    ("Mon Jan _2 15:04:05.000000 -0700 2006", "%a %b %e %H:%M:%S%.6f %z %Y", 1000),
    ("Mon, 02 Jan 2006 15:04:05 -07:00", "%a, %d %b %Y %H:%M:%S %:z", 1_000_000_000),
    ("Monday, 2-January-2006 3:04:05 PM -0700", "%A, %-d-%B-%Y %-I:%M:%S %p %z", 1_000_000_000),
    ("2006-002T15:04:05,000Z0700", "%Y-%jT%H:%M:%S,%3f%z", 1_000_000),
];

/// The first bytes as a moment and an offset.
fn written_times(bytes: &[u8]) {
    let Some((seconds, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((nanos, rest)) = rest.split_first_chunk::<4>() else { return };
    let minutes = i32::from(rest.first().copied().unwrap_or_default()) * 6 - 720;
    let seconds = FIRST_SECOND + 86_400 + i64::from_le_bytes(*seconds).rem_euclid(SECONDS - 2 * 86_400);
    let nanos = i32::from_le_bytes(*nanos).rem_euclid(1_000_000_000);
    let Ok(offset) = Offset::from_seconds(minutes * 60) else { return };
    for (go, ours, unit) in LAYOUTS {
        let Ok(at) = Timestamp::new(seconds, nanos - nanos % unit) else { return };
        let Ok(written) = strtime::format(ours, &at.to_zoned(TimeZone::fixed(offset))) else { return };
        assert_eq!(gotime::parse(go, &written, now()), Some(at), "{go}: {written}");
    }
}
