//! CEL expressions over the facts, in three-valued logic.
//!
//! An expression is compiled once. What CEL calls an error is *unknown* here. The usual shapes (`&&`, `||`, `!`, comparisons of a fact with
//! a constant, `in`, `size()`) are evaluated on the facts directly and copy nothing; whatever else CEL can say is left to the `cel` crate.

mod cel;
mod check;
mod eval;
mod node;
mod ty;

use ::cel::parser::{Expression, Parser};

use crate::facts::{FactId, Missing};

pub(crate) use cel::{Scope, Spoken};
pub(crate) use eval::{Tri, Wake};
pub(crate) use ty::Ty;

/// An expression longer than this is refused.
const MAX_SOURCE: usize = 4096;
/// One with more brackets in brackets too.
const MAX_DEPTH: usize = 60;

/// A compiled expression whose paths are all in the schema.
#[derive(Debug)]
pub struct Expr {
    /// As written.
    pub source: String,
    /// Fact paths it reads.
    pub paths: Vec<&'static str>,
    /// It reads `captures` or `sighting`.
    pub(crate) reads_sighting: bool,
    root: node::Node,
}

/// The value of a predicate.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told, because these facts are missing.
    Unknown(Vec<(&'static str, Missing)>),
}

/// An expression that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// Not CEL.
    #[error("not a CEL expression: {0}")]
    Syntax(String),
    /// Longer than anyone can read.
    #[error("the expression is longer than {MAX_SOURCE} bytes, or nested deeper than {MAX_DEPTH} levels")]
    TooLong,
    /// The schema has no such path.
    #[error("unknown fact `{path}`{}", .near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownPath {
        /// As written.
        path: String,
        /// A path spelt much like it.
        near: Option<&'static str>,
    },
    /// A record or fact has no such field.
    #[error("`{of}` has no field `{field}`")]
    UnknownField {
        /// What was selected from.
        of: String,
        /// As written.
        field: String,
    },
    /// CEL has no such function.
    #[error("unknown function `{0}`")]
    UnknownFunction(String),
    /// Can never hold, or never be evaluated.
    #[error("{0}")]
    Type(String),
    /// `captures` and `sighting` outside of a log sign's reach.
    #[error("`{0}` is known only in `only_if`, `ends`, `message` and `remedy`")]
    NoSighting(String),
}

/// Which variables there are besides the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variables {
    /// The facts alone.
    Facts,
    /// Also `captures` and `sighting`.
    Sighting,
}

impl Expr {
    /// Compiles a predicate over the facts alone (`fact`, `absent`).
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        Self::predicate(source, Variables::Facts)
    }

    pub(crate) fn predicate(source: &str, variables: Variables) -> Result<Self, ExprError> {
        let (expression, ty, facts) = parse(source, variables)?;
        if !matches!(ty, Ty::Bool | Ty::Any) {
            return Err(ExprError::Type(format!("a condition must be true or false; this is {}", ty.words())));
        }
        // It is right with `variables`; so it can only be wrong without them for want of a sighting.
        let reads_sighting = check::check(&expression, Variables::Facts).is_err();
        let root = node::compile(&expression)?;
        Ok(Self { source: source.to_owned(), paths: paths(&facts), reads_sighting, root })
    }
}

/// A compiled expression of any type, for templates.
#[derive(Debug)]
pub(crate) struct ValueExpr {
    pub(crate) facts: Vec<FactId>,
    pub(crate) ty: Ty,
    /// The name the value goes by (`size_bytes` of `swap.devices[0].size_bytes`): its unit stands last.
    pub(crate) name: String,
    expression: Expression,
    whole_fact: Option<FactId>,
}

impl ValueExpr {
    pub(crate) fn compile(source: &str) -> Result<Self, ExprError> {
        let (mut expression, ty, facts) = parse(source, Variables::Sighting)?;
        let whole_fact = check::fact_of(&expression);
        let name = check::last_name(&expression).unwrap_or_default().to_owned();
        node::name_presence_tests(&mut expression);
        Ok(Self { facts, ty, name, expression, whole_fact })
    }
}

fn parse(source: &str, variables: Variables) -> Result<(Expression, Ty, Vec<FactId>), ExprError> {
    // The parser's stack grows with nesting: refused before it comes to that.
    let deepest = source.chars().scan(0_usize, |depth, c| {
        match c {
            '(' | '[' | '{' => *depth += 1,
            ')' | ']' | '}' => *depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(*depth)
    });
    if source.len() > MAX_SOURCE || deepest.max().unwrap_or(0) > MAX_DEPTH {
        return Err(ExprError::TooLong);
    }
    let parsed = Parser::default().parse(source);
    let expression = parsed.map_err(|errors| ExprError::Syntax(cel::words_of(&errors)))?;
    if check::is_deeper_than(&expression, 2 * MAX_DEPTH) {
        return Err(ExprError::TooLong);
    }
    let (ty, facts) = check::check(&expression, variables)?;
    Ok((expression, ty, facts))
}

fn paths(facts: &[FactId]) -> Vec<&'static str> {
    facts.iter().map(|fact| fact.path()).collect()
}

#[cfg(test)]
mod tests;
