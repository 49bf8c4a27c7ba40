//! A needle in a haystack: each labelled log's lines spread, in their order, over 2,000 lines of a healthy kubelet's log.
//! `scripts/bury.py` makes such a log of any other.

use std::path::Path;

use jiff::Timestamp;
use nodewhy_diagnosis::model::Severity;

const LINES: usize = 2000;

fn log(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/kubelet-logs").join(name);
    std::fs::read_to_string(path).expect("a fixture")
}

/// Lines that belong together: one with a head, and those after it without.
fn records(log: &str) -> Vec<Vec<&str>> {
    let mut records: Vec<Vec<&str>> = Vec::new();
    for line in log.lines() {
        let headed = line.len() > 20 && line.starts_with(['I', 'W', 'E', 'F']) && line.as_bytes()[7] == b':';
        match records.last_mut() {
            Some(last) if !headed => last.push(line),
            _ => records.push(vec![line]),
        }
    }
    records
}

/// `log` in so many lines of `noise`, at places that `seed` decides.
fn buried(log: &str, noise: &str, mut seed: u64) -> String {
    let records = records(log);
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % (LINES + 1)
    };
    let mut places: Vec<usize> = records.iter().map(|_| next()).collect();
    places.sort_unstable();
    let mut at = places.into_iter().zip(records).peekable();
    let mut out = String::new();
    let haystack = noise.lines().cycle().take(LINES).map(Some).chain([None]);
    for (index, line) in haystack.enumerate() {
        while let Some((_, lines)) = at.next_if(|(place, _)| *place <= index) {
            lines.into_iter().for_each(|line| out.extend([line, "\n"]));
        }
        line.into_iter().for_each(|line| out.extend([line, "\n"]));
    }
    out
}

#[test]
fn a_buried_cause_is_still_the_first() {
    let noise = log("healthy-standalone.log");
    let now: Timestamp = "2026-11-25T00:00:00Z".parse().expect("a time");
    let mut wrong = Vec::new();
    for row in log("labels.tsv").lines().filter(|row| !row.starts_with('#')) {
        let mut fields = row.split('\t');
        let (name, cause) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        let accepted: Vec<_> = [cause].into_iter().chain(fields.next().unwrap_or("").split(',')).collect();
        for seed in 1..=2 {
            let (nodes, _) = kubectl_nodewhy::analyze::of_bytes(name, buried(&log(name), &noise, seed).as_bytes(), now);
            let causes = &nodes.first().expect("a node").causes;
            let right = match cause {
                "none" => causes.iter().all(|cause| cause.severity != Severity::Critical),
                _ => causes.first().is_some_and(|first| first.root && accepted.contains(&first.code.as_str())),
            };
            if !right {
                wrong.push(format!("{name}, {seed}: {cause}, got {:?}", causes.iter().map(|cause| &cause.code).collect::<Vec<_>>()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn burying_loses_and_reorders_nothing() {
    let (needle, noise) = (log("swap-on.log"), log("healthy-standalone.log"));
    let all = buried(&needle, &noise, 1);
    assert_eq!(all.lines().count(), LINES + needle.lines().count());
    let mut left = needle.lines().peekable();
    for line in all.lines() {
        let _ = left.next_if_eq(&line);
    }
    assert_eq!(left.next(), None);
}
