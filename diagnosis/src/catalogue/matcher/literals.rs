//! Literals that any match of a regular expression must contain, one of a set: what the prefilter looks for.
//!
//! The set is a superset test only: a line that holds none of the literals (in any ASCII case) cannot match. Everything is kept in
//! lower case because the prefilter is case-insensitive; that keeps `(?i)` patterns in the same tables.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::prefilter::MIN_LEN;

/// Literals are cut to their last so many bytes: enough to be rare.
const MAX_LEN: usize = 16;
/// More alternatives than this cost more than they save.
const MAX_SET: usize = 32;
/// A literal of so many bytes is rare enough: from there on fewer literals count more than longer ones.
const RARE_LEN: usize = 14;

/// The literals, or `None` if the expression guarantees none that is worth looking for.
pub(super) fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let Found { exact, best } = visit(hir);
    let set = better(exact.filter(usable), best)?;
    let mut set: Vec<_> = set.into_iter().map(|literal| tail(&literal)).collect();
    set.sort();
    set.dedup();
    Some(set)
}

type Set = Vec<Vec<u8>>;

/// What is known of a part of an expression.
struct Found {
    /// Every string it matches (in lower case), if they are few.
    exact: Option<Set>,
    /// A set of which every match contains one.
    best: Option<Set>,
}

impl Found {
    fn exactly(set: Set) -> Self {
        Self { exact: Some(set), best: None }
    }

    fn nothing() -> Self {
        Self { exact: None, best: None }
    }
}

fn visit(hir: &Hir) -> Found {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Found::exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => Found::exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => match few_letters(class) {
            Some(set) => Found::exactly(set),
            None => Found::nothing(),
        },
        HirKind::Capture(capture) => visit(&capture.sub),
        HirKind::Repetition(repetition) => {
            let inner = visit(&repetition.sub);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => inner,
                (0, Some(1)) => Found { exact: inner.exact.map(with_empty), best: None },
                (0, _) => Found::nothing(),
                _ => Found { best: better(inner.exact.filter(usable), inner.best), exact: None },
            }
        }
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(branches) => alternation(branches),
    }
}

fn concat(parts: &[Hir]) -> Found {
    let mut run: Set = vec![Vec::new()];
    let mut whole = true;
    let mut best = None;
    for part in parts {
        let found = visit(part);
        best = better(best, found.best);
        match found.exact.as_ref().and_then(|set| product(&run, set)) {
            Some(longer) => {
                // What there is so far may be the better set than what it becomes.
                if longer.len() > run.len() {
                    best = better(best, Some(run).filter(usable));
                }
                run = longer;
            }
            None => {
                whole = false;
                best = better(best, Some(run).filter(usable));
                run = found.exact.unwrap_or_else(|| vec![Vec::new()]);
            }
        }
    }
    if whole {
        return Found { exact: Some(run), best };
    }
    Found { exact: None, best: better(best, Some(run).filter(usable)) }
}

fn alternation(branches: &[Hir]) -> Found {
    let mut exact = Some(Set::new());
    let mut best = Some(Set::new());
    for branch in branches {
        let found = visit(branch);
        let needed = better(found.exact.clone().filter(usable), found.best);
        exact = joined(exact, found.exact);
        best = joined(best, needed);
    }
    Found { exact, best }
}

fn joined(all: Option<Set>, more: Option<Set>) -> Option<Set> {
    let mut all = all?;
    all.extend(more?);
    (all.len() <= MAX_SET).then_some(all)
}

fn with_empty(mut set: Set) -> Set {
    set.push(Vec::new());
    set
}

fn product(heads: &Set, tails: &Set) -> Option<Set> {
    if heads.len() * tails.len() > MAX_SET {
        return None;
    }
    Some(heads.iter().flat_map(|head| tails.iter().map(move |tail| [head.as_slice(), tail].concat())).collect())
}

/// A class of a few characters as the strings it matches: `[Aa]` is how `(?i)a` arrives here.
fn few_letters(class: &Class) -> Option<Set> {
    const FEW: u32 = 4;
    let mut set = Set::new();
    match class {
        Class::Bytes(bytes) => {
            for range in bytes.ranges() {
                if u32::from(range.end() - range.start()) >= FEW {
                    return None;
                }
                set.extend((range.start()..=range.end()).map(|byte| vec![byte.to_ascii_lowercase()]));
            }
        }
        Class::Unicode(chars) => {
            for range in chars.ranges() {
                if u32::from(range.end()) - u32::from(range.start()) >= FEW {
                    return None;
                }
                set.extend((range.start()..=range.end()).map(|c| c.to_ascii_lowercase().to_string().into_bytes()));
            }
        }
    }
    set.sort();
    set.dedup();
    (set.len() as u32 <= FEW).then_some(set)
}

fn usable(set: &Set) -> bool {
    !set.is_empty() && shortest(set) >= MIN_LEN
}

fn shortest(set: &Set) -> usize {
    set.iter().map(Vec::len).min().unwrap_or(0)
}

/// The set that will hit least: no short literals, then few, then long ones.
fn better(one: Option<Set>, other: Option<Set>) -> Option<Set> {
    let rank = |set: &Set| (shortest(set).min(RARE_LEN), usize::MAX - set.len(), shortest(set).min(MAX_LEN));
    match (one, other) {
        (Some(one), Some(other)) => Some(if rank(&other) > rank(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

fn tail(literal: &[u8]) -> Vec<u8> {
    literal[literal.len().saturating_sub(MAX_LEN)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pattern: &str) -> Option<Vec<String>> {
        let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).expect("a valid pattern");
        required(&hir).map(|set| set.into_iter().map(|literal| String::from_utf8_lossy(&literal).into_owned()).collect())
    }

    fn some(literals: &[&str]) -> Option<Vec<String>> {
        Some(literals.iter().map(|literal| (*literal).to_owned()).collect())
    }

    #[test]
    fn a_long_required_literal_is_chosen_and_cut_from_the_left() {
        assert_eq!(of("running with swap on is not supported"), some(&["is not supported"]));
        assert_eq!(of("bind: .* address already in use"), some(&["s already in use"]));
        assert_eq!(of(r"\d+ pids? left: (?P<n>\d+) exhausted"), some(&[" pid left: ", " pids left: "]));
    }

    #[test]
    fn one_literal_is_better_than_its_many_continuations() {
        let many = r"eviction manager: (?:attempting|must)(?: to)? (?:resourceName=)?(?:inodes|nodefsInodes|imagefsInodes)\b|low on resource: inodes";
        assert_eq!(of(many), some(&["iction manager: ", "resource: inodes"]));
    }

    #[test]
    fn alternatives_are_all_kept() {
        assert_eq!(of("(?:foobar|bazqux) happened"), some(&["bazqux happened", "foobar happened"]));
        assert_eq!(
            of("connection (refused|reset by peer).*|no route to host"),
            some(&["nnection refused", "no route to host", "on reset by peer"])
        );
    }

    #[test]
    fn case_does_not_matter() {
        assert_eq!(of("(?i)Swap ON"), some(&["swap on"]));
    }

    #[test]
    fn what_is_optional_is_not_required() {
        assert_eq!(of("(?:certificate )?expired"), some(&["expired", "tificate expired"]));
        assert_eq!(of("(?:certificate )*expired"), some(&["expired"]));
        assert_eq!(of(r"(?:abcdef|\d+)"), None);
        assert_eq!(of(r"\w+ \d+"), None);
        assert_eq!(of("(abcdef)+x?"), some(&["abcdef"]));
    }
}
