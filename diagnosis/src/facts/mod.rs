//! Facts: what checks saw on the node, one typed tree of dotted paths.
//!
//! A fact is either *known* (a value, and when it was read) or *missing with a reason*; a path nobody has reported on yet is missing
//! as [`MissingKind::NotYet`]. Nothing here defaults to zero, empty or healthy.
//!
//! Which paths exist, of what type, and what they mean is said once, in [`schema`]. Checks write through the typed [`Key`]s declared
//! there, so a misspelt path or a wrong type does not compile; the catalogue's CEL expressions are checked against the same table.

mod derived;
mod json;
pub mod schema;
mod seen;
mod value;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use derived::derive;
pub use derived::with_derived;
pub use json::{JsonError, from_json};
pub(crate) use seen::{FactId, Seen};
pub use value::{FactType, FactValue, Record, Value};

/// A typed name of one fact: the only way a check writes one.
#[derive(Debug)]
pub struct Key<T> {
    path: &'static str,
    _type: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}

impl<T> Key<T> {
    /// Used by the table in [`schema`] only.
    pub(crate) const fn new(path: &'static str) -> Self {
        Self { path, _type: PhantomData }
    }

    /// The dotted path, as CEL expressions spell it.
    pub const fn path(self) -> &'static str {
        self.path
    }
}

/// Why a fact could not be had. It decides whether an operator has to care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingKind {
    /// Nobody has looked yet: the agent has just started, or this input (a saved log) carries no facts.
    NotYet,
    /// It does not exist here, so there is nothing to look at (no kubelet on this host). Never makes a node `unknown`.
    NotApplicable,
    /// The system refused (EACCES, EPERM, 401, 403).
    Denied,
    /// The look did not come back before its deadline.
    Hung,
    /// The look failed in another way.
    Failed,
}

/// The reason for which a fact is missing, in an operator's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What sort of failure it was.
    pub kind: MissingKind,
    /// What was tried, on what, and what happened: `open /etc/kubernetes/kubelet.conf: Permission denied`.
    pub why: String,
    /// What to do so that it can be seen next time, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Missing {
    /// A reason without a hint.
    pub fn new(kind: MissingKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), hint: None }
    }

    /// The same reason, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The reason of a path that nobody has reported on.
    pub fn not_yet() -> Self {
        Self::new(MissingKind::NotYet, "not looked at yet")
    }
}

/// One fact as stored: a value or the reason there is none, and when that was found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The value, or why there is none.
    pub value: Result<Value, Missing>,
    /// When the check that reported this *began* to look; what happened later is not contradicted by it.
    pub read_at: Timestamp,
}

/// Looks come back within their deadlines, or are not listened to any more; those are shorter than this.
const LATE: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// Everything the checks have reported, the latest per path. Flat inside, a tree to CEL and in JSON.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Shared with the copies that are made of all of it.
    by_path: BTreeMap<&'static str, Arc<Fact>>,
}

impl Facts {
    /// No path reported on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a value, read by a look that began at `read_at`.
    pub fn set<T: FactValue>(&mut self, key: Key<T>, read_at: Timestamp, value: T) {
        self.keep(key.path, Fact { value: Ok(value.into_value()), read_at });
    }

    /// Stores a value or, if the look failed, its reason.
    pub fn put<T: FactValue>(&mut self, key: Key<T>, read_at: Timestamp, value: Result<T, Missing>) {
        let value = value.map(FactValue::into_value);
        self.keep(key.path, Fact { value, read_at });
    }

    /// Stores a reason for one path.
    pub fn miss<T>(&mut self, key: Key<T>, read_at: Timestamp, why: Missing) {
        self.keep(key.path, Fact { value: Err(why), read_at });
    }

    /// Stores the same reason for every path of the schema that equals `prefix` or lies beneath it (`kubelet.config`).
    pub fn miss_under(&mut self, prefix: &str, read_at: Timestamp, why: &Missing) {
        for entry in schema::under(prefix) {
            self.keep(entry.path, Fact { value: Err(why.clone()), read_at });
        }
    }

    /// Stores by path: for input whose paths are data (JSON). `None` if the schema has no such path.
    pub fn insert(&mut self, path: &str, fact: Fact) -> Option<()> {
        let entry = schema::entry(path)?;
        self.keep(entry.path, fact);
        Some(())
    }

    fn keep(&mut self, path: &'static str, fact: Fact) {
        self.by_path.insert(path, Arc::new(fact));
    }

    /// The fact at a path; `None` means [`MissingKind::NotYet`].
    pub fn get(&self, path: &str) -> Option<&Fact> {
        self.by_path.get(path).map(Arc::as_ref)
    }

    /// The value at a path, or the reason there is none.
    pub fn value(&self, path: &str) -> Result<&Value, Missing> {
        match self.get(path) {
            Some(Fact { value: Ok(value), .. }) => Ok(value),
            Some(Fact { value: Err(missing), .. }) => Err(missing.clone()),
            None => Err(Missing::not_yet()),
        }
    }

    /// A value by its typed key, if it is known.
    pub fn known<T: FactValue>(&self, key: Key<T>) -> Option<T> {
        T::from_value(self.value(key.path).ok()?)
    }

    /// Takes over everything `update` reports on; paths it is silent about stay as they are. Returns whether any value or reason changed.
    ///
    /// What was read before the fact that is there (a slow look that comes back after a signal) says nothing new and is left out. Older by
    /// more than looks ever take is not older: the clock was set back.
    pub fn absorb(&mut self, update: Facts) -> bool {
        let mut changed = false;
        for (path, fact) in update.by_path {
            let before = |old: &Arc<Fact>| old.read_at.duration_since(fact.read_at);
            if self.by_path.get(path).is_some_and(|old| before(old).is_positive() && before(old) <= LATE) {
                continue;
            }
            let same = self.by_path.get(path).is_some_and(|old| old.value == fact.value);
            changed |= !same;
            self.by_path.insert(path, fact);
        }
        changed
    }

    /// The clock was set back by so much: what was read before it was so much earlier by the clock as it goes now.
    pub fn clock_set_back(&mut self, by: jiff::SignedDuration) {
        for fact in self.by_path.values_mut() {
            let fact = Arc::make_mut(fact);
            fact.read_at = fact.read_at.checked_sub(by).unwrap_or(Timestamp::MIN);
        }
    }

    /// All facts in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Fact)> {
        self.by_path.iter().map(|(path, fact)| (*path, &**fact))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(second: i64, running: bool) -> Facts {
        let mut facts = Facts::new();
        facts.set(schema::KUBELET_UNIT_RUNNING, Timestamp::from_second(second).expect("a time"), running);
        facts
    }

    #[test]
    fn a_look_that_began_before_what_is_known_was_read_changes_nothing() {
        let mut facts = said(100, false);
        assert!(!facts.absorb(said(99, true)));
        assert_eq!(facts, said(100, false));
        assert!(facts.absorb(said(100, true)), "of the same moment the later word counts");
    }

    #[test]
    fn after_the_clock_was_set_back_new_facts_count() {
        let mut facts = said(10_000, false);
        assert!(facts.absorb(said(100, true)));
        assert_eq!(facts, said(100, true));
    }

    #[test]
    fn a_small_step_back_of_the_clock_refuses_no_new_fact_once_it_is_known() {
        let mut facts = said(110, false);
        assert!(!facts.absorb(said(101, true)), "a slow look, as far as anybody knows");
        facts.clock_set_back(jiff::SignedDuration::from_secs(10));
        assert!(facts.absorb(said(101, true)));
    }
}
