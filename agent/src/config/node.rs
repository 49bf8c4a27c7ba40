//! A YAML file with the place of everything in it, so that one bad field can be told and left out.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

/// Line and column, from 1; 0 if the whole file is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl From<Location> for Place {
    fn from(at: Location) -> Self {
        Self { line: at.line(), column: at.column() }
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Nothing,
    Text(String),
    Bool(bool),
    /// A number: no key wants one.
    Other(&'static str),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { at: spanned.referenced.into(), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
        Ok(Kind::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Other("a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Kind::Map(entries))
    }
}

impl Node {
    fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Nothing => "nothing",
            Kind::Text(_) => "a text",
            Kind::Bool(_) => "true or false",
            Kind::Other(what) => what,
            Kind::List(_) => "a list",
            Kind::Map(_) => "keys with values",
        }
    }

    /// What it is, if it is something and no text.
    pub(super) fn no_text(&self) -> Option<&'static str> {
        (!matches!(self.kind, Kind::Nothing | Kind::Text(_))).then(|| self.what())
    }

    /// `None` if nothing is written.
    pub(super) fn text(&self) -> Result<Option<&str>, String> {
        match &self.kind {
            Kind::Nothing => Ok(None),
            Kind::Text(text) => Ok(Some(text)),
            _ => Err(format!("has to be a text, in quotes if it looks otherwise; it is {}", self.what())),
        }
    }

    /// A list of texts, or one text.
    pub(super) fn texts(&self) -> Result<Option<Vec<String>>, String> {
        match &self.kind {
            Kind::Nothing => Ok(None),
            Kind::List(items) => {
                let text = |item: &Node| item.text()?.map(str::to_owned).ok_or_else(|| "has to be a list of texts".to_owned());
                items.iter().map(text).collect::<Result<_, _>>().map(Some)
            }
            _ => Ok(self.text()?.map(|text| vec![text.to_owned()])),
        }
    }

    pub(super) fn truth(&self) -> Result<Option<bool>, String> {
        match &self.kind {
            Kind::Nothing => Ok(None),
            Kind::Bool(value) => Ok(Some(*value)),
            _ => Err(format!("has to be true or false; it is {}", self.what())),
        }
    }

    pub(super) fn entries(self) -> Result<Vec<(Spanned<String>, Node)>, String> {
        match self.kind {
            Kind::Nothing => Ok(Vec::new()),
            Kind::Map(entries) => Ok(entries),
            _ => Err(format!("has to be keys with values; it is {}", self.what())),
        }
    }
}
