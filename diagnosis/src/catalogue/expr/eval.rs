//! Evaluation in three-valued logic.
//!
//! Inside, a fourth value says that something does not apply here. It makes the whole false, also under `!`: no kubelet is neither a running
//! kubelet nor one that does not run.

use std::cell::Cell;
use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::cel::Scope;
use super::node::{Compare, Node, Operand};
use super::{Expr, Truth, ValueExpr};
use crate::facts::{FactId, Missing, MissingKind, Value, schema};

/// A predicate's value, reasons left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tri {
    True,
    False,
    NotApplicable,
    Unknown,
}

impl Tri {
    fn of(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other,
        }
    }
}

/// The earliest moment at which time alone changes a value.
#[derive(Debug, Default)]
pub(crate) struct Wake(Cell<Option<Timestamp>>);

impl Wake {
    pub(crate) fn at(&self, moment: Timestamp) {
        let earliest = self.0.get().map_or(moment, |known| known.min(moment));
        self.0.set(Some(earliest));
    }

    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.0.get()
    }
}

impl Expr {
    /// The value; `wake` is told when the mere passing of time will change it.
    pub(crate) fn tri(&self, scope: &Scope<'_>, wake: &Wake) -> Tri {
        Eval { scope, wake }.node(&self.root)
    }

    /// Whether it holds; what cannot be told is not.
    pub(crate) fn holds(&self, scope: &Scope<'_>, wake: &Wake) -> bool {
        self.tri(scope, wake) == Tri::True
    }

    /// The value, with the facts that are to blame if it cannot be told.
    pub(crate) fn truth(&self, scope: &Scope<'_>, wake: &Wake) -> Truth {
        let eval = Eval { scope, wake };
        match eval.node(&self.root) {
            Tri::True => Truth::True,
            Tri::False | Tri::NotApplicable => Truth::False,
            Tri::Unknown => {
                let mut missing = Vec::new();
                eval.blame(&self.root, &mut missing);
                Truth::Unknown(missing)
            }
        }
    }
}

impl ValueExpr {
    /// The value; `None` if it is not known.
    pub(crate) fn value(&self, scope: &Scope<'_>) -> Option<Value> {
        match self.whole_fact {
            Some(fact) => scope.value(fact).ok().cloned(),
            None => scope.evaluate(&self.expression).ok(),
        }
    }
}

struct Eval<'s, 'a> {
    scope: &'s Scope<'a>,
    wake: &'s Wake,
}

impl Eval<'_, '_> {
    fn node(&self, node: &Node) -> Tri {
        match node {
            Node::Const(value) => Tri::of(*value),
            Node::Fact(fact) => match self.scope.value(*fact) {
                Ok(Value::Bool(value)) => Tri::of(*value),
                _ => self.absence(&[*fact]),
            },
            Node::Has(fact) => match self.scope.value(*fact) {
                Ok(_) => Tri::True,
                Err(Some(missing)) if missing.kind == MissingKind::NotApplicable => Tri::False,
                Err(_) => Tri::Unknown,
            },
            Node::Not(operand) => self.node(operand).not(),
            Node::And(left, right) => and(self.node(left), || self.node(right)),
            Node::Or(left, right) => or(self.node(left), || self.node(right)),
            Node::If(condition, yes, no) => match self.node(condition) {
                Tri::True => self.node(yes),
                Tri::False => self.node(no),
                other => other,
            },
            Node::Compare(compare, left, right) => self.compare(*compare, left, right),
            Node::In(element, list) => match self.operand(element) {
                Ok(element) => Tri::of(list.iter().any(|one| one == element.get())),
                Err(absence) => absence,
            },
            Node::Cel(expression, facts) => match self.scope.evaluate(expression) {
                Ok(Value::Bool(value)) => Tri::of(value),
                Ok(_) | Err(_) => self.absence(facts),
            },
        }
    }

    /// What a value that cannot be had means. With every fact known it is a key that is not in a map, an index beyond a list's end or a
    /// sighting that was not made: what is spoken of does not exist.
    fn absence(&self, facts: &[FactId]) -> Tri {
        let unknown = facts.iter().any(|fact| self.scope.missing(*fact).is_some());
        if unknown { Tri::Unknown } else { Tri::NotApplicable }
    }

    fn compare(&self, compare: Compare, left: &Operand, right: &Operand) -> Tri {
        let (left_value, right_value) = match (self.operand(left), self.operand(right)) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(Tri::Unknown), _) | (_, Err(Tri::Unknown)) => return Tri::Unknown,
            _ => return Tri::NotApplicable,
        };
        let Some(order) = order(left_value.get(), right_value.get()) else { return Tri::NotApplicable };
        self.note_crossing((left, left_value.get()), (right, right_value.get()));
        Tri::of(match compare {
            Compare::Equal => order == Ordering::Equal,
            Compare::NotEqual => order != Ordering::Equal,
            Compare::Less => order == Ordering::Less,
            Compare::LessEqual => order != Ordering::Greater,
            Compare::Greater => order == Ordering::Greater,
            Compare::GreaterEqual => order != Ordering::Less,
        })
    }

    fn operand<'o>(&'o self, operand: &'o Operand) -> Result<Held<'o>, Tri> {
        let fact = |fact: &FactId| self.scope.value(*fact).map_err(|_| self.absence(&[*fact]));
        match operand {
            Operand::Const(value) => Ok(Held::Kept(value)),
            Operand::Fact(id) => fact(id).map(Held::Kept),
            Operand::Size(id) => size(fact(id)?).map(|size| Held::Made(Value::Int(size))).ok_or(Tri::NotApplicable),
            Operand::Between(left, right) => match (fact(left)?, fact(right)?) {
                (Value::Time(left), Value::Time(right)) => Ok(Held::Made(Value::Duration(left.duration_since(*right)))),
                _ => Err(Tri::NotApplicable),
            },
        }
    }

    /// Two sides of which one moves with the clock meet at a moment that can be told beforehand.
    fn note_crossing(&self, left: (&Operand, &Value), right: (&Operand, &Value)) {
        let apart = match (left.1, right.1) {
            (Value::Duration(left), Value::Duration(right)) => *left - *right,
            (Value::Time(left), Value::Time(right)) => left.duration_since(*right),
            _ => return,
        };
        let until = match rate(left.0, left.1) - rate(right.0, right.1) {
            1 => -apart,
            -1 => apart,
            _ => return,
        };
        if until >= SignedDuration::ZERO
            && let Ok(moment) = self.scope.seen.now.checked_add(until + SignedDuration::from_micros(1))
        {
            self.wake.at(moment);
        }
    }

    /// Collects the missing facts that keep a node from being known.
    fn blame(&self, node: &Node, missing: &mut Vec<(&'static str, Missing)>) {
        if self.node(node) != Tri::Unknown {
            return;
        }
        match node {
            Node::Const(_) => {}
            Node::Fact(fact) | Node::Has(fact) => self.blame_facts(&[*fact], missing),
            Node::Not(operand) => self.blame(operand, missing),
            Node::And(left, right) | Node::Or(left, right) => {
                self.blame(left, missing);
                self.blame(right, missing);
            }
            Node::If(condition, yes, no) => [condition, yes, no].into_iter().for_each(|part| self.blame(part, missing)),
            Node::Compare(_, left, right) => {
                let facts: Vec<_> = read_by(left).chain(read_by(right)).collect();
                self.blame_facts(&facts, missing);
            }
            Node::In(element, _) => self.blame_facts(&read_by(element).collect::<Vec<_>>(), missing),
            Node::Cel(_, facts) => self.blame_facts(facts, missing),
        }
    }

    fn blame_facts(&self, facts: &[FactId], missing: &mut Vec<(&'static str, Missing)>) {
        for fact in facts {
            if missing.iter().all(|(path, _)| *path != fact.path())
                && let Some(reason) = self.scope.missing(*fact)
            {
                missing.push((fact.path(), reason));
            }
        }
    }
}

/// A value borrowed from the facts or made for a comparison.
enum Held<'o> {
    Kept(&'o Value),
    Made(Value),
}

impl Held<'_> {
    fn get(&self) -> &Value {
        match self {
            Self::Kept(value) => value,
            Self::Made(value) => value,
        }
    }
}

fn and(left: Tri, right: impl FnOnce() -> Tri) -> Tri {
    match left {
        Tri::False => Tri::False,
        Tri::True => right(),
        // A part that does not apply makes it false whatever else is missing.
        Tri::NotApplicable => {
            if right() == Tri::False {
                Tri::False
            } else {
                Tri::NotApplicable
            }
        }
        Tri::Unknown => match right() {
            Tri::True => Tri::Unknown,
            other => other,
        },
    }
}

fn or(left: Tri, right: impl FnOnce() -> Tri) -> Tri {
    match left {
        Tri::True => Tri::True,
        Tri::False => right(),
        Tri::NotApplicable => match right() {
            Tri::False => Tri::NotApplicable,
            other => other,
        },
        Tri::Unknown => {
            if right() == Tri::True {
                Tri::True
            } else {
                Tri::Unknown
            }
        }
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn size(value: &Value) -> Option<i64> {
    let size = match value {
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        Value::Text(text) => text.chars().count(),
        _ => return None,
    };
    i64::try_from(size).ok()
}

fn read_by(operand: &Operand) -> impl Iterator<Item = FactId> {
    let (one, other) = match operand {
        Operand::Const(_) => (None, None),
        Operand::Fact(fact) | Operand::Size(fact) => (Some(*fact), None),
        Operand::Between(left, right) => (Some(*left), Some(*right)),
    };
    one.into_iter().chain(other)
}

/// Seconds an operand gains per second. `running_for` and `down_for` stand still at zero.
fn rate(operand: &Operand, value: &Value) -> i8 {
    let is_now = |fact: &FactId| i8::from(fact.path() == schema::NOW.path());
    match operand {
        Operand::Fact(fact) if fact.entry().derived => match value {
            Value::Duration(span) => i8::from(*span > SignedDuration::ZERO),
            _ => is_now(fact),
        },
        Operand::Between(left, right) => is_now(left) - is_now(right),
        Operand::Fact(_) | Operand::Const(_) | Operand::Size(_) => 0,
    }
}
