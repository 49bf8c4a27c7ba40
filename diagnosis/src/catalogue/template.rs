//! Text with `{{CEL}}` in it.

mod words;

use super::expr::{ExprError, Scope, ValueExpr};
use crate::facts::Value;

pub(crate) use words::fact_in_words;

/// What stands for a value that is not known.
pub(crate) const UNKNOWN: &str = "unknown";
/// A value in words is cut to this.
const MAX_VALUE: usize = 1024;

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
    Value(ValueExpr),
}

/// A text that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("`{{{{` without `}}}}`")]
    Unclosed,
    /// What stands between the braces.
    #[error("in {{{{{source_text}}}}}: {error}")]
    Expr {
        /// As written.
        source_text: String,
        /// What is wrong with it.
        #[source]
        error: ExprError,
    },
}

impl Template {
    /// Compiles a text; its expressions may read every fact, `captures` and `sighting`.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inner, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let value = ValueExpr::compile(inner.trim());
            parts.push(Part::Value(value.map_err(|error| TemplateError::Expr { source_text: inner.trim().to_owned(), error })?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// Fact paths it reads.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.values().flat_map(|value| value.facts.iter().map(|fact| fact.path()))
    }

    fn values(&self) -> impl Iterator<Item = &ValueExpr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(value),
            Part::Text(_) => None,
        })
    }

    /// The text for people: what is not known is called so.
    pub(crate) fn say(&self, scope: &Scope<'_>) -> String {
        self.fill(|value| Some(in_words(value, scope).unwrap_or_else(|| UNKNOWN.to_owned()))).unwrap_or_default()
    }

    /// The text for people; `None` if a value is not known.
    pub(crate) fn say_whole(&self, scope: &Scope<'_>) -> Option<String> {
        self.fill(|value| in_words(value, scope))
    }

    /// The text as a command; `None` if a value is not known, or holds what a shell could take for more than a word: it may come from a
    /// log, and the command is pasted into a root shell.
    pub(crate) fn command(&self, scope: &Scope<'_>) -> Option<String> {
        self.fill(|value| {
            let says_nothing = match value.value(scope)? {
                // journalctl takes this in every version; times with `T` and `Z` since systemd 254 (systemd.time(7)).
                Value::Time(at) => return Some(format!("@{}", at.as_second())),
                Value::Text(text) => text.is_empty(),
                Value::List(items) => items.is_empty(),
                _ => false,
            };
            in_words(value, scope).filter(|text| !says_nothing && is_one_word(text))
        })
    }

    fn fill(&self, mut word: impl FnMut(&ValueExpr) -> Option<String>) -> Option<String> {
        let mut out = String::with_capacity(self.source.len() + 32);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(value) => out.push_str(&word(value)?),
            }
        }
        Some(out)
    }
}

fn in_words(value: &ValueExpr, scope: &Scope<'_>) -> Option<String> {
    let text = words::words(&value.value(scope)?, value.ty, &value.name);
    Some(match text.len() > MAX_VALUE {
        true => format!("{}…", crate::record::clip(&text, MAX_VALUE)),
        false => text,
    })
}

fn is_one_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@=,+-".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests;
