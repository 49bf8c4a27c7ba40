//! How fast lines are parsed and matched, and how that depends on the number of signs.
//!
//! `cargo run --release -p nodewhy-diagnosis --example matcher_rate -- FILE...`: the files' lines are the noise; give logs in which the
//! patterns below find little, as on an ordinary node.
#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_diagnosis::catalogue::{Matcher, MatcherSign};
use nodewhy_diagnosis::record::{LineParser, LogRecord, ParsedLine, Source};

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
const AT_LEAST: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    for path in std::env::args().skip(1) {
        text.push_str(&String::from_utf8_lossy(&std::fs::read(path)?));
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Err("no lines: name log files".into());
    }
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    println!("{} lines, {} bytes each on average", lines.len(), bytes / lines.len());
    let now = Timestamp::UNIX_EPOCH;
    let mut parser = LineParser::new("2026-11-23T00:00:00Z".parse()?, TimeZone::UTC);
    rate("parse only", &lines, bytes, |line| matches!(parser.parse(line), ParsedLine::Record(_)));
    for signs in [25, 100, 400, 1600] {
        let patterns: Vec<String> = (0..signs).map(|index| SHAPES[index % SHAPES.len()].replace('@', &word(index))).collect();
        let sign = |pattern| MatcherSign { code: "a-cause", sign_index: 0, from: &[Source::Kubelet], pattern, unless: None };
        let begun = Instant::now();
        let matcher = Matcher::build(patterns.iter().map(|pattern| sign(pattern))).map_err(|(_, _, error)| error)?;
        let built = begun.elapsed();
        rate(&format!("match {signs} signs"), &lines, bytes, |line| !matcher.recognise(&record(line), now).is_empty());
        println!(
            "    built in {built:.1?}, filter {} kB, {} signs without a literal",
            matcher.filter_bytes() / 1000,
            matcher.without_literal().count()
        );
    }
    Ok(())
}

fn record(message: &str) -> LogRecord<'_> {
    LogRecord { at: None, source: Source::Kubelet, unit: "kubelet.service", priority: None, klog: None, message, cursor: "" }
}

fn rate(what: &str, lines: &[&str], bytes: usize, mut look: impl FnMut(&str) -> bool) {
    let (mut rounds, mut hits) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < AT_LEAST {
        hits = lines.iter().filter(|line| black_box(look(line))).count();
        rounds += 1;
    }
    let seconds = begun.elapsed().as_secs_f64() / f64::from(rounds);
    println!("{what:20} {:8.0} lines/s {:7.0} MB/s  ({hits} hits)", lines.len() as f64 / seconds, bytes as f64 / seconds / 1e6);
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
