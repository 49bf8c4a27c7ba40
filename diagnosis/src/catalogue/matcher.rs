//! One matcher for all log signs of all causes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::LogRecord;

/// A log record recognised by a sign of some cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The cause.
    pub code: String,
    /// Index of the sign within the cause.
    pub sign: usize,
    /// Time of the record; when it was read, if it carried none.
    pub at: Timestamp,
    /// The unit (or what was known of the speaker).
    pub unit: String,
    /// The record, bounded to 2 KiB on a character boundary.
    pub text: String,
    /// Position in the journal, if it came from one.
    pub cursor: String,
    /// Named groups of the pattern that took part.
    pub captures: BTreeMap<String, String>,
}

/// Recognises records.
#[derive(Debug)]
pub struct Matcher {}

impl Matcher {
    /// The sightings in a record: at most one per sign. `read_at` stands in for a record without a time.
    pub fn recognise(&self, _record: &LogRecord<'_>, _read_at: Timestamp) -> Vec<Sighting> {
        Vec::new()
    }
}
