//! Text with `{{CEL}}` in it, and how values are worded.

use jiff::SignedDuration;

use super::expr::{Expr, ExprError, Scope};
use crate::facts::schema::{self, Entry};
use crate::facts::{FactType, Value};

/// A compiled text.
#[derive(Debug)]
pub struct Template {
    /// As written.
    pub source: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Expr),
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without its end.
    #[error("`{{{{` without `}}}}`")]
    Open,
    /// The expression between them.
    #[error("{{{{{expression}}}}}: {error}")]
    Expression {
        /// As written.
        expression: String,
        /// What is wrong with it.
        error: ExprError,
    },
}

/// A text filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The text; a value that could not be had stands as `unknown`.
    pub text: String,
    /// All values were known.
    pub complete: bool,
}

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, after)) = rest.split_once("{{") {
            let (expression, after) = after.split_once("}}").ok_or(TemplateError::Open)?;
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            let expr = Expr::compile(expression.trim());
            let expr = expr.map_err(|error| TemplateError::Expression { expression: expression.trim().to_owned(), error })?;
            parts.push(Part::Value(expr));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// Fills the values in.
    pub fn fill(&self, scope: &Scope<'_>) -> Filled {
        let mut filled = Filled { text: String::new(), complete: true };
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.text.push_str(text),
                Part::Value(expr) => match expr.value(scope) {
                    Some(value) => filled.text.push_str(&word(&value, expr.name())),
                    None => {
                        filled.text.push_str("unknown");
                        filled.complete = false;
                    }
                },
            }
        }
        filled
    }

    /// Facts it reads.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        let of = |part: &Part| match part {
            Part::Text(_) => Vec::new(),
            Part::Value(expr) => expr.paths.clone(),
        };
        self.parts.iter().flat_map(of)
    }
}

/// A value in words. `name` is the path or field it stands under: one that ends in `_bytes` is worded as a size.
pub fn word(value: &Value, name: Option<&str>) -> String {
    match value {
        Value::Int(n) if name.is_some_and(|name| name.ends_with("_bytes")) => size(*n),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(x) => format!("{x:.1}"),
        Value::Time(at) => format!("{:.0}", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
        Value::Duration(span) => duration(*span),
        Value::Text(text) if text.is_empty() => "none".to_owned(),
        Value::Text(text) => text.clone(),
        Value::List(items) if items.is_empty() => "none".to_owned(),
        Value::List(items) => {
            // A long list is told by its beginning: words are for people.
            let mut words: Vec<_> = items.iter().take(8).map(|item| word(item, name)).collect();
            if items.len() > 8 {
                words.push(format!("and {} more", items.len() - 8));
            }
            words.join(", ")
        }
        Value::Map(fields) => record(fields),
    }
}

/// `path (kind, 2.0 GiB)`: the first field of the schema, the others in brackets; a map that is no record as `name=value`.
fn record(fields: &std::collections::BTreeMap<String, Value>) -> String {
    let fits =
        |entry: &&Entry| matches!(entry.kind, FactType::Records(of) if fields.keys().all(|key| of.iter().any(|(name, _)| name == key)));
    let Some(Entry { kind: FactType::Records(order), .. }) = schema::ALL.iter().find(fits) else {
        return fields.iter().map(|(name, value)| format!("{name}={}", word(value, Some(name)))).collect::<Vec<_>>().join(", ");
    };
    let mut words = order.iter().filter_map(|(name, _)| Some(word(fields.get(*name)?, Some(name))));
    let first = words.next().unwrap_or_default();
    let others: Vec<_> = words.collect();
    if others.is_empty() { first } else { format!("{first} ({})", others.join(", ")) }
}

fn size(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    #[expect(clippy::cast_precision_loss, reason = "words for people")]
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount.abs() >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{amount:.1} {}", UNITS[unit]) }
}

fn duration(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{} ms", span.as_millis()),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::facts::schema::*;
    use crate::facts::{Facts, Record};

    fn fill(source: &str) -> Filled {
        let mut facts = Facts::new();
        let swap = Record::new().with("path", "/swap.img".to_owned()).with("kind", "file".to_owned());
        facts.set(SWAP_DEVICES, Timestamp::UNIX_EPOCH, vec![swap.with("size_bytes", 2_i64 << 30).with("used_bytes", 0_i64)]);
        facts.set(MEMORY_TOTAL_BYTES, Timestamp::UNIX_EPOCH, 1536 << 20);
        facts.set(KUBELET_UNIT_RAN_FOR, Timestamp::UNIX_EPOCH, SignedDuration::from_secs(3790));
        facts.set(KUBELET_UNIT_EXITED_AT, Timestamp::UNIX_EPOCH, Timestamp::from_second(1).expect("a time"));
        facts.set(DNS_SERVERS, Timestamp::UNIX_EPOCH, vec!["10.0.0.1".into(), "10.0.0.2".into()]);
        Template::compile(source).unwrap_or_else(|error| panic!("{source}: {error}")).fill(&Scope::of(&facts))
    }

    #[test]
    fn values_are_worded_by_what_they_are() {
        for (source, text) in [
            ("{{swap.devices}}", "/swap.img (file, 2.0 GiB, 0 B)"),
            ("a {{ swap.devices[0].size_bytes }} b", "a 2.0 GiB b"),
            ("{{memory.total_bytes}}", "1.5 GiB"),
            ("{{kubelet.unit.ran_for}}", "1h 3m"),
            ("{{kubelet.unit.exited_at}}", "1970-01-01T00:00:01Z"),
            ("{{dns.servers}}", "10.0.0.1, 10.0.0.2"),
            ("{{swap.devices.map(d, d.path)}}", "/swap.img"),
            ("{{swap.devices.filter(d, d.path == 'x')}}", "none"),
            ("{{1 + 1}}", "2"),
            ("no value", "no value"),
        ] {
            assert_eq!(fill(source), Filled { text: text.to_owned(), complete: true }, "{source}");
        }
    }

    #[test]
    fn what_is_not_known_says_so() {
        assert_eq!(fill("a {{kubelet.unit.name}}"), Filled { text: "a unknown".to_owned(), complete: false });
    }

    #[test]
    fn broken_texts_are_refused() {
        assert_eq!(Template::compile("{{a").expect_err("open"), TemplateError::Open);
        let error = Template::compile("x {{kubelet.unit.nam}}").expect_err("no such fact").to_string();
        assert!(error.starts_with("{{kubelet.unit.nam}}: there is no fact"), "{error}");
    }
}
