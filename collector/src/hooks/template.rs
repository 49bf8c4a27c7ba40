//! The words of messages: our own templates, or the user's (minijinja over the message).

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::json;

use super::text::{cut, lines, more, one_line};
use super::{example, words};
use crate::message::Message;

/// What a title is, if the user has no other wish.
pub const TITLE: &str = "{{ heading }}{{ title }}";

/// What a text is, if the user has no other wish.
pub const TEXT: &str = r#"{% if event == "resolved" %}
Over after {{ lasted }}, at {{ resolved }}.
{% if endedBy %}
What ended it: {{ endedBy | short(500) }}
{% endif %}
It was: {{ cause.message | short(1500) }}
{% elif event == "test" %}
Nothing is wrong: somebody tries this hook.
{% else %}
{{ cause.message | short(1500) }}
{% endif %}
Where: {{ where | short(1000) }}
{% if sharedWords %}
Shared: {{ sharedWords | short(500) }}
{% endif %}
Since: {{ began }}{{ " (it comes and goes)" if flapping }}
{% if event != "resolved" %}
{% if proof %}
Proof: {{ proof | short(500) }}
{% endif %}
{% if cause.explains %}
Explains: {{ cause.explains | join(", ") | short(300) }}
{% endif %}
{% if first %}
Do first: {{ first.say | short(500) }}{{ ": " ~ first.run if first.run }}
{% endif %}
{% endif %}
{% if apartWords %}
Nodes with their own faults: {{ apartWords | short(1000) }}
{% endif %}
More: {{ command }}
{% if page %}
{{ page }}
{% endif %}
"#;

/// Longest text that a template may make, bytes.
const LONGEST: usize = 64 * 1024;
/// Steps that a template may take.
const FUEL: u64 = 100_000;

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("templates.{which}, line {line} of it: {problem}")]
pub struct TemplateError {
    /// `title` or `text`.
    pub which: &'static str,
    /// Line within the template, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// Title and text of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// One line.
    pub title: String,
    /// Some lines.
    pub text: String,
    /// The text is as the user's template says: it stands for all that would be said else.
    pub own: bool,
}

/// Looks at a template of a policy: `title` or `text`.
///
/// # Errors
/// [`TemplateError`], with the line within the template.
pub fn check(which: &'static str, source: &str) -> Result<(), TemplateError> {
    let (title, text) = if which == "title" { (Some(source), None) } else { (None, Some(source)) };
    Templates::new(title, text).map(drop)
}

/// The templates in force.
#[derive(Debug, Clone)]
pub struct Templates {
    environment: Arc<Environment<'static>>,
    title: Option<String>,
    text: Option<String>,
}

impl PartialEq for Templates {
    fn eq(&self, other: &Self) -> bool {
        (&self.title, &self.text) == (&other.title, &other.text)
    }
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // A misspelt name is a mistake to be told, not an empty place.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Lines that hold nothing but a block leave no line behind.
        if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
            environment.set_syntax(syntax);
        }
        environment.add_filter("short", |text: String, most: usize| cut(&text, most, "…"));
        for (name, source) in [("own title", TITLE), ("own text", TEXT)] {
            // Our own are tested.
            drop(environment.add_template_owned(name, source));
        }
        Self { environment: Arc::new(environment), title: None, text: None }
    }
}

impl Templates {
    /// Templates of the user's, each instead of our own. They are tried with example messages: what would fail at night fails now.
    ///
    /// # Errors
    /// [`TemplateError`]: it is none, or names something that a message has not.
    pub fn new(title: Option<&str>, text: Option<&str>) -> Result<Self, TemplateError> {
        let mut templates = Self::default();
        let environment = Arc::make_mut(&mut templates.environment);
        for (which, source) in [("title", title), ("text", text)] {
            let Some(source) = source else { continue };
            environment.add_template_owned(which, source.to_owned()).map_err(|error| failed(which, &error))?;
            let now = Timestamp::UNIX_EPOCH;
            for message in [example::node(now), example::fleet(now), example::resolved(now), Message::test(now)] {
                render(environment, which, &context(&message)).map_err(|error| failed(which, &error))?;
            }
        }
        (templates.title, templates.text) = (title.map(str::to_owned), text.map(str::to_owned));
        Ok(templates)
    }

    /// Title and text of a message. A template of the user's that fails at it is told in the log, and our own is taken.
    pub fn render(&self, message: &Message) -> Texts {
        let context = context(message);
        let title = self.one("title", self.title.is_some(), &context).map_or_else(|| message.title.clone(), |(title, _)| title);
        let (text, own) = self.one("text", self.text.is_some(), &context).unwrap_or_else(|| (message.cause.message.clone(), false));
        let mut title = one_line(&title);
        if title.is_empty() {
            title = format!("nodewhy: {}", message.cause.code);
        }
        let text = lines(text.trim());
        Texts { title, text: if text.is_empty() { title_of(message) } else { text }, own }
    }

    fn one(&self, which: &'static str, own: bool, context: &Value) -> Option<(String, bool)> {
        if own {
            match render(&self.environment, which, context) {
                Ok(text) => return Some((text, true)),
                Err(error) => tracing::error!("{}; the text is as without templates", failed(which, &error)),
            }
        }
        let ours = if which == "title" { "own title" } else { "own text" };
        match render(&self.environment, ours, context) {
            Ok(text) => Some((text, false)),
            Err(error) => {
                tracing::error!("a message cannot be worded: {error:#}");
                None
            }
        }
    }
}

fn title_of(message: &Message) -> String {
    one_line(&format!("{} ({})", message.title, message.command))
}

fn failed(which: &'static str, error: &minijinja::Error) -> TemplateError {
    let mut problem = error.kind().to_string();
    if let Some(detail) = error.detail() {
        problem = format!("{problem}: {detail}");
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        problem = format!("{problem}: {cause}");
        source = cause.source();
    }
    TemplateError { which, line: error.line().unwrap_or(1), problem }
}

/// What templates may speak of: the message's JSON, all keys present, and some of it in words.
fn context(message: &Message) -> Value {
    let mut all = serde_json::to_value(message).unwrap_or_default();
    if let Some(all) = all.as_object_mut() {
        for absent in ["shared", "resolvedAt", "page"] {
            all.entry(absent).or_insert(serde_json::Value::Null);
        }
        all.entry("endedBy").or_insert_with(|| json!(""));
        let first = message.cause.remedy.first().map(|step| json!({"say": step.say, "run": step.run}));
        let more = more(message);
        let words = json!({
            "heading": words::heading(message.event),
            "where": words::place(message),
            "sharedWords": words::shared(message),
            "apartWords": words::apart(message),
            "began": words::time(message.since),
            "resolved": message.resolved_at.map(words::time),
            "lasted": words::lasted(message),
            "proof": words::proof(message),
            "steps": words::steps(message),
            "first": first,
            "more": more,
        });
        if let serde_json::Value::Object(words) = words {
            all.extend(words);
        }
    }
    Value::from(minijinja::value::Serde(all))
}

fn render(environment: &Environment<'_>, name: &str, context: &Value) -> Result<String, minijinja::Error> {
    let mut bounded = Bounded(Vec::new());
    environment.get_template(name)?.render_captured_to(context, &mut bounded)?;
    Ok(String::from_utf8_lossy(&bounded.0).into_owned())
}

/// Takes no more than a text may have.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST {
            return Err(io::Error::other(format!("the text is longer than {LONGEST} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
