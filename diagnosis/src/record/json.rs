//! Lines that are one JSON object: journalctl -o json, docker's json-file, and programs that log JSON themselves.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::block::Entry;
use super::time::{self, Stamp};

/// What an object was.
pub(super) enum Json {
    /// A journal entry.
    Entry(Box<Entry>),
    /// A line within (docker).
    Wrapped {
        /// The line as the program wrote it.
        line: String,
        /// When docker read it.
        at: Option<Timestamp>,
    },
    /// A program's own JSON (etcd, a kubelet with --logging-format=json): signs see it as it stands.
    Raw {
        /// Its time.
        at: Option<Timestamp>,
    },
}

pub(super) fn parse(line: &str) -> Option<Json> {
    let Value::Object(fields) = serde_json::from_str(line).ok()? else { return None };
    if fields.contains_key("MESSAGE") || fields.contains_key("__CURSOR") {
        return Some(Json::Entry(Box::new(entry(&fields))));
    }
    if let Some(Value::String(line)) = fields.get("log") {
        return Some(Json::Wrapped { line: line.clone(), at: fields.get("time").and_then(moment) });
    }
    let at = ["ts", "time", "timestamp"].iter().find_map(|name| fields.get(*name)).and_then(moment);
    Some(Json::Raw { at })
}

fn entry(fields: &Map<String, Value>) -> Entry {
    let mut entry = Entry::default();
    for (name, value) in fields {
        match value {
            Value::String(text) => entry.set(name, text),
            // Not UTF-8: journald gives the bytes as numbers.
            Value::Array(bytes) => {
                let bytes: Vec<u8> = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
                entry.set(name, &String::from_utf8_lossy(&bytes));
            }
            _ => {}
        }
    }
    entry
}

fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => match time::iso(text)?.0 {
            Stamp::Exact(at) => Some(at),
            _ => None,
        },
        // Seconds (zap's default) or, in component-base's JSON format, milliseconds since 1970.
        Value::Number(number) => {
            let number = number.as_f64()?;
            let seconds = if number > 1e11 { number / 1000.0 } else { number };
            (seconds > 0.0 && seconds < 1e11).then(|| Timestamp::from_microsecond((seconds * 1e6) as i64).ok())?
        }
        _ => None,
    }
}
