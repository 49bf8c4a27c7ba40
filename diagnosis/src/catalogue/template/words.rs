//! Values in words, by their types and the units at the end of their names.

use std::collections::BTreeMap;

use super::super::expr::Ty;
use crate::facts::{FactId, Value};
use crate::render::{moment, span};

/// A fact's value in words.
pub(crate) fn fact_in_words(id: FactId, value: &Value) -> String {
    let name = id.path().rsplit('.').next().unwrap_or_default();
    words(value, Ty::of_fact(id.entry().kind), name)
}

/// A value in words. `name` is what it goes by: a number called `..._bytes` is told in GiB.
pub(super) fn words(value: &Value, ty: Ty, name: &str) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) if name.ends_with("_bytes") => bytes(*value),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number(*value),
        Value::Time(at) => moment(*at),
        Value::Duration(length) if length.as_secs() == 0 && !length.is_zero() => format!("{}ms", length.as_millis()),
        Value::Duration(length) => span(*length),
        Value::Text(text) if text.is_empty() => "none".to_owned(),
        Value::Text(text) => text.clone(),
        Value::List(items) if items.is_empty() => "none".to_owned(),
        Value::List(items) => items.iter().map(|item| words(item, ty.element(), name)).collect::<Vec<_>>().join(", "),
        Value::Map(fields) => match ty {
            Ty::Record(order) => record(order.iter().filter_map(|(name, _)| Some((*name, fields.get(*name)?)))),
            Ty::TextMap => map(fields),
            _ => record(fields.iter().map(|(name, value)| (name.as_str(), value))),
        },
    }
}

/// `/dev/sda2 (partition, 2.0 GiB)`: the first field, the others in brackets. What is empty is left out.
fn record<'v>(fields: impl Iterator<Item = (&'v str, &'v Value)>) -> String {
    let mut told = fields.enumerate().filter_map(|(index, (name, value))| match value {
        Value::Text(text) if text.is_empty() => None,
        Value::List(items) if items.is_empty() => None,
        _ if index == 0 => Some(words(value, Ty::Any, name)),
        _ => Some(field(name, value)),
    });
    let first = told.next().unwrap_or_default();
    let others = told.collect::<Vec<_>>().join(", ");
    if others.is_empty() { first } else { format!("{first} ({others})") }
}

/// A field inside brackets: texts and sizes speak for themselves, what else there is has its name with it.
fn field(name: &str, value: &Value) -> String {
    let plain = words(value, Ty::Any, name);
    let spaced = |name: &str| name.replace('_', " ");
    match value {
        Value::Text(_) => plain,
        Value::Bool(true) => spaced(name),
        Value::Bool(false) => format!("not {}", spaced(name)),
        Value::Int(_) => match name.strip_suffix("_bytes") {
            Some("size") => plain,
            Some(what) => format!("{plain} {}", spaced(what)),
            None => format!("{} {plain}", spaced(name)),
        },
        _ => format!("{} {plain}", spaced(name)),
    }
}

fn map(entries: &BTreeMap<String, Value>) -> String {
    if entries.is_empty() {
        return "none".to_owned();
    }
    entries.iter().map(|(name, value)| format!("{name}={}", words(value, Ty::Any, name))).collect::<Vec<_>>().join(", ")
}

fn bytes(count: i64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count.unsigned_abs() < 1024 {
        return format!("{count} B");
    }
    let mut size = count as f64 / 1024.0;
    let mut unit = 0;
    while size.abs() >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    // What rounds to nothing has no sign.
    let text = if text == "-0.000" { "0.000".to_owned() } else { text };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}
