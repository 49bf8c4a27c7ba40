//! Every rule of opening and closing, on a catalogue made for it. The state goes through JSON between any two looks: an agent that is
//! started again goes on as if it had not been.

mod clock;
mod closing;
mod folding;
mod opening;
mod pods;
mod replay;
mod scant;
mod telling;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::catalogue::{OVER, Sighting};
use crate::facts::{FactValue, Key, MissingKind, schema::*};
use crate::model::{TransitionKind, Verdict};

const START: i64 = 1_800_000_000;

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_second(START).expect("a time") + SignedDuration::from_secs_f64(seconds)
}

/// A cause file; `lines` may say anything again but code and title.
fn file(code: &str, lines: &str) -> (String, String) {
    let given = |name: &str| lines.lines().any(|line| line.starts_with(&format!("{name}:")));
    let mut text = format!("code: {code}\ntitle: Title of {code}\n{lines}\n");
    for (name, value) in
        [("layer", "kubelet"), ("severity", "critical"), ("message", "it is so"), ("docs", "{meaning: m, knows: k, lookalikes: l}")]
    {
        if !given(name) {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    (format!("{code}.yaml"), text)
}

fn load(files: &[(String, String)]) -> Catalogue {
    let (catalogue, errors) = Catalogue::load(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    assert!(errors.is_empty(), "{errors:?}");
    catalogue
}

/// A node that is looked at.
struct Lab {
    catalogue: Catalogue,
    facts: Facts,
    heard: Vec<Sighting>,
    state: State,
    mode: Mode,
}

impl Lab {
    fn new(files: &[(String, String)]) -> Self {
        let mut facts = Facts::new();
        facts.set(LOGS_JOURNAL_READABLE, at(0.0), true);
        Self { catalogue: load(files), facts, heard: Vec::new(), state: State::default(), mode: Mode::Live }
    }

    fn of(lines: &str) -> Self {
        Self::new(&[file("it", lines)])
    }

    fn set<T: FactValue>(&mut self, seconds: f64, key: Key<T>, value: T) {
        self.facts.set(key, at(seconds), value);
    }

    fn miss<T>(&mut self, seconds: f64, key: Key<T>, kind: MissingKind) {
        self.facts.miss(key, at(seconds), Missing::new(kind, format!("{kind:?}")));
    }

    fn hear(&mut self, seconds: f64, code: &str, sign: usize, text: &str) {
        self.hear_with(seconds, code, sign, text, &[]);
    }

    fn hear_with(&mut self, seconds: f64, code: &str, sign: usize, text: &str, captures: &[(&str, &str)]) {
        let captures = captures.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (unit, cursor) = ("kubelet.service".to_owned(), String::new());
        self.heard.push(Sighting { code: code.to_owned(), sign, at: at(seconds), unit, text: text.to_owned(), cursor, captures });
    }

    /// Looks, with everything in the log read up to now.
    fn look(&mut self, seconds: f64) -> Outcome {
        self.facts.set(LOGS_READ_UP_TO, at(seconds), at(seconds));
        self.look_as_it_is(seconds)
    }

    fn look_as_it_is(&mut self, seconds: f64) -> Outcome {
        let view = View { now: at(seconds), node: "n1", facts: &self.facts, sightings: &self.heard, mode: self.mode };
        let outcome = diagnose(&self.catalogue, &view, &self.state);
        self.heard.clear();
        let json = serde_json::to_string(&outcome.state).expect("a state can be written");
        self.state = serde_json::from_str(&json).expect("a state can be read");
        assert_eq!(self.state, outcome.state, "the state is not what was written");
        outcome
    }
}

/// `opened it`, `closed it`, ... in order.
fn changes(outcome: &Outcome) -> Vec<String> {
    let word = |kind| match kind {
        TransitionKind::Opened => "opened",
        TransitionKind::Confirmed => "confirmed",
        TransitionKind::Closed => "closed",
    };
    outcome.transitions.iter().map(|change| format!("{} {}", word(change.kind), change.code)).collect()
}

fn codes(outcome: &Outcome, root: bool) -> Vec<&str> {
    outcome.diagnosis.causes.iter().filter(|cause| cause.root == root).map(|cause| cause.code.as_str()).collect()
}

fn after(seconds: f64) -> Option<Timestamp> {
    Some(at(seconds))
}
