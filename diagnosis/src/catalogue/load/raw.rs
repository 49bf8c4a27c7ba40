//! The form of a cause file, before its expressions are looked at.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::{LoadError, LoadProblem};
use crate::model::{Layer, Severity};
use crate::record::Source;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCause {
    pub(super) code: Spanned<String>,
    pub(super) title: Spanned<String>,
    pub(super) layer: Layer,
    pub(super) severity: Severity,
    #[serde(default)]
    pub(super) found_by: RawFoundBy,
    pub(super) signs: Option<Spanned<Vec<RawSign>>>,
    pub(super) absent: Option<Spanned<String>>,
    pub(super) explains: Option<Spanned<Vec<String>>>,
    pub(super) message: Spanned<RawMessages>,
    #[serde(default)]
    pub(super) evidence: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) remedy: Vec<RawRemedy>,
    pub(super) docs: RawDocs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawFoundBy {
    #[default]
    Agent,
    Collector,
}

/// A mapping with exactly one of both keys beside `for`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSign {
    pub(super) log: Option<Spanned<RawLog>>,
    pub(super) fact: Option<Spanned<String>>,
    pub(super) r#for: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) from: Vec<Source>,
    pub(super) r#match: Spanned<String>,
    pub(super) unless: Option<Spanned<String>>,
    pub(super) only_if: Option<Spanned<String>>,
    pub(super) count: Option<Spanned<u32>>,
    pub(super) within: Option<Spanned<String>>,
    pub(super) ends: Option<Spanned<String>>,
    pub(super) quiet_for: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) examples: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMessage {
    pub(super) when: Option<Spanned<String>>,
    pub(super) say: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRemedy {
    pub(super) say: Spanned<String>,
    pub(super) run: Option<Spanned<String>>,
    pub(super) when: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDocs {
    pub(super) meaning: String,
    pub(super) knows: String,
    pub(super) lookalikes: String,
}

/// One text, or a list of `{when, say}`.
#[derive(Debug)]
pub(super) struct RawMessages(pub(super) Vec<RawMessage>);

impl<'de> Deserialize<'de> for RawMessages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawMessages;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of {when, say}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawMessages, E> {
                let say = Spanned::new(text.to_owned(), serde_saphyr::Location::UNKNOWN, serde_saphyr::Location::UNKNOWN);
                Ok(RawMessages(vec![RawMessage { when: None, say }]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawMessages, A::Error> {
                let mut messages = Vec::new();
                while let Some(message) = list.next_element()? {
                    messages.push(message);
                }
                Ok(RawMessages(messages))
            }
            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<RawMessages, A::Error> {
                Err(de::Error::custom("a mapping stands here: write a text, or a list `- {when: ..., say: ...}`"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(super) fn read(file: &str, text: &str) -> Result<RawCause, LoadError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        let words = error.without_snippet().to_string();
        // The place is told once, in front.
        let words = words.split(" at line ").next().unwrap_or(&words).to_owned();
        LoadError { file: file.to_owned(), line, problem: LoadProblem::Yaml(words).into() }
    })
}
