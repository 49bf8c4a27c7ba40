//! What the fuzzer calls, and what the tests call with everything the fuzzer ever found: every parser of this crate, with what must hold
//! of its answer. See fuzz/README.md.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::catalogue::{Expr, Template};
use crate::facts::{self, Facts};
use crate::record::{Klog, LineParser, Lines, Logfmt, MAX_MESSAGE, ParsedLine, Spoken};
use crate::{Catalogue, Mode, State, View, diagnose, node};

/// A parser under the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All there are.
pub const TARGETS: &[Target] = &[
    ("lines", lines),
    ("klog", klog),
    ("logfmt", logfmt),
    ("journal", journal),
    ("catalogue", catalogue),
    ("expressions", expressions),
    ("facts_json", facts_json),
    ("node_files", node_files),
    ("kubelet_config", kubelet_config),
];

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Records of a stream that comes in two parts.
fn records(parts: [&[u8]; 2]) -> Vec<String> {
    let (mut lines, mut parser, mut seen) = (Lines::new(), LineParser::new(Timestamp::UNIX_EPOCH, TimeZone::UTC), Vec::new());
    let mut keep = |spoken: &Spoken<'_>| {
        // A line is bounded by `Lines`; what a quoted or carried one turns into is no longer than it was.
        assert!(spoken.record.message.len() <= 64 * MAX_MESSAGE);
        seen.push(format!("{spoken:?}"));
    };
    for part in parts {
        lines.feed(part, |line| parser.each(line, |spoken| keep(&spoken)));
    }
    lines.finish(|line| parser.each(line, |spoken| keep(&spoken)));
    if let ParsedLine::Record(spoken) = parser.finish() {
        keep(&spoken);
    }
    seen
}

/// Bytes to lines to records; the same however they are chopped.
pub fn lines(bytes: &[u8]) {
    let cut = bytes.first().map_or(0, |&byte| usize::from(byte) % bytes.len());
    assert_eq!(records([bytes, b""]), records([&bytes[..cut], &bytes[cut..]]));
}

/// klog's header and structured messages.
pub fn klog(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(klog) = Klog::parse(&text) {
        assert!(text.ends_with(klog.body));
        let _ = klog.words();
        assert!(klog.pairs().count() <= text.len());
    }
}

/// logrus' lines.
pub fn logfmt(bytes: &[u8]) {
    if let Some(line) = Logfmt::parse(&text(bytes)) {
        let _ = (line.priority(), line.message.len());
    }
}

/// Journal entries over several lines, and as JSON: the first byte chooses the form that the rest is put into.
pub fn journal(bytes: &[u8]) {
    let Some((&form, rest)) = bytes.split_first() else { return };
    let before: &[u8] = match form % 4 {
        0 => b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795308889500000\n_SYSTEMD_UNIT=kubelet.service\n",
        1 => b"Sun 2026-11-22 00:54:49.500000 UTC [s=1;i=2;b=3]\n    _SYSTEMD_UNIT=kubelet.service\n    ",
        2 => b"{\n\t\"__CURSOR\" : \"s=1\",\n\t\"MESSAGE\" : ",
        _ => b"{\"__CURSOR\":\"s=1\",\"MESSAGE\":",
    };
    records([before, rest]);
}

/// A catalogue's file: refused or usable.
pub fn catalogue(bytes: &[u8]) {
    let (catalogue, _) = Catalogue::load([("fuzz.yaml", text(bytes).as_ref())]);
    let facts = Facts::new();
    let view = View { now: Timestamp::UNIX_EPOCH, node: "n", facts: &facts, sightings: &[], mode: Mode::Live };
    let outcome = diagnose(&catalogue, &view, &State::default());
    assert!(outcome.diagnosis.causes.is_empty() || !catalogue.causes().is_empty());
}

/// An expression of the catalogue, alone and within a text.
pub fn expressions(bytes: &[u8]) {
    let text = text(bytes);
    let _ = Expr::compile(&text);
    let _ = Template::compile(&text);
    let _ = Template::compile(&format!("{{{{{text}}}}}"));
}

/// `--facts FILE.json`; what was read is written and read as the same.
pub fn facts_json(bytes: &[u8]) {
    if let Ok(json) = serde_json::from_slice(bytes) {
        let _ = facts::from_json(&json, Timestamp::UNIX_EPOCH);
    }
}

/// Files and answers of commands from a bundle.
pub fn node_files(bytes: &[u8]) {
    let text = text(bytes);
    let (name, text) = text.split_once('\n').unwrap_or(("", &text));
    let Some(kind) = node::recognise(name, text) else { return };
    node::facts(&[(kind, name.to_owned(), text.to_owned())], Timestamp::UNIX_EPOCH);
}

/// A KubeletConfiguration.
pub fn kubelet_config(bytes: &[u8]) {
    let mut config = node::KubeletConfig::default();
    let text = text(bytes);
    match config.add("/c.yaml", &text) {
        Ok(()) => drop(config.get(&["evictionHard", "memory.available"])),
        Err(complaint) => assert!(complaint.starts_with("/c.yaml"), "{complaint}"),
    }
    let _ = node::quantity::parse(&text);
    let _ = node::quantity::threshold(&text, 1 << 40);
}
