//! From the bytes of a file to its records, holding one line.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_diagnosis::record::{LineParser, Lines, ParsedLine};
use serde::Serialize;

use super::hosts::Hosts;

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

    pub(super) fn feed(&mut self, bytes: &[u8], hosts: &mut Hosts<'_>) {
        let Self { lines, parser, .. } = self;
        lines.feed(bytes, |line| {
            parser.each(line, |spoken| hosts.take(&spoken));
            hosts.line(line.len());
        });
    }

    /// The file's end, or where it became unreadable. False if lines were read and none of them is a log's.
    pub(super) fn end(mut self, hosts: &mut Hosts<'_>) -> bool {
        let Self { lines, parser, zone } = &mut self;
        lines.finish(|line| {
            parser.each(line, |spoken| hosts.take(&spoken));
            hosts.line(line.len());
        });
        if let ParsedLine::Record(spoken) = parser.finish() {
            hosts.take(&spoken);
        }
        let zone = parser.guessed_zone().then(|| zone_name(zone));
        hosts.end_file(&lines.stats(), zone.as_deref())
    }
}

fn zone_name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => zone.to_offset(Timestamp::UNIX_EPOCH).to_string(),
    }
}
