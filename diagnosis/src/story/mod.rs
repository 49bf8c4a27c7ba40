//! Stories: what happens on a node, told in facts and log lines, and what has to come out. A cause is proved by them; see
//! causes/tests/stories/ for those of the built-in causes.
//!
//! A story begins on a healthy node and goes on in steps. In each step facts change, lines are logged, time passes (every second or so all
//! facts are read anew and the diagnosis is made), and at its end the diagnosis is compared. `shows` says which state of the file's cause
//! the step proves: present, absent again, or unknown.

mod compare;
mod examples;
mod node;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::catalogue::{Catalogue, OVER};
use crate::model::Verdict;
use crate::record::{Klog, LogRecord, Source};

pub use examples::{Examples, examples};
pub use node::{Meanwhile, Node};

/// A file of stories.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stories {
    /// The cause they are told of; left out where the file's name says it.
    #[serde(default)]
    pub code: Option<String>,
    /// One after the other, each beginning anew.
    pub stories: Vec<Story>,
}

/// One story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// What happens, in words.
    pub name: String,
    /// How it goes on.
    pub steps: Vec<Step>,
}

/// One step of a story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Facts that change, by path.
    #[serde(default)]
    pub facts: BTreeMap<String, Json>,
    /// Lines that are logged, as `source: message`.
    #[serde(default)]
    pub lines: Vec<String>,
    /// How long this goes on.
    #[serde(default = "some_time")]
    pub lasting: SignedDuration,
    /// The state of the cause that this step proves.
    #[serde(default)]
    pub shows: Option<Shows>,
    /// Roots at the end, in their order.
    #[serde(default)]
    pub roots: Option<Vec<String>>,
    /// Causes folded beneath them.
    #[serde(default)]
    pub folded: Option<Vec<String>>,
    /// The node in one word.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// Message of the first root.
    #[serde(default)]
    pub message: Option<String>,
    /// One of the commands that mend the first root.
    #[serde(default)]
    pub run: Option<String>,
    /// Causes that were a root at any moment of the step; by default those in `roots`.
    #[serde(default)]
    pub roots_meanwhile: Option<BTreeSet<String>>,
}

/// What a step proves of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shows {
    /// It is there.
    Present,
    /// It was there, and closed.
    Absent,
    /// It cannot be told: a case neither opens nor closes.
    Unknown,
}

fn some_time() -> SignedDuration {
    SignedDuration::from_secs(40)
}

impl Stories {
    /// Reads a file of stories.
    ///
    /// # Errors
    /// What is wrong with it, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.without_snippet().to_string())
    }
}

impl Story {
    /// Tells the story to a healthy node; what its steps proved of the cause.
    ///
    /// # Errors
    /// The step that came out otherwise, and how.
    pub fn tell(&self, mut node: Node<'_>, code: &str) -> Result<BTreeSet<Shows>, String> {
        let mut shown = BTreeSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            let told = node.step(step).and_then(|(before, meanwhile)| {
                let after = node.diagnosis().ok_or("no diagnosis was made")?;
                compare::compare(step, &before, after, &meanwhile, code)
            });
            told.map_err(|what| format!("step {}: {what}", index + 1))?;
            shown.extend(step.shows);
        }
        Ok(shown)
    }
}

/// A log record of a story or an example, without a time of its own.
pub fn record(source: Source, message: &str) -> LogRecord<'_> {
    LogRecord { at: None, source, unit: "", priority: None, klog: Klog::parse(message), message, cursor: "" }
}

/// The signs (code, place) that recognise a line.
pub fn claimed_by(catalogue: &Catalogue, source: Source, line: &str) -> BTreeSet<(String, usize)> {
    let sightings = catalogue.matcher().recognise(&record(source, line), jiff::Timestamp::UNIX_EPOCH);
    sightings.into_iter().filter(|sighting| sighting.sign != OVER).map(|sighting| (sighting.code, sighting.sign)).collect()
}

/// Whether a line says that a cause is over.
fn ends(catalogue: &Catalogue, code: &str, source: Source, line: &str) -> bool {
    let sightings = catalogue.matcher().recognise(&record(source, line), jiff::Timestamp::UNIX_EPOCH);
    sightings.iter().any(|sighting| sighting.code == code && sighting.sign == OVER)
}
