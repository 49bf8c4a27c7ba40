//! From a YAML file to the configuration, field by field: what cannot be used is told with its place, and the rest is honoured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use nodewhy_diagnosis::record::clip;
use serde_saphyr::Spanned;

use super::node::{Node, Place};
use super::{CheckConfig, Collector, Config, Problem};
use crate::checks;

/// Blocks that are left out because they are no YAML; a file with more of them is not used at all.
const BROKEN_BLOCKS: usize = 8;

pub(super) struct Reader<'a> {
    path: &'a Path,
    config: Config,
    problems: Vec<Problem>,
}

pub(super) fn read(path: &Path, text: &str) -> (Config, Vec<Problem>) {
    let mut reader = Reader { path, config: Config::default(), problems: Vec::new() };
    if let Some(node) = reader.parse(text) {
        reader.top(node);
    }
    (reader.config, reader.problems)
}

impl Reader<'_> {
    fn problem(&mut self, at: impl Into<Place>, problem: String) {
        let Place { line, column } = at.into();
        self.problems.push(Problem { path: self.path.to_owned(), line, column, problem });
    }

    /// The file; of one that is no YAML, what is left without the top-level keys that are not.
    fn parse(&mut self, text: &str) -> Option<Node> {
        // Lines end as YAML (1.2.2, 5.4) has them, so that its places are those of `lines` too.
        let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
        for _ in 0..BROKEN_BLOCKS {
            if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
                return None;
            }
            let error = match serde_saphyr::from_str::<Node>(&text) {
                Ok(node) => return Some(node),
                Err(error) => error,
            };
            let at = error.location().map_or(Place::default(), Place::from);
            self.problem(at, format!("{}; the key it belongs to is left out", error.without_snippet()));
            text = without_block(&text, at.line)?;
        }
        None
    }

    fn top(&mut self, node: Node) {
        let (mut collector, mut checks) = (None, None);
        for (key, value) in self.entries("the file", node) {
            match &*key.value {
                "nodeName" => self.config.node_name = self.text(&key, &value).and_then(|name| self.node_name(&key, name)),
                "stateDir" => self.config.state_dir = self.path_of(&key, &value).unwrap_or(self.config.state_dir.clone()),
                "causesDir" => self.config.causes_dir = self.path_of(&key, &value).unwrap_or(self.config.causes_dir.clone()),
                "heartbeat" => {
                    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
                    let said = self.duration(&key, &value);
                    match said.filter(|time| !range.contains(time)) {
                        Some(time) => self.problem(key.referenced, format!("heartbeat: {time:?} is out of range: 100ms to 1h")),
                        None => self.config.heartbeat = said.unwrap_or(self.config.heartbeat),
                    }
                }
                "npdConfigs" => {
                    let said = value.texts();
                    self.config.npd_configs = self.said(&key, said).unwrap_or_default().into_iter().map(PathBuf::from).collect();
                }
                "labels" => self.labels(value),
                "collector" => collector = Some((key, value)),
                "checks" => checks = Some(value),
                _ => self.unknown_key(
                    "",
                    &key,
                    &["nodeName", "stateDir", "causesDir", "collector", "labels", "heartbeat", "checks", "npdConfigs"],
                ),
            }
        }
        if let Some((key, value)) = collector {
            self.config.collector = self.collector(&key, value);
        }
        for (name, value) in checks.map(|checks| self.entries("checks", checks)).unwrap_or_default() {
            self.check(&name, value);
        }
    }

    fn labels(&mut self, node: Node) {
        for (key, value) in self.entries("labels", node) {
            let named = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            if key.value.is_empty() || key.value.len() > 317 || !key.value.chars().all(named) {
                self.problem(
                    key.referenced,
                    format!("labels: `{}` is no label: letters, digits, - _ . and / make one, like rack or example.org/rack", key.value),
                );
            } else if let Some(text) = self.text(&key, &value) {
                self.config.labels.insert(key.value, text.chars().take(253).collect());
            }
        }
    }

    fn node_name(&mut self, key: &Spanned<String>, name: String) -> Option<String> {
        // As Kubernetes has it ("Object Names and IDs", DNS subdomain); a collector takes no other.
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = [name.bytes().next(), name.bytes().next_back()].iter().all(|end| end.is_some_and(sound));
        if !ends || name.len() > 253 || !name.bytes().all(|byte| sound(byte) || b"-.".contains(&byte)) {
            let shown = clip(&name, 64).escape_debug();
            let problem = format!(
                "nodeName: `{shown}` is no name of a node: lower case letters, digits, `-` and `.` make one, with a letter or digit at both \
                 ends, at most 253; without it the node is called as its kubelet calls it"
            );
            self.problem(key.referenced, problem);
            return None;
        }
        Some(name)
    }

    /// One that cannot be used as a whole is none: reporting elsewhere, or in another way, than was meant is worse than not reporting.
    fn collector(&mut self, at: &Spanned<String>, node: Node) -> Option<Collector> {
        let mut found = Collector { address: String::new(), ca_file: None, cert_file: None, key_file: None, server_name: None };
        let mut places = vec![("collector", Place::from(at.referenced))];
        let entries = self.entries("collector", node);
        if entries.is_empty() {
            return None;
        }
        for (key, value) in entries {
            match &*key.value {
                "address" => {
                    places.push(("address", key.referenced.into()));
                    found.address = self.text(&key, &value).unwrap_or_default();
                }
                "caFile" => found.ca_file = self.path_of(&key, &value),
                "certFile" => found.cert_file = self.path_of(&key, &value),
                "keyFile" => found.key_file = self.path_of(&key, &value),
                "serverName" => found.server_name = self.text(&key, &value),
                _ => self.unknown_key("collector.", &key, &["address", "caFile", "certFile", "keyFile", "serverName"]),
            }
        }
        match found.validate() {
            Ok(()) => Some(found),
            Err((key, problem)) => {
                let place = places.iter().rfind(|(name, _)| *name == key).or(places.first()).map_or(Place::default(), |(_, at)| *at);
                self.problem(place, format!("{key}: {problem}; without it nothing is reported"));
                None
            }
        }
    }

    fn check(&mut self, name: &Spanned<String>, node: Node) {
        if !checks::ALL.iter().any(|known| known.name == name.value) {
            let known: Vec<_> = checks::ALL.iter().map(|check| check.name).collect();
            return self.unknown_key("checks.", name, &known);
        }
        let mut changes = CheckConfig::default();
        for (key, value) in self.entries(&format!("checks.{}", name.value), node) {
            match &*key.value {
                "enabled" => {
                    let said = value.truth();
                    changes.enabled = self.said(&key, said);
                }
                "period" => changes.period = self.time_of_check(&key, &value),
                "deadline" => changes.deadline = self.time_of_check(&key, &value),
                _ => self.unknown_key(&format!("checks.{}.", name.value), &key, &["enabled", "period", "deadline"]),
            }
        }
        self.config.checks.insert(name.value.clone(), changes);
    }

    fn time_of_check(&mut self, key: &Spanned<String>, value: &Node) -> Option<Duration> {
        let time = self.duration(key, value)?;
        if time < Duration::from_millis(100) {
            let problem = format!("{}: has to be 100ms at least: the agent is a guest on the node", key.value);
            self.problem(value.at, problem);
            return None;
        }
        Some(time)
    }

    fn entries(&mut self, of: &str, node: Node) -> Vec<(Spanned<String>, Node)> {
        let at = node.at;
        node.entries().unwrap_or_else(|problem| {
            self.problem(at, format!("{of}: {problem}"));
            Vec::new()
        })
    }

    fn unknown_key(&mut self, beneath: &str, key: &Spanned<String>, known: &[&str]) {
        self.problem(key.referenced, format!("there is no key `{beneath}{}`; there are: {}", key.value, known.join(", ")));
    }

    fn said<T>(&mut self, key: &Spanned<String>, said: Result<Option<T>, String>) -> Option<T> {
        said.unwrap_or_else(|problem| {
            self.problem(key.referenced, format!("{}: {problem}", key.value));
            None
        })
    }

    fn text(&mut self, key: &Spanned<String>, value: &Node) -> Option<String> {
        self.said(key, value.text().map(|text| text.map(str::to_owned)))
    }

    fn path_of(&mut self, key: &Spanned<String>, value: &Node) -> Option<PathBuf> {
        self.text(key, value).map(PathBuf::from)
    }

    fn duration(&mut self, key: &Spanned<String>, value: &Node) -> Option<Duration> {
        if let Some(what) = value.no_text() {
            let problem = format!("{}: has to be a length of time with its unit, like 500ms, 10s or 2m; it is {what}", key.value);
            self.problem(value.at, problem);
            return None;
        }
        let text = self.text(key, value)?;
        let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
        if parsed.is_none() {
            self.problem(value.at, format!("{}: `{text}` is no duration: it has to be like 500ms, 10s or 2m", key.value));
        }
        parsed
    }
}

/// The text without the top-level key that this line belongs to; its lines stay, empty, so that places stay what they are.
fn without_block(text: &str, line: u64) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let last = usize::try_from(line).ok()?.min(lines.len()).checked_sub(1)?;
    let begins = |line: &str| line.starts_with(|c: char| !c.is_whitespace() && c != '#');
    // What is wrong may show only with the first line behind the block.
    let first = lines[..=last].iter().rposition(|line| begins(line))?;
    let end = lines[first + 1..].iter().position(|line| begins(line)).map_or(lines.len(), |next| first + 1 + next);
    let kept = lines.iter().enumerate().map(|(at, line)| if (first..end).contains(&at) { "" } else { line });
    Some(kept.collect::<Vec<_>>().join("\n"))
}
