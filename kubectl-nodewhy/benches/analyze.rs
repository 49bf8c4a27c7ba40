//! The catalogue on a large log in memory: `scripts/bench analyze` makes the log and runs this beside grep and ripgrep.
//!
//! `cargo bench -p kubectl-nodewhy --bench analyze -- LOG PATTERNS`: prints its figures, and writes the catalogue's patterns, one a line, to
//! PATTERNS (for ripgrep) and PATTERNS.grep (for grep -E).
#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::hint::black_box;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_diagnosis::catalogue::{Matcher, MatcherSign};
use nodewhy_diagnosis::record::{Klog, LineParser, Lines, LogRecord, Source};

/// Shapes of real signs; `@` becomes a word that differs from sign to sign.
const SHAPES: [&str; 8] = [
    r"running with @ on is not supported",
    r#"failed to (?:load|read) @ config file,? (?:path|"(?P<path>[^"]+)")"#,
    r"listen tcp \S+:(?P<port>\d+): bind: @ already in use",
    r#"(?:dial|lookup) (?P<host>\S+) on \S+: no such @"#,
    r"x509: certificate (?:has expired or is not yet valid|signed by @ authority)",
    r"(?i)out of @: kill(?:ed)? process (?P<pid>\d+) \((?P<name>[^)]+)\)",
    r"misconfiguration: kubelet cgroup driver: .(?P<one>\w+). is different from @ cgroup driver",
    r"^[EF]\d{4} .*unable to @ the node",
];
/// Signs a cause has on average.
const SIGNS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(log), Some(patterns)) = (arguments.next(), arguments.next()) else {
        println!("skipped: scripts/bench analyze makes the log that this reads");
        return Ok(());
    };
    let text = std::fs::read(&log)?;
    let catalogue = nodewhy_causes::catalogue();
    let matcher = catalogue.matcher();
    println!("{} causes with {} log signs", catalogue.causes().len(), matcher.len());
    let always: Vec<_> = matcher.without_literal().map(|(code, sign)| format!("{code} {sign}")).collect();
    println!("tried on every line: {always:?}");
    let short: Vec<_> = matcher.literals().filter(|(literal, _)| literal.len() < 7).collect();
    println!("short literals: {short:?}");
    let hits = rate("whole catalogue, lines in memory", &text, |line| recognised(matcher, line));
    let quiet = without_hits(&text, matcher);
    rate("the same, only lines without a hit", &quiet, |line| recognised(matcher, line));
    parse(&text);
    for causes in [25, 100, 400] {
        let signs: Vec<String> = (0..causes * SIGNS).map(|index| SHAPES[index % SHAPES.len()].replace('@', &word(index))).collect();
        let sign = |pattern| MatcherSign { code: "a-cause", sign_index: 0, from: &[Source::Kubelet], named: false, pattern, unless: None };
        let made_up = Matcher::build(signs.iter().map(|pattern| sign(pattern))).map_err(|(_, _, error)| error)?;
        rate(&format!("{causes} causes made up"), &text, |line| recognised(&made_up, line));
    }
    println!("{hits} sightings; {} kB for finding literals", matcher.filter_bytes() / 1000);
    write_patterns(catalogue, &patterns)?;
    Ok(())
}

fn recognised(matcher: &Matcher, message: &str) -> usize {
    let record = LogRecord {
        at: None,
        source: Source::Kubelet,
        unit: "kubelet.service",
        priority: None,
        klog: Klog::parse(message),
        message,
        cursor: "",
    };
    matcher.recognise(&record, Timestamp::UNIX_EPOCH).len()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok())
}

fn without_hits(text: &[u8], matcher: &Matcher) -> Vec<u8> {
    let mut quiet = Vec::with_capacity(text.len());
    for line in lines(text).filter(|line| recognised(matcher, line) == 0) {
        quiet.extend_from_slice(line.as_bytes());
        quiet.push(b'\n');
    }
    quiet
}

/// Two rounds, the better one.
fn rate(what: &str, text: &[u8], mut look: impl FnMut(&str) -> usize) -> usize {
    let all: Vec<&str> = lines(text).collect();
    let (mut best, mut hits) = (f64::MAX, 0);
    for _ in 0..2 {
        let begun = cpu_seconds();
        hits = all.iter().map(|line| black_box(look(line))).sum();
        best = best.min(cpu_seconds() - begun);
    }
    say(what, all.len(), text.len(), best);
    hits
}

/// Bytes to records, as `analyze` reads a file.
fn parse(text: &[u8]) {
    let (mut lines, mut parser, mut records) = (Lines::new(), LineParser::new(Timestamp::MAX, TimeZone::UTC), 0);
    let begun = cpu_seconds();
    text.chunks(256 << 10)
        .for_each(|chunk| lines.feed(chunk, |line| parser.each(line, |spoken| records += usize::from(black_box(spoken).headed))));
    say("lines to records", records, text.len(), cpu_seconds() - begun);
}

/// CPU time of this one thread (/proc/PID/schedstat), which other programs on the machine do not change.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn say(what: &str, lines: usize, bytes: usize, seconds: f64) {
    println!("{what:36} {:11.0} lines/s {:7.0} MB/s", lines as f64 / seconds, bytes as f64 / seconds / 1e6);
}

/// A word of eight letters, another for every index.
fn word(index: usize) -> String {
    let mut seed = index.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..8)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (seed >> 33) as u8 % 26)
        })
        .collect()
}

/// As ripgrep and grep -E understand them: names of groups go, and so do flags that grep lacks.
fn write_patterns(catalogue: &nodewhy_diagnosis::Catalogue, path: &str) -> std::io::Result<()> {
    let all: Vec<&str> = catalogue.matcher().patterns().collect();
    // ripgrep makes one expression of them, in which a group's name may stand once only.
    let unnamed = regex::Regex::new(r"\(\?P?<\w+>").map_err(std::io::Error::other)?;
    let for_ripgrep: Vec<_> = all.iter().map(|pattern| unnamed.replace_all(pattern, "(?:")).collect();
    std::fs::write(path, for_ripgrep.join("\n") + "\n")?;
    let plain = all.iter().map(|pattern| {
        let mut plain = String::new();
        let mut rest = *pattern;
        while let Some(at) = rest.find("(?") {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            let (open, after) = if let Some(named) = rest.strip_prefix("(?P<") {
                ("(", named.split_once('>').map_or("", |(_, after)| after))
            } else if let Some(after) = rest.strip_prefix("(?i)") {
                ("", after)
            } else {
                ("(", rest.split_once(':').map_or("", |(_, after)| after))
            };
            plain.push_str(open);
            rest = after;
        }
        plain.push_str(rest);
        plain.replace(r"\d", "[0-9]").replace("[^[0-9]", "[^0-9").replace("*?", "*").replace("+?", "+")
    });
    std::fs::write(format!("{path}.grep"), plain.collect::<Vec<_>>().join("\n") + "\n")
}
