//! Routes: what goes where, and when.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use nodewhy_diagnosis::model::Severity;

use super::matching::Match;
use super::read::{self, Fields, Problems};
use super::yaml::{Kind, Node, Place};
use super::{Glob, HookConfig};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// `for` and `resolveAfter`.
const DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);
const UPDATE: RangeInclusive<Duration> = SECOND..=Duration::from_secs(24 * 3600);
const REPEAT: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);

/// What goes where, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it stands in the file; 0 for the one that holds without a file's routes.
    pub line: u64,
    /// What.
    pub matches: Match,
    /// Where.
    pub hooks: Vec<Arc<str>>,
    /// Told once it has been open for so long (`for`).
    pub held_for: Duration,
    /// Told as over so long after it was (`resolveAfter`).
    pub resolve_after: Duration,
    /// That it grew is told so long after the last message, at the soonest.
    pub update: Duration,
    /// Told again so long after the last message.
    pub repeat: Option<Duration>,
    /// The routes behind it are asked too (`continue`).
    pub goes_on: bool,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            line: 0,
            matches: Match::default(),
            hooks: Vec::new(),
            held_for: Duration::ZERO,
            resolve_after: Duration::ZERO,
            update: Duration::from_secs(300),
            repeat: Some(HOUR * 4),
            goes_on: false,
        }
    }
}

impl Route {
    /// What holds where no routes are written: everything critical to all hooks.
    pub(super) fn all_critical(hooks: &[Arc<HookConfig>]) -> Self {
        let matches = Match { severity: vec![Severity::Critical], ..Match::default() };
        Self { matches, hooks: hooks.iter().map(|hook| Arc::from(&*hook.name)).collect(), ..Self::default() }
    }
}

/// Reads the routes. `hooks` are the names that a route may speak of, and where they stand.
pub(super) fn read(node: Node, hooks: &[(String, Place)], problems: &mut Problems<'_>) -> Vec<Route> {
    let at = node.at;
    let mut routes: Vec<(Place, Route)> = Vec::new();
    let Some(items) = read::list("routes", node, problems) else { return Vec::new() };
    if items.is_empty() {
        problems.add(at, "routes: the list is empty, nobody would be told anything: write a route, or leave `routes` out (everything critical goes to all hooks)");
    }
    for item in items {
        let at = item.at;
        let Some(route) = route(item, hooks, problems) else { continue };
        if let Some((_, first)) = routes.iter().find(|(_, first)| !first.goes_on && first.matches.covers(&route.matches)) {
            problems.add(
                at,
                format!(
                    "route: can never be reached: the one in line {} takes all that matches it; put this one before it, or `continue: true` there",
                    first.line
                ),
            );
        }
        routes.push((at, route));
    }
    let named: BTreeSet<&str> = routes.iter().flat_map(|(_, route)| route.hooks.iter().map(|hook| &**hook)).collect();
    for (name, at) in hooks.iter().filter(|(name, _)| !named.contains(&**name)) {
        problems.note(*at, format!("hook {name}: no route names it, so it is told nothing"));
    }
    routes.into_iter().map(|(_, route)| route).collect()
}

/// `None` if so little of it can be read that it cannot be compared with others.
fn route(node: Node, hooks: &[(String, Place)], problems: &mut Problems<'_>) -> Option<Route> {
    if !matches!(node.kind, Kind::Map(_)) {
        problems.add(node.at, format!("route: has to be keys with values, at least `hooks: [NAME]`; it is {}", node.what()));
        return None;
    }
    let mut route = Route { line: node.at.line, ..Route::default() };
    let mut fields = Fields::of("route", node, problems);
    let mut whole = true;
    if let Some(node) = fields.take("match") {
        let found = matching("match", node, problems);
        whole = found.is_some();
        route.matches = found.unwrap_or_default();
    }
    if let Some(node) = fields.need("hooks", "the names of those who are told, like `hooks: [ops]`", problems) {
        route.hooks = hook_names(&node, hooks, problems);
    }
    let mut time = |key: &'static str, range: &RangeInclusive<Duration>, value: &mut Duration, fields: &mut Fields| {
        if let Some(said) = fields.take(key).and_then(|node| read::duration(key, &node, range, problems)) {
            *value = said;
        }
    };
    time("for", &DELAY, &mut route.held_for, &mut fields);
    time("resolveAfter", &DELAY, &mut route.resolve_after, &mut fields);
    time("update", &UPDATE, &mut route.update, &mut fields);
    if let Some(node) = fields.take("repeat") {
        let never = node.scalar().is_some_and(|word| word.parse::<jiff::SignedDuration>().is_ok_and(|time| time.is_zero()));
        route.repeat = if never { None } else { read::duration("repeat", &node, &REPEAT, problems) };
    }
    if let Some(node) = fields.take("continue") {
        route.goes_on = read::truth("continue", &node, problems).unwrap_or_default();
    }
    fields.end(problems);
    whole.then_some(route)
}

fn hook_names(node: &Node, hooks: &[(String, Place)], problems: &mut Problems<'_>) -> Vec<Arc<str>> {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    read::words("hooks", node, problems, |name| {
        let known = || hooks.iter().map(|(name, _)| name.as_str());
        if !known().any(|known| known == name) {
            let all = if hooks.is_empty() {
                "no hooks are defined".to_owned()
            } else {
                format!("there are: {}", known().collect::<Vec<_>>().join(", "))
            };
            let meant = read::nearest(name, known()).map(|word| format!("; is `{word}` meant?")).unwrap_or_default();
            return Err(format!("there is no hook `{name}`; {all}{meant}"));
        }
        if !seen.borrow_mut().insert(name.to_owned()) {
            return Err(format!("`{name}` is named twice"));
        }
        Ok(Arc::from(name))
    })
}

/// Reads a `match`; `None` if something of it cannot be used.
pub(super) fn matching(what: &'static str, node: Node, problems: &mut Problems<'_>) -> Option<Match> {
    let before = problems.count();
    let mut fields = Fields::of(what, node, problems);
    let mut found = Match::default();
    if let Some(node) = fields.take("severity") {
        found.severity = read::words("severity", &node, problems, read::severity);
    }
    if let Some(node) = fields.take("layer") {
        found.layer = read::words("layer", &node, problems, read::layer);
    }
    if let Some(node) = fields.take("cause") {
        found.cause = read::words("cause", &node, problems, read::code);
        found.cause.iter().for_each(|cause| unknown_cause(cause, node.at, problems));
    }
    if let Some(node) = fields.take("kind") {
        found.kind = read::words("kind", &node, problems, read::kind);
    }
    if let Some(node) = fields.take("node") {
        found.node = read::words("node", &node, problems, Glob::new);
        found.node.iter().for_each(|glob| looks_like_regex(glob, node.at, problems));
    }
    if let Some(node) = fields.take("labels") {
        for (key, value) in Fields::of("labels", node, problems).any() {
            if key.name.is_empty() {
                problems.add(key.at, "labels: a label's name is empty");
            }
            let globs = read::words("labels", &value, problems, Glob::new);
            globs.iter().for_each(|glob| looks_like_regex(glob, value.at, problems));
            found.labels.insert(key.name, globs);
        }
    }
    fields.end(problems);
    (problems.count() == before).then_some(found)
}

/// Rules of one's own have codes that the catalogue does not: they are no mistake.
fn unknown_cause(cause: &Glob, at: Place, problems: &mut Problems<'_>) {
    let codes = || nodewhy_causes::files().iter().map(|(file, _)| file.trim_end_matches(".yaml")).chain([HOOK_FAILING]);
    if codes().any(|code| cause.fits(code)) || cause.as_str().starts_with("npd-") {
        return;
    }
    let meant = read::nearest(cause.as_str(), codes()).map(|code| format!("; is `{code}` meant?")).unwrap_or_default();
    problems.note(at, format!("cause: `{cause}` is no cause of the built-in catalogue, so it has to be one of your own{meant}"));
}

/// The collector's own cause: a hook takes nothing.
const HOOK_FAILING: &str = "hook-failing";

fn looks_like_regex(glob: &Glob, at: Place, problems: &mut Problems<'_>) {
    if glob.as_str().contains(".*") {
        problems.note(at, format!("`{glob}` is no regular expression: the dot stands for a dot, and `*` alone for any text"));
    }
}
