//! How long one judgement takes: `cargo run --release -p nodewhy-diagnosis --example diagnose_rate -- causes/*.yaml`.
//!
//! Idle means: all facts known, nothing wrong, nothing new; with a case: swap-enabled and what it explains are open and nothing is new.

use std::hint::black_box;
use std::time::{Duration, Instant};

use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::facts::{FactType, Value, schema};
use nodewhy_diagnosis::{Catalogue, Facts, State, View, diagnose};

type Files = Vec<(String, String)>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let read = |name: String| std::fs::read_to_string(&name).map(|text| (name, text));
    let files = std::env::args().skip(1).map(read).collect::<Result<Files, _>>()?;
    let began = Instant::now();
    let catalogue = load(&files);
    report("load", catalogue.causes().len(), began.elapsed());
    measure(&catalogue);
    measure(&load(&many(&files, 400)));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a tool for developers")]
fn load(files: &Files) -> Catalogue {
    let (catalogue, errors) = Catalogue::load(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    errors.iter().for_each(|error| eprintln!("{error}"));
    catalogue
}

/// The same causes under other codes, until there are so many.
fn many(files: &Files, wanted: usize) -> Files {
    let renamed = |(index, (name, text)): (usize, &(String, String))| {
        let text: String = text
            .lines()
            .map(|line| match (line.strip_prefix("code: "), line.starts_with("explains:")) {
                (Some(code), _) => format!("code: {code}-{index}\n"),
                (None, true) => "explains: []\n".to_owned(),
                (None, false) => format!("{line}\n"),
            })
            .collect();
        (name.clone(), text)
    };
    files.iter().cycle().take(wanted).enumerate().map(renamed).collect()
}

/// Every fact known: false, zero, empty.
fn calm() -> Facts {
    let mut facts = Facts::new();
    for entry in schema::ALL.iter().filter(|entry| !entry.derived) {
        let value = match entry.kind {
            FactType::Bool => Value::Bool(entry.path.ends_with("ready") || entry.path.ends_with("able")),
            FactType::Int => Value::Int(0),
            FactType::Float => Value::Float(0.0),
            FactType::Time => Value::Time(jiff::Timestamp::UNIX_EPOCH),
            FactType::Duration => Value::Duration(jiff::SignedDuration::ZERO),
            FactType::Text => Value::Text("ok".to_owned()),
            FactType::TextList | FactType::Records(_) => Value::List(Vec::new()),
            FactType::TextMap => Value::Map(std::collections::BTreeMap::new()),
        };
        facts.insert(entry.path, nodewhy_diagnosis::facts::Fact { value: Ok(value), read_at: jiff::Timestamp::UNIX_EPOCH });
    }
    let then = jiff::Timestamp::UNIX_EPOCH;
    facts.set(schema::KUBELET_UNIT_RUNNING, then, true);
    facts.set(schema::KUBELET_UNIT_LOAD_STATE, then, "loaded".to_owned());
    facts.set(schema::KUBELET_CONFIG_EXISTS, then, true);
    facts.set(schema::KUBELET_CONFIG_VALID, then, true);
    facts.set(schema::KUBELET_KUBECONFIG_EXISTS, then, true);
    facts.set(schema::KUBELET_KUBECONFIG_VALID, then, true);
    facts.set(schema::LOGS_JOURNAL_READABLE, then, true);
    facts
}

fn measure(catalogue: &Catalogue) {
    let mut facts = calm();
    step("idle", catalogue, &facts);
    let then = jiff::Timestamp::UNIX_EPOCH;
    let swap = nodewhy_diagnosis::facts::Record::new().with("path", "/swap.img".to_owned()).with("size_bytes", 1_i64 << 31);
    facts.set(schema::SWAP_DEVICES, then, vec![swap]);
    facts.set(schema::KUBELET_CONFIG_FAIL_SWAP_ON, then, true);
    facts.set(schema::KUBELET_UNIT_RUNNING, then, false);
    facts.set(schema::KUBELET_UNIT_ACTIVE_STATE, then, "failed".to_owned());
    facts.set(schema::KUBELET_UNIT_RESULT, then, "exit-code".to_owned());
    step("with a case", catalogue, &facts);
}

fn step(what: &str, catalogue: &Catalogue, facts: &Facts) {
    const STEPS: u32 = 1000;
    let now = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(1);
    let view = View { now, node: "worker-1", facts, sightings: &[], mode: Mode::Live };
    let first = diagnose(catalogue, &view, &State::default());
    let began = Instant::now();
    for _ in 0..STEPS {
        black_box(diagnose(catalogue, black_box(&view), &first.state));
    }
    let open = first.diagnosis.causes.len();
    report(&format!("{what} ({open} open)"), catalogue.causes().len(), began.elapsed() / STEPS);
}

#[expect(clippy::print_stdout, reason = "a tool for developers")]
fn report(what: &str, causes: usize, took: Duration) {
    println!("{causes:>4} causes  {what:<24} {:>9.1} us", took.as_secs_f64() * 1e6);
}
