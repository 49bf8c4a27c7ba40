//! From a YAML file to the policy. All that is wrong is told at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::decode::decode;
use super::maintenance::{self, Every, Maintenance, When};
use super::read::{self, Fields, Problems};
use super::routes::{self, Route};
use super::yaml::{Kind, Node, Place};
use super::{Flap, HookConfig, MAX_FILE, Policy, PolicyError, RateCap, Templates};
use crate::hooks::template::{self, TemplateError};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MAX_MESSAGES: usize = 10_000;
const MAX_OPENINGS: usize = 100;
/// A template may have so many bytes.
const MAX_TEMPLATE: usize = 64 << 10;

pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Policy, Vec<PolicyError>> {
    let whole = |problem: String| vec![read::error(path, Place::default(), problem)];
    if bytes.len() > MAX_FILE {
        return Err(whole(format!("the file has {} bytes; {MAX_FILE} are the most: is it the right one?", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() as u64 + 1;
        vec![read::error(path, Place { line, column }, "this is not UTF-8: save the file as UTF-8".to_owned())]
    })?;
    parse(path, text)
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Policy, Vec<PolicyError>> {
    if text.len() > MAX_FILE {
        return from_bytes(path, text.as_bytes());
    }
    let node = Node::parse(text.trim_start_matches('\u{feff}')).map_err(|(at, problem)| vec![read::error(path, at, problem)])?;
    let Some(node) = node else { return Ok(Policy::default()) };
    let mut problems = Problems::of(path);
    let mut policy = top(node, &mut problems);
    policy.notes = problems.end()?;
    Ok(policy)
}

fn top(node: Node, problems: &mut Problems<'_>) -> Policy {
    let mut policy = Policy::default();
    let mut fields = Fields::of("the file", node, problems);
    let mut names = Vec::new();
    if let Some(node) = fields.take("hooks") {
        (policy.hooks, names) = hooks(node, problems);
    }
    match fields.take("routes") {
        Some(node) => policy.routes = routes::read(node, &names, problems),
        None if policy.hooks.is_empty() => {}
        None => policy.routes = vec![Route::all_critical(&policy.hooks)],
    }
    if let Some(node) = fields.take("maintenance") {
        let items = read::list("maintenance", node, problems).unwrap_or_default();
        policy.maintenance = items.into_iter().filter_map(|item| window(item, problems)).collect();
    }
    if let Some(node) = fields.take("rateCap") {
        policy.rate_cap = rate_cap(node, problems);
    }
    if let Some(node) = fields.take("flap") {
        policy.flap = flap(node, problems);
    }
    if let Some(node) = fields.take("templates") {
        policy.templates = templates(node, problems);
    }
    if let Some(node) = fields.take("externalUrl") {
        policy.external_url = read::value("externalUrl", &node, problems, external_url);
    }
    fields.end(problems);
    policy
}

/// The hooks that can be used, and the names of all, so that a route to a bad one is not a second mistake.
fn hooks(node: Node, problems: &mut Problems<'_>) -> (Vec<Arc<HookConfig>>, Vec<(String, Place)>) {
    let (mut found, mut names) = (Vec::new(), Vec::<(String, Place)>::new());
    for item in read::list("hooks", node, problems).unwrap_or_default() {
        if let Some((name, at)) = name_of(&item) {
            match names.iter().find(|(other, _)| *other == name) {
                Some((_, first)) => {
                    problems
                        .add(at, format!("hooks: the name `{name}` is used twice (first in line {}): each hook needs its own", first.line));
                }
                None => names.push((name, at)),
            }
        }
        let before = problems.count();
        repeated_keys("hook", &item, problems);
        if problems.count() > before {
            continue;
        }
        match decode::<HookConfig>(&item) {
            Ok(hook) => found.push(Arc::new(hook)),
            Err((at, problem)) => problems.add(at, format!("hooks: {problem}")),
        }
    }
    (found, names)
}

fn name_of(item: &Node) -> Option<(String, Place)> {
    let Kind::Map(entries) = &item.kind else { return None };
    let (_, value) = entries.iter().find(|(key, _)| key.name == "name")?;
    Some((value.scalar()?.to_owned(), value.at))
}

/// serde tells of a key that is there twice without its place.
fn repeated_keys(what: &'static str, node: &Node, problems: &mut Problems<'_>) {
    let Kind::Map(entries) = &node.kind else { return };
    Fields::of(what, node.clone(), problems).any();
    entries.iter().filter(|(_, value)| matches!(value.kind, Kind::Map(_))).for_each(|(_, value)| repeated_keys(what, value, problems));
}

fn window(node: Node, problems: &mut Problems<'_>) -> Option<Maintenance> {
    let line = node.at.line;
    let mut fields = Fields::of("maintenance", node, problems);
    let name = fields.take("name").and_then(|node| read::text("name", &node, problems).map(str::to_owned));
    let at = fields.at;
    let matches = fields.need("match", "what is maintained; `match: {node: ['*']}` is everything", problems);
    let matches = matches.and_then(|node| routes::matching("match", node, problems));
    if matches.as_ref().is_some_and(super::Match::is_empty) {
        problems.add(at, "maintenance: `match` is empty: say what is maintained; `match: {node: ['*']}` is everything");
    }
    let when = when(&mut fields, problems);
    fields.end(problems);
    let (matches, when) = (matches?, when?);
    Some(Maintenance { name: name.unwrap_or_else(|| format!("line {line}")), line, matches, when })
}

fn when(fields: &mut Fields, problems: &mut Problems<'_>) -> Option<When> {
    let (from, until, every) = (fields.take("from"), fields.take("until"), fields.take("every"));
    match (from, until, every) {
        (None, None, Some(node)) => weekly(node, problems).map(When::Every),
        (None, None, None) => {
            problems.add(fields.at, "maintenance: says not when: either `from` and `until`, or `every`");
            None
        }
        (_, _, Some(node)) => {
            problems.add(node.at, "maintenance: has `every` beside `from` or `until`: it is either once or every week");
            None
        }
        (from, until, None) => {
            let mut time = |key: &'static str, node: Option<Node>| match node {
                Some(node) => read::value(key, &node, problems, maintenance::instant).map(|time| (time, node.at)),
                None => {
                    let why = if key == "until" { "without it, it would never end" } else { "since when" };
                    problems.add(fields.at, format!("maintenance: `{key}` is missing: {why}; like {key}: 2026-12-02T02:00:00Z"));
                    None
                }
            };
            let (from, until) = (time("from", from), time("until", until));
            let ((from, _), (until, at)) = (from?, until?);
            once(from, until).map_err(|problem| problems.add(at, problem)).ok()
        }
    }
}

fn once(from: Timestamp, until: Timestamp) -> Result<When, String> {
    if until <= from {
        return Err(format!("maintenance: `until` ({until}) is not after `from` ({from})"));
    }
    if until.duration_since(from) > super::LONGEST {
        return Err("maintenance: is longer than 366 days: is the year right? Take the hooks' routes out instead".to_owned());
    }
    Ok(When::Once { from, until })
}

fn weekly(node: Node, problems: &mut Problems<'_>) -> Option<Every> {
    let mut fields = Fields::of("every", node, problems);
    let mut days = [true; 7];
    let mut whole = true;
    if let Some(node) = fields.take("days") {
        days = [false; 7];
        read::words("days", &node, problems, maintenance::day).into_iter().for_each(|day| days[day] = true);
    }
    let at = fields.need("at", "the time of day at which it begins, like at: '22:00'", problems);
    let at = at.and_then(|node| read::value("at", &node, problems, maintenance::clock));
    let lasts = fields.need("for", "how long it lasts, like for: 4h", problems);
    let lasts = lasts.and_then(|node| read::duration("for", &node, &(MINUTE..=DAY), problems));
    let mut time_zone = TimeZone::UTC;
    if let Some(node) = fields.take("timeZone") {
        let found = read::value("timeZone", &node, problems, zone);
        whole = found.is_some();
        time_zone = found.unwrap_or(TimeZone::UTC);
    }
    fields.end(problems);
    let (at, lasts) = (at?, lasts?);
    whole.then_some(Every { days, at, lasts, time_zone })
}

fn zone(name: &str) -> Result<TimeZone, String> {
    let missing = |_| format!("`{name}` is no time zone of this machine: it has to be like Europe/Berlin or UTC (and tzdata installed)");
    if name.eq_ignore_ascii_case("utc") { Ok(TimeZone::UTC) } else { TimeZone::get(name).map_err(missing) }
}

fn rate_cap(node: Node, problems: &mut Problems<'_>) -> RateCap {
    let mut cap = RateCap::default();
    let mut fields = Fields::of("rateCap", node, problems);
    if let Some(node) = fields.take("messages") {
        let said = read::value("messages", &node, problems, |word| {
            let said = word.parse().ok().filter(|said| (1..=MAX_MESSAGES).contains(said));
            said.ok_or_else(|| format!("`{word}` has to be a number of 1 to {MAX_MESSAGES}; to tell nobody, leave the hook out"))
        });
        cap.messages = said.unwrap_or(cap.messages);
    }
    if let Some(node) = fields.take("within") {
        cap.within = read::duration("within", &node, &(SECOND..=HOUR), problems).unwrap_or(cap.within);
    }
    fields.end(problems);
    cap
}

fn flap(node: Node, problems: &mut Problems<'_>) -> Flap {
    let mut flap = Flap::default();
    let mut fields = Fields::of("flap", node, problems);
    if let Some(node) = fields.take("openings") {
        let said = read::value("openings", &node, problems, |word| {
            // With 1 everything would be flapping.
            let said = word.parse().ok().filter(|said| *said == 0 || (2..=MAX_OPENINGS).contains(said));
            said.ok_or_else(|| format!("`{word}` has to be a number of 2 to {MAX_OPENINGS}, or 0: nothing is held back"))
        });
        flap.openings = said.unwrap_or(flap.openings);
    }
    if let Some(node) = fields.take("within") {
        flap.within = read::duration("within", &node, &(SECOND..=DAY), problems).unwrap_or(flap.within);
    }
    if let Some(node) = fields.take("quiet") {
        flap.quiet = read::duration("quiet", &node, &(SECOND..=DAY), problems).unwrap_or(flap.quiet);
    }
    fields.end(problems);
    flap
}

fn templates(node: Node, problems: &mut Problems<'_>) -> Templates {
    let mut fields = Fields::of("templates", node, problems);
    let mut take = |key: &'static str| fields.take(key).and_then(|node| read::value(key, &node, problems, |source| template(key, source)));
    let found = Templates { title: take("title"), text: take("text") };
    fields.end(problems);
    found
}

/// Looks at a template; it is tried with example messages, so that what would fail at night fails now.
fn template(which: &'static str, source: &str) -> Result<String, String> {
    if source.len() > MAX_TEMPLATE {
        return Err(format!("the template has {} bytes; {MAX_TEMPLATE} are the most", source.len()));
    }
    let TemplateError { line, problem, .. } = match template::check(which, source) {
        Ok(()) => return Ok(source.to_owned()),
        Err(error) => error,
    };
    Err(format!("the template cannot be used: {problem} (in its line {line})"))
}

fn external_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| format!("`{text}` has to be an http:// or https:// URL, like https://nodewhy.example.org"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user or password in it would be sent to every hook: leave them out".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
