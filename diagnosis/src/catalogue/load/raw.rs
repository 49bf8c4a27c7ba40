//! The form of a cause file, as serde sees it; nothing is checked here but the form.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::Place;
use crate::model::{Layer, Severity};
use crate::record::Source;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCause {
    pub(super) code: Spanned<String>,
    pub(super) title: Spanned<String>,
    pub(super) layer: Layer,
    pub(super) severity: Severity,
    pub(super) latent: Option<Spanned<bool>>,
    pub(super) last_resort: Option<Spanned<bool>>,
    pub(super) critical_when: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) found_by: RawFoundBy,
    #[serde(default)]
    pub(super) signs: Vec<Spanned<RawSign>>,
    pub(super) absent: Option<Spanned<String>>,
    pub(super) over: Option<RawOver>,
    #[serde(default)]
    pub(super) explains: Vec<Spanned<String>>,
    pub(super) message: Spanned<RawMessages>,
    #[serde(default)]
    pub(super) evidence: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) remedy: Vec<RawRemedy>,
    pub(super) docs: RawDocs,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawFoundBy {
    #[default]
    Agent,
    Collector,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSign {
    pub(super) log: Option<Spanned<RawLog>>,
    pub(super) fact: Option<Spanned<String>>,
    #[serde(rename = "for")]
    pub(super) held_for: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) from: Vec<Spanned<Source>>,
    #[serde(default)]
    pub(super) named: bool,
    #[serde(rename = "match")]
    pub(super) pattern: Spanned<String>,
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
pub(super) struct RawOver {
    pub(super) from: Vec<Spanned<Source>>,
    #[serde(rename = "match")]
    pub(super) pattern: Spanned<String>,
    #[serde(default)]
    pub(super) examples: Vec<String>,
}

/// One text, or a list of choices.
#[derive(Debug)]
pub(super) enum RawMessages {
    Plain(String),
    Choices(Vec<RawMessage>),
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
    #[serde(default)]
    pub(super) knows: String,
    #[serde(default)]
    pub(super) lookalikes: String,
}

impl<'de> Deserialize<'de> for RawMessages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawMessages;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, or a list of {when: CEL, say: text}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawMessages, E> {
                Ok(RawMessages::Plain(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawMessages, A::Error> {
                let mut choices = Vec::new();
                while let Some(choice) = items.next_element()? {
                    choices.push(choice);
                }
                Ok(RawMessages::Choices(choices))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(super) fn place(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

/// The place of a spanned value.
pub(super) fn of<T>(spanned: &Spanned<T>) -> Place {
    place(spanned.referenced)
}

/// A parser's complaint in one line; the place stands before it already.
pub(super) fn words(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let own_place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    own_place.map_or(text.clone(), |place| text.replace(&place, ""))
}

/// The code of a file that is refused, as well as it can be told: so that those which name it in `explains` are not refused with it.
pub(super) fn code_of(file: &str, text: &str) -> String {
    let written = text.lines().find_map(|line| line.strip_prefix("code:")).map(|code| code.trim().trim_matches(['"', '\'']));
    let stem = || file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or(file);
    written.unwrap_or_else(stem).to_owned()
}
