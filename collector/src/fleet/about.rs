//! What a node is: labels and traits, and when those changed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodewhy_proto::v1 as pb;
use serde::{Deserialize, Serialize};

/// A node's labels and traits, as kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Labels (rack, zone, instance type).
    pub labels: BTreeMap<String, String>,
    /// Traits by name: `apiServer`, `kubeletConfig`, `kernel`, ...
    pub traits: BTreeMap<String, Trait>,
}

/// A trait of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trait {
    /// Its value now.
    pub value: String,
    /// The value before, and when the collector heard of the change. A first value is no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

/// A change of a trait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The value before.
    pub from: String,
    /// When the collector heard of it.
    pub at: Timestamp,
}

impl About {
    /// What is known after an agent has said what its node is. What it does not speak of any more is gone.
    #[must_use]
    pub fn heard(&self, said: pb::About, now: Timestamp) -> Self {
        let traits = said.traits.into_iter().map(|(name, value)| {
            let changed = match self.traits.get(&name) {
                Some(before) if before.value != value => Some(Changed { from: before.value.clone(), at: now }),
                Some(before) => before.changed.clone(),
                None => None,
            };
            (name, Trait { value, changed })
        });
        Self { labels: said.labels.into_iter().collect(), traits: traits.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(version: &str) -> pb::About {
        pb::About { traits: [("kernel".to_owned(), version.to_owned())].into(), ..pb::About::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_change_is_kept_with_the_value_before_and_a_first_value_is_none() {
        let first = About::default().heard(kernel("6.1"), at(1));
        assert_eq!(first.traits["kernel"].changed, None);
        let second = first.heard(kernel("6.2"), at(2));
        assert_eq!(second.traits["kernel"].changed, Some(Changed { from: "6.1".into(), at: at(2) }));
        assert_eq!(second.heard(kernel("6.2"), at(3)), second, "said again");
    }
}
