//! Lines of saved logs: journalctl in its output modes, syslog, dmesg, klog, logfmt, docker and CRI log files, what shippers and clouds
//! wrap them in, in any mix, and however they were copied and quoted.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::block::{Block, Entry, Taken};
use super::head::{self, Head, kernel_message, unit_spoken_of};
use super::json::{self, Json, Wrapped};
use super::odd::{self, after_mark, in_quotes, is_mark, unquoted};
use super::pretty::{Laid, Pretty};
use super::section::{self, Section};
use super::time::{self, Clock, Stamp};
use super::{Klog, LogRecord, Logfmt, Source, clean};

/// Turns lines of any supported format into records; remembers what it must from line to line (a full date seen, a half-read block).
#[derive(Debug)]
pub struct LineParser {
    clock: Clock,
    block: Block,
    pretty: Pretty,
    queue: VecDeque<Item>,
    /// A line as it was before a terminal or a web page got hold of it.
    bare: String,
    /// Lines that something carried.
    carried: Wrapped,
    /// Who speaks where a line does not say; empty if nobody knows.
    speaker: String,
    /// The speaker of the file, to go back to.
    file: String,
    /// A part of a dump that is no log.
    mute: bool,
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

/// What a line holds: where its text lies, so that nothing is copied that need not be.
enum Step {
    Nothing,
    /// The block's entry.
    Entry,
    /// A line; in `bare` if true.
    Line(bool, std::ops::Range<usize>),
    /// What waits in the queue.
    Queued,
}

/// What a line may hold several of.
#[derive(Debug)]
enum Item {
    Entry(Box<Entry>),
    Line(Wrapped),
}

impl LineParser {
    /// `read_at` supplies the year that most formats leave out: a line is never in its future. `zone` is for times that name none.
    pub fn new(read_at: Timestamp, zone: TimeZone) -> Self {
        Self {
            clock: Clock::new(read_at, zone),
            block: Block::default(),
            pretty: Pretty::default(),
            queue: VecDeque::new(),
            bare: String::new(),
            carried: Wrapped::default(),
            speaker: String::new(),
            file: String::new(),
            mute: false,
        }
    }

    /// Who speaks where a line does not say: a program's or a unit's name.
    #[must_use]
    pub fn spoken_by(mut self, name: &str) -> Self {
        name.clone_into(&mut self.speaker);
        name.clone_into(&mut self.file);
        self
    }

    /// Whether a time was read that named no zone.
    pub fn guessed_zone(&self) -> bool {
        self.clock.guessed_zone
    }

    /// Parses one line without its line end. Of a line that holds several (JSON that wraps them) this is the first; [`Self::each`] gives all.
    pub fn parse<'a>(&'a mut self, line: &'a str) -> ParsedLine<'a> {
        match self.step(line) {
            Step::Nothing => ParsedLine::Skip,
            Step::Entry => self.entry(),
            Step::Line(bare, range) => self.line(line, bare, range),
            Step::Queued => self.next_queued().unwrap_or(ParsedLine::Skip),
        }
    }

    /// Parses one line without its line end and hands out every record in it.
    pub fn each(&mut self, line: &str, mut each: impl FnMut(Spoken<'_>)) {
        let mut give = |parsed: ParsedLine<'_>| {
            if let ParsedLine::Record(spoken) = parsed {
                each(spoken);
            }
        };
        match self.step(line) {
            Step::Nothing => {}
            Step::Entry => give(self.entry()),
            Step::Line(bare, range) => give(self.line(line, bare, range)),
            Step::Queued => {
                while let Some(parsed) = self.next_queued() {
                    give(parsed);
                }
            }
        }
    }

    /// A last block that no line ended. Call once, after the last line.
    pub fn finish(&mut self) -> ParsedLine<'_> {
        self.block.end();
        if self.block.entry().is_some() {
            return self.entry();
        }
        if let Some(json) = self.pretty.end() {
            self.queue.clear();
            self.queue_json(json, "");
        }
        self.next_queued().unwrap_or(ParsedLine::Skip)
    }

    fn step(&mut self, line: &str) -> Step {
        match self.block.take(line) {
            Taken::No => {}
            Taken::Field => return Step::Nothing,
            Taken::Complete => return if self.block.entry().is_some() { Step::Entry } else { Step::Nothing },
        }
        self.queue.clear();
        let bare = !clean::is_clean(line);
        if bare {
            clean::clean(line, &mut self.bare);
        }
        let whole = if bare { self.bare.as_str() } else { line };
        let text = unquoted(whole);
        match text.as_bytes().first() {
            // The kernel's lines begin with a bracket too.
            Some(b'[') if !text.starts_with("[{") && text.trim_end() != "[" => {}
            Some(b'0'..=b'9') if !self.pretty.reads_bytes() => {}
            Some(b'"' | b'{' | b'[' | b'}' | b']' | b'0'..=b'9') => {
                let text = text.to_owned();
                if let Some(step) = self.structured(&text) {
                    return step;
                }
            }
            Some(b'=') => {
                if let Some(section) = section::begins(text) {
                    self.mute = section == Section::NoLog;
                    let speaker = if let Section::Of(name) = section { name } else { "" };
                    self.speaker = if speaker.is_empty() { self.file.clone() } else { speaker.to_owned() };
                    return Step::Nothing;
                }
            }
            _ => {}
        }
        let whole = if bare { self.bare.as_str() } else { line };
        let text = unquoted(whole);
        if self.mute || is_mark(text) {
            return Step::Nothing;
        }
        if let Some(text) = in_quotes(text).or_else(|| odd::is_escaped(text).then(|| odd::unescaped(text.trim_start_matches('"')))) {
            self.queue_lines(Wrapped { text, ..Wrapped::default() });
            return Step::Queued;
        }
        Step::Line(bare, whole.len() - text.len()..whole.len())
    }

    /// JSON, on one line or laid out over several.
    fn structured(&mut self, text: &str) -> Option<Step> {
        let line = text.trim_end().trim_end_matches(',');
        if (line.starts_with('{') && line.len() > 1 && line.ends_with('}')) || line.starts_with("[{") && line.ends_with(']') {
            let found = json::parse(line);
            if !found.is_empty() {
                found.into_iter().for_each(|json| self.queue_json(json, line));
                return Some(Step::Queued);
            }
        }
        match self.pretty.take(text) {
            Laid::No => None,
            Laid::Part => Some(Step::Nothing),
            Laid::Complete(json) => {
                self.queue_json(json, "");
                Some(Step::Queued)
            }
        }
    }

    fn queue_json(&mut self, json: Json, line: &str) {
        match json {
            Json::Entry(entry) => self.queue.push_back(Item::Entry(entry)),
            Json::Wrapped(wrapped) => self.queue_lines(wrapped),
            Json::Raw { text, at } => {
                let text = text.unwrap_or_else(|| line.to_owned());
                self.queue.push_back(Item::Line(Wrapped { text, at, ..Wrapped::default() }));
            }
        }
    }

    fn queue_lines(&mut self, wrapped: Wrapped) {
        for line in wrapped.text.split(['\n', '\r']).filter(|line| !is_mark(unquoted(line))) {
            self.queue.push_back(Item::Line(Wrapped { text: line.to_owned(), at: wrapped.at, ..wrapped.named() }));
        }
    }

    fn next_queued(&mut self) -> Option<ParsedLine<'_>> {
        match self.queue.pop_front()? {
            Item::Entry(entry) => Some(ParsedLine::Record(self.block.keep(*entry).spoken(&mut self.clock))),
            Item::Line(wrapped) => {
                self.carried = wrapped;
                let Wrapped { text, at, speaker, host } = &self.carried;
                let speaker = if speaker.is_empty() { &self.speaker } else { speaker };
                Some(ParsedLine::Record(plain(&mut self.clock, unquoted(text), &Around { at: *at, speaker, host })))
            }
        }
    }

    fn entry(&mut self) -> ParsedLine<'_> {
        self.block.entry().map_or(ParsedLine::Skip, |entry| ParsedLine::Record(entry.spoken(&mut self.clock)))
    }

    fn line<'a>(&'a mut self, line: &'a str, bare: bool, range: std::ops::Range<usize>) -> ParsedLine<'a> {
        let Self { clock, bare: cleaned, speaker, .. } = self;
        let text = if bare { &cleaned[range] } else { &line[range] };
        ParsedLine::Record(plain(clock, text, &Around { at: None, speaker, host: "" }))
    }
}

/// What is known of a line beside itself.
struct Around<'a> {
    at: Option<Timestamp>,
    /// Who speaks if the line does not say.
    speaker: &'a str,
    host: &'a str,
}

fn plain<'a>(clock: &mut Clock, line: &'a str, around: &Around<'a>) -> Spoken<'a> {
    // A kubelet's own file: nothing stands before the message.
    if let Some(klog) = Klog::parse(line).filter(|klog| klog.stamp.is_some() && around.speaker != "kernel") {
        return headed(clock, (Head::default(), line), Some(klog), around);
    }
    let (head, message) = head::split(line);
    let klog = Klog::parse(message);
    let silent = head.name.is_empty() && !head.kernel;
    if silent && klog.is_none() && Logfmt::parse(message).is_none() {
        let undated = head.stamp.is_none();
        // What stands before the head, or, between time and line, the name of a stream.
        if let Some((speaker, rest)) = after_mark(if undated { line } else { message }) {
            let speaker = if speaker.is_empty() { around.speaker } else { speaker };
            let split = if undated { head::split(rest) } else { (head, rest) };
            let klog = Klog::parse(split.1);
            return headed(clock, split, klog, &Around { speaker, ..*around });
        }
    }
    headed(clock, (head, message), klog, around)
}

fn headed<'a>(clock: &mut Clock, (mut head, message): (Head<'a>, &'a str), klog: Option<Klog<'a>>, around: &Around<'a>) -> Spoken<'a> {
    let own = head.kernel || !head.name.is_empty();
    if !own {
        head.name = around.speaker;
        head.kernel = head.name == "kernel";
    }
    let mut source = if head.kernel { Source::Kernel } else { Source::of(head.name) };
    let (message, klog) = match source {
        Source::Kernel => (kernel_message(message), None),
        _ => (message, klog),
    };
    if source == Source::Systemd && head.pid.is_some_and(|pid| pid != 1) {
        source = Source::Other; // A user's manager.
    }
    let mut unit = head.name;
    if own && head.name.ends_with(".service") && head.stamp.is_none() && head.pid.is_none() {
        source = Source::Systemd; // PID 1's words whose prefix was lost: `kubelet.service: Main process exited`.
    } else if source == Source::Systemd {
        unit = unit_spoken_of(message);
    }
    let logfmt = if klog.is_some() { None } else { Logfmt::parse(message) };
    let stamp_of_its_own = own_stamp(klog.as_ref(), logfmt.as_ref());
    let headed = head.stamp.is_some() || own || klog.is_some() || logfmt.is_some();
    // A full date beats one without a year, the carrier's beats the program's own.
    let stamp = match (head.stamp, stamp_of_its_own) {
        (None | Some(Stamp::Yearless { .. }), Some(own @ Stamp::Exact(_))) => Some(own),
        (Some(stamp), _) => Some(stamp),
        (None, own) => own,
    };
    let at = around.at.or_else(|| stamp.and_then(|stamp| clock.resolve(stamp)));
    head.priority = head.priority.or_else(|| logfmt.as_ref().and_then(Logfmt::priority));
    let pid = head.pid.or_else(|| klog.and_then(|klog| klog.stamp).map(|stamp| stamp.pid).filter(|&pid| pid > 0));
    let record = LogRecord { at, source, unit, priority: head.priority, klog, message, cursor: "" };
    let host = if head.host.is_empty() { around.host } else { head.host };
    Spoken { record, host, pid, headed }
}

fn own_stamp(klog: Option<&Klog<'_>>, logfmt: Option<&Logfmt<'_>>) -> Option<Stamp> {
    if let Some(stamp) = klog.and_then(|klog| klog.stamp) {
        return Some(Stamp::Yearless { month: stamp.month, day: stamp.day, micros: stamp.micros });
    }
    time::iso(logfmt?.time).map(|(stamp, _)| stamp)
}
