//! Lines that are one JSON object: journalctl -o json, docker's json-file, what log shippers and clouds wrap lines in, and programs that
//! log JSON themselves.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::block::Entry;
use super::carrier::{self, HOST, TIME, first, line, speaker, word};
use super::time::{self, Stamp};

/// What an object was.
pub(super) enum Json {
    /// A journal entry.
    Entry(Box<Entry>),
    /// A line within, or several.
    Wrapped(Wrapped),
    /// A program's own JSON (etcd, a kubelet with --logging-format=json): signs see it as it stands.
    Raw {
        /// It, where it was part of something larger.
        text: Option<String>,
        /// Its time.
        at: Option<Timestamp>,
    },
}

/// A line that something carried (docker, a log shipper, a cloud's export).
#[derive(Debug, Default)]
pub(super) struct Wrapped {
    /// As the program wrote it.
    pub(super) text: String,
    /// When the carrier read it.
    pub(super) at: Option<Timestamp>,
    /// The unit or the container, if the carrier says so.
    pub(super) speaker: String,
    /// The node, if the carrier says so.
    pub(super) host: String,
    /// So many carriers carry it beside the first.
    pub(super) depth: u8,
}

impl Json {
    /// Whether it is a line or an entry, and no program's own JSON.
    pub(super) fn is_carried(&self) -> bool {
        matches!(self, Self::Entry(_) | Self::Wrapped(_))
    }

    /// The same with what is known of the carrier around it, where it does not say better.
    pub(super) fn within(self, outer: &Wrapped) -> Self {
        let Self::Wrapped(inner) = self else { return self };
        let or = |own: String, outer: &String| if own.is_empty() { outer.clone() } else { own };
        Self::Wrapped(Wrapped {
            at: inner.at.or(outer.at),
            speaker: or(inner.speaker, &outer.speaker),
            host: or(inner.host, &outer.host),
            depth: outer.depth + 1,
            text: inner.text,
        })
    }
}

impl Wrapped {
    /// What is known of every line in it.
    pub(super) fn named(&self) -> Self {
        Self { text: String::new(), at: self.at, speaker: self.speaker.clone(), host: self.host.clone(), depth: self.depth }
    }
}

/// So many objects of one line are read.
const MAX_OBJECTS: usize = 4096;
/// So deep they may lie.
const MAX_DEPTH: usize = 6;

/// The objects of a line; none if it is not JSON.
pub(super) fn parse(line: &str) -> Vec<Json> {
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(line) {
        match value {
            // The object itself, so that a program's own JSON stays as it stands.
            Value::Object(fields) => objects(fields, 0, true, &mut found),
            Value::Array(items) => several(items, 0, &mut found),
            _ => {}
        }
    }
    found
}

fn several(items: Vec<Value>, depth: usize, found: &mut Vec<Json>) {
    if let Some(json) = carrier::pair(&items) {
        found.push(json);
        return;
    }
    if let Some(fields) = carrier::row(&items) {
        objects(fields, depth + 1, false, found);
        return;
    }
    for item in items {
        match item {
            Value::Object(fields) => objects(fields, depth + 1, false, found),
            Value::Array(items) if depth < MAX_DEPTH => several(items, depth + 1, found),
            _ => {}
        }
    }
}

fn objects(fields: Map<String, Value>, depth: usize, whole: bool, found: &mut Vec<Json>) {
    if found.len() >= MAX_OBJECTS {
        return;
    }
    if let Some(text) = carrier::klog_of(&fields) {
        let at = fields.get("ts").and_then(moment);
        found.push(Json::Wrapped(Wrapped { text, at, ..Wrapped::default() }));
        return;
    }
    let mut flat = Map::new();
    flatten("", &fields, 0, &mut flat);
    match of(&flat) {
        Some(json) => found.push(json),
        None if fields.contains_key("msg") || fields.contains_key("level") => {
            let text = if whole { None } else { serde_json::to_string(&fields).ok() };
            found.push(Json::Raw { text, at: first(&flat, &TIME).and_then(moment) });
        }
        // A collection: CloudWatch's `events`, Elastic's `hits.hits`, Azure's `value`, Loki's `values`.
        None if depth < MAX_DEPTH => {
            let before = found.len();
            for value in fields.into_iter().map(|(_, value)| value) {
                match value {
                    Value::Array(items) => several(items, depth + 1, found),
                    Value::Object(fields) => objects(fields, depth + 1, false, found),
                    _ => {}
                }
            }
            let around = Wrapped { speaker: speaker(&flat), host: word(&flat, &HOST), ..Wrapped::default() };
            let within: Vec<_> = found.drain(before..).map(|json| json.within(&around)).collect();
            found.extend(within);
            if whole && found.len() == before {
                found.push(Json::Raw { text: None, at: first(&flat, &TIME).and_then(moment) });
            }
        }
        None => {}
    }
}

fn flatten(prefix: &str, fields: &Map<String, Value>, depth: usize, flat: &mut Map<String, Value>) {
    for (name, value) in fields {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(fields) if depth < MAX_DEPTH => flatten(&path, fields, depth + 1, flat),
            value => {
                flat.insert(path, value.clone());
            }
        }
    }
}

/// What an object's fields, by their dotted paths, make: a journal entry, a carried line, or neither.
pub(super) fn of(flat: &Map<String, Value>) -> Option<Json> {
    if first(flat, &["MESSAGE", "__CURSOR"]).is_some() {
        return Some(Json::Entry(Box::new(entry(flat))));
    }
    let text = line(flat)?.to_owned();
    Some(Json::Wrapped(Wrapped {
        text,
        at: first(flat, &TIME).and_then(moment),
        speaker: speaker(flat),
        host: word(flat, &HOST),
        depth: 0,
    }))
}

fn entry(fields: &Map<String, Value>) -> Entry {
    let mut entry = Entry::default();
    for (path, value) in fields {
        let name = path.rsplit('.').next().unwrap_or(path);
        match value {
            Value::String(text) => entry.set(name, text),
            Value::Number(number) => entry.set(name, &number.to_string()),
            // Not UTF-8: journald gives the bytes as numbers.
            Value::Array(bytes) => {
                let bytes: Vec<u8> = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
                entry.set(name, &String::from_utf8_lossy(&bytes));
            }
            _ => {}
        }
    }
    entry.date(first(fields, &TIME).and_then(moment));
    entry
}

pub(super) fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) if text.len() > 12 && text.bytes().all(|byte| byte.is_ascii_digit()) => since_1970(text.parse().ok()?),
        // Those who carry lines write UTC where they write no zone.
        Value::String(text) => match time::iso(text)?.0 {
            Stamp::Exact(at) => Some(at),
            Stamp::Local(local) => TimeZone::UTC.to_timestamp(local).ok(),
            Stamp::Yearless { .. } => None,
        },
        Value::Number(number) => since_1970(number.as_f64()?),
        _ => None,
    }
}

/// Seconds (zap's default), milliseconds (component-base's JSON, CloudWatch), micro- or nanoseconds, by their size.
fn since_1970(number: f64) -> Option<Timestamp> {
    let seconds =
        [1e17, 1e14, 1e11].iter().zip([1e9, 1e6, 1e3]).find(|(over, _)| number > **over).map_or(number, |(_, unit)| number / unit);
    (seconds > 0.0 && seconds < 1e11).then(|| Timestamp::from_microsecond((seconds * 1e6) as i64).ok())?
}
