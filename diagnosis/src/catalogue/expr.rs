//! CEL expressions over the facts, in three-valued logic.
//!
//! An expression is parsed once; each dotted path in it that is a fact becomes one variable of that name, looked up when (and only if) the
//! evaluation comes to it. `&&`, `||` and `!` are judged here, so that a missing fact decides nothing that the other side decides already;
//! everything else is CEL's.

mod compile;
mod scope;

use cel::common::ast::{Expr as Ast, operators};
use cel::{Context, IdedExpr, Value as CelValue};
use jiff::Timestamp;

use crate::facts::{Facts, Missing, MissingKind, Value};

pub use compile::ExprError;
pub(crate) use scope::from_cel;
pub use scope::{Scope, SightingScope};

/// A compiled expression whose paths are all in the schema.
#[derive(Debug)]
pub struct Expr {
    /// As written.
    pub source: String,
    /// Fact paths it reads.
    pub paths: Vec<&'static str>,
    ast: IdedExpr,
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

/// Truth with the two ways in which there can be none.
enum Judged {
    True,
    False,
    /// What it speaks of does not exist here: false to whoever asks, and false when negated too.
    Inapplicable,
    Unknown(Vec<(&'static str, Missing)>),
}

impl Expr {
    /// Parses and checks an expression: its syntax, that every path is in the facts' schema, that every function exists.
    ///
    /// # Errors
    /// [`ExprError`], in the words of whoever writes a cause file.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        let (ast, paths) = compile::compile(source)?;
        Ok(Self { source: source.to_owned(), paths, ast })
    }

    /// Judges it. A fact that does not apply here makes what reads it false.
    pub fn judge(&self, scope: &Scope<'_>) -> Truth {
        match scope.with_context(|context| judge(&self.ast, context, scope)) {
            Judged::True => Truth::True,
            Judged::False | Judged::Inapplicable => Truth::False,
            Judged::Unknown(missing) => Truth::Unknown(missing),
        }
    }

    /// Its value; `None` if a fact it needs is missing or it has none (an index beyond the end).
    pub fn value(&self, scope: &Scope<'_>) -> Option<Value> {
        scope.with_context(|context| CelValue::resolve(&self.ast, context)).ok().and_then(|value| from_cel(&value))
    }

    /// When the oldest of the facts it reads was read; `None` if it reads none that is known.
    pub fn read_at(&self, facts: &Facts) -> Option<Timestamp> {
        let known = self.paths.iter().filter_map(|path| facts.get(path)).filter(|fact| fact.value.is_ok());
        known.map(|fact| fact.read_at).min()
    }

    /// The name that says how its value is worded: the last field or the path.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.ast.expr {
            Ast::Ident(name) => Some(name),
            Ast::Select(select) => Some(&select.field),
            _ => None,
        }
    }
}

fn judge(ast: &IdedExpr, context: &Context<'_, '_>, scope: &Scope<'_>) -> Judged {
    if let Ast::Call(call) = &ast.expr {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [left, right]) => return and(judge(left, context, scope), || judge(right, context, scope)),
            (operators::LOGICAL_OR, [left, right]) => return or(judge(left, context, scope), || judge(right, context, scope)),
            (operators::LOGICAL_NOT, [of]) => return not(judge(of, context, scope)),
            _ => {}
        }
    }
    match CelValue::resolve(ast, context) {
        Ok(CelValue::Bool(true)) => Judged::True,
        Ok(CelValue::Bool(false)) => Judged::False,
        Ok(_) => Judged::Inapplicable,
        Err(_) => {
            let missing: Vec<_> =
                compile::paths_of(ast).into_iter().filter_map(|path| Some((path, scope.facts.value(path).err()?))).collect();
            // An error with every fact known: a key that is not in a map, an index beyond a list's end, a sighting that was not made.
            if missing.iter().all(|(_, why)| why.kind == MissingKind::NotApplicable) {
                Judged::Inapplicable
            } else {
                Judged::Unknown(missing.into_iter().filter(|(_, why)| why.kind != MissingKind::NotApplicable).collect())
            }
        }
    }
}

fn and(left: Judged, right: impl FnOnce() -> Judged) -> Judged {
    match left {
        Judged::False | Judged::Inapplicable => left,
        Judged::True => right(),
        Judged::Unknown(mut missing) => match right() {
            right @ (Judged::False | Judged::Inapplicable) => right,
            Judged::True => Judged::Unknown(missing),
            Judged::Unknown(more) => {
                missing.extend(more);
                Judged::Unknown(missing)
            }
        },
    }
}

fn or(left: Judged, right: impl FnOnce() -> Judged) -> Judged {
    match left {
        Judged::True => Judged::True,
        Judged::False => match right() {
            Judged::Inapplicable => Judged::False,
            right => right,
        },
        Judged::Inapplicable => right(),
        Judged::Unknown(mut missing) => match right() {
            Judged::True => Judged::True,
            Judged::False | Judged::Inapplicable => Judged::Unknown(missing),
            Judged::Unknown(more) => {
                missing.extend(more);
                Judged::Unknown(missing)
            }
        },
    }
}

fn not(of: Judged) -> Judged {
    match of {
        Judged::True => Judged::False,
        Judged::False => Judged::True,
        of => of,
    }
}

#[cfg(test)]
mod tests;
