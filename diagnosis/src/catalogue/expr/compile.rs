//! From text to a checked syntax tree in which every fact is one variable.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr as Ast, operators};
use cel::{IdedExpr, Program};

use crate::facts::FactType;
use crate::facts::schema::{self, Entry};

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// Not CEL.
    #[error("not a CEL expression: {0}")]
    Syntax(String),
    /// A path that no check reports.
    #[error("there is no fact `{path}`{}; docs/facts.md lists them all", suggestion(.nearest))]
    UnknownFact {
        /// As written.
        path: String,
        /// A fact whose path is much like it.
        nearest: Option<&'static str>,
    },
    /// A field that the records of a list do not have.
    #[error("`{path}` has no field `{field}`; it has {}", .fields.join(", "))]
    UnknownField {
        /// The fact.
        path: String,
        /// As written.
        field: String,
        /// Those it has.
        fields: Vec<&'static str>,
    },
    /// A function that CEL does not have.
    #[error("there is no function `{0}` in CEL")]
    UnknownFunction(String),
    /// Nested too deeply to be judged safely.
    #[error("the expression is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |path| format!(", did you mean `{path}`?"))
}

const MAX_DEPTH: usize = 60;
/// Standard functions of CEL (cel-spec, langdef.md, "List of Standard Definitions") that the cel crate has; macros are gone after parsing.
const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "duration",
    "timestamp",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];
/// Variables that are no facts: what a sign's last sighting captured, and the sighting itself.
const SPECIAL: &[&str] = &["captures", "sighting"];

pub(super) fn compile(source: &str) -> Result<(IdedExpr, Vec<&'static str>), ExprError> {
    // The parser's stack grows with nesting: refused before it comes to that.
    let depth = source.chars().fold((0_usize, 0_usize), |(now, most), c| match c {
        '(' | '[' | '{' => (now + 1, most.max(now + 1)),
        ')' | ']' | '}' => (now.saturating_sub(1), most),
        _ => (now, most),
    });
    if depth.1 > MAX_DEPTH || source.len() > 4096 {
        return Err(ExprError::TooDeep);
    }
    let program = Program::compile(source).map_err(|errors| ExprError::Syntax(one_line(&errors.to_string())))?;
    let mut ast = program.expression().clone();
    let mut paths = BTreeSet::new();
    Walk { paths: &mut paths, bound: Vec::new(), depth: 0 }.check(&mut ast)?;
    Ok((ast, paths.into_iter().collect()))
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Facts that a checked expression reads.
pub(super) fn paths_of(ast: &IdedExpr) -> Vec<&'static str> {
    let mut found = Vec::new();
    visit(ast, &mut |node| {
        if let Ast::Ident(name) = node
            && let Some(entry) = schema::entry(name.strip_prefix(HAS).unwrap_or(name))
            && !found.contains(&entry.path)
        {
            found.push(entry.path);
        }
    });
    found
}

/// Prefix of the variable that stands for `has(PATH)`.
pub(super) const HAS: &str = "has ";

fn visit(ast: &IdedExpr, see: &mut impl FnMut(&Ast)) {
    see(&ast.expr);
    match &ast.expr {
        Ast::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).for_each(|part| visit(part, see)),
        Ast::Comprehension(it) => {
            [&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result].into_iter().for_each(|part| visit(part, see));
        }
        Ast::List(list) => list.elements.iter().for_each(|part| visit(part, see)),
        Ast::Select(select) => visit(&select.operand, see),
        Ast::Map(map) => map.entries.iter().for_each(|entry| {
            if let EntryExpr::MapEntry(entry) = &entry.expr {
                visit(&entry.key, see);
                visit(&entry.value, see);
            }
        }),
        Ast::Ident(_) | Ast::Literal(_) | Ast::Struct(_) | Ast::Unspecified => {}
    }
}

/// What is known of a value: the fact whose records it holds or is.
type Records = Option<&'static Entry>;

struct Walk<'a> {
    paths: &'a mut BTreeSet<&'static str>,
    /// Variables bound by macros, with the fact whose records they run over.
    bound: Vec<(String, Records)>,
    depth: usize,
}

impl Walk<'_> {
    fn check(&mut self, ast: &mut IdedExpr) -> Result<Records, ExprError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH * 4 {
            return Err(ExprError::TooDeep);
        }
        let records = self.check_node(ast);
        self.depth -= 1;
        records
    }

    fn check_node(&mut self, ast: &mut IdedExpr) -> Result<Records, ExprError> {
        if let Some(segments) = name_of(&ast.expr)
            && !self.is_local(&segments[0])
        {
            return self.fact(ast, &segments);
        }
        match &mut ast.expr {
            Ast::Call(call) => {
                known_function(&call.func_name)?;
                let mut records = None;
                for (index, part) in call.target.iter_mut().map(|target| &mut **target).chain(&mut call.args).enumerate() {
                    let of = self.check(part)?;
                    if index == 0 && call.func_name == operators::INDEX {
                        records = of;
                    }
                }
                Ok(records)
            }
            Ast::Comprehension(it) => {
                let over = self.check(&mut it.iter_range)?;
                self.check(&mut it.accu_init)?;
                let before = self.bound.len();
                self.bound.push((it.iter_var.clone(), over));
                self.bound.extend(it.iter_var2.iter().map(|name| (name.clone(), over)));
                self.bound.push((it.accu_var.clone(), None));
                for part in [&mut it.loop_cond, &mut it.loop_step, &mut it.result] {
                    self.check(part)?;
                }
                self.bound.truncate(before);
                Ok(None)
            }
            Ast::Select(select) => {
                let of = self.check(&mut select.operand)?;
                field_of(of, &select.field)?;
                Ok(None)
            }
            Ast::List(list) => list.elements.iter_mut().try_for_each(|part| self.check(part).map(drop)).map(|()| None),
            Ast::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.check(&mut entry.key)?;
                        self.check(&mut entry.value)?;
                    }
                }
                Ok(None)
            }
            Ast::Ident(name) => Ok(self.bound.iter().rev().find(|(bound, _)| bound == name).and_then(|(_, records)| *records)),
            Ast::Struct(it) => Err(ExprError::UnknownFunction(it.type_name.clone())),
            Ast::Literal(_) | Ast::Unspecified => Ok(None),
        }
    }

    fn is_local(&self, name: &str) -> bool {
        SPECIAL.contains(&name) || name.starts_with('@') || self.bound.iter().any(|(bound, _)| bound == name)
    }

    /// Puts one variable in the place of the path of a fact; what follows the path stays a selection on it.
    fn fact(&mut self, ast: &mut IdedExpr, segments: &[String]) -> Result<Records, ExprError> {
        let unknown = || ExprError::UnknownFact { path: segments.join("."), nearest: nearest(&segments.join(".")) };
        let (taken, entry) =
            (1..=segments.len()).rev().find_map(|n| Some((n, schema::entry(&segments[..n].join("."))?))).ok_or_else(unknown)?;
        self.paths.insert(entry.path);
        let test = matches!(&ast.expr, Ast::Select(select) if select.test);
        if taken == segments.len() {
            ast.expr = Ast::Ident(if test { format!("{HAS}{}", entry.path) } else { entry.path.to_owned() });
            return Ok(matches!(entry.kind, FactType::Records(_)).then_some(entry));
        }
        if entry.kind != FactType::TextMap {
            return Err(unknown());
        }
        let mut place = ast;
        for _ in taken..segments.len() {
            let Ast::Select(select) = &mut place.expr else { return Err(unknown()) };
            place = &mut select.operand;
        }
        place.expr = Ast::Ident(entry.path.to_owned());
        Ok(None)
    }
}

/// The names of `a.b.c`, root first; `has(a.b.c)` too.
fn name_of(ast: &Ast) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut at = ast;
    loop {
        match at {
            Ast::Ident(name) => {
                names.push(name.trim_start_matches('.').to_owned());
                names.reverse();
                return Some(names);
            }
            Ast::Select(select) => {
                names.push(select.field.clone());
                at = &select.operand.expr;
            }
            _ => return None,
        }
    }
}

fn field_of(records: Records, field: &str) -> Result<(), ExprError> {
    let Some(Entry { path, kind: FactType::Records(fields), .. }) = records else { return Ok(()) };
    if fields.iter().any(|(name, _)| *name == field) {
        return Ok(());
    }
    Err(ExprError::UnknownField {
        path: (*path).to_owned(),
        field: field.to_owned(),
        fields: fields.iter().map(|(name, _)| *name).collect(),
    })
}

fn known_function(name: &str) -> Result<(), ExprError> {
    let operator = name.starts_with(['_', '!', '-', '@']);
    if operator || FUNCTIONS.contains(&name) { Ok(()) } else { Err(ExprError::UnknownFunction(name.to_owned())) }
}

/// The fact whose path takes the fewest changes of one letter, if it takes few.
fn nearest(path: &str) -> Option<&'static str> {
    let scored = schema::ALL.iter().map(|entry| (distance(path, entry.path), entry.path));
    scored.min().filter(|(distance, _)| *distance <= 4).map(|(_, path)| path)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
