//! From bytes to the diagnosis, holding only what is bounded: one line, one chunk of sightings, the state of the judgement.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_diagnosis::catalogue::Sighting;
use nodewhy_diagnosis::facts::Facts;
use nodewhy_diagnosis::record::{LineParser, Lines, LogRecord, ParsedLine, Source, Spoken, clip};
use nodewhy_diagnosis::{Catalogue, Diagnosis, Mode, State, View, diagnose};
use serde::Serialize;

use super::dying::{Kubelet, Life};
use super::wrapped::Wrapped;

/// So many sightings wait for the first time in the log.
const MAX_EARLY: usize = 2048;
/// Bytes kept of a file's name.
const MAX_NAME: usize = 256;

/// What was read, and what of it could not be used.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct InputStats {
    /// Files read as logs.
    pub(super) files: u64,
    /// Files from which facts were taken.
    pub(super) fact_files: u64,
    /// Lines.
    pub(super) lines: u64,
    /// Bytes.
    pub(super) bytes: u64,
    /// Lines that hold a record.
    pub(super) records: u64,
    /// Records recognised by a sign, counted per sign.
    pub(super) sightings: u64,
    /// Lines too long and cut.
    pub(super) cut_lines: u64,
    /// Lines with bytes that are not UTF-8.
    pub(super) invalid_utf8_lines: u64,
    /// Sightings dropped because too many came before the first time in the log.
    pub(super) early_sightings_dropped: u64,
    /// Earliest time in the log.
    pub(super) first_at: Option<Timestamp>,
    /// Latest time in the log.
    pub(super) last_at: Option<Timestamp>,
    /// The zone assumed for times that name none; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assumed_timezone: Option<String>,
}

/// The reading of one file, line by line.
pub(super) struct Reading {
    lines: Lines,
    parser: LineParser,
    zone: TimeZone,
}

impl Reading {
    /// A file begins; nothing in it is later than `written_at`. `speaker`: who speaks where its lines do not say.
    pub(super) fn new(zone: &TimeZone, written_at: Timestamp, speaker: &str) -> Self {
        let parser = LineParser::new(written_at, zone.clone()).spoken_by(speaker);
        Self { lines: Lines::new(), parser, zone: zone.clone() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], judge: &mut Judge<'_>) {
        let Self { lines, parser, .. } = self;
        lines.feed(bytes, |line| parser.each(line, |spoken| judge.take(&spoken)));
    }

    /// The file's end, or where it became unreadable. False if lines were read and none of them is a log's.
    pub(super) fn end(mut self, judge: &mut Judge<'_>) -> bool {
        let Self { lines, parser, zone } = &mut self;
        lines.finish(|line| parser.each(line, |spoken| judge.take(&spoken)));
        if let ParsedLine::Record(spoken) = parser.finish() {
            judge.take(&spoken);
        }
        judge.wrapped.forget();
        let (stats, read) = (&mut judge.stats, lines.stats());
        stats.lines += read.lines;
        stats.bytes += read.bytes;
        stats.cut_lines += read.cut_lines;
        stats.invalid_utf8_lines += read.invalid_utf8_lines;
        if parser.guessed_zone() {
            stats.assumed_timezone = Some(zone_name(zone));
        }
        judge.file_is_log || judge.file_records == 0
    }
}

fn zone_name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => zone.to_offset(Timestamp::UNIX_EPOCH).to_string(),
    }
}

/// What was seen of one node, and what it means.
pub(super) struct Judge<'a> {
    catalogue: &'a Catalogue,
    pub(super) stats: InputStats,
    kubelet: Kubelet,
    wrapped: Wrapped,
    node: String,
    /// What is being read: it speaks where a line does not say who did.
    file: String,
    /// Records of that file, and whether one of them showed that it is a log: by its head, or because a sign knew it.
    file_records: u64,
    file_is_log: bool,
    /// The time of the last record that had one.
    clock: Option<Timestamp>,
    /// Sightings from before the first time in the log; true: in the last words of a kubelet.
    early: Vec<(Sighting, bool)>,
    /// What was seen.
    all: State,
    /// The same without the kubelet's last words: what remains when a later kubelet ran well.
    without_last_words: State,
}

impl<'a> Judge<'a> {
    pub(super) fn new(catalogue: &'a Catalogue) -> Self {
        Self {
            catalogue,
            stats: InputStats::default(),
            kubelet: Kubelet::default(),
            wrapped: Wrapped::default(),
            node: String::new(),
            file: String::new(),
            file_records: 0,
            file_is_log: false,
            clock: None,
            early: Vec::new(),
            all: State::default(),
            without_last_words: State::default(),
        }
    }

    /// A file of this node begins.
    pub(super) fn begin_file(&mut self, name: &str) {
        clip(name, MAX_NAME).clone_into(&mut self.file);
        (self.file_records, self.file_is_log) = (0, false);
        self.stats.files += 1;
    }

    /// The node's name, as far as its lines told it.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    fn take(&mut self, spoken: &Spoken<'_>) {
        self.stats.records += 1;
        self.file_records += 1;
        self.file_is_log |= is_a_logs(spoken);
        if let Some(at) = spoken.record.at {
            self.tick(at);
        }
        if !spoken.host.is_empty() && self.node != spoken.host {
            spoken.host.clone_into(&mut self.node);
        }
        let life = self.clock.map_or(Life::Goes, |at| self.kubelet.observe(spoken, at));
        match life {
            Life::Settled => self.all = self.without_last_words.clone(),
            Life::Over => return,
            Life::Goes | Life::Ends => {}
        }
        self.recognise(spoken, life == Life::Ends);
    }

    fn tick(&mut self, at: Timestamp) {
        if self.clock.is_none() {
            self.date_early(at);
        }
        self.clock = Some(at);
        self.stats.first_at = Some(self.stats.first_at.map_or(at, |first| first.min(at)));
        self.stats.last_at = Some(self.stats.last_at.map_or(at, |last| last.max(at)));
    }

    fn recognise(&mut self, spoken: &Spoken<'_>, last_words: bool) {
        let record = &spoken.record;
        if spoken.headed {
            self.wrapped.begin(record);
        }
        self.see(record, last_words);
        if let Some(squeezed) = squeezed(record) {
            self.see(&LogRecord { message: &squeezed, klog: None, ..*record }, last_words);
        }
        if spoken.headed {
            return;
        }
        let mut wrapped = std::mem::take(&mut self.wrapped);
        if let Some(joined) = wrapped.join(record.message) {
            let found: Vec<_> = joined.iter().flat_map(|record| self.sightings(record)).collect();
            found.into_iter().filter(|found| wrapped.is_new(&found.code, found.sign)).for_each(|found| self.keep(found, last_words));
        }
        self.wrapped = wrapped;
    }

    fn see(&mut self, record: &LogRecord<'_>, last_words: bool) {
        for sighting in self.sightings(record) {
            if self.wrapped.is_new(&sighting.code, sighting.sign) {
                self.keep(sighting, last_words);
            }
        }
    }

    fn sightings(&self, record: &LogRecord<'_>) -> Vec<Sighting> {
        self.catalogue.matcher().recognise(record, self.clock.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    fn keep(&mut self, mut sighting: Sighting, last_words: bool) {
        if sighting.unit.is_empty() {
            self.file.clone_into(&mut sighting.unit);
        }
        self.stats.sightings += 1;
        self.file_is_log = true;
        if self.clock.is_some() {
            self.remember(&sighting, last_words);
        } else if self.early.len() < MAX_EARLY {
            self.early.push((sighting, last_words));
        } else {
            self.stats.early_sightings_dropped += 1;
        }
    }

    fn remember(&mut self, sighting: &Sighting, last_words: bool) {
        let sighting = std::slice::from_ref(sighting);
        self.all.see(self.catalogue, sighting);
        if !last_words {
            self.without_last_words.see(self.catalogue, sighting);
        }
    }

    /// Gives what came before the first time in the log that time.
    fn date_early(&mut self, at: Timestamp) {
        for (sighting, last_words) in std::mem::take(&mut self.early) {
            self.remember(&Sighting { at, ..sighting }, last_words);
        }
    }

    /// When the log ends.
    pub(super) fn last_at(&self) -> Option<Timestamp> {
        self.stats.last_at
    }

    /// The end of the log: what is so then. Facts given weigh more than those the log proves.
    pub(super) fn end(mut self, given: Option<Facts>, node: Option<&str>, now: Timestamp) -> (Diagnosis, InputStats) {
        if let Some(node) = node {
            node.clone_into(&mut self.node);
        }
        let at = self.stats.last_at.unwrap_or(now);
        self.date_early(at);
        let mut facts = self.kubelet.facts(at);
        if let Some(given) = given {
            facts.absorb(given);
        }
        let view = View { now: at, node: &self.node, facts: &facts, sightings: &[], mode: Mode::Saved };
        let outcome = diagnose(self.catalogue, &view, &self.all);
        (outcome.diagnosis, self.stats)
    }
}

/// Whether a line can only come from a log: it has a time, or a head that prose has not, or klog's pairs.
fn is_a_logs(spoken: &Spoken<'_>) -> bool {
    let record = &spoken.record;
    let headed = spoken.headed && (spoken.pid.is_some() || record.klog.is_some() || record.source == Source::Kernel);
    record.at.is_some() || headed || has_pairs(record.message)
}

/// `"Setting node annotation" node="n1"`: what is left of klog's structured lines when somebody cut their heads off.
fn has_pairs(message: &str) -> bool {
    let pairs = message.strip_prefix('"').and_then(|message| message.split_once("\" "));
    pairs
        .and_then(|(_, pairs)| pairs.split_once('='))
        .is_some_and(|(key, _)| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A message in which whoever saved it left runs of spaces (a terminal's wrapping, a table's cell) with single ones; `None` if there are
/// no runs but klog's own before the process number.
fn squeezed(record: &LogRecord<'_>) -> Option<String> {
    const RUN: &str = "   ";
    let body = record.klog.map_or(record.message, |klog| klog.body);
    if !body.trim_end().contains(RUN) {
        return None;
    }
    let head = &record.message[..record.message.len() - body.len()];
    Some(head.to_owned() + &body.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::Source;
    use nodewhy_diagnosis::record::{Klog, LogRecord};

    fn squeezed(message: &str) -> Option<String> {
        let record =
            LogRecord { at: None, source: Source::Kubelet, unit: "", priority: None, klog: Klog::parse(message), message, cursor: "" };
        super::squeezed(&record)
    }

    #[test]
    fn only_runs_of_spaces_in_what_was_said_are_squeezed() {
        let line = "E0913 09:21:47.158910   14097 server.go:292] \"Failed to run kubelet\" err=\"unable            to load\"";
        assert_eq!(
            squeezed(line).as_deref(),
            Some("E0913 09:21:47.158910   14097 server.go:292] \"Failed to run kubelet\" err=\"unable to load\"")
        );
        for plain in ["E0913 09:21:47.158910   14097 server.go:292] x  y", "", "x y", "é   "] {
            assert_eq!(squeezed(plain), None, "{plain}");
        }
    }
}
