//! The check at load: every path is in the schema, every function exists, nothing is compared that never can be.

use ::cel::common::ast::operators as op;
use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr as Ast, LiteralValue, SelectExpr};
use ::cel::parser::Expression;
use strsim::levenshtein;

use super::ty::Ty;
use super::{ExprError, Variables};
use crate::facts::{FactId, schema};

/// The type of an expression and the facts it reads, in the order in which it names them.
pub(super) fn check(expression: &Expression, variables: Variables) -> Result<(Ty, Vec<FactId>), ExprError> {
    let mut checker = Checker { variables, locals: Vec::new(), facts: Vec::new() };
    let ty = checker.infer(expression)?;
    Ok((ty, checker.facts))
}

/// The fact an expression names, if it is just that.
pub(super) fn fact_of(expression: &Expression) -> Option<FactId> {
    FactId::of(&segments(expression)?.join("."))
}

/// The fact tested by `has(fact)`.
pub(super) fn tested_fact(select: &SelectExpr) -> Option<FactId> {
    let mut path = segments(&select.operand)?;
    path.push(&select.field);
    FactId::of(&path.join("."))
}

/// The last name in a selection (`size_bytes` in `a[0].size_bytes`).
pub(super) fn last_name(expression: &Expression) -> Option<&str> {
    match &expression.expr {
        Ast::Ident(name) => Some(name),
        Ast::Select(select) if !select.test => Some(&select.field),
        _ => None,
    }
}

fn segments(expression: &Expression) -> Option<Vec<&str>> {
    match &expression.expr {
        Ast::Ident(name) => Some(vec![name]),
        Ast::Select(select) if !select.test => {
            let mut path = segments(&select.operand)?;
            path.push(&select.field);
            Some(path)
        }
        _ => None,
    }
}

struct Checker {
    variables: Variables,
    locals: Vec<(String, Ty)>,
    facts: Vec<FactId>,
}

impl Checker {
    fn infer(&mut self, expression: &Expression) -> Result<Ty, ExprError> {
        match &expression.expr {
            Ast::Literal(literal) => Ok(of_literal(literal)),
            Ast::Ident(name) => self.name(&[name]),
            Ast::Select(select) => self.select(expression, select),
            Ast::Call(call) => self.call(call),
            Ast::List(list) => {
                let types = list.elements.iter().map(|element| self.infer(element)).collect::<Result<Vec<_>, _>>()?;
                let texts = !types.is_empty() && types.iter().all(|ty| *ty == Ty::Text);
                Ok(if texts { Ty::Texts } else { Ty::Any })
            }
            Ast::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.infer(&entry.key)?;
                        self.infer(&entry.value)?;
                    }
                }
                Ok(Ty::Any)
            }
            Ast::Comprehension(comprehension) => self.comprehension(comprehension),
            Ast::Struct(written) => Err(ExprError::Type(format!("there is no type `{}`", written.type_name))),
            Ast::Unspecified => Err(ExprError::Type("the expression is empty".to_owned())),
        }
    }

    fn select(&mut self, expression: &Expression, select: &SelectExpr) -> Result<Ty, ExprError> {
        if select.test {
            match tested_fact(select) {
                Some(fact) if !self.is_local(&select.operand) => self.read(fact),
                None if is_branch(&select.operand) => {
                    return Err(unknown_path(&[&*segments(&select.operand).unwrap_or_default().join("."), &select.field]));
                }
                _ => {
                    let operand = self.infer(&select.operand)?;
                    field(operand, &select.field)?;
                }
            }
            return Ok(Ty::Bool);
        }
        match segments(expression) {
            Some(path) => self.name(&path),
            None => {
                let operand = self.infer(&select.operand)?;
                field(operand, &select.field)
            }
        }
    }

    fn is_local(&self, expression: &Expression) -> bool {
        segments(expression).is_some_and(|path| self.locals.iter().any(|(name, _)| name == path[0]))
    }

    /// A dotted name: a variable of a macro, of the sighting, or a fact; what follows is selected from it.
    fn name(&mut self, path: &[&str]) -> Result<Ty, ExprError> {
        if let Some((_, ty)) = self.locals.iter().rev().find(|(name, _)| name == path[0]) {
            return path[1..].iter().try_fold(*ty, |ty, name| field(ty, name));
        }
        if matches!(path[0], "captures" | "sighting") {
            return self.sighting(path);
        }
        for length in (1..=path.len()).rev() {
            if let Some(fact) = FactId::of(&path[..length].join(".")) {
                self.read(fact);
                return path[length..].iter().try_fold(Ty::of_fact(fact.entry().kind), |ty, name| field(ty, name));
            }
        }
        Err(unknown_path(path))
    }

    fn sighting(&self, path: &[&str]) -> Result<Ty, ExprError> {
        if self.variables == Variables::Facts {
            return Err(ExprError::NoSighting(path[0].to_owned()));
        }
        match path {
            ["captures"] => Ok(Ty::TextMap),
            ["captures", _] => Ok(Ty::Text),
            ["sighting", "count"] => Ok(Ty::Int),
            ["sighting", "first_at" | "last_at"] => Ok(Ty::Time),
            ["sighting", "text"] => Ok(Ty::Text),
            ["sighting", "pods"] => Ok(Ty::Texts),
            _ => Err(ExprError::UnknownField { of: path[0].to_owned(), field: path[1..].join(".") }),
        }
    }

    fn read(&mut self, fact: FactId) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Result<Ty, ExprError> {
        let range = self.infer(&comprehension.iter_range)?;
        let element = range.iterated().ok_or_else(|| ExprError::Type(format!("{} cannot be gone through", range.words())))?;
        let start = self.infer(&comprehension.accu_init)?;
        let before = self.locals.len();
        self.locals.push((comprehension.accu_var.clone(), start));
        let element = if comprehension.iter_var2.is_some() { Ty::Any } else { element };
        self.locals.push((comprehension.iter_var.clone(), element));
        self.locals.extend(comprehension.iter_var2.iter().map(|name| (name.clone(), Ty::Any)));
        self.infer(&comprehension.loop_cond)?;
        self.infer(&comprehension.loop_step)?;
        let appended = appended(&comprehension.loop_step).map(|element| self.infer(element)).transpose()?;
        let result = self.infer(&comprehension.result);
        self.locals.truncate(before);
        Ok(appended.map_or(result?, Ty::list_of))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Ty, ExprError> {
        let target = call.target.as_deref().map(|target| self.infer(target)).transpose()?;
        let arguments = call.args.iter().map(|argument| self.infer(argument)).collect::<Result<Vec<_>, _>>()?;
        let name = call.func_name.as_str();
        match (name, arguments.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, operands) => {
                operands.iter().try_for_each(|ty| wants_bool(*ty))?;
                Ok(Ty::Bool)
            }
            (op::EQUALS | op::NOT_EQUALS | op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [left, right]) => {
                wants_comparable(*left, *right)?;
                Ok(Ty::Bool)
            }
            (op::CONDITIONAL, [condition, yes, no]) => {
                wants_bool(*condition)?;
                Ok(if yes == no { *yes } else { Ty::Any })
            }
            (op::IN, [element, list]) => {
                wants_comparable(*element, list.element())?;
                Ok(Ty::Bool)
            }
            (op::INDEX, [list, _]) => Ok(list.element()),
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [left, right]) => arithmetic(name, *left, *right),
            (op::NEGATE, [operand]) => Ok(*operand),
            _ => function(name, target, &arguments),
        }
    }
}

/// Whether an expression names what facts lie beneath (`kubelet.unit`).
fn is_branch(expression: &Expression) -> bool {
    segments(expression).is_some_and(|path| FactId::of(&path.join(".")).is_none() && schema::under(&path.join(".")).next().is_some())
}

fn unknown_path(path: &[&str]) -> ExprError {
    let path = path.join(".");
    let near = nearest(&path);
    ExprError::UnknownPath { path, near }
}

/// Whether an expression is nested deeper than so many levels.
pub(super) fn is_deeper_than(expression: &Expression, levels: usize) -> bool {
    levels == 0 || parts(expression).into_iter().any(|part| is_deeper_than(part, levels - 1))
}

/// What an expression is directly made of.
pub(super) fn parts(expression: &Expression) -> Vec<&Expression> {
    match &expression.expr {
        Ast::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Ast::Select(select) => vec![&*select.operand],
        Ast::List(list) => list.elements.iter().collect(),
        Ast::Map(map) => {
            let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                EntryExpr::StructField(_) => None,
            });
            entries.flatten().collect()
        }
        Ast::Comprehension(one) => vec![&one.iter_range, &one.accu_init, &one.loop_cond, &one.loop_step, &one.result],
        Ast::Ident(_) | Ast::Literal(_) | Ast::Struct(_) | Ast::Unspecified => Vec::new(),
    }
}

/// What a comprehension collects: `map` and `filter` append one element to their result.
fn appended(step: &Expression) -> Option<&Expression> {
    let Ast::Call(call) = &step.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (op::CONDITIONAL, [_, yes, _]) => appended(yes),
        (op::ADD, [_, list]) => match &list.expr {
            Ast::List(list) if list.elements.len() == 1 => list.elements.first(),
            _ => None,
        },
        _ => None,
    }
}

fn of_literal(literal: &LiteralValue) -> Ty {
    match literal {
        LiteralValue::Boolean(_) => Ty::Bool,
        LiteralValue::Int(_) | LiteralValue::UInt(_) => Ty::Int,
        LiteralValue::Double(_) => Ty::Float,
        LiteralValue::String(_) => Ty::Text,
        LiteralValue::Bytes(_) | LiteralValue::Null => Ty::Any,
    }
}

fn field(of: Ty, name: &str) -> Result<Ty, ExprError> {
    match of {
        Ty::Any => Ok(Ty::Any),
        Ty::TextMap => Ok(Ty::Text),
        Ty::Record(fields) => match fields.iter().find(|(field, _)| *field == name) {
            Some((_, kind)) => Ok(Ty::of_fact(*kind)),
            None => {
                let names: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
                Err(ExprError::UnknownField { of: format!("a record of {}", names.join(", ")), field: name.to_owned() })
            }
        },
        other => Err(ExprError::UnknownField { of: other.words().to_owned(), field: name.to_owned() }),
    }
}

fn wants_bool(ty: Ty) -> Result<(), ExprError> {
    match ty {
        Ty::Bool | Ty::Any => Ok(()),
        other => Err(ExprError::Type(format!("&&, ||, ! and ?: take conditions; this is {}", other.words()))),
    }
}

fn wants_comparable(left: Ty, right: Ty) -> Result<(), ExprError> {
    if left.comparable(right) {
        return Ok(());
    }
    Err(ExprError::Type(format!("{} is compared with {}: that never holds", left.words(), right.words())))
}

fn arithmetic(name: &str, left: Ty, right: Ty) -> Result<Ty, ExprError> {
    match (name, left, right) {
        (_, Ty::Any, _) | (_, _, Ty::Any) => Ok(Ty::Any),
        (op::SUBSTRACT, Ty::Time, Ty::Time) => Ok(Ty::Duration),
        (op::ADD | op::SUBSTRACT, Ty::Time, Ty::Duration) => Ok(Ty::Time),
        (op::ADD, Ty::Duration, Ty::Time) => Ok(Ty::Time),
        (op::ADD | op::SUBSTRACT, Ty::Duration, Ty::Duration) => Ok(Ty::Duration),
        (_, Ty::Int, Ty::Int) => Ok(Ty::Int),
        (_, Ty::Float, Ty::Float) => Ok(Ty::Float),
        (op::ADD, Ty::Text, Ty::Text) => Ok(Ty::Text),
        (op::ADD, left, right) if left == right => Ok(left),
        _ => Err(ExprError::Type(format!("{name} does not take {} and {}: convert with double() or int()", left.words(), right.words()))),
    }
}

fn function(name: &str, target: Option<Ty>, arguments: &[Ty]) -> Result<Ty, ExprError> {
    let given = usize::from(target.is_some()) + arguments.len();
    let (wanted, ty) = match name {
        "size" => (1, Ty::Int),
        "contains" | "startsWith" | "endsWith" | "matches" => {
            if let Some(subject) = target.or(arguments.first().copied()).filter(|ty| !matches!(ty, Ty::Text | Ty::Any)) {
                return Err(ExprError::Type(format!("{name}() is asked of {}; it takes a text", subject.words())));
            }
            (2, Ty::Bool)
        }
        "duration" => (1, Ty::Duration),
        "timestamp" => (1, Ty::Time),
        "int" => (1, Ty::Int),
        "double" => (1, Ty::Float),
        "string" => (1, Ty::Text),
        "bool" => (1, Ty::Bool),
        "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds" => (1, Ty::Int),
        _ => return Err(ExprError::UnknownFunction(name.to_owned())),
    };
    match given == wanted {
        true => Ok(ty),
        false => Err(ExprError::Type(format!("{name}() takes {wanted} value(s); {given} are given"))),
    }
}

/// A path spelt much like this one.
fn nearest(path: &str) -> Option<&'static str> {
    let best = schema::ALL.iter().map(|entry| (levenshtein(path, entry.path), entry.path)).min()?;
    (best.0 <= 3.max(path.len() / 5)).then_some(best.1)
}
