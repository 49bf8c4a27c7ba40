//! Facts from the words of a story.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use crate::facts::{Fact, FactType, Facts, Missing, MissingKind, Value, schema};

/// Sets a fact by its dotted path, read at `at`. `{missing: hung}` is a missing one, or a whole branch; times may be relative to `at` (`-3h`).
pub(super) fn insert(facts: &mut Facts, path: &str, json: &Json, at: Timestamp) -> Result<(), String> {
    let Some(kind) = json.get("missing").and_then(Json::as_str) else {
        let entry = schema::entry(path).ok_or_else(|| format!("{path} is no fact"))?;
        let value = value(entry.kind, json, at).ok_or_else(|| format!("{path}: {json} is not of type {:?}", entry.kind))?;
        facts.insert(path, Fact { value: Ok(value), read_at: at });
        return Ok(());
    };
    let kind = serde_json::from_value::<MissingKind>(Json::from(kind)).map_err(|error| format!("{path}: {error}"))?;
    if schema::under(path).next().is_none() {
        return Err(format!("{path} is neither a fact nor a branch"));
    }
    facts.miss_under(path, at, &Missing::new(kind, "not to be had in this story"));
    Ok(())
}

fn value(kind: FactType, json: &Json, at: Timestamp) -> Option<Value> {
    Some(match kind {
        FactType::Bool => Value::Bool(json.as_bool()?),
        FactType::Int => Value::Int(json.as_i64()?),
        FactType::Float => Value::Float(json.as_f64()?),
        FactType::Text => Value::Text(json.as_str()?.to_owned()),
        FactType::Time => Value::Time(moment(json.as_str()?, at)?),
        FactType::Duration => Value::Duration(json.as_str()?.parse::<SignedDuration>().ok()?),
        FactType::TextList => Value::List(json.as_array()?.iter().map(|item| value(FactType::Text, item, at)).collect::<Option<_>>()?),
        FactType::TextMap => {
            let entries = json.as_object()?.iter().map(|(name, item)| Some((name.clone(), value(FactType::Text, item, at)?)));
            Value::Map(entries.collect::<Option<_>>()?)
        }
        FactType::Records(fields) => {
            let record = |item: &Json| {
                let entries = item.as_object()?.iter().map(|(name, item)| {
                    let (_, kind) = fields.iter().find(|(field, _)| field == name)?;
                    Some((name.clone(), value(*kind, item, at)?))
                });
                Some(Value::Map(entries.collect::<Option<_>>()?))
            };
            Value::List(json.as_array()?.iter().map(record).collect::<Option<_>>()?)
        }
    })
}

fn moment(text: &str, at: Timestamp) -> Option<Timestamp> {
    match text.strip_prefix('+') {
        Some(ahead) => Some(at + ahead.parse::<SignedDuration>().ok()?),
        None => match text.parse::<SignedDuration>() {
            Ok(behind) => Some(at + behind),
            Err(_) => text.parse().ok(),
        },
    }
}
