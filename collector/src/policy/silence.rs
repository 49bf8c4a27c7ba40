//! What somebody does not want to hear of for a while.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Glob;
use super::matching::Match;

/// A silence lasts so long at most.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
/// A comment and a name may be so long, in characters.
const MAX_TEXT: usize = 1000;

/// Cases that match are not told while it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Its identity.
    pub id: String,
    /// What is silenced; each node's case is looked at by itself.
    #[serde(rename = "match")]
    pub matches: Match,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// Who made it.
    #[serde(default)]
    pub created_by: String,
    /// In force from then on.
    pub starts_at: Timestamp,
    /// In force until then.
    pub ends_at: Timestamp,
}

impl Silence {
    /// In force at this time?
    pub fn active(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    /// When that changes next, after `now`.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        [self.starts_at, self.ends_at].into_iter().filter(|at| *at > now && self.starts_at < self.ends_at).min()
    }

    /// Looks at what somebody asks for.
    ///
    /// # Errors
    /// What is wrong and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        let open = |globs: &Vec<Glob>| globs.iter().any(|glob| glob.as_str().bytes().all(|c| c == b'*'));
        let Match { severity, layer, cause, kind, node, labels } = &self.matches;
        if self.matches.is_empty() {
            return Err("it would silence everything: say what is meant, like node=edge-* or cause=swap-enabled".to_owned());
        }
        if severity.is_empty()
            && layer.is_empty()
            && kind.is_empty()
            && labels.is_empty()
            && (open(cause) || cause.is_empty())
            && (open(node) || node.is_empty())
        {
            return Err("`*` alone would silence everything: say what is meant, like node=edge-* or cause=swap-enabled".to_owned());
        }
        if labels.iter().any(|(name, values)| name.is_empty() || values.is_empty()) {
            return Err("a label needs a name and a value, like label.zone=eu-1a".to_owned());
        }
        if self.ends_at <= self.starts_at {
            return Err(format!("it ends ({}) before it begins ({})", self.ends_at, self.starts_at));
        }
        if self.ends_at.duration_since(self.starts_at) > LONGEST {
            return Err(format!("from {} to {} is longer than 366 days, the longest a silence lasts", self.starts_at, self.ends_at));
        }
        for (what, text) in [("the comment", &self.comment), ("the name of who makes it", &self.created_by)] {
            if text.chars().count() > MAX_TEXT {
                return Err(format!("{what} has more than {MAX_TEXT} characters"));
            }
        }
        Ok(())
    }
}

/// All silences there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silences(Vec<Silence>);

impl Silences {
    /// In whatever order; those that are over may be among them.
    pub fn new(all: Vec<Silence>) -> Self {
        Self(all)
    }

    /// All of them.
    pub fn all(&self) -> &[Silence] {
        &self.0
    }
}

/// Reads `key=value` words: `node=edge-*`, `cause=swap-enabled`, `severity=warning`, `layer=kubelet`, `kind=node`, `label.zone=eu-1a`.
/// Values of one key (given again, or with commas between) are alternatives.
///
/// # Errors
/// What is wrong and what would be right.
pub fn parse_matchers<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Result<Match, String> {
    let mut found = Match::default();
    for word in words {
        let word = word.as_ref();
        let Some((key, values)) = word.split_once('=').filter(|(key, values)| !key.is_empty() && !values.is_empty()) else {
            return Err(format!("`{word}` has to be KEY=VALUE, like node=edge-* or label.zone=eu-1a"));
        };
        for value in values.split(',') {
            let wrong = |problem: String| format!("{key}: {problem}");
            match key {
                "severity" => found.severity.push(super::read::severity(value).map_err(wrong)?),
                "layer" => found.layer.push(super::read::layer(value).map_err(wrong)?),
                "kind" => found.kind.push(super::read::kind(value).map_err(wrong)?),
                "cause" => found.cause.push(Glob::new(value).map_err(wrong)?),
                "node" => found.node.push(Glob::new(value).map_err(wrong)?),
                _ => match key.strip_prefix("label.").or_else(|| key.strip_prefix("labels.")).filter(|name| !name.is_empty()) {
                    Some(name) => found.labels.entry(name.to_owned()).or_default().push(Glob::new(value).map_err(wrong)?),
                    None => return Err(format!("there is no key `{key}`; there are: node, cause, severity, layer, kind, label.NAME")),
                },
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn silence(words: &[&str], from: i64, until: i64) -> Silence {
        let matches = parse_matchers(words).expect("matchers");
        Silence { id: "s1".into(), matches, comment: "c".into(), created_by: "me".into(), starts_at: at(from), ends_at: at(until) }
    }

    #[test]
    fn matchers_are_read_from_the_command_line() {
        let found = parse_matchers([
            "node=edge-*,core-1",
            "cause=swap-enabled",
            "severity=warning",
            "label.zone=a",
            "label.zone=b",
            "kind=control-plane",
            "layer=kubelet",
        ])
        .expect("good");
        let as_yaml: Match = serde_saphyr::from_str(
            "{node: ['edge-*', core-1], cause: [swap-enabled], severity: [warning], labels: {zone: [a, b]}, kind: [control-plane], layer: [kubelet]}",
        )
        .expect("good");
        assert_eq!(found, as_yaml);
    }

    #[test]
    fn bad_matchers_are_told_with_what_would_be_right() {
        for (word, says) in [
            ("node", "KEY=VALUE"),
            ("node=", "KEY=VALUE"),
            ("severity=bad", "critical"),
            ("layer=moon", "kubelet"),
            ("kind=x", "control-plane"),
            ("zone=a", "label.NAME"),
            ("label.=a", "label.NAME"),
            ("node=a[12]", "only `*`"),
        ] {
            let problem = parse_matchers([word]).expect_err(word);
            assert!(problem.contains(says), "{word}: {problem}");
        }
    }

    #[test]
    fn one_that_silences_everything_or_never_ends_is_refused() {
        assert_eq!(silence(&["node=a"], 0, 60).validate(), Ok(()));
        assert_eq!(silence(&["node=*", "severity=warning"], 0, 60).validate(), Ok(()));
        for (words, from, until, says) in [
            (&[][..], 0, 60, "everything"),
            (&["node=*"], 0, 60, "everything"),
            (&["node=*", "cause=**"], 0, 60, "everything"),
            (&["node=a"], 60, 60, "before it begins"),
            (&["node=a"], 0, 367 * 24 * 3600, "366 days"),
        ] {
            let problem = silence(words, from, until).validate().expect_err("refused");
            assert!(problem.contains(says), "{words:?}: {problem}");
        }
    }

    #[test]
    fn it_is_in_force_from_its_begin_until_before_its_end() {
        let one = silence(&["node=a"], 10, 20);
        let states: Vec<_> = [9, 10, 19, 20].into_iter().map(|second| (one.active(at(second)), one.next_change(at(second)))).collect();
        assert_eq!(states, [(false, Some(at(10))), (true, Some(at(20))), (true, Some(at(20))), (false, None)]);
    }

    #[test]
    fn its_json_is_read_back() {
        let one = silence(&["node=edge-*", "label.zone=a"], 0, 60);
        let json = serde_json::to_string(&one).expect("JSON");
        assert!(json.contains(r#""match":{"node":["edge-*"],"labels":{"zone":["a"]}}"#), "{json}");
        assert_eq!(serde_json::from_str::<Silence>(&json).expect("read"), one);
    }
}
