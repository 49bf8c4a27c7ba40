//! Lines of saved logs.

use jiff::Timestamp;

use super::LogRecord;

/// Turns lines of any supported format into records; remembers what it must from line to line (the last time stamp, the year).
#[derive(Debug)]
pub struct LineParser {
    _read_at: Timestamp,
}

/// What a line turned out to be.
#[derive(Debug)]
pub enum ParsedLine<'a> {
    /// A record.
    Record(LogRecord<'a>),
    /// Nothing to match (blank, a pager's mark, `-- Boot ... --`).
    Skip,
}

impl LineParser {
    /// `read_at` supplies the year that most formats leave out: a line is never in its future.
    pub fn new(read_at: Timestamp) -> Self {
        Self { _read_at: read_at }
    }

    /// Parses one line without its line end.
    pub fn parse<'a>(&mut self, _line: &'a str) -> ParsedLine<'a> {
        ParsedLine::Skip
    }
}
