//! The values a fact can have, and their Rust types.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A value of a fact. Integers are bytes, counts or codes as the path's name says; units stand last in names (`size_bytes`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A count, size or code.
    Int(i64),
    /// A ratio or a measurement.
    Float(f64),
    /// An instant.
    Time(Timestamp),
    /// A length of time.
    Duration(SignedDuration),
    /// Words.
    Text(String),
    /// An ordered list (of texts or of records).
    List(Vec<Value>),
    /// A record or a map.
    Map(BTreeMap<String, Value>),
}

/// One element of a list of records (a swap device, a file system, a certificate). A field that could not be read is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record(pub BTreeMap<String, Value>);

impl Record {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// The record with one more field. The field must be in the schema of the list (a test over all checks sees to it).
    #[must_use]
    pub fn with<T: FactValue>(mut self, field: &str, value: T) -> Self {
        self.0.insert(field.to_owned(), value.into_value());
        self
    }

    /// The record with one more field if there is a value.
    #[must_use]
    pub fn with_some<T: FactValue>(self, field: &str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    /// A field by name.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }
}

/// The type of a fact, as the schema states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactType {
    /// [`Value::Bool`]
    Bool,
    /// [`Value::Int`]
    Int,
    /// [`Value::Float`]
    Float,
    /// [`Value::Time`]
    Time,
    /// [`Value::Duration`]
    Duration,
    /// [`Value::Text`]
    Text,
    /// A list of [`Value::Text`]
    TextList,
    /// A map of free names to [`Value::Text`]
    TextMap,
    /// A list of records with these fields.
    Records(&'static [(&'static str, FactType)]),
}

/// A Rust type that a fact can have.
pub trait FactValue: Sized {
    /// Wraps it.
    fn into_value(self) -> Value;
    /// Unwraps it; `None` if the value is of another type.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! plain {
    ($($rust:ty => $variant:ident),* $(,)?) => {$(
        impl FactValue for $rust {
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(inner) => Some(inner.clone()),
                    _ => None,
                }
            }
        }
    )*};
}
plain!(bool => Bool, i64 => Int, f64 => Float, Timestamp => Time, SignedDuration => Duration, String => Text);

impl FactValue for Vec<String> {
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(Value::Text).collect())
    }
    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else { return None };
        items.iter().map(String::from_value).collect()
    }
}

impl FactValue for BTreeMap<String, String> {
    fn into_value(self) -> Value {
        Value::Map(self.into_iter().map(|(name, text)| (name, Value::Text(text))).collect())
    }
    fn from_value(value: &Value) -> Option<Self> {
        let Value::Map(entries) = value else { return None };
        entries.iter().map(|(name, text)| Some((name.clone(), String::from_value(text)?))).collect()
    }
}

impl FactValue for Vec<Record> {
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(|record| Value::Map(record.0)).collect())
    }
    fn from_value(value: &Value) -> Option<Self> {
        let Value::List(items) = value else { return None };
        items
            .iter()
            .map(|item| match item {
                Value::Map(fields) => Some(Record(fields.clone())),
                _ => None,
            })
            .collect()
    }
}
