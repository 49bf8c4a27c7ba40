//! What an expression can see: facts, and the sighting it is asked about.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Value as CelValue};
use jiff::{SignedDuration, Timestamp};

use super::compile::HAS;
use crate::facts::{Facts, Value};

/// The sighting that `captures` and `sighting` speak of.
#[derive(Debug, Clone)]
pub struct SightingScope<'a> {
    /// Named groups of the last one.
    pub captures: &'a BTreeMap<String, String>,
    /// How often it was seen.
    pub count: u64,
    /// First and last time.
    pub first_at: Timestamp,
    /// See `first_at`.
    pub last_at: Timestamp,
    /// The last record.
    pub text: &'a str,
}

/// What an expression can see.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// Facts, derived ones among them.
    pub facts: &'a Facts,
    /// The sighting spoken of, if any.
    pub sighting: Option<SightingScope<'a>>,
}

impl<'a> Scope<'a> {
    /// A scope of facts alone.
    pub fn of(facts: &'a Facts) -> Self {
        Self { facts, sighting: None }
    }

    pub(super) fn with_context<T>(&self, ask: impl FnOnce(&Context<'_, '_>) -> T) -> T {
        // Functions are the same for all; making them costs more than most expressions, so a thread makes them once.
        thread_local! {
            static FUNCTIONS: Context<'static, 'static> = Context::default();
        }
        FUNCTIONS.with(|functions| {
            let mut context = functions.new_inner_scope();
            context.set_variable_resolver(self);
            ask(&context)
        })
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variable {
            "captures" => map(self.sighting.as_ref()?.captures.iter().map(|(name, text)| (name, CelValue::from(text.as_str())))),
            "sighting" => {
                let it = self.sighting.as_ref()?;
                let count = CelValue::Int(i64::try_from(it.count).unwrap_or(i64::MAX));
                map([("count", count), ("first_at", time(it.first_at)?), ("last_at", time(it.last_at)?), ("text", it.text.into())])
            }
            _ => match variable.strip_prefix(HAS) {
                Some(path) => CelValue::Bool(self.facts.value(path).is_ok()),
                None => to_cel(self.facts.get(variable)?.value.as_ref().ok()?)?,
            },
        };
        value.try_into().ok().map(CowVal::Owned)
    }
}

fn map(entries: impl IntoIterator<Item = (impl Into<String>, CelValue)>) -> CelValue {
    entries.into_iter().map(|(name, value)| (name.into(), value)).collect::<HashMap<String, CelValue>>().into()
}

fn time(at: Timestamp) -> Option<CelValue> {
    let nanos = u32::try_from(at.as_nanosecond().rem_euclid(1_000_000_000)).ok()?;
    let seconds = i64::try_from(at.as_nanosecond().div_euclid(1_000_000_000)).ok()?;
    Some(CelValue::Timestamp(chrono::DateTime::from_timestamp(seconds, nanos)?.fixed_offset()))
}

fn to_cel(value: &Value) -> Option<CelValue> {
    Some(match value {
        Value::Bool(yes) => CelValue::Bool(*yes),
        Value::Int(n) => CelValue::Int(*n),
        Value::Float(x) => CelValue::Float(*x),
        Value::Time(at) => time(*at)?,
        Value::Duration(span) => {
            CelValue::Duration(chrono::Duration::new(span.as_secs(), u32::try_from(span.subsec_nanos().max(0)).ok()?)?)
        }
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => CelValue::List(Arc::new(items.iter().map(to_cel).collect::<Option<_>>()?)),
        Value::Map(fields) => {
            let fields = fields.iter().map(|(name, value)| Some((name.clone(), to_cel(value)?)));
            fields.collect::<Option<HashMap<_, _>>>()?.into()
        }
    })
}

/// A CEL value as a fact's value; `None` for what no fact can be.
pub(crate) fn from_cel(value: &CelValue) -> Option<Value> {
    Some(match value {
        CelValue::Bool(yes) => Value::Bool(*yes),
        CelValue::Int(n) => Value::Int(*n),
        CelValue::UInt(n) => Value::Int(i64::try_from(*n).ok()?),
        CelValue::Float(x) => Value::Float(*x),
        CelValue::String(text) => Value::Text(text.as_str().to_owned()),
        CelValue::Timestamp(at) => Value::Time(Timestamp::new(at.timestamp(), i32::try_from(at.timestamp_subsec_nanos()).ok()?).ok()?),
        CelValue::Duration(span) => Value::Duration(SignedDuration::from_nanos(span.num_nanoseconds()?)),
        CelValue::List(items) => Value::List(items.iter().map(from_cel).collect::<Option<_>>()?),
        CelValue::Map(map) => {
            let entries = map.map.iter().map(|(name, value)| Some((name.to_string(), from_cel(value)?)));
            Value::Map(entries.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
