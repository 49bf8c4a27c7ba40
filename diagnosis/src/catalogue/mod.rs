//! The catalogue: every cause there is, loaded from YAML, its CEL expressions checked against the facts' schema and its log patterns
//! compiled into one matcher.

mod expr;
mod load;
mod matcher;
mod near;
mod template;

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::facts::FactId;
use crate::model::{Layer, Severity};
use crate::record::Source;

pub use expr::{Expr, ExprError, Truth};
pub(crate) use expr::{Scope, Spoken, Tri, Wake};
pub(crate) use load::MAX_COUNT;
pub use load::{LoadError, LoadProblem};
pub use matcher::{Matcher, MatcherSign, PatternError, Sighting, check_pattern};
pub(crate) use template::fact_in_words;
pub use template::{Template, TemplateError};

/// All causes, checked and compiled. Built once, shared, never changed.
#[derive(Debug)]
pub struct Catalogue {
    causes: Vec<Cause>,
    matcher: Matcher,
    /// For each cause those it leads to directly.
    explains: Vec<Vec<u32>>,
}

/// One entry of the catalogue, compiled.
#[derive(Debug)]
pub struct Cause {
    /// Kebab-case, for ever stable.
    pub code: String,
    /// One line.
    pub title: String,
    /// Where it lies.
    pub layer: Layer,
    /// How bad it is.
    pub severity: Severity,
    /// It breaks nothing yet: it will. Told after all that is wrong now.
    pub latent: bool,
    /// It says only that something is wrong, not what: everything critical explains it, and it is a root where nothing critical is known.
    pub last_resort: bool,
    /// While this is true it is critical.
    pub critical_when: Option<Box<Expr>>,
    /// Who finds it: an agent on the node by these signs, or the collector by its own rule (`agent-silent`).
    pub found_by: FoundBy,
    /// Any one that holds makes the cause present.
    pub signs: Vec<Sign>,
    /// When true, the cause is over: log sightings older than the facts it was read from are ended.
    pub absent: Option<Expr>,
    /// A log line that says that it is over: log sightings from before it are ended, in saved logs too.
    pub over: Option<Over>,
    /// Codes this cause leads to; acyclic over the catalogue.
    pub explains: Vec<String>,
    /// Messages in order; the first whose `when` is true (or absent) is used.
    pub messages: Vec<Message>,
    /// Facts quoted as evidence beside what the signs themselves name.
    pub evidence: Vec<String>,
    /// What to do, in order.
    pub remedy: Vec<RemedyRule>,
    /// For the page docs/causes/CODE.md.
    pub docs: Docs,
}

impl Cause {
    /// Facts that decide whether it is present.
    pub fn deciding_facts(&self) -> BTreeSet<&'static str> {
        self.signs.iter().flat_map(Sign::conditions).chain(&self.absent).flat_map(|expr| expr.paths.iter().copied()).collect()
    }

    /// Every fact the cause reads anywhere: signs, ends, message, remedy, evidence. A path may come more than once.
    pub fn fact_paths(&self) -> impl Iterator<Item = &'static str> {
        let conditions = self.signs.iter().flat_map(Sign::conditions).chain(&self.absent);
        let conditions = conditions.chain(self.critical_when.as_deref());
        let conditions = conditions.chain(self.messages.iter().filter_map(|message| message.when.as_ref()));
        let conditions = conditions.chain(self.remedy.iter().filter_map(|step| step.when.as_ref()));
        let texts = self.messages.iter().map(|message| &message.say);
        let texts = texts.chain(self.remedy.iter().flat_map(|step| std::iter::once(&step.say).chain(&step.run)));
        let quoted = self.evidence.iter().filter_map(|path| FactId::of(path)).map(FactId::path);
        conditions.flat_map(|expr| expr.paths.iter().copied()).chain(texts.flat_map(Template::paths)).chain(quoted)
    }
}

impl Sign {
    fn conditions(&self) -> impl Iterator<Item = &Expr> {
        match self {
            Self::Log(log) => [log.ends.as_ref(), log.only_if.as_deref()],
            Self::Fact(fact) => [Some(&fact.expr), None],
        }
        .into_iter()
        .flatten()
    }
}

/// Who finds a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// The agent, by the signs.
    Agent,
    /// The collector, by a rule of its own; it has no signs.
    Collector,
}

/// One way to know that a cause is present.
#[derive(Debug)]
pub enum Sign {
    /// Log records of these sources that match.
    Log(LogSign),
    /// An expression over the facts that is true.
    Fact(FactSign),
}

/// A sign seen in logs.
#[derive(Debug)]
pub struct LogSign {
    /// Sources listened to.
    pub from: Vec<Source>,
    /// Only where the line says who speaks: words that any program may use are nobody's in a log without names.
    pub named: bool,
    /// Regular expression over the message; named groups become captures.
    pub pattern: String,
    /// A record that matches this too is not meant.
    pub unless: Option<String>,
    /// Only this many sightings within that time are a sign (1 and no time by default).
    pub count: u32,
    /// See `count`.
    pub within: Option<SignedDuration>,
    /// While this is false, sightings are no sign (of Docker, on a node whose kubelet does not use it). What cannot be told does not hide them.
    pub only_if: Option<Box<Expr>>,
    /// When true, after the last sighting, the sign no longer holds.
    pub ends: Option<Expr>,
    /// Without a new sighting for this long, while the log is being read, the sign no longer holds.
    pub quiet_for: Option<SignedDuration>,
    /// Records it must recognise, and which no other cause's sign may.
    pub examples: Vec<String>,
}

/// A log line that says that a cause is over.
#[derive(Debug)]
pub struct Over {
    /// Sources listened to.
    pub from: Vec<Source>,
    /// Regular expression over the message.
    pub pattern: String,
    /// Records it must recognise.
    pub examples: Vec<String>,
}

/// Where a sighting names the sign: it is the cause's [`Cause::over`].
pub const OVER: usize = usize::MAX;

/// A sign seen in facts.
#[derive(Debug)]
pub struct FactSign {
    /// Present when true.
    pub expr: Expr,
    /// It has to be true for this long without a break before it counts (zero by default).
    pub held_for: SignedDuration,
}

/// One wording.
#[derive(Debug)]
pub struct Message {
    /// Used when this is true; always if `None`.
    pub when: Option<Expr>,
    /// The words, with `{{CEL}}` in them.
    pub say: Template,
}

/// One step of a remedy.
#[derive(Debug)]
pub struct RemedyRule {
    /// Shown when this is true or cannot be told; always if `None`.
    pub when: Option<Expr>,
    /// In words, with `{{CEL}}` in them.
    pub say: Template,
    /// As a command, with `{{CEL}}` in it; left out when a value in it is unknown.
    pub run: Option<Template>,
}

/// Texts for people, Markdown.
#[derive(Debug)]
pub struct Docs {
    /// What it means.
    pub meaning: String,
    /// How nodewhy knows.
    pub knows: String,
    /// What else looks like this, and how it differs.
    pub lookalikes: String,
}
