//! Real logs of real kubelets under stated faults: the first root is the label.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_causes::catalogue;
use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::model::Severity;
use nodewhy_diagnosis::record::{LineParser, ParsedLine};
use nodewhy_diagnosis::{Diagnosis, Facts, State, View, diagnose};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/kubelet-logs")
}

fn labels() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(fixtures().join("labels.tsv")).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| {
        let mut cells = line.split('\t');
        let file = cells.next().unwrap().to_owned();
        let accepted = cells.flat_map(|cell| cell.split(',')).map(|code| code.trim().to_owned()).filter(|code| !code.is_empty());
        (file, accepted.collect())
    });
    rows.collect()
}

fn diagnosis_of(file: &str) -> Diagnosis {
    let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    let text = std::fs::read_to_string(fixtures().join(file)).unwrap();
    let mut parser = LineParser::new(now, TimeZone::UTC);
    let mut sightings = Vec::new();
    for line in text.lines() {
        if let ParsedLine::Record(spoken) = parser.parse(line) {
            sightings.extend(catalogue().matcher().recognise(&spoken.record, now));
        }
    }
    let facts = Facts::new();
    let view = View { now, node: "bench-node", facts: &facts, sightings: &sightings, mode: Mode::Saved };
    diagnose(catalogue(), &view, &State::default()).diagnosis
}

#[test]
fn the_first_root_of_every_labelled_log_is_its_cause_and_healthy_logs_name_nothing_critical() {
    let labels = labels();
    assert!(labels.len() >= 20, "only {} labelled logs", labels.len());
    let mut wrong = Vec::new();
    for (file, accepted) in labels {
        let diagnosis = diagnosis_of(&file);
        let codes: Vec<_> = diagnosis.causes.iter().map(|cause| cause.code.as_str()).collect();
        let right = match accepted.iter().any(|code| code == "none") {
            true => diagnosis.causes.iter().all(|cause| cause.severity != Severity::Critical),
            false => diagnosis.causes.first().is_some_and(|cause| cause.root && accepted.contains(&cause.code)),
        };
        if !right {
            wrong.push(format!("{file}: wanted {accepted:?}, got {codes:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_log_of_one_fault_has_one_root() {
    for (file, accepted) in labels().into_iter().filter(|(_, accepted)| !accepted.iter().any(|code| code == "none")) {
        let roots: Vec<_> = diagnosis_of(&file).causes.into_iter().filter(|cause| cause.root).map(|cause| cause.code).collect();
        assert_eq!(roots.len(), 1, "{file} ({accepted:?}): {roots:?}");
    }
}
