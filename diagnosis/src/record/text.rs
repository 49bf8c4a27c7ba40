//! Lines of saved logs: journalctl in its output modes, syslog, dmesg, klog, logfmt, docker and CRI log files, in any mix.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::block::{Block, Taken};
use super::json::{self, Json};
use super::time::{self, Clock, Stamp};
use super::{Klog, LogRecord, Logfmt, Source};

/// Turns lines of any supported format into records; remembers what it must from line to line (a full date seen, a half-read block).
#[derive(Debug)]
pub struct LineParser {
    clock: Clock,
    block: Block,
    /// A line whose colours were taken out.
    bare: String,
    /// A line that was wrapped in JSON.
    inner: String,
}

/// What a line turned out to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParsedLine<'a> {
    /// A record.
    Record(Spoken<'a>),
    /// Nothing to match (blank, a pager's mark, `-- Boot ... --`, a field of a block that is not complete).
    Skip,
}

/// A record with what its line says beyond it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spoken<'a> {
    /// The record.
    pub record: LogRecord<'a>,
    /// The host named by the carrier, empty if none.
    pub host: &'a str,
    /// The process named by the carrier or the klog header.
    pub pid: Option<u32>,
    /// The line has a header of its own (time, speaker or klog). One without may be the wrapped rest of the line before.
    pub headed: bool,
}

impl LineParser {
    /// `read_at` supplies the year that most formats leave out: a line is never in its future. `zone` is for times that name none.
    pub fn new(read_at: Timestamp, zone: TimeZone) -> Self {
        Self { clock: Clock::new(read_at, zone), block: Block::default(), bare: String::new(), inner: String::new() }
    }

    /// Whether a time was read that named no zone.
    pub fn guessed_zone(&self) -> bool {
        self.clock.guessed_zone
    }

    /// Parses one line without its line end.
    pub fn parse<'a>(&'a mut self, line: &'a str) -> ParsedLine<'a> {
        let Self { clock, block, bare, inner } = self;
        match block.take(line) {
            Taken::No => {}
            Taken::Field => return ParsedLine::Skip,
            Taken::Complete => return block.entry().map_or(ParsedLine::Skip, |entry| ParsedLine::Record(entry.spoken(clock))),
        }
        let line = if line.contains('\u{1b}') { without_colours(line, bare) } else { line };
        let text = unquoted(line);
        if is_mark(text) {
            return ParsedLine::Skip;
        }
        if text.starts_with('{') {
            return match json::parse(text) {
                Some(Json::Entry(entry)) => ParsedLine::Record(block.keep(*entry).spoken(clock)),
                Some(Json::Wrapped { line, at }) => {
                    *inner = line;
                    ParsedLine::Record(plain(clock, inner.trim_end_matches(['\n', '\r']), at))
                }
                Some(Json::Raw { at }) => ParsedLine::Record(plain(clock, text, at)),
                None => ParsedLine::Record(plain(clock, text, None)),
            };
        }
        ParsedLine::Record(plain(clock, text, None))
    }

    /// A last block that no line ended. Call once, after the last line.
    pub fn finish(&mut self) -> ParsedLine<'_> {
        self.block.end();
        match self.block.entry() {
            Some(entry) => ParsedLine::Record(entry.spoken(&mut self.clock)),
            None => ParsedLine::Skip,
        }
    }
}

/// What stands before a message.
#[derive(Default)]
struct Head<'a> {
    stamp: Option<Stamp>,
    host: &'a str,
    name: &'a str,
    pid: Option<u32>,
    kernel: bool,
    priority: Option<u8>,
}

fn plain<'a>(clock: &mut Clock, line: &'a str, carried: Option<Timestamp>) -> Spoken<'a> {
    let (mut head, message) = split_head(line);
    let mut source = if head.kernel { Source::Kernel } else { Source::of(head.name) };
    let message = match source {
        Source::Kernel => kernel_message(message),
        _ => message,
    };
    if source == Source::Systemd && head.pid.is_some_and(|pid| pid != 1) {
        source = Source::Other; // A user's manager.
    }
    let mut unit = head.name;
    if head.name.ends_with(".service") && head.stamp.is_none() && head.pid.is_none() {
        source = Source::Systemd; // PID 1's words whose prefix was lost: `kubelet.service: Main process exited`.
    } else if source == Source::Systemd {
        unit = unit_spoken_of(message);
    }
    let klog = Klog::parse(message);
    let logfmt = Logfmt::parse(message);
    let own = own_stamp(klog.as_ref(), logfmt.as_ref());
    let headed = head.stamp.is_some() || !head.name.is_empty() || head.kernel || klog.is_some() || logfmt.is_some();
    // A full date beats one without a year, the carrier's beats the program's own.
    let stamp = match (head.stamp, own) {
        (None | Some(Stamp::Yearless { .. }), Some(own @ Stamp::Exact(_))) => Some(own),
        (Some(stamp), _) => Some(stamp),
        (None, own) => own,
    };
    let at = carried.or_else(|| stamp.and_then(|stamp| clock.resolve(stamp)));
    head.priority = head.priority.or_else(|| logfmt.as_ref().and_then(Logfmt::priority));
    let pid = head.pid.or_else(|| klog.and_then(|klog| klog.stamp).map(|stamp| stamp.pid).filter(|&pid| pid > 0));
    let record = LogRecord { at, source, unit, priority: head.priority, klog, message, cursor: "" };
    Spoken { record, host: head.host, pid, headed }
}

fn own_stamp(klog: Option<&Klog<'_>>, logfmt: Option<&Logfmt<'_>>) -> Option<Stamp> {
    if let Some(stamp) = klog.and_then(|klog| klog.stamp) {
        return Some(Stamp::Yearless { month: stamp.month, day: stamp.day, micros: stamp.micros });
    }
    time::iso(logfmt?.time).map(|(stamp, _)| stamp)
}

fn split_head(line: &str) -> (Head<'_>, &str) {
    let mut head = Head::default();
    let mut rest = line;
    if let Some((priority, after)) = angle_priority(rest) {
        head.priority = Some(priority & 7);
        rest = after;
    }
    if let Some((priority, after)) = dmesg_facility(rest) {
        (head.kernel, head.priority, rest) = (true, priority, after);
    }
    if let Some((stamp, after)) = bracketed(rest) {
        let speaker = tag(after.trim_start(), Strictness::PidOrKnown);
        (head.kernel, head.stamp) = (speaker.is_none(), stamp);
        rest = after;
    } else if let Some((stamp, after)) = leading_stamp(rest) {
        head.stamp = Some(stamp);
        rest = after.trim_start_matches([' ', '\t', '|']);
        if let Some((stamp, after)) = bracketed(rest) {
            (head.kernel, rest) = (true, after);
            head.stamp = head.stamp.or(stamp);
        }
        rest = without_cri(rest);
    }
    if head.kernel {
        return (head, rest.trim_start_matches(' '));
    }
    let strictness = match head.stamp {
        Some(Stamp::Yearless { .. }) => Strictness::Any,
        _ => Strictness::PidOrKnown,
    };
    if let Some(tag) = tag(rest.trim_start(), strictness) {
        (head.host, head.name, head.pid) = (tag.host, tag.name, tag.pid);
        // PID 1's words without their prefix keep the unit's name.
        let bare_unit = head.stamp.is_none() && tag.pid.is_none() && tag.name.ends_with(".service");
        rest = if bare_unit { rest } else { tag.rest };
    }
    (head, rest.strip_prefix(' ').unwrap_or(rest))
}

/// Any time at the beginning: ISO, syslog, with a weekday before it (short-full), seconds since 1970 (short-unix).
fn leading_stamp(text: &str) -> Option<(Stamp, &str)> {
    if let Some(found) = time::iso(text).or_else(|| time::syslog(text)) {
        return Some(found);
    }
    let (word, rest) = text.split_once(' ')?;
    if let Some(at) = time::unix(word) {
        return Some((Stamp::Exact(at), rest));
    }
    let weekday = word.len() <= 16 && word.chars().all(|c| c.is_alphabetic() || c == '.');
    let (stamp, rest) = if weekday { time::iso(rest)? } else { return None };
    // A zone's abbreviation other than UTC (CET) says too little: the caller's zone decides.
    let zone = rest.trim_start().split(' ').next().unwrap_or("");
    let is_zone = matches!(stamp, Stamp::Local(_)) && (2..=5).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_uppercase());
    Some((stamp, if is_zone { &rest.trim_start()[zone.len()..] } else { rest }))
}

/// `[ 1234.567890] `, `[Tue Nov 21 19:51:01 2023] `: the kernel's, by dmesg, or journalctl's short-monotonic.
fn bracketed(text: &str) -> Option<(Option<Stamp>, &str)> {
    let inner_and_rest = text.strip_prefix('[')?;
    let end = inner_and_rest.bytes().take(48).position(|byte| byte == b']')?;
    let (inner, rest) = (&inner_and_rest[..end], &inner_and_rest[end + 1..]);
    let uptime = inner.trim_start().split([' ', '<']).next().unwrap_or("");
    let (seconds, fraction) = uptime.split_once('.').unwrap_or(("", ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(seconds) && digits(fraction) {
        return Some((None, rest));
    }
    time::ctime(inner).map(|stamp| (Some(stamp), rest))
}

/// `<30>` of syslog, `<6>` of the kernel.
fn angle_priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    (digits.len() <= 3).then(|| digits.parse().ok())?.map(|priority| (priority, rest))
}

/// `kern  :err   : ` of dmesg -x.
fn dmesg_facility(text: &str) -> Option<(Option<u8>, &str)> {
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    let (facility, rest) = text.split_once(':')?;
    let (level, rest) = rest.split_once(':')?;
    if facility.trim_end() != "kern" {
        return None;
    }
    let priority = LEVELS.iter().position(|known| *known == level.trim_end())?;
    Some((Some(priority as u8), rest.trim_start_matches(' ')))
}

/// Without the `stderr F ` that CRI log files have between time and message.
fn without_cri(text: &str) -> &str {
    ["stdout F ", "stderr F ", "stdout P ", "stderr P "].iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text)
}

/// The kernel's words without its own time, and without the empty tag some rsyslog templates leave (`kernel: : [12.3] `).
fn kernel_message(message: &str) -> &str {
    let message = message.strip_prefix(": ").unwrap_or(message).trim_start_matches(' ');
    bracketed(message).map_or(message, |(_, rest)| rest.trim_start_matches(' '))
}

struct Tag<'a> {
    host: &'a str,
    name: &'a str,
    pid: Option<u32>,
    rest: &'a str,
}

/// What may count as a speaker: in a syslog line any name, elsewhere only one with a process number or one that is known, because
/// ordinary prose has colons too.
#[derive(Clone, Copy, PartialEq)]
enum Strictness {
    Any,
    PidOrKnown,
}

fn tag(text: &str, strictness: Strictness) -> Option<Tag<'_>> {
    if let Some(rest) = text.strip_prefix("kernel:") {
        return Some(Tag { host: "", name: "kernel", pid: None, rest });
    }
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    if let Some((name, pid)) = name_and_pid(first, strictness) {
        return Some(Tag { host: "", name, pid, rest });
    }
    let (second, rest) = rest.trim_start_matches(' ').split_once(' ').unwrap_or((rest.trim_start_matches(' '), ""));
    let hostname = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if first.is_empty() || !first.bytes().all(hostname) {
        return None;
    }
    // Two words and a colon are prose unless a time or a process number says otherwise.
    let (name, pid) =
        name_and_pid(second, strictness).filter(|(_, pid)| pid.is_some() || strictness == Strictness::Any || second == "kernel:")?;
    Some(Tag { host: first, name, pid, rest })
}

fn name_and_pid(word: &str, strictness: Strictness) -> Option<(&str, Option<u32>)> {
    let word = word.strip_suffix(':')?;
    let (name, pid) = match word.strip_suffix(']').and_then(|word| word.rsplit_once('[')) {
        Some((name, pid)) => (name, Some(pid.parse().ok()?)),
        None => (word, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./@()\\".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) || name.contains(".go") {
        return None;
    }
    let known = || Source::of(name) != Source::Other || name.ends_with(".service");
    (pid.is_some() || strictness == Strictness::Any || known()).then_some((name, pid))
}

/// The unit in PID 1's words: `kubelet.service: Main process exited`, `Started kubelet.service - kubelet: ...`.
pub(super) fn unit_spoken_of(message: &str) -> &str {
    let is_unit = |word: &&str| word.len() > 8 && (word.ends_with(".service") || word.ends_with(".scope") || word.ends_with(".slice"));
    message.split([' ', ':', ',']).take(6).map(|word| word.trim_end_matches('.')).find(is_unit).unwrap_or("")
}

/// Without indentation and the marks of quoting people put before a line.
fn unquoted(line: &str) -> &str {
    let mut text = line.trim_start();
    while let Some(rest) = text.strip_prefix("> ").or_else(|| text.strip_prefix("# ")) {
        text = rest.trim_start();
    }
    text
}

/// Lines that nobody logged: blank, journalctl's own, its explanations (-x), a pager's, a Markdown fence.
fn is_mark(text: &str) -> bool {
    let pager = || text.strip_prefix("lines ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('-'));
    text.trim_end().is_empty() || text == "--" || text.starts_with("-- ") || text.starts_with("░░") || text.starts_with("```") || pager()
}

fn without_colours<'a>(line: &str, owned: &'a mut String) -> &'a str {
    owned.clear();
    let mut parts = line.split("\u{1b}[");
    owned.push_str(parts.next().unwrap_or(""));
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        owned.push_str(&part[end..]);
    }
    owned
}
