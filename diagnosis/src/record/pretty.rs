//! JSON that somebody had laid out over lines: journalctl -o json-pretty, jq, exports of clouds and of log search.
//!
//! Read line by line, so that an export of any size is read within bounds and one that was cut still gives what is whole.

use serde_json::{Map, Value};

use super::json::{self, Json};
use super::klog::quoted;
use super::{MAX_MESSAGE, clip};

/// So many fields of one object are kept.
const MAX_FIELDS: usize = 256;
/// So deep may an object lie.
const MAX_DEPTH: usize = 16;
/// Fields of which a line or an entry is made; the object that has one ends with its own brace.
const MESSAGES: [&str; 5] = ["MESSAGE", "log", "message", "textPayload", "@message"];

/// An object that is being read.
#[derive(Debug, Default)]
pub(super) struct Pretty {
    /// Names of the objects around this line, from the outermost.
    path: Vec<String>,
    fields: Map<String, Value>,
    /// How deep the message lies.
    message_at: Option<usize>,
    /// A list of numbers (a message that is not UTF-8) that is being read.
    bytes: Option<(String, Vec<Value>)>,
}

/// What became of a line.
pub(super) enum Laid {
    /// It is no part of such JSON.
    No,
    /// It was.
    Part,
    /// It ended an object.
    Complete(Json),
}

impl Pretty {
    pub(super) fn take(&mut self, line: &str) -> Laid {
        let text = line.trim();
        if let Some(bytes) = &mut self.bytes {
            return match text.trim_end_matches(',') {
                "]" => self.end_bytes(),
                number => {
                    if bytes.1.len() < MAX_MESSAGE {
                        bytes.1.extend(number.parse::<u8>().ok().map(Value::from));
                    }
                    Laid::Part
                }
            };
        }
        if let Some((name, value)) = field(text) {
            return self.field(name, value);
        }
        match text {
            "{" | "[{" if self.path.len() < MAX_DEPTH => self.path.push(String::new()),
            // `} {` of jq, `}, {` of some exports.
            "}, {" | "},{" if self.is_open() => {
                let laid = self.close();
                self.path.push(String::new());
                return laid;
            }
            "}" | "}," | "}]" | "}]," if self.is_open() => return self.close(),
            "[" | "]" | "]," | "]}" if self.is_open() => {}
            _ => {
                self.forget();
                return Laid::No;
            }
        }
        Laid::Part
    }

    /// Whether the next lines are numbers.
    pub(super) fn reads_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    fn is_open(&self) -> bool {
        !self.path.is_empty() || !self.fields.is_empty()
    }

    /// What is left when the input ends within an object.
    pub(super) fn end(&mut self) -> Option<Json> {
        let json = self.message_at.and_then(|_| json::of(&self.fields));
        self.forget();
        json
    }

    fn forget(&mut self) {
        *self = Self::default();
    }

    fn field(&mut self, name: &str, value: &str) -> Laid {
        let value = value.trim_end().trim_end_matches(',').trim_end();
        match value {
            "{" => {
                if self.path.len() < MAX_DEPTH {
                    self.path.push(name.to_owned());
                }
            }
            "[" | "[{" if !MESSAGES.contains(&name) => {
                if value == "[{" && self.path.len() < MAX_DEPTH {
                    self.path.push(String::new());
                }
            }
            "[" => self.bytes = Some((self.full(name), Vec::new())),
            _ => self.put(name, self::value(value)),
        }
        Laid::Part
    }

    fn put(&mut self, name: &str, value: Value) {
        if MESSAGES.contains(&name) {
            self.message_at = Some(self.path.len());
        }
        if self.fields.len() < MAX_FIELDS {
            let path = self.full(name);
            self.fields.insert(path, value);
        }
    }

    /// The field's path from the object that is an item of a list, or from the top.
    fn full(&self, name: &str) -> String {
        let from = self.path.iter().rposition(String::is_empty).map_or(0, |at| at + 1);
        self.path[from..].iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
    }

    fn end_bytes(&mut self) -> Laid {
        if let Some((path, bytes)) = self.bytes.take() {
            self.message_at = Some(self.path.len());
            self.fields.insert(path, Value::Array(bytes));
        }
        Laid::Part
    }

    fn close(&mut self) -> Laid {
        let depth = self.path.len();
        let was_item = self.path.pop().is_none_or(|name| name.is_empty());
        // A message within `_source` waits for what stands beside it.
        if self.message_at.is_some_and(|at| depth <= at) && was_item || (self.message_at.is_some() && self.path.is_empty()) {
            let json = json::of(&self.fields);
            self.fields.clear();
            self.message_at = None;
            return json.map_or(Laid::Part, Laid::Complete);
        }
        if was_item && self.message_at.is_none() {
            self.fields.clear();
        }
        Laid::Part
    }
}

/// `"name" : value,` at the beginning of a line.
fn field(text: &str) -> Option<(&str, &str)> {
    const LONGEST: usize = 96;
    let inner = text.strip_prefix('"')?;
    let end = inner.bytes().take(LONGEST).position(|byte| byte == b'"')?;
    let name = &inner[..end];
    let value = inner[end + 1..].trim_start().strip_prefix(':')?.trim_start();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@-/".contains(&byte);
    (!name.is_empty() && name.bytes().all(plain) && !value.is_empty()).then_some((name, value))
}

/// A value; one that was cut as far as it goes.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::String(text)) => Value::String(clip(&text, MAX_MESSAGE).to_owned()),
        Ok(value) => value,
        Err(_) => Value::String(quoted(text).map_or_else(|| text.to_owned(), |(text, _)| text.into_owned())),
    }
}
