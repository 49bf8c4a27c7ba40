//! Compiled predicates: boolean structure and plain comparisons natively, the rest as CEL.

use ::cel::common::ast::operators as op;
use ::cel::common::ast::{CallExpr, EntryExpr, Expr as Ast};
use ::cel::parser::Expression;

use super::ExprError;
use super::cel::{PRESENCE, constant};
use super::check::{fact_of, parts, tested_fact};
use crate::facts::{FactId, FactType, Value};

/// A predicate.
#[derive(Debug)]
pub(super) enum Node {
    Const(bool),
    /// A fact that is true or false.
    Fact(FactId),
    /// `has(fact)`.
    Has(FactId),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Compare(Compare, Operand, Operand),
    In(Operand, Vec<Value>),
    /// Anything else CEL can say, with the facts in it.
    Cel(Box<Expression>, Vec<FactId>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// Something compared.
#[derive(Debug)]
pub(super) enum Operand {
    Const(Value),
    Fact(FactId),
    /// `size()` of a list, map or text.
    Size(FactId),
    /// One time minus another.
    Between(FactId, FactId),
}

/// What kind of value an operand has; natively only like is compared with like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Bool,
    Int,
    Float,
    Time,
    Duration,
    Text,
}

pub(super) fn compile(expression: &Expression) -> Result<Node, ExprError> {
    if let Some(fact) = fact_of(expression) {
        return Ok(Node::Fact(fact));
    }
    match &expression.expr {
        Ast::Select(select) if select.test => match tested_fact(select) {
            Some(fact) => Ok(Node::Has(fact)),
            None => Ok(left_to_cel(expression)),
        },
        Ast::Call(call) => compile_call(expression, call),
        Ast::Literal(_) => match folded(expression)? {
            Some(Value::Bool(constant)) => Ok(Node::Const(constant)),
            _ => Ok(left_to_cel(expression)),
        },
        _ => Ok(left_to_cel(expression)),
    }
}

fn compile_call(expression: &Expression, call: &CallExpr) -> Result<Node, ExprError> {
    let boxed = |expression: &Expression| compile(expression).map(Box::new);
    match (call.func_name.as_str(), call.args.as_slice()) {
        (op::LOGICAL_AND, [left, right]) => Ok(Node::And(boxed(left)?, boxed(right)?)),
        (op::LOGICAL_OR, [left, right]) => Ok(Node::Or(boxed(left)?, boxed(right)?)),
        (op::LOGICAL_NOT, [operand]) => Ok(Node::Not(boxed(operand)?)),
        (op::CONDITIONAL, [condition, yes, no]) => Ok(Node::If(boxed(condition)?, boxed(yes)?, boxed(no)?)),
        (op::IN, [element, list]) => match (operand(element)?, constants(list)?) {
            (Some(element), Some(list)) if list.iter().all(|one| Some(plain_value(one)) == plain(&element).map(Some)) => {
                Ok(Node::In(element, list))
            }
            _ => Ok(left_to_cel(expression)),
        },
        (name, [left, right]) => match (comparison(name), operand(left)?, operand(right)?) {
            (Some(compare), Some(left), Some(right)) if plain(&left).is_some() && plain(&left) == plain(&right) => {
                Ok(Node::Compare(compare, left, right))
            }
            _ => Ok(left_to_cel(expression)),
        },
        _ => Ok(left_to_cel(expression)),
    }
}

fn comparison(name: &str) -> Option<Compare> {
    Some(match name {
        op::EQUALS => Compare::Equal,
        op::NOT_EQUALS => Compare::NotEqual,
        op::LESS => Compare::Less,
        op::LESS_EQUALS => Compare::LessEqual,
        op::GREATER => Compare::Greater,
        op::GREATER_EQUALS => Compare::GreaterEqual,
        _ => return None,
    })
}

fn operand(expression: &Expression) -> Result<Option<Operand>, ExprError> {
    if let Some(fact) = fact_of(expression) {
        return Ok(Some(Operand::Fact(fact)));
    }
    if let Some(value) = folded(expression)? {
        return Ok(Some(Operand::Const(value)));
    }
    let Ast::Call(call) = &expression.expr else { return Ok(None) };
    Ok(match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
        ("size", Some(of), []) | ("size", None, [of]) => fact_of(of).map(Operand::Size),
        (op::SUBSTRACT, None, [left, right]) => match (fact_of(left), fact_of(right)) {
            (Some(left), Some(right)) if is_time(left) && is_time(right) => Some(Operand::Between(left, right)),
            _ => None,
        },
        _ => None,
    })
}

fn is_time(fact: FactId) -> bool {
    fact.entry().kind == FactType::Time
}

fn plain(operand: &Operand) -> Option<Plain> {
    match operand {
        Operand::Const(value) => plain_value(value),
        Operand::Size(_) => Some(Plain::Int),
        Operand::Between(..) => Some(Plain::Duration),
        Operand::Fact(fact) => match fact.entry().kind {
            FactType::Bool => Some(Plain::Bool),
            FactType::Int => Some(Plain::Int),
            FactType::Float => Some(Plain::Float),
            FactType::Time => Some(Plain::Time),
            FactType::Duration => Some(Plain::Duration),
            FactType::Text => Some(Plain::Text),
            FactType::TextList | FactType::TextMap | FactType::Records(_) => None,
        },
    }
}

fn plain_value(value: &Value) -> Option<Plain> {
    match value {
        Value::Bool(_) => Some(Plain::Bool),
        Value::Int(_) => Some(Plain::Int),
        Value::Float(_) => Some(Plain::Float),
        Value::Time(_) => Some(Plain::Time),
        Value::Duration(_) => Some(Plain::Duration),
        Value::Text(_) => Some(Plain::Text),
        Value::List(_) | Value::Map(_) => None,
    }
}

fn constants(expression: &Expression) -> Result<Option<Vec<Value>>, ExprError> {
    Ok(match folded(expression)? {
        Some(Value::List(items)) => Some(items),
        _ => None,
    })
}

/// The value of an expression that names nothing. One that names nothing and cannot be evaluated never will be.
fn folded(expression: &Expression) -> Result<Option<Value>, ExprError> {
    let mut names = Vec::new();
    walk(expression, &mut |one| names.extend(matches!(one.expr, Ast::Ident(_) | Ast::Comprehension(_)).then_some(())));
    if !names.is_empty() {
        return Ok(None);
    }
    constant(expression).map(Some).map_err(ExprError::Type)
}

fn left_to_cel(expression: &Expression) -> Node {
    let mut facts = Vec::new();
    walk(expression, &mut |one| facts.extend(longest_fact(one).filter(|fact| !facts.contains(fact))));
    let mut expression = expression.clone();
    name_presence_tests(&mut expression);
    Node::Cel(Box::new(expression), facts)
}

/// CEL sees facts as variables with dots in their names, and cannot test for those: `has(fact)` becomes a variable too.
pub(super) fn name_presence_tests(expression: &mut Expression) {
    if let Ast::Select(select) = &expression.expr
        && select.test
        && let Some(fact) = tested_fact(select)
    {
        expression.expr = Ast::Ident(format!("{PRESENCE}{}", fact.path()));
    }
    parts_of(expression).into_iter().for_each(name_presence_tests);
}

fn parts_of(expression: &mut Expression) -> Vec<&mut Expression> {
    match &mut expression.expr {
        Ast::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Ast::Select(select) => vec![&mut select.operand],
        Ast::List(list) => list.elements.iter_mut().collect(),
        Ast::Map(map) => {
            let parts = map.entries.iter_mut().filter_map(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => Some([&mut entry.key, &mut entry.value]),
                EntryExpr::StructField(_) => None,
            });
            parts.flatten().collect()
        }
        Ast::Comprehension(one) => {
            vec![&mut one.iter_range, &mut one.accu_init, &mut one.loop_cond, &mut one.loop_step, &mut one.result]
        }
        Ast::Ident(_) | Ast::Literal(_) | Ast::Struct(_) | Ast::Unspecified => Vec::new(),
    }
}

/// The fact of a name, or of the front of one (`kubelet.flags.config`).
fn longest_fact(expression: &Expression) -> Option<FactId> {
    fact_of(expression).or_else(|| match &expression.expr {
        Ast::Select(select) => tested_fact(select).or_else(|| longest_fact(&select.operand)),
        _ => None,
    })
}

/// Calls `visit` on an expression and everything in it.
fn walk(expression: &Expression, visit: &mut impl FnMut(&Expression)) {
    visit(expression);
    parts(expression).into_iter().for_each(|one| walk(one, visit));
}
