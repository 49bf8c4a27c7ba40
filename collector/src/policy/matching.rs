//! What an incident has to be like for a route, a silence or maintenance to be about it.

use std::collections::BTreeMap;

use nodewhy_diagnosis::model::{Layer, Severity};
use serde::{Deserialize, Serialize};

use super::Glob;
use crate::message::Kind;

/// Lists are alternatives, keys go together; an empty list asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Match {
    /// How bad it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub severity: Vec<Severity>,
    /// The cause's layer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layer: Vec<Layer>,
    /// The cause's code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cause: Vec<Glob>,
    /// What makes it one incident.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<Kind>,
    /// The node's name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub node: Vec<Glob>,
    /// The node's labels: each that is named has to be there and fit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Vec<Glob>>,
}

/// What is looked at: a node's case in an incident.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Of the incident.
    pub kind: Kind,
    /// Of the incident's cause.
    pub layer: Layer,
    /// For routes the incident's, for silences and maintenance the node's own.
    pub severity: Severity,
    /// The case's cause.
    pub code: &'a str,
    /// The node.
    pub node: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// A key of a [`Match`] that an incident does not fulfil.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Differs {
    /// `severity`, `node`, `labels.zone`.
    pub key: String,
    /// What is asked for.
    pub wanted: String,
    /// What there is.
    pub found: String,
}

impl Match {
    /// Asks for nothing: everything fits.
    pub fn is_empty(&self) -> bool {
        let Self { severity, layer, cause, kind, node, labels } = self;
        severity.is_empty() && layer.is_empty() && cause.is_empty() && kind.is_empty() && node.is_empty() && labels.is_empty()
    }

    /// Whether it is about this.
    pub fn fits(&self, subject: &Subject<'_>) -> bool {
        let any = |globs: &[Glob], word: &str| globs.is_empty() || globs.iter().any(|glob| glob.fits(word));
        let label = |(name, globs): (&String, &Vec<Glob>)| subject.labels.get(name).is_some_and(|value| any(globs, value));
        (self.severity.is_empty() || self.severity.contains(&subject.severity))
            && (self.layer.is_empty() || self.layer.contains(&subject.layer))
            && (self.kind.is_empty() || self.kind.contains(&subject.kind))
            && any(&self.cause, subject.code)
            && any(&self.node, subject.node)
            && self.labels.iter().all(label)
    }

    /// Whether all that fits `other` fits this one too. May say no where the answer is yes.
    pub fn covers(&self, other: &Self) -> bool {
        fn within<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
            wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|one| wide.contains(one)))
        }
        fn beneath(wide: &[Glob], narrow: &[Glob]) -> bool {
            wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|one| wide.iter().any(|glob| glob.covers(one))))
        }
        within(&self.severity, &other.severity)
            && within(&self.layer, &other.layer)
            && within(&self.kind, &other.kind)
            && beneath(&self.cause, &other.cause)
            && beneath(&self.node, &other.node)
            && self.labels.iter().all(|(name, globs)| other.labels.get(name).is_some_and(|narrow| beneath(globs, narrow)))
    }

    /// What is in the way of this, key by key; empty if it fits.
    pub fn differs(&self, subject: &Subject<'_>) -> Vec<Differs> {
        let mut all = Vec::new();
        let mut ask = |key: &str, fits: bool, wanted: String, found: String| {
            if !fits {
                all.push(Differs { key: key.to_owned(), wanted, found });
            }
        };
        let only = |part: Self| part.fits(subject);
        ask("severity", only(Self { severity: self.severity.clone(), ..Self::default() }), words(&self.severity), word(&subject.severity));
        ask("layer", only(Self { layer: self.layer.clone(), ..Self::default() }), words(&self.layer), word(&subject.layer));
        ask("cause", only(Self { cause: self.cause.clone(), ..Self::default() }), words(&self.cause), subject.code.to_owned());
        ask("kind", only(Self { kind: self.kind.clone(), ..Self::default() }), words(&self.kind), word(&subject.kind));
        ask("node", only(Self { node: self.node.clone(), ..Self::default() }), words(&self.node), subject.node.to_owned());
        for (name, globs) in &self.labels {
            let labels = BTreeMap::from([(name.clone(), globs.clone())]);
            let found = subject.labels.get(name).cloned().unwrap_or_else(|| "not there".to_owned());
            ask(&format!("labels.{name}"), only(Self { labels, ..Self::default() }), words(globs), found);
        }
        all
    }
}

/// A value as it is written in files.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

fn words<T: Serialize>(values: &[T]) -> String {
    values.iter().map(word).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(yaml: &str) -> Match {
        serde_saphyr::from_str(yaml).expect(yaml)
    }

    fn about(yaml: &str, labels: &BTreeMap<String, String>) -> bool {
        let kind = Kind::Node;
        matching(yaml).fits(&Subject {
            kind,
            layer: Layer::Kubelet,
            severity: Severity::Critical,
            code: "swap-enabled",
            node: "edge-1",
            labels,
        })
    }

    #[test]
    fn lists_are_alternatives_and_keys_go_together() {
        let labels = BTreeMap::from([("zone".to_owned(), "eu-1a".to_owned())]);
        for (yaml, fits) in [
            ("{}", true),
            ("{severity: [critical]}", true),
            ("{severity: [warning, critical]}", true),
            ("{severity: [warning]}", false),
            ("{layer: [kubelet], cause: [swap-*]}", true),
            ("{layer: [kubelet], cause: [disk-*]}", false),
            ("{kind: [control-plane, node], node: ['edge-*']}", true),
            ("{kind: [fleet]}", false),
            ("{node: ['core-*', 'edge-1']}", true),
            ("{labels: {zone: ['eu-*']}}", true),
            ("{labels: {zone: [us-1, eu-1a], rack: ['*']}}", false),
            ("{labels: {zone: [us-1]}}", false),
        ] {
            assert_eq!(about(yaml, &labels), fits, "{yaml}");
        }
    }

    #[test]
    fn one_covers_another_only_if_nothing_fits_the_other_alone() {
        for (wide, narrow, covers) in [
            ("{}", "{node: [a]}", true),
            ("{node: [a]}", "{}", false),
            ("{node: ['a*', b]}", "{node: [ab, b], severity: [info]}", true),
            ("{node: ['a*']}", "{node: [ab, b]}", false),
            ("{severity: [critical, warning]}", "{severity: [critical]}", true),
            ("{labels: {zone: ['*']}}", "{labels: {zone: [a], rack: [b]}}", true),
            ("{labels: {rack: [a]}}", "{labels: {zone: [a]}}", false),
        ] {
            assert_eq!(matching(wide).covers(&matching(narrow)), covers, "{wide} {narrow}");
        }
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let labels = BTreeMap::new();
        let subject =
            Subject { kind: Kind::Node, layer: Layer::Time, severity: Severity::Info, code: "clock-skew", node: "n", labels: &labels };
        let differs = matching("{severity: [critical, warning], node: [n], labels: {zone: [a]}}").differs(&subject);
        let says: Vec<_> = differs.iter().map(|d| format!("{} {} {}", d.key, d.wanted, d.found)).collect();
        assert_eq!(says, ["severity critical or warning info", "labels.zone a not there"]);
    }
}
