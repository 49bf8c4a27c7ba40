//! The bridge to the `cel` crate: variables in, values out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use ::cel::common::types::{CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelString, CelTimestamp};
use ::cel::common::value::{CowVal, Val};
use ::cel::context::VariableResolver;
use ::cel::parser::Expression;
use ::cel::{Context, Env, ParseErrors, Value as Cel};
use jiff::{SignedDuration, Timestamp};

use crate::facts::{FactId, Missing, MissingKind, Seen, Value};

/// The standard library; one for all evaluations.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Before the path of a fact: whether it is known.
pub(super) const PRESENCE: &str = "has ";

/// What is known of a log sign's sightings: `captures` and `sighting`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spoken<'a> {
    pub(crate) captures: &'a BTreeMap<String, String>,
    pub(crate) text: &'a str,
    pub(crate) pods: &'a BTreeMap<String, Timestamp>,
    pub(crate) count: u64,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
}

/// What an expression can see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) seen: &'a Seen<'a>,
    /// Facts that were not read after this moment count as not read at all: they prove nothing about what happened since.
    pub(crate) fresh_after: Option<Timestamp>,
    pub(crate) spoken: Option<Spoken<'a>>,
}

impl<'a> Scope<'a> {
    /// The facts alone.
    pub(crate) fn facts(seen: &'a Seen<'a>) -> Self {
        Self { seen, fresh_after: None, spoken: None }
    }

    /// A fact's value, or why there is none; `None` if nobody has looked (recently enough).
    pub(crate) fn value(&self, id: FactId) -> Result<&'a Value, Option<&'a Missing>> {
        match self.seen.fact(id) {
            None => Err(None),
            Some(fact) => match &fact.value {
                Err(missing) => Err(Some(missing)),
                Ok(_) if self.fresh_after.is_some_and(|after| fact.read_at <= after || self.seen.is_ahead(fact)) => Err(None),
                Ok(value) => Ok(value),
            },
        }
    }

    /// Why a fact is missing, unless it is known or there is nothing to know.
    pub(crate) fn missing(&self, id: FactId) -> Option<Missing> {
        let missing = self.value(id).err()?.cloned().unwrap_or_else(Missing::not_yet);
        (missing.kind != MissingKind::NotApplicable).then_some(missing)
    }

    /// Whether there is nothing to know about a fact here.
    pub(crate) fn not_applicable(&self, id: FactId) -> bool {
        matches!(self.value(id), Err(Some(missing)) if missing.kind == MissingKind::NotApplicable)
    }

    pub(super) fn evaluate(&self, expression: &Expression) -> Result<Value, String> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(self);
        let value = Cel::resolve(expression, &context).map_err(|error| error.to_string())?;
        from_cel(&value).ok_or_else(|| "the result is of no type that facts have".to_owned())
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match (variable, &self.spoken) {
            ("captures", Some(spoken)) => Some(CowVal::Owned(map(spoken.captures.iter().map(|(k, v)| (k.as_str(), text(v)))))),
            ("sighting", Some(spoken)) => Some(CowVal::Owned(sighting(spoken))),
            _ => match variable.strip_prefix(PRESENCE) {
                Some(path) => Some(CowVal::owned(CelBool::from(self.value(FactId::of(path)?).is_ok()))),
                None => self.value(FactId::of(variable)?).ok().map(|value| CowVal::Owned(to_val(value))),
            },
        }
    }
}

/// Evaluates what reads nothing (`duration("60s")`).
pub(super) fn constant(expression: &Expression) -> Result<Value, String> {
    let value = Cel::resolve(expression, &Context::with_env(Arc::clone(&ENV))).map_err(|error| error.to_string())?;
    from_cel(&value).ok_or_else(|| "the result is of no type that facts have".to_owned())
}

/// A parser's complaints in one line.
pub(super) fn words_of(errors: &ParseErrors) -> String {
    let one = |error: &::cel::ParseError| format!("{} (at character {})", error.msg, error.pos.1);
    errors.errors.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn sighting<'b>(spoken: &'b Spoken<'_>) -> Box<dyn Val + 'b> {
    let count = i64::try_from(spoken.count).unwrap_or(i64::MAX);
    let fields: [(&str, Box<dyn Val + 'b>); 5] = [
        ("count", Box::new(CelInt::from(count))),
        ("first_at", time(spoken.first_at)),
        ("last_at", time(spoken.last_at)),
        ("text", text(spoken.text)),
        ("pods", Box::new(CelList::from(spoken.pods.keys().map(|pod| text(pod)).collect::<Vec<_>>()))),
    ];
    map(fields.into_iter())
}

fn map<'b>(entries: impl Iterator<Item = (&'b str, Box<dyn Val + 'b>)>) -> Box<dyn Val + 'b> {
    let entries: HashMap<CelMapKey<'b>, Box<dyn Val + 'b>> = entries.map(|(key, value)| (CelMapKey::from(key), value)).collect();
    Box::new(CelMap::from(entries))
}

fn text<'b>(text: &'b str) -> Box<dyn Val + 'b> {
    Box::new(CelString::from(text))
}

fn time<'b>(at: Timestamp) -> Box<dyn Val + 'b> {
    let nanos = u32::try_from(at.subsec_nanosecond().max(0)).unwrap_or(0);
    let utc = chrono::DateTime::from_timestamp(at.as_second(), nanos).unwrap_or_default();
    Box::new(CelTimestamp::from(utc.fixed_offset()))
}

fn duration(span: SignedDuration) -> chrono::Duration {
    chrono::Duration::seconds(span.as_secs().clamp(-i64::from(u32::MAX) * 1000, i64::from(u32::MAX) * 1000))
        + chrono::Duration::nanoseconds(i64::from(span.subsec_nanos()))
}

fn to_val<'b>(value: &'b Value) -> Box<dyn Val + 'b> {
    match value {
        Value::Bool(inner) => Box::new(CelBool::from(*inner)),
        Value::Int(inner) => Box::new(CelInt::from(*inner)),
        Value::Float(inner) => Box::new(CelDouble::from(*inner)),
        Value::Time(inner) => time(*inner),
        Value::Duration(inner) => Box::new(CelDuration::from(duration(*inner))),
        Value::Text(inner) => text(inner),
        Value::List(items) => Box::new(CelList::from(items.iter().map(to_val).collect::<Vec<_>>())),
        Value::Map(fields) => map(fields.iter().map(|(name, value)| (name.as_str(), to_val(value)))),
    }
}

fn from_cel(value: &Cel) -> Option<Value> {
    Some(match value {
        Cel::Bool(inner) => Value::Bool(*inner),
        Cel::Int(inner) => Value::Int(*inner),
        Cel::UInt(inner) => Value::Int(i64::try_from(*inner).ok()?),
        Cel::Float(inner) => Value::Float(*inner),
        Cel::String(inner) => Value::Text(inner.as_str().to_owned()),
        Cel::Timestamp(at) => Value::Time(Timestamp::new(at.timestamp(), i32::try_from(at.timestamp_subsec_nanos()).ok()?).ok()?),
        Cel::Duration(span) => Value::Duration(SignedDuration::new(span.num_seconds(), span.subsec_nanos())),
        Cel::List(items) => Value::List(items.iter().map(from_cel).collect::<Option<_>>()?),
        Cel::Map(fields) => {
            let field = |(key, value): (&::cel::objects::Key, &Cel)| Some((key.to_string(), from_cel(value)?));
            Value::Map(fields.map.iter().map(field).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
