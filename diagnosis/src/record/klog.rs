//! The klog header (k8s.io/klog v2 and glog before it) and its structured messages.

use std::borrow::Cow;

/// How a klog line begins: `E1122 00:54:49.103848   14029 run.go:72] `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Klog<'a> {
    /// I, W, E or F.
    pub severity: KlogSeverity,
    /// `run.go:72`.
    pub origin: &'a str,
    /// What follows `] `.
    pub body: &'a str,
    /// Month, day and time of day as written, in the program's own zone and without a year; `None` where they were cut off.
    pub stamp: Option<KlogStamp>,
}

/// The time in a klog header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlogStamp {
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31.
    pub day: i8,
    /// Microseconds since midnight.
    pub micros: i64,
    /// Process that wrote the line.
    pub pid: u32,
}

/// klog's severity letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KlogSeverity {
    /// I
    Info,
    /// W
    Warning,
    /// E
    Error,
    /// F
    Fatal,
}

impl<'a> Klog<'a> {
    /// The header at the beginning of a message, if there is one. A header whose time was lost (`E run.go:72] `, as people paste it) is one too.
    pub fn parse(message: &'a str) -> Option<Self> {
        let severity = match message.as_bytes().first()? {
            b'I' => KlogSeverity::Info,
            b'W' => KlogSeverity::Warning,
            b'E' => KlogSeverity::Error,
            b'F' => KlogSeverity::Fatal,
            _ => return None,
        };
        let rest = &message[1..];
        let (stamp, rest) = match rest.strip_prefix(' ') {
            Some(rest) => (None, rest.trim_start_matches(' ')),
            None => stamp(rest).map(|(stamp, rest)| (Some(stamp), rest))?,
        };
        let (origin, body) = origin(rest)?;
        Some(Self { severity, origin, body, stamp })
    }

    /// Whether a message begins with what is left of a header whose beginning was cut off: `run.go:72] `.
    pub(super) fn is_origin(message: &str) -> bool {
        message.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
            && origin(message).is_some_and(|(origin, _)| origin.contains(".go:"))
    }

    /// A structured message's words: `"command failed" err="..."` gives `command failed`. `None` for an unstructured one.
    pub fn words(&self) -> Option<Cow<'a, str>> {
        quoted(self.body).map(|(words, _)| words)
    }

    /// A structured message's pairs; none for an unstructured one.
    pub fn pairs(&self) -> Pairs<'a> {
        Pairs { rest: quoted(self.body).map_or("", |(_, rest)| rest) }
    }
}

/// `MMDD hh:mm:ss.uuuuuu PID ` and what follows; some shippers cut the fraction or turn the spaces into tabs.
fn stamp(text: &str) -> Option<(KlogStamp, &str)> {
    let bytes = text.as_bytes();
    let two = |at: usize| Some(digit(*bytes.get(at)?)? * 10 + digit(*bytes.get(at + 1)?)?);
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    if !((is(4, b' ') || is(4, b'\t')) && is(7, b':') && is(10, b':')) {
        return None;
    }
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(5)?, two(8)?, two(11)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, after) = fraction(bytes, 13)?;
    let rest = text.get(after..)?.trim_start_matches([' ', '\t']);
    // Old and reformatted lines leave the process out.
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(9);
    let (pid, rest) = match rest[digits..].strip_prefix([' ', '\t']) {
        Some(after) if digits > 0 => (rest[..digits].parse().unwrap_or(0), after.trim_start_matches([' ', '\t'])),
        _ => (0, rest),
    };
    let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
    Some((KlogStamp { month: month as i8, day: day as i8, micros, pid }, rest))
}

/// A fraction of a second in microseconds and where it ends; none where a space follows the second.
fn fraction(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    match bytes.get(at)? {
        b' ' | b'\t' => return Some((0, at)),
        b'.' => {}
        _ => return None,
    }
    let (mut micros, mut unit, mut end) = (0, 100_000, at + 1);
    while let Some(digit) = bytes.get(end).and_then(|byte| digit(*byte)) {
        (micros, unit, end) = (micros + digit * unit, unit / 10, end + 1);
    }
    matches!(bytes.get(end), Some(b' ' | b'\t')).then_some((micros, end))
}

/// `file.go:123] ` and what follows.
fn origin(text: &str) -> Option<(&str, &str)> {
    const LONGEST: usize = 96;
    let end = text.bytes().take(LONGEST).position(|byte| byte == b']')?;
    // Markdown escapes the bracket.
    let origin = text[..end].trim_end_matches(['\\', ' ']);
    let (file, line) = origin.rsplit_once(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if file.is_empty() || line.is_empty() || !file.bytes().all(plain) || !line.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let body = &text[end + 1..];
    Some((origin, body.strip_prefix([' ', '\t']).unwrap_or(body)))
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

/// The pairs of a structured message, in their order. Stops at the first thing that is not a pair.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.trim_start();
        let (key, value) = text.split_once('=')?;
        if key.is_empty() || key.contains([' ', '"']) {
            self.rest = "";
            return None;
        }
        let (value, rest) = pair_value(value);
        self.rest = rest;
        Some((key, value))
    }
}

/// A value: Go-quoted, or multi-line between `<` and `>` (klog's serialize.go), or bare up to the next space.
fn pair_value(text: &str) -> (Cow<'_, str>, &str) {
    if let Some(found) = quoted(text) {
        return found;
    }
    if let Some(inner) = text.strip_prefix("<\n") {
        return match inner.split_once("\n >") {
            Some((value, rest)) => (Cow::Borrowed(value), rest),
            None => (Cow::Borrowed(inner), ""),
        };
    }
    let end = text.find(' ').unwrap_or(text.len());
    (Cow::Borrowed(&text[..end]), &text[end..])
}

/// A double-quoted Go string at the beginning, unescaped, and what follows. One whose end was cut off reaches to the end.
pub(super) fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inner = text.strip_prefix('"')?;
    let Some(special) = inner.find(['"', '\\']) else { return Some((Cow::Borrowed(inner), "")) };
    if inner.as_bytes()[special] == b'"' {
        return Some((Cow::Borrowed(&inner[..special]), &inner[special + 1..]));
    }
    let mut value = String::with_capacity(inner.len().min(super::MAX_MESSAGE));
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(value), &inner[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, escaped @ ('"' | '\\' | '\''))) => value.push(escaped),
                Some((_, other)) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            c => value.push(c),
        }
    }
    Some((Cow::Owned(value), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWAP: &str = "E1122 00:54:49.103848   14029 run.go:72] \"command failed\" err=\"failed to run Kubelet: running with swap on\"";

    #[test]
    fn a_header_gives_severity_origin_time_and_body() {
        let klog = Klog::parse(SWAP).expect("a klog line");
        assert_eq!((klog.severity, klog.origin), (KlogSeverity::Error, "run.go:72"));
        let stamp = klog.stamp.expect("with a time");
        assert_eq!((stamp.month, stamp.day, stamp.pid), (11, 22, 14029));
        assert_eq!(stamp.micros, (54 * 60 + 49) * 1_000_000 + 103_848);
        assert!(klog.body.starts_with("\"command failed\""));
    }

    #[test]
    fn structured_messages_give_words_and_pairs() {
        let klog = Klog::parse(SWAP).expect("a klog line");
        assert_eq!(klog.words().as_deref(), Some("command failed"));
        let pairs: Vec<_> = klog.pairs().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(pairs, ["err=failed to run Kubelet: running with swap on"]);
        let many = Klog::parse(
            "I0102 03:04:05.000006 1 a/b.go:7] \"x\" a=\"q \\\"r\\\" \\\\ s\" pod=\"ns/name\" n=3 m=<\n\tone\n\ttwo\n > last=true",
        )
        .expect("klog");
        let pairs: Vec<_> = many.pairs().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(pairs, ["a=q \"r\" \\ s", "pod=ns/name", "n=3", "m=\tone\n\ttwo", "last=true"]);
    }

    #[test]
    fn an_unstructured_message_has_no_pairs() {
        let klog = Klog::parse("F0611 16:06:19.164887   30057 server.go:271] failed to run Kubelet: x=1").expect("klog");
        assert_eq!((klog.severity, klog.words(), klog.pairs().count()), (KlogSeverity::Fatal, None, 0));
    }

    #[test]
    fn headers_that_lost_process_or_time_are_still_headers() {
        let lost = Klog::parse("E0815 12:06:55.999475  dns.go:154] \"x\"").expect("klog");
        assert_eq!((lost.origin, lost.stamp.map(|stamp| stamp.pid)), ("dns.go:154", Some(0)));
        let bare = Klog::parse("E run.go:74] \"command failed\"").expect("klog");
        assert_eq!((bare.origin, bare.stamp), ("run.go:74", None));
    }

    #[test]
    fn headers_that_were_reformatted_are_still_headers() {
        for (line, micros) in [
            ("E0815 12:06:55.999   77 a.go:1] x", 999_000),
            ("E0815 12:06:55   77 a.go:1] x", 0),
            ("E0815\t12:06:55.999475\t77\ta.go:1]\tx", 999_475),
            ("E0815 12:06:55.999475   77 a.go:1\\] x", 999_475),
        ] {
            let klog = Klog::parse(line).expect("klog");
            let stamp = klog.stamp.expect("with a time");
            assert_eq!((klog.origin, klog.body, stamp.micros % 1_000_000, stamp.pid), ("a.go:1", "x", micros, 77), "{line}");
        }
    }

    #[test]
    fn what_is_not_a_header_is_none_and_never_a_panic() {
        for text in [
            "",
            "E",
            "E ",
            "Error: no",
            "E1122",
            "E1122 00:54:49",
            "E1122 00:54:49.",
            "E1122 00:54:49.1x 1 a.go:1] x",
            "E1322 00:54:49.103848 1 a.go:1] x",
            "E1122 25:54:49.103848 1 a.go:1] x",
            "E1122 00:54:49.10384é 1 a.go:1] x",
            "E1122 00:54:49.103848 1 no origin here] x",
            "I am a sentence: 5] really",
            "E\0\0\0\0 00:00:00.000000 1 a.go:1] x",
            "E1122 00:54:49.103848 99999999999999999999 a.go:",
        ] {
            assert_eq!(Klog::parse(text), None, "{text:?}");
        }
        assert!(Klog::parse("E1122 00:54:49.103848 1 a.go:1]").is_some(), "cut after the header");
    }

    #[test]
    fn every_cut_of_a_line_parses_without_panic() {
        let line = "E1122 00:54:49.103848   14029 run.go:72] \"cömmand \\\"failed\" err=\"a \\\\ ü\" m=<\n x\n >";
        for end in (0..=line.len()).filter(|&end| line.is_char_boundary(end)) {
            if let Some(klog) = Klog::parse(&line[..end]) {
                let _ = (klog.words(), klog.pairs().count());
            }
        }
    }
}
