//! Facts as expressions read them: by number instead of by name, derived ones included, nothing copied.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};

use super::schema::{self, Entry};
use super::{Fact, Facts};

/// A fact's place in [`schema::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FactId(u16);

static BY_PATH: LazyLock<HashMap<&'static str, FactId>> =
    LazyLock::new(|| schema::ALL.iter().enumerate().map(|(index, entry)| (entry.path, FactId(index as u16))).collect());

impl FactId {
    /// The fact of a path; `None` if the schema has no such path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        BY_PATH.get(path).copied()
    }

    /// Its line in the schema.
    pub(crate) fn entry(self) -> &'static Entry {
        &schema::ALL[usize::from(self.0)]
    }

    /// Its dotted path.
    pub(crate) fn path(self) -> &'static str {
        self.entry().path
    }
}

/// All facts at one moment.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// The moment.
    pub(crate) now: Timestamp,
    slots: Vec<Option<&'a Fact>>,
}

impl<'a> Seen<'a> {
    /// `derived` is [`super::derived::derive`] of the same facts and moment.
    pub(crate) fn new(facts: &'a Facts, derived: &'a Facts, now: Timestamp) -> Self {
        let mut slots = vec![None; schema::ALL.len()];
        for (path, fact) in facts.iter().chain(derived.iter()) {
            if let Some(id) = FactId::of(path) {
                slots[usize::from(id.0)] = Some(fact);
            }
        }
        Self { now, slots }
    }

    /// Read later than now: the clock was set back since, and when it was read nobody can say. Less than a millisecond is rounding.
    pub(crate) fn is_ahead(&self, fact: &Fact) -> bool {
        fact.read_at.duration_since(self.now) >= SignedDuration::from_millis(1)
    }

    /// The fact, if anybody has reported on it.
    pub(crate) fn fact(&self, id: FactId) -> Option<&'a Fact> {
        self.slots[usize::from(id.0)]
    }
}
