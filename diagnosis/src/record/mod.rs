//! Log records: one journal entry or one line of a saved log, parsed but not judged.

mod block;
mod carrier;
mod clean;
mod date;
mod further;
mod head;
mod journal;
mod json;
mod klog;
mod line;
mod lines;
mod logfmt;
mod odd;
pub(crate) mod pod;
mod pretty;
mod section;
mod source;
mod speaker;
mod text;
mod time;
mod utf16;

use jiff::Timestamp;

pub use journal::JournalFields;
pub use klog::{Klog, KlogSeverity, KlogStamp, Pairs};
pub use lines::{LineStats, Lines};
pub use logfmt::Logfmt;
pub use source::Source;
pub use text::{LineParser, ParsedLine, Spoken};

/// A message is cut to this; what was cut is counted by whoever cuts.
pub const MAX_MESSAGE: usize = 8 << 10;

/// One record. Borrows from the line or the journal's buffer: nothing is copied unless a sign matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogRecord<'a> {
    /// Wall-clock time; `None` if the line carries none.
    pub at: Option<Timestamp>,
    /// Who said it.
    pub source: Source,
    /// systemd unit or syslog identifier, empty if unknown. For records of systemd itself: the unit spoken about.
    pub unit: &'a str,
    /// syslog priority 0 (emergency) to 7 (debug), where the carrier has one. The kubelet's output is 6 whatever it says.
    pub priority: Option<u8>,
    /// The klog header, if the message began with one.
    pub klog: Option<Klog<'a>>,
    /// The message: without the carrier's prefix, with the klog header if there is one.
    pub message: &'a str,
    /// Position in the journal, for evidence; empty elsewhere.
    pub cursor: &'a str,
}

/// A time that says its zone: ISO, with or without a weekday before it (`Sun 2026-11-22 00:54:49 UTC`).
pub fn moment_of(text: &str) -> Option<Timestamp> {
    match head::leading_stamp(text.trim_start())?.0 {
        time::Stamp::Exact(at) => Some(at),
        _ => None,
    }
}

/// The beginning of a text, at most `max` bytes, cut on a character boundary.
pub fn clip(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
