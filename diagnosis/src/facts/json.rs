//! Facts from JSON (`analyze --facts FILE.json`).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::schema::{self, Entry};
use super::value::{FactType, Value};
use super::{Fact, Facts};

/// A path or a value that is not a fact.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct JsonError {
    /// Dotted path of the offending field.
    pub path: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

/// Reads a nested JSON object as facts, all of them read at `read_at`. A `null` says nothing.
///
/// # Errors
/// [`JsonError`] for a path that is not in the schema, and for a value of another type than the schema's.
pub fn from_json(json: &Json, read_at: Timestamp) -> Result<Facts, JsonError> {
    let mut facts = Facts::new();
    branch(json, String::new(), read_at, &mut facts)?;
    Ok(facts)
}

fn branch(json: &Json, path: String, read_at: Timestamp, facts: &mut Facts) -> Result<(), JsonError> {
    let wrong = |problem: String| JsonError { path: if path.is_empty() { "(top)".to_owned() } else { path.clone() }, problem };
    if let Some(entry) = schema::entry(&path) {
        if entry.derived {
            return Err(wrong("is computed from other facts and cannot be given".to_owned()));
        }
        if !json.is_null() {
            facts.insert(entry.path, Fact { value: Ok(value(json, entry, &path)?), read_at });
        }
        return Ok(());
    }
    if !path.is_empty() && schema::under(&path).next().is_none() {
        return Err(wrong("there is no such fact; docs/facts.md lists them all".to_owned()));
    }
    let Json::Object(fields) = json else { return Err(wrong("has to be an object: facts lie beneath it".to_owned())) };
    for (name, json) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        branch(json, path, read_at, facts)?;
    }
    Ok(())
}

fn value(json: &Json, entry: &Entry, path: &str) -> Result<Value, JsonError> {
    typed(json, entry.kind, path)
}

fn typed(json: &Json, kind: FactType, path: &str) -> Result<Value, JsonError> {
    let wrong = |wanted: &str| JsonError { path: path.to_owned(), problem: format!("has to be {wanted}, and is {json}") };
    Ok(match kind {
        FactType::Bool => Value::Bool(json.as_bool().ok_or_else(|| wrong("true or false"))?),
        FactType::Int => Value::Int(json.as_i64().ok_or_else(|| wrong("a whole number"))?),
        FactType::Float => Value::Float(json.as_f64().ok_or_else(|| wrong("a number"))?),
        FactType::Text => Value::Text(json.as_str().ok_or_else(|| wrong("a text"))?.to_owned()),
        FactType::Time => {
            let time = json.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            Value::Time(time.ok_or_else(|| wrong("a time like 2026-01-02T03:04:05Z"))?)
        }
        FactType::Duration => {
            let span = json.as_str().and_then(|text| text.parse::<SignedDuration>().ok());
            Value::Duration(span.ok_or_else(|| wrong("a duration like 90s"))?)
        }
        FactType::TextList => {
            let items = json.as_array().ok_or_else(|| wrong("a list of texts"))?;
            Value::List(items.iter().map(|item| typed(item, FactType::Text, path)).collect::<Result<_, _>>()?)
        }
        FactType::TextMap => {
            let entries = json.as_object().ok_or_else(|| wrong("an object of texts"))?;
            let text = |(name, json): (&String, &Json)| Ok((name.clone(), typed(json, FactType::Text, &format!("{path}.{name}"))?));
            Value::Map(entries.iter().map(text).collect::<Result<_, _>>()?)
        }
        FactType::Records(fields) => {
            let items = json.as_array().ok_or_else(|| wrong("a list of objects"))?;
            Value::List(items.iter().map(|item| record(item, fields, path)).collect::<Result<_, _>>()?)
        }
    })
}

fn record(json: &Json, fields: &[(&str, FactType)], path: &str) -> Result<Value, JsonError> {
    let wrong = |path: String, problem: &str| JsonError { path, problem: problem.to_owned() };
    let given = json.as_object().ok_or_else(|| wrong(path.to_owned(), "has to be a list of objects"))?;
    let mut record = BTreeMap::new();
    for (name, json) in given.iter().filter(|(_, json)| !json.is_null()) {
        let at = format!("{path}.{name}");
        let kind = fields.iter().find(|(field, _)| field == name).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| wrong(at.clone(), "the records of this fact have no such field"))?;
        record.insert(name.clone(), typed(json, kind, &at)?);
    }
    Ok(Value::Map(record))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::schema::{KUBELET_UNIT_RAN_FOR, KUBELET_UNIT_RUNNING, SWAP_DEVICES};

    #[test]
    fn a_tree_of_facts_is_read() {
        let json = json!({
            "kubelet": {"unit": {"running": true, "ran_for": "90s", "exited_at": "2026-01-02T03:04:05Z", "name": null}},
            "swap": {"devices": [{"path": "/swap.img", "size_bytes": 5}]},
            "dns": {"servers": ["10.0.0.1"]},
        });
        let facts = from_json(&json, Timestamp::UNIX_EPOCH).expect("valid");
        assert_eq!(facts.known(KUBELET_UNIT_RUNNING), Some(true));
        assert_eq!(facts.known(KUBELET_UNIT_RAN_FOR), Some(SignedDuration::from_secs(90)));
        assert_eq!(facts.known(SWAP_DEVICES).expect("there")[0].get("size_bytes"), Some(&Value::Int(5)));
        assert!(facts.get("kubelet.unit.name").is_none());
    }

    #[test]
    fn mistakes_are_told_with_the_path_and_what_would_be_right() {
        for (json, says) in [
            (json!({"kubelet": {"unit": {"runing": true}}}), "kubelet.unit.runing: there is no such fact"),
            (json!({"kubelet": {"unit": {"running": "yes"}}}), "kubelet.unit.running: has to be true or false, and is \"yes\""),
            (json!({"kubelet": 1}), "kubelet: has to be an object"),
            (json!([]), "(top): has to be an object"),
            (json!({"now": "2026-01-02T03:04:05Z"}), "now: is computed"),
            (json!({"swap": {"devices": [{"sise": 1}]}}), "swap.devices.sise: the records of this fact have no such field"),
            (json!({"swap": {"devices": [{"size_bytes": "x"}]}}), "swap.devices.size_bytes: has to be a whole number"),
            (json!({"dns": {"servers": [1]}}), "dns.servers: has to be a text"),
        ] {
            let error = from_json(&json, Timestamp::UNIX_EPOCH).expect_err("wrong").to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
