//! Lines that a pager, a mail or a web page wrapped: a record's head, and what follows it without a head of its own.

use nodewhy_diagnosis::record::{LogRecord, MAX_MESSAGE, Source, clip};

/// So many lines are joined to a head; what follows is a dump, not a wrapped line.
const MAX_JOINED: usize = 16;

/// The record that was read last, with what was joined to it.
#[derive(Debug, Default)]
pub(super) struct Wrapped {
    source: Option<Source>,
    unit: String,
    /// The message; what was joined to it as a terminal wraps, in the middle of a word.
    tight: String,
    /// The same as people and programs wrap, at a space; empty while nothing was joined.
    spaced: String,
    joined: usize,
    /// Signs already recognised in this record.
    seen: Vec<(String, usize)>,
}

impl Wrapped {
    /// A record with a head of its own begins.
    pub(super) fn begin(&mut self, record: &LogRecord<'_>) {
        self.source = Some(record.source);
        self.joined = 0;
        self.seen.clear();
        self.unit.clear();
        self.unit.push_str(record.unit);
        self.spaced.clear();
        self.tight.clear();
        self.tight.push_str(record.message);
    }

    /// Nothing can be joined to what was read.
    pub(super) fn forget(&mut self) {
        self.source = None;
        self.seen.clear();
    }

    /// A line without a head: gives the records it may be the end of, or none if there is nothing to join it to.
    pub(super) fn join(&mut self, line: &str) -> Option<[LogRecord<'_>; 2]> {
        let source = self.source?;
        self.joined += 1;
        if self.joined == 1 {
            self.spaced.push_str(&self.tight);
        }
        if self.joined > MAX_JOINED || self.spaced.len() >= MAX_MESSAGE {
            self.forget();
            return None;
        }
        self.tight.push_str(line);
        self.spaced.push(' ');
        self.spaced.push_str(line.trim_start());
        let record = |message| LogRecord {
            at: None,
            source,
            unit: &self.unit,
            priority: None,
            klog: None,
            message: clip(message, MAX_MESSAGE),
            cursor: "",
        };
        Some([record(&self.tight), record(&self.spaced)])
    }

    /// Whether this sign was not recognised in this record before.
    pub(super) fn is_new(&mut self, code: &str, sign: usize) -> bool {
        if self.seen.iter().any(|(seen, index)| seen == code && *index == sign) {
            return false;
        }
        self.seen.push((code.to_owned(), sign));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(message: &str) -> LogRecord<'_> {
        LogRecord { at: None, source: Source::Kubelet, unit: "kubelet", priority: None, klog: None, message, cursor: "" }
    }

    #[test]
    fn a_line_is_joined_with_and_without_a_space() {
        let mut wrapped = Wrapped::default();
        wrapped.begin(&head("certificate ha"));
        let texts = wrapped.join("s expired").map(|records| records.map(|record| record.message.to_owned()));
        assert_eq!(texts, Some(["certificate has expired".to_owned(), "certificate ha s expired".to_owned()]));
    }

    #[test]
    fn nothing_is_joined_without_a_head_nor_without_end() {
        let mut wrapped = Wrapped::default();
        assert!(wrapped.join("x").is_none());
        wrapped.begin(&head("head"));
        assert_eq!((0..100).filter(|_| wrapped.join("more").is_some()).count(), MAX_JOINED);
    }

    #[test]
    fn a_sign_counts_once_in_a_record_and_again_in_the_next() {
        let mut wrapped = Wrapped::default();
        wrapped.begin(&head("a"));
        assert!(wrapped.is_new("swap", 0) && !wrapped.is_new("swap", 0) && wrapped.is_new("swap", 1));
        wrapped.begin(&head("b"));
        assert!(wrapped.is_new("swap", 0));
    }
}
