//! Lines that a pager, a mail or a web page wrapped: a record's head, and what follows it without a head of its own.

use nodewhy_diagnosis::record::{LogRecord, Logfmt, MAX_MESSAGE, Source, Spoken, clip};

/// So many lines are joined to a head; what follows is a dump, not a wrapped line.
const MAX_JOINED: usize = 16;

/// A line without a head that is as long as this may have been wrapped; a shorter one ended by itself.
const MIN_WRAPPED: usize = 60;
/// Or as short as this, where it ends with what something has to follow: notes are wrapped at their author's taste.
const MIN_OPEN: usize = 24;
const OPEN: [char; 4] = [':', ',', '[', '('];

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
    /// Its first line had no head either: text that was wrapped by a mail, a YAML block or a terminal without the line it began in.
    bare: bool,
    /// How long the last line was, of a record without a head.
    last: usize,
    /// Whether it ended with what something has to follow.
    open: bool,
    /// The process that wrote it, if it was klog's.
    klogs: Option<u32>,
    /// Signs already recognised in this record.
    seen: Vec<(String, usize)>,
}

impl Wrapped {
    /// A record with a head of its own begins.
    pub(super) fn begin(&mut self, spoken: &Spoken<'_>) {
        self.seen.clear();
        self.start(&spoken.record, false);
        self.klogs = spoken.pid.filter(|_| spoken.record.klog.is_some());
    }

    /// Whether a record with a head is the rest of this one: journald makes an entry of each line of a message (`err=<`, gRPC's address).
    pub(super) fn is_continued_by(&self, spoken: &Spoken<'_>) -> bool {
        let record = &spoken.record;
        self.klogs.is_some()
            && self.klogs == spoken.pid
            && self.unit == record.unit
            && record.klog.is_none()
            && record.message.starts_with([' ', '\t', '}', '>', '"'])
            && Logfmt::parse(record.message.trim_start()).is_none()
    }

    fn start(&mut self, record: &LogRecord<'_>, bare: bool) {
        self.source = Some(record.source);
        self.joined = 0;
        (self.bare, self.klogs) = (bare, None);
        self.remember(record.message);
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

    /// A line without a head: gives the records it may be the end of, or none if there is nothing to join it to. Then it may be the
    /// beginning of one itself.
    pub(super) fn join(&mut self, line: &LogRecord<'_>) -> Option<[LogRecord<'_>; 2]> {
        let Some(source) = self.source.filter(|_| !self.bare || self.continues(line.message)) else {
            self.start(line, true);
            return None;
        };
        let line = line.message;
        self.remember(line);
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

    fn remember(&mut self, line: &str) {
        (self.last, self.open) = (line.len(), line.trim_end().ends_with(OPEN));
    }

    /// Whether a line may be the rest of one without a head: that one was long or open, and neither is a table's row.
    fn continues(&self, line: &str) -> bool {
        const COLUMN: &str = "   ";
        let wrapped = self.last >= MIN_WRAPPED || (self.open && self.last >= MIN_OPEN);
        // Joined tightly, the indentation of what was joined would look like a column.
        let text = if self.spaced.is_empty() { &self.tight } else { &self.spaced };
        wrapped && !text.trim().contains(COLUMN) && !line.trim().contains(COLUMN)
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
    use nodewhy_diagnosis::record::Klog;

    use super::*;

    fn head(message: &str) -> Spoken<'_> {
        let klog = Klog::parse(message);
        let record = LogRecord { at: None, source: Source::Kubelet, unit: "kubelet", priority: None, klog, message, cursor: "" };
        Spoken { record, host: "", pid: Some(7), headed: true }
    }

    fn line(message: &str) -> LogRecord<'_> {
        LogRecord { source: Source::Unknown, unit: "", ..head(message).record }
    }

    #[test]
    fn a_line_is_joined_with_and_without_a_space() {
        let mut wrapped = Wrapped::default();
        wrapped.begin(&head("certificate ha"));
        let texts = wrapped.join(&line("s expired")).map(|records| records.map(|record| record.message.to_owned()));
        assert_eq!(texts, Some(["certificate has expired".to_owned(), "certificate ha s expired".to_owned()]));
    }

    #[test]
    fn nothing_is_joined_without_end() {
        let mut wrapped = Wrapped::default();
        assert!(wrapped.join(&line("x")).is_none());
        wrapped.begin(&head("head"));
        assert_eq!((0..100).take_while(|_| wrapped.join(&line("more")).is_some()).count(), MAX_JOINED);
    }

    #[test]
    fn a_long_line_without_a_head_is_one_with_what_follows_it() {
        let long = "Pod was rejected: Allocate failed due to no healthy devices present; cannot";
        let mut wrapped = Wrapped::default();
        for before in ["status:", "message: >-", long] {
            assert!(wrapped.join(&line(before)).is_none(), "{before}");
        }
        let joined = wrapped.join(&line("allocate unhealthy devices")).map(|records| records[1].message.to_owned());
        assert_eq!(joined, Some(format!("{long} allocate unhealthy devices")));
        assert!(wrapped.join(&line("phase: Failed")).is_none(), "the line before ended by itself");
    }

    #[test]
    fn a_short_line_without_a_head_that_is_open_is_one_with_what_follows_it() {
        let mut wrapped = Wrapped::default();
        assert!(wrapped.join(&line("  Unable to register node with API server:")).is_none());
        assert!(wrapped.join(&line("    Post \"https://api:6443/api/v1/nodes\":")).is_some());
        let joined = wrapped.join(&line("    dial tcp: lookup api: no such host")).map(|records| records[1].message.to_owned());
        let whole = "Unable to register node with API server: Post \"https://api:6443/api/v1/nodes\": dial tcp: lookup api: no such host";
        assert_eq!(joined.as_deref().map(str::trim_start), Some(whole));
        assert!(wrapped.join(&line("the next one")).is_none(), "the line before ended by itself");
    }

    #[test]
    fn lines_of_one_message_that_journald_took_apart_are_one() {
        let mut wrapped = Wrapped::default();
        wrapped.begin(&head("E1122 00:54:49.103848       7 log.go:32] \"RunPodSandbox from runtime service failed\" err=<"));
        for line in ["\trpc error: code = Unknown", " >", "}. Err: x", "\"Addr\": \"\","] {
            assert!(wrapped.is_continued_by(&head(line)), "{line}");
        }
        let other = Spoken { pid: Some(8), ..head(" >") };
        for next in [other, head("E1122 00:54:49.103848       7 a.go:1] x"), head("Flag --x has been deprecated")] {
            assert!(!wrapped.is_continued_by(&next), "{}", next.record.message);
        }
        wrapped.begin(&head("panic: x"));
        assert!(!wrapped.is_continued_by(&head("\t/usr/lib/go/x.go:1")), "no message of klog's");
    }

    #[test]
    fn rows_of_a_table_are_not_joined() {
        let row = "MemoryPressure   False   Thu, 30 Nov 2017 10:53:56 +0000   KubeletHasSufficientMemory   kubelet has sufficient memory";
        let mut wrapped = Wrapped::default();
        assert!((0..3).all(|_| wrapped.join(&line(row)).is_none()));
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
