//! Lines of saved logs: journalctl in its output modes, syslog, dmesg, klog, logfmt, docker and CRI log files, what shippers and clouds
//! wrap them in, in any mix, and however they were copied and quoted.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::block::{Block, Entry, Taken};
use super::json::{self, Json, Wrapped};
use super::line::{Around, plain};
use super::odd::{self, in_quotes, is_mark, unquoted};
use super::pretty::{Laid, Pretty};
use super::section::{self, Section};
use super::time::Clock;
use super::{LogRecord, clean, further, head};

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

/// So many carriers may carry each other.
const MAX_CARRIERS: u8 = 3;

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
        if text.starts_with('{')
            && let Some((speaker, rest)) = further::klog(text)
        {
            // A carrier's JSON whose end was cut off.
            let (text, speaker) = (odd::unescaped(rest), speaker.to_owned());
            self.queue_lines(Wrapped { text, speaker, ..Wrapped::default() });
            return Step::Queued;
        }
        if let Some(found) = behind_a_head(text) {
            found.into_iter().for_each(|json| self.queue_json(json, ""));
            return Step::Queued;
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
        // Carriers carry each other: CloudWatch what Fluent Bit made of what Docker wrote.
        if wrapped.text.starts_with('{') && wrapped.depth < MAX_CARRIERS {
            let inner = json::parse(wrapped.text.trim_end());
            if inner.iter().any(Json::is_carried) {
                inner.into_iter().for_each(|json| self.queue_json(json.within(&wrapped), &wrapped.text));
                return;
            }
        }
        for line in wrapped.text.split(['\n', '\r']).filter(|line| !is_mark(unquoted(line))) {
            self.queue.push_back(Item::Line(Wrapped { text: line.to_owned(), at: wrapped.at, ..wrapped.named() }));
        }
    }

    fn next_queued(&mut self) -> Option<ParsedLine<'_>> {
        match self.queue.pop_front()? {
            Item::Entry(entry) => Some(ParsedLine::Record(self.block.keep(*entry).spoken(&mut self.clock))),
            Item::Line(wrapped) => {
                self.carried = wrapped;
                let Wrapped { text, at, speaker, host, .. } = &self.carried;
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

/// JSON that carries lines behind a head of its own: `2026-11-22T00:54:49Z {"log":...}`, `10.0.0.2: {"ts":...}` of talosctl. What stands
/// before it has to be a head and nothing else, so that no message is taken for one that quotes JSON.
fn behind_a_head(text: &str) -> Option<Vec<Json>> {
    const LONGEST: usize = 160;
    let whole = text.trim_end();
    if !whole.ends_with('}') {
        return None;
    }
    let at = whole.find("{\"").filter(|at| (1..=LONGEST).contains(at))?;
    let (head, left) = head::split(&whole[..at]);
    let left = left.trim();
    let word = left.strip_suffix(':').unwrap_or(left);
    if !(left.is_empty() || head::is_host(word)) || left == whole[..at].trim() && !left.ends_with(':') {
        return None;
    }
    let found = json::parse(&whole[at..]);
    let around = Wrapped {
        speaker: if head.name.is_empty() { odd::if_known(word) } else { head.name }.to_owned(),
        host: if head.name.is_empty() && odd::if_known(word).is_empty() { word } else { head.host }.to_owned(),
        ..Wrapped::default()
    };
    found.iter().any(Json::is_carried).then(|| found.into_iter().map(|json| json.within(&around)).collect())
}
