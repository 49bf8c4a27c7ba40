//! An incident from a file: a message as hooks get it, or a short form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, Severity};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::message::{Kind, Message};
use crate::policy::{Mistake, read_as};
use crate::tell::{Member, Standing};

/// An incident to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) code: String,
    pub(super) kind: Kind,
    pub(super) layer: Layer,
    pub(super) nodes: Vec<Node>,
    /// What is not known of it, in words.
    pub(super) doubt: Option<String>,
}

/// A node of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) severity: Severity,
}

/// As people write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Short {
    cause: String,
    severity: Option<Severity>,
    layer: Option<Layer>,
    kind: Option<Kind>,
    nodes: Vec<ShortNode>,
}

/// A name, or a name and more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
struct ShortNode {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    severity: Option<Severity>,
}

impl<'de> Deserialize<'de> for ShortNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ShortNode;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a node's name, or {name, labels, severity}")
            }

            fn visit_str<E>(self, name: &str) -> Result<ShortNode, E> {
                Ok(ShortNode { name: name.to_owned(), labels: BTreeMap::new(), severity: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ShortNode, A::Error> {
                ShortNode::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Incident {
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        // What only a message has.
        if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text)
            && object.contains_key("incident")
        {
            let mistake = |error: serde_json::Error| Mistake {
                line: error.line() as u64,
                column: error.column() as u64,
                problem: format!("the message of the incident: {error}"),
            };
            return Ok(serde_json::from_str::<Message>(text).map_err(mistake)?.into());
        }
        let short: Short = read_as(text)?;
        Self::from_short(short).map_err(|problem| Mistake { line: 0, column: 0, problem })
    }

    fn from_short(short: Short) -> Result<Self, String> {
        let known = nodewhy_causes::catalogue().cause(&short.cause);
        let missing = |what: &str| format!("`{}` is no cause of the built-in catalogue: say its `{what}`, too", short.cause);
        let layer = short.layer.or_else(|| known.map(|cause| cause.layer)).ok_or_else(|| missing("layer"))?;
        let severity = short.severity.or_else(|| known.map(|cause| cause.severity)).ok_or_else(|| missing("severity"))?;
        if short.nodes.is_empty() {
            return Err("`nodes` is empty: an incident is on one node at least".to_owned());
        }
        let nodes: Vec<Node> = short
            .nodes
            .into_iter()
            .map(|node| Node { name: node.name, labels: node.labels, severity: node.severity.unwrap_or(severity) })
            .collect();
        let names: BTreeSet<&str> = nodes.iter().map(|node| &*node.name).collect();
        let kind = short.kind.unwrap_or(if names.len() > 1 { Kind::Cause } else { Kind::Node });
        Ok(Self { code: short.cause, kind, layer, nodes, doubt: None })
    }

    /// As it stands while it is open; what may be waited for is over.
    pub(super) fn standing(&self, opened_at: Timestamp, closed_at: Option<Timestamp>) -> Standing<'_> {
        let members = self.nodes.iter().map(|node| {
            let Node { name, labels, severity } = node;
            Member { node: name, labels, code: &self.code, severity: *severity }
        });
        Standing { kind: self.kind, members: members.collect(), closed_at, ..Standing::alone("policy-test", self.layer, opened_at) }
    }
}

impl From<Message> for Incident {
    fn from(message: Message) -> Self {
        let Message { cause, kind, layer, severity, nodes, node, .. } = message;
        let mut names = nodes.names;
        if !names.contains(&node) {
            names.push(node);
        }
        let named = names.len();
        let of = |name| Node { name, labels: nodes.labels.clone(), severity };
        let count = usize::try_from(nodes.count).unwrap_or(usize::MAX);
        let mut doubt = Vec::new();
        if count > named {
            doubt.push(format!("the message names {named} of {count} nodes"));
        }
        if named > 1 {
            doubt.push("it has only those labels that all of them have".to_owned());
        }
        let doubt = (!doubt.is_empty()).then(|| doubt.join(", and "));
        Self { code: cause.code, kind, layer, nodes: names.into_iter().map(of).collect(), doubt }
    }
}
