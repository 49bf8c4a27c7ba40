//! The nodes of the fleet as they are now: what they are, and the root causes that are open on them. In memory; the store is where it comes from.

mod about;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Severity};
use serde::{Deserialize, Serialize};

pub use about::{About, Changed, Trait};

/// Something that nodes can have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// A label and its value.
    Label(Arc<str>, Arc<str>),
    /// A trait and its value.
    Trait(Arc<str>, Arc<str>),
    /// A trait that took different new values.
    Changed(Arc<str>),
    /// That they are of this fleet.
    Fleet,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// What it is.
    pub about: About,
    /// How often its agent speaks.
    pub heartbeat: Duration,
    /// Root causes that are open on it.
    pub cases: Vec<OpenCase>,
}

/// A root cause that is open on a node.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenCase {
    /// Identity within the node.
    pub case_id: Arc<str>,
    /// The worst of the cause and of what it explains on the node.
    pub severity: Severity,
    /// When its opening was committed here.
    pub opened_at: Timestamp,
    /// As told last.
    pub cause: Arc<PresentCause>,
}

impl Node {
    /// What it may have in common with others.
    fn marks(&self) -> impl Iterator<Item = Mark> {
        let labels = self.about.labels.iter().map(|(name, value)| Mark::Label(name.as_str().into(), value.as_str().into()));
        labels.chain(self.about.traits.iter().map(|(name, one)| Mark::Trait(name.as_str().into(), one.value.as_str().into())))
    }

    /// Whether it has this in common with others that have. `Changed` is told by [`Node::changed_at`].
    pub fn has(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Label(name, value) => self.about.labels.get(&**name).is_some_and(|label| **label == **value),
            Mark::Trait(name, value) => self.about.traits.get(&**name).is_some_and(|one| *one.value == **value),
            Mark::Changed(name) => self.changed_at(name).is_some(),
            Mark::Fleet => true,
        }
    }

    /// When a trait changed last.
    pub fn changed_at(&self, name: &str) -> Option<Timestamp> {
        self.about.traits.get(name)?.changed.as_ref().map(|changed| changed.at)
    }
}

/// All nodes. See the module.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    nodes: BTreeMap<Arc<str>, Node>,
    having: HashMap<Mark, u32>,
}

impl Fleet {
    /// A node is like this now.
    pub fn set(&mut self, name: Arc<str>, node: Node) {
        let before = self.nodes.get(&name);
        if before.is_none_or(|before| before.about != node.about) {
            self.count(&name, |count| *count = count.saturating_sub(1));
            for mark in node.marks() {
                *self.having.entry(mark).or_default() += 1;
            }
        }
        self.nodes.insert(name, node);
    }

    /// There is no such node any more.
    pub fn forget(&mut self, name: &str) {
        self.count(name, |count| *count = count.saturating_sub(1));
        self.nodes.remove(name);
    }

    fn count(&mut self, name: &str, change: impl Fn(&mut u32)) {
        let marks: Vec<Mark> = self.nodes.get(name).into_iter().flat_map(Node::marks).collect();
        for mark in marks {
            if let Some(count) = self.having.get_mut(&mark) {
                change(count);
                if *count == 0 {
                    self.having.remove(&mark);
                }
            }
        }
    }

    /// A node by its name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// All of them, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&Arc<str>, &Node)> {
        self.nodes.iter()
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many nodes have this; of a change those in which it came after `since`.
    pub fn having(&self, mark: &Mark, since: Timestamp) -> u32 {
        match mark {
            Mark::Fleet => self.len(),
            Mark::Changed(name) => {
                let changed = self.nodes.values().filter(|node| node.changed_at(name).is_some_and(|at| at >= since));
                u32::try_from(changed.count()).unwrap_or(u32::MAX)
            }
            mark => self.having.get(mark).copied().unwrap_or(0),
        }
    }

    /// Labels that all of these nodes have.
    pub fn labels_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
        let mut all: Option<BTreeMap<String, String>> = None;
        let names: BTreeSet<&str> = names.into_iter().collect();
        for node in names.into_iter().filter_map(|name| self.nodes.get(name)) {
            match &mut all {
                None => all = Some(node.about.labels.clone()),
                Some(all) => all.retain(|name, value| node.about.labels.get(name) == Some(value)),
            }
        }
        all.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(rack: &str) -> Node {
        let about = About { labels: BTreeMap::from([("rack".into(), rack.into()), ("zone".into(), "a".into())]), ..About::default() };
        Node { about, ..Node::default() }
    }

    #[test]
    fn what_nodes_have_in_common_is_counted_as_they_change_and_go() {
        let mut fleet = Fleet::default();
        let rack = |name: &str| Mark::Label("rack".into(), name.into());
        let having = |fleet: &Fleet, name| fleet.having(&rack(name), Timestamp::UNIX_EPOCH);
        for (name, in_rack) in [("a", "r1"), ("b", "r1"), ("c", "r2")] {
            fleet.set(name.into(), node(in_rack));
        }
        assert_eq!((having(&fleet, "r1"), having(&fleet, "r2"), fleet.len()), (2, 1, 3));
        fleet.set("b".into(), node("r2"));
        assert_eq!((having(&fleet, "r1"), having(&fleet, "r2")), (1, 2));
        fleet.forget("a");
        assert_eq!((having(&fleet, "r1"), fleet.len()), (0, 2));
        assert_eq!(fleet.labels_of(["b", "c"])["rack"], "r2");
    }
}
