//! What plugins say, and which logs cannot be read: told to the brain as facts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::record::clip;
use nodewhy_diagnosis::{Facts, Missing, MissingKind};

const MAX_SAID: usize = 2048;
/// Of more that did not answer, so many are named.
const NAMED: usize = 4;

/// Shared by all monitors.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<Said>);

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Said {
    /// Rules whose plugin ended with 1, and what it said.
    problems: BTreeMap<String, String>,
    /// Rules and files of which nothing is known, and why.
    unknown: BTreeMap<String, String>,
}

/// What is so of a rule or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Fine,
    Problem(String),
    Unknown(String),
}

impl Report {
    /// Sets what is so under a key; the facts if that is news.
    pub(super) fn set(&self, key: &str, state: State) -> Option<Facts> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = said.clone();
        said.problems.remove(key);
        said.unknown.remove(key);
        match state {
            State::Fine => {}
            State::Problem(text) => drop(said.problems.insert(key.to_owned(), clip(&text, MAX_SAID).to_owned())),
            State::Unknown(why) => drop(said.unknown.insert(key.to_owned(), clip(&why, MAX_SAID).to_owned())),
        }
        // Told by the time at which they were so: a thread that is late does not undo what another said since.
        (*said != before).then(|| said.facts(Timestamp::now()))
    }

    pub(super) fn problem(&self, key: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).problems.get(key).cloned()
    }

    pub(super) fn facts(&self) -> Facts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).facts(Timestamp::now())
    }
}

impl Said {
    fn facts(&self, at: Timestamp) -> Facts {
        let mut facts = Facts::new();
        facts.set(s::NPD_PROBLEMS, at, self.problems.clone());
        facts.set(s::NPD_UNKNOWN, at, self.unknown.clone());
        let unanswered = match self.unknown.len() {
            0 => Ok(false),
            all => {
                let named =
                    self.unknown.iter().take(NAMED).map(|(key, why)| format!("{key}: {}", clip(why, 300))).collect::<Vec<_>>().join("; ");
                let more = all.checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("; and {more} more")).unwrap_or_default();
                Err(Missing::new(MissingKind::Failed, format!("{named}{more}")))
            }
        };
        facts.put(s::NPD_UNANSWERED, at, unanswered);
        facts
    }
}
