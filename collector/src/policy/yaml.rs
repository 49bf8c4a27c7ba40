//! A YAML file with the place of everything in it, so that every mistake can be told where it stands.
//!
//! Scalars keep the text they are written with: a label's value `1.10` is neither 1.1 nor a number.

use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

/// What is in a file may be nested so deep.
const MAX_DEPTH: usize = 32;

/// Line and column, from 1; 0 if the whole file is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl From<Location> for Place {
    fn from(at: Location) -> Self {
        Self { line: at.line(), column: at.column() }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Nothing,
    /// Text in quotes, or a plain word that YAML takes for a text.
    Text(String),
    /// A plain word that YAML takes for something else (a number, true), as it is written.
    Plain(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) at: Place,
    pub(super) name: String,
}

impl Node {
    /// Reads a text; `None` if there is nothing in it.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, (Place, String)> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim_end() == "---") {
            return Ok(None);
        }
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        };
        let raw: Raw = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let at = error.location().map_or(Place::default(), Place::from);
            (at, words(&error))
        })?;
        Ok(Some(raw.into_node(text)))
    }

    /// What it is, in words.
    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Nothing => "nothing",
            Kind::Text(_) => "a text",
            Kind::Plain(text) if text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') => "a number",
            Kind::Plain(_) => "true, false or a number",
            Kind::List(_) => "a list",
            Kind::Map(_) => "keys with values",
        }
    }

    /// Its text as it is written, if it is one word or text.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) | Kind::Plain(text) => Some(text),
            _ => None,
        }
    }
}

/// A parser's complaint in one line; the place stands before it already.
fn words(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// As it comes from the parser.
struct Raw {
    at: Location,
    /// Where it is written; elsewhere than `at` if an alias stands there.
    defined: Location,
    kind: RawKind,
}

enum RawKind {
    Nothing,
    Text(String),
    /// In the parser's words; the file has the writer's.
    Plain(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl Raw {
    fn into_node(self, text: &str) -> Node {
        let kind = match self.kind {
            RawKind::Nothing => Kind::Nothing,
            RawKind::Text(text) => Kind::Text(text),
            RawKind::Plain(parsed) => Kind::Plain(written(self.defined, text).map_or(parsed, str::to_owned)),
            RawKind::List(items) => Kind::List(items.into_iter().map(|item| item.into_node(text)).collect()),
            RawKind::Map(entries) => {
                let key = |key: Spanned<String>| Key { at: key.referenced.into(), name: key.value };
                Kind::Map(entries.into_iter().map(|(name, value)| (key(name), value.into_node(text))).collect())
            }
        };
        Node { at: self.at.into(), kind }
    }
}

fn written(at: Location, text: &str) -> Option<&str> {
    let from = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    let word = text.get(Range { start: from, end: from.checked_add(length)? })?.trim();
    (!word.is_empty()).then_some(word)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, defined } = Spanned::<RawKind>::deserialize(deserializer)?;
        Ok(Self { at: referenced, defined, kind: value })
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind)
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = RawKind;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Nothing)
    }

    fn visit_none<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawKind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawKind, E> {
        Ok(RawKind::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawKind, E> {
        Ok(RawKind::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawKind, E> {
        Ok(RawKind::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawKind, E> {
        Ok(RawKind::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawKind, E> {
        Ok(RawKind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(RawKind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawKind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawKind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Vec<(Key, Node)> {
        match Node::parse(text).expect("YAML").expect("something").kind {
            Kind::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_keep_the_writers_spelling_and_everything_its_place() {
        let entries = map("a: 1.10\nb:\n  - 0x10\n  - 'x'\nc: &n 007\nd: *n\né: yes\n");
        let at = |place: Place| (place.line, place.column);
        assert_eq!(entries[0].1.scalar(), Some("1.10"));
        let Kind::List(items) = &entries[1].1.kind else { panic!("a list") };
        assert_eq!((items[0].scalar(), at(items[0].at)), (Some("0x10"), (3, 5)));
        assert_eq!(entries[2].1.scalar(), Some("007"));
        assert_eq!((entries[3].1.scalar(), at(entries[3].1.at)), (Some("007"), (6, 4)));
        assert_eq!((entries[4].1.scalar(), at(entries[4].0.at)), (Some("yes"), (7, 1)));
    }

    #[test]
    fn a_key_that_is_written_twice_is_there_twice() {
        assert_eq!(map("a: 1\na: 2\n").len(), 2);
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        for text in [format!("a: {}", "[".repeat(5000)), "- ".repeat(5000), format!("a: {}{}", "[".repeat(100), "]".repeat(100))] {
            Node::parse(&text).expect_err("too deep");
        }
    }

    #[test]
    fn comments_and_empty_documents_are_nothing() {
        for text in ["", "# c\n\n", "---\n"] {
            assert!(Node::parse(text).expect("YAML").is_none());
        }
    }
}
