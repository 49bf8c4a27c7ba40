//! What all parts of a policy file are read with: nothing stops at the first mistake.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use nodewhy_diagnosis::model::{Layer, Severity};
use serde::de::DeserializeOwned;

use super::yaml::{Key, Kind, Node, Place};
use super::{Glob, PolicyError};
use crate::message;

/// Mistakes told at most; behind them one more line says how many there are.
const MAX_TOLD: usize = 100;

/// What is wrong with a file, and what is odd.
pub(super) struct Problems<'a> {
    path: &'a Path,
    errors: Vec<PolicyError>,
    notes: Vec<PolicyError>,
}

impl<'a> Problems<'a> {
    pub(super) fn of(path: &'a Path) -> Self {
        Self { path, errors: Vec::new(), notes: Vec::new() }
    }

    /// How many mistakes there are so far.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Something that nobody can go by.
    pub(super) fn add(&mut self, at: Place, problem: impl Into<String>) {
        self.errors.push(error(self.path, at, problem.into()));
    }

    /// Something that can be gone by and may not be what was meant.
    pub(super) fn note(&mut self, at: Place, remark: impl Into<String>) {
        self.notes.push(error(self.path, at, remark.into()));
    }

    /// The mistakes in the order of their places; the notes, if there are none.
    pub(super) fn end(mut self) -> Result<Vec<PolicyError>, Vec<PolicyError>> {
        let order = |problems: &mut Vec<PolicyError>| problems.sort_by_key(|problem| (problem.line, problem.column));
        order(&mut self.errors);
        order(&mut self.notes);
        if self.errors.is_empty() {
            self.notes.truncate(MAX_TOLD);
            return Ok(self.notes);
        }
        if self.errors.len() > MAX_TOLD {
            let more = format!("and {} mistakes more", self.errors.len() - MAX_TOLD);
            self.errors.truncate(MAX_TOLD);
            self.errors.push(error(self.path, Place::default(), more));
        }
        Err(self.errors)
    }
}

/// One mistake.
pub(super) fn error(path: &Path, at: Place, problem: String) -> PolicyError {
    PolicyError { path: PathBuf::from(path), line: at.line, column: at.column, problem }
}

/// The keys of one thing in a file.
pub(super) struct Fields {
    /// What they are the keys of, in words: `route`.
    what: &'static str,
    pub(super) at: Place,
    entries: BTreeMap<String, (Key, Node)>,
    known: Vec<&'static str>,
}

impl Fields {
    pub(super) fn of(what: &'static str, node: Node, problems: &mut Problems<'_>) -> Self {
        let mut entries = BTreeMap::<String, (Key, Node)>::new();
        match node.kind {
            Kind::Map(all) => {
                for (key, value) in all {
                    match entries.get(&key.name) {
                        Some((first, _)) => problems.add(
                            key.at,
                            format!("{what}: the key `{}` is here twice (first in line {}): write it once", key.name, first.at.line),
                        ),
                        None => drop(entries.insert(key.name.clone(), (key, value))),
                    }
                }
            }
            Kind::Nothing => {}
            _ => problems.add(node.at, format!("{what}: has to be keys with values; it is {}", node.what())),
        }
        Self { what, at: node.at, entries, known: Vec::new() }
    }

    /// The value of a key, if there is one.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let (_, value) = self.entries.remove(key)?;
        (!matches!(value.kind, Kind::Nothing)).then_some(value)
    }

    /// The value of a key that has to be there.
    pub(super) fn need(&mut self, key: &'static str, like: &str, problems: &mut Problems<'_>) -> Option<Node> {
        let value = self.take(key);
        if value.is_none() {
            problems.add(self.at, format!("{}: `{key}` is missing: {like}", self.what));
        }
        value
    }

    /// Whatever keys there are.
    pub(super) fn any(mut self) -> Vec<(Key, Node)> {
        std::mem::take(&mut self.entries).into_values().collect()
    }

    /// Keys that nobody asked for are mistakes.
    pub(super) fn end(self, problems: &mut Problems<'_>) {
        for (key, _) in self.entries.into_values() {
            let known = &self.known;
            let meant = nearest(&key.name, known.iter().copied()).map(|word| format!("; is `{word}` meant?")).unwrap_or_default();
            problems.add(key.at, format!("{}: there is no key `{}`; there are: {}{meant}", self.what, key.name, known.join(", ")));
        }
    }
}

/// The items of a list, if it is one.
pub(super) fn list(what: &str, node: Node, problems: &mut Problems<'_>) -> Option<Vec<Node>> {
    match node.kind {
        Kind::List(items) => Some(items),
        _ => {
            problems.add(node.at, format!("{what}: has to be a list; it is {}", node.what()));
            None
        }
    }
}

/// A list of words, each read; one word alone is a list of one. Empty lists are mistakes: they would match nothing or everything.
pub(super) fn words<T>(what: &str, node: &Node, problems: &mut Problems<'_>, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    let one = std::slice::from_ref(node);
    let items = if let Kind::List(items) = &node.kind { &items[..] } else { one };
    if items.is_empty() {
        problems.add(node.at, format!("{what}: the list is empty: name at least one"));
    }
    let mut found = Vec::new();
    for item in items {
        match item.scalar().ok_or_else(|| format!("has to be a text; it is {}", item.what())).and_then(&read) {
            Ok(value) => found.push(value),
            Err(problem) => problems.add(item.at, format!("{what}: {problem}")),
        }
    }
    found
}

/// A text.
pub(super) fn text<'n>(what: &str, node: &'n Node, problems: &mut Problems<'_>) -> Option<&'n str> {
    let text = node.scalar();
    if text.is_none() {
        problems.add(node.at, format!("{what}: has to be a text; it is {}", node.what()));
    }
    text
}

/// A text that is read on.
pub(super) fn value<T>(what: &str, node: &Node, problems: &mut Problems<'_>, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
    let read = read(text(what, node, problems)?);
    read.map_err(|problem| problems.add(node.at, format!("{what}: {problem}"))).ok()
}

/// `true` or `false`.
pub(super) fn truth(what: &str, node: &Node, problems: &mut Problems<'_>) -> Option<bool> {
    value(what, node, problems, |word| word.parse().map_err(|_| format!("`{word}` has to be true or false")))
}

/// A duration within bounds.
pub(super) fn duration(what: &str, node: &Node, range: &RangeInclusive<Duration>, problems: &mut Problems<'_>) -> Option<Duration> {
    value(what, node, problems, |word| {
        let (least, most) = (short(*range.start()), short(*range.end()));
        let signed: SignedDuration =
            word.parse().map_err(|_| format!("`{word}` is no duration: it has to be like 30s, 5m or 4h (units: s, m, h, ms)"))?;
        let said = Duration::try_from(signed).ok().filter(|said| range.contains(said));
        said.ok_or_else(|| format!("`{word}` is out of range: {least} to {most}"))
    })
}

/// A duration as people write it: `4h`, `1m 30s`, `0s`.
pub(crate) fn short(duration: Duration) -> String {
    match SignedDuration::try_from(duration) {
        Ok(signed) if !signed.is_zero() => format!("{signed:#}"),
        _ => "0s".to_owned(),
    }
}

/// A severity's word.
pub(super) fn severity(word: &str) -> Result<Severity, String> {
    one_of(word, &["critical", "warning", "info"])
}

/// A layer's word.
pub(super) fn layer(word: &str) -> Result<Layer, String> {
    one_of(word, &["hardware", "kernel", "storage", "network", "time", "runtime", "kubelet", "control-plane", "workload"])
}

/// The word of what makes cases one incident.
pub(super) fn kind(word: &str) -> Result<message::Kind, String> {
    one_of(word, &["node", "control-plane", "change", "label", "issuer", "clock", "fleet", "cause", "collector"])
}

fn one_of<T: DeserializeOwned>(word: &str, all: &[&str]) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|_| {
        let meant = nearest(word, all.iter().copied()).map(|word| format!("; is `{word}` meant?")).unwrap_or_default();
        format!("there is no `{word}`; there are: {}{meant}", all.join(", "))
    })
}

/// A cause's code, or a word with `*` for several.
pub(super) fn code(word: &str) -> Result<Glob, String> {
    let glob = Glob::new(word)?;
    if word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'*') {
        Ok(glob)
    } else {
        Err(format!("`{word}` is no code of a cause: those have only a-z, 0-9 and -, like swap-enabled or disk-*"))
    }
}

/// The word that is likely meant.
pub(super) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    // Of a whole paragraph nothing was meant.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let far = |known: &str| strsim::levenshtein(&word.to_ascii_lowercase(), &known.to_ascii_lowercase());
    known
        .map(|known| (far(known), known))
        .filter(|(far, known)| *far <= 1 + known.len() / 4 && *far < known.len())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_told_with_the_word_that_is_meant() {
        let known = ["hooks", "routes", "maintenance", "rateCap"];
        for (word, meant) in [("hook", Some("hooks")), ("ratecap", Some("rateCap")), ("maintainance", Some("maintenance")), ("zebra", None)]
        {
            assert_eq!(nearest(word, known.into_iter()), meant, "{word}");
        }
    }

    #[test]
    fn all_words_are_known_to_the_types() {
        for word in ["critical", "warning", "info"] {
            severity(word).expect(word);
        }
        for word in ["hardware", "kernel", "storage", "network", "time", "runtime", "kubelet", "control-plane", "workload"] {
            layer(word).expect(word);
        }
        for word in ["node", "control-plane", "change", "label", "issuer", "clock", "fleet", "cause", "collector"] {
            kind(word).expect(word);
        }
    }

    #[test]
    fn durations_are_shown_as_people_write_them() {
        let shown: Vec<_> = [0, 30, 90, 4 * 3600].into_iter().map(|seconds| short(Duration::from_secs(seconds))).collect();
        assert_eq!(shown, ["0s", "30s", "1m 30s", "4h"]);
    }
}
