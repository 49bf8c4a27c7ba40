//! A node in a story: facts as told, lines as logged, a clock that the story moves.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::{Step, record, told};
use crate::catalogue::Catalogue;
use crate::diagnose::{Mode, State, View, diagnose};
use crate::facts::{Fact, Facts, schema};
use crate::model::{Diagnosis, Severity, Transition, Verdict};
use crate::record::Source;

/// Lines of a step were logged so long before it is looked at.
const LOGGED_BEFORE: SignedDuration = SignedDuration::from_millis(200);

/// A node in a story.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    catalogue: &'a Catalogue,
    now: Timestamp,
    told: BTreeMap<String, (Json, Timestamp)>,
    state: State,
    diagnosis: Option<Diagnosis>,
}

/// What happened in a step.
#[derive(Debug, Default)]
pub struct Meanwhile {
    /// Causes that were a root at any moment.
    pub roots: BTreeSet<String>,
    /// Critical causes that were present at any moment.
    pub criticals: BTreeSet<String>,
    /// All changes.
    pub transitions: Vec<Transition>,
}

impl<'a> Node<'a> {
    /// A healthy node; `healthy` holds the values of all facts on one, by path (YAML).
    ///
    /// # Errors
    /// The file cannot be used, or the catalogue finds something wrong with that node.
    pub fn healthy(catalogue: &'a Catalogue, healthy: &str) -> Result<Self, String> {
        let now = Timestamp::from_second(1_795_435_200).map_err(|error| error.to_string())?;
        let facts: BTreeMap<String, Json> =
            serde_saphyr::from_str(healthy).map_err(|error| format!("the healthy node: {}", error.without_snippet()))?;
        let told = facts.into_iter().map(|(path, json)| (path, (json, now))).collect();
        let mut node = Self { catalogue, now, told, state: State::default(), diagnosis: None };
        let meanwhile = node.lives(SignedDuration::from_secs(5), &[])?;
        let healthy = node.diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.verdict == Verdict::Healthy);
        if !healthy || !meanwhile.transitions.is_empty() {
            return Err(format!("the healthy node is not: {:#?}", node.diagnosis));
        }
        Ok(node)
    }

    /// As it stands.
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.diagnosis.as_ref()
    }

    /// Lives through a step; the diagnosis before it, and what happened.
    ///
    /// # Errors
    /// The step tells of facts or log sources that do not exist.
    pub fn step(&mut self, step: &Step) -> Result<(Diagnosis, Meanwhile), String> {
        self.now += SignedDuration::from_secs(1);
        for (path, json) in &step.facts {
            // A branch that was told missing, or is now, gives way as a whole.
            let beneath = |old: &String| old.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'));
            self.told.retain(|old, _| !beneath(old));
            self.told.insert(path.clone(), (json.clone(), self.now));
        }
        let before = self.diagnosis.clone().ok_or("the story has no beginning")?;
        Ok((before, self.lives(step.lasting, &step.lines)?))
    }

    fn lives(&mut self, lasting: SignedDuration, lines: &[String]) -> Result<Meanwhile, String> {
        let mut meanwhile = Meanwhile::default();
        let (begin, told, mut lines) = (self.now, self.facts()?, lines);
        loop {
            let (diagnosis, transitions) = self.looks(&told, lines)?;
            lines = &[];
            meanwhile.roots.extend(diagnosis.causes.iter().filter(|cause| cause.root).map(|cause| cause.code.clone()));
            let criticals = diagnosis.causes.iter().filter(|cause| cause.severity == Severity::Critical);
            meanwhile.criticals.extend(criticals.map(|cause| cause.code.clone()));
            meanwhile.transitions.extend(transitions);
            self.diagnosis = Some(diagnosis);
            let past = self.now.duration_since(begin);
            if past >= lasting {
                return Ok(meanwhile);
            }
            // Often at first, where things open and close.
            let pause = match past.as_secs() {
                ..6 => 1,
                6..60 => 5,
                60..600 => 20,
                _ => 60,
            };
            self.now = (self.now + SignedDuration::from_secs(pause)).min(begin + lasting);
        }
    }

    /// What was told; relative times count from then.
    fn facts(&self) -> Result<Facts, String> {
        let mut facts = Facts::new();
        for (path, (json, told_at)) in &self.told {
            told::insert(&mut facts, path, json, *told_at)?;
        }
        Ok(facts)
    }

    /// One look at everything. Lines were logged a moment before the look began.
    fn looks(&mut self, told: &Facts, lines: &[String]) -> Result<(Diagnosis, Vec<Transition>), String> {
        let mut facts = Facts::new();
        for (path, fact) in told.iter() {
            facts.insert(path, Fact { value: fact.value.clone(), read_at: self.now });
        }
        facts.set(schema::LOGS_READ_UP_TO, self.now, self.now);
        let mut sightings = Vec::new();
        for line in lines {
            let (source, message) = line.split_once(": ").ok_or_else(|| format!("`source: message` is wanted: {line}"))?;
            let source: Source = serde_json::from_value(Json::from(source)).map_err(|error| format!("{line}: {error}"))?;
            sightings.extend(self.catalogue.matcher().recognise(&record(source, message), self.now - LOGGED_BEFORE));
        }
        let view = View { now: self.now, node: "worker-1", facts: &facts, sightings: &sightings, mode: Mode::Live };
        let outcome = diagnose(self.catalogue, &view, &self.state);
        self.state = outcome.state;
        Ok((outcome.diagnosis, outcome.transitions))
    }
}
