//! Patterns in paths, as glob(7) has them: `*`, `?`, `[...]`, none of which matches a slash or a dot that begins a name.

use super::{Host, ReadError};

/// Paths that one pattern may give.
const LIMIT: usize = 1000;

/// Whether a path is a pattern.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

impl Host {
    /// The paths of the node that match, sorted.
    ///
    /// # Errors
    /// A directory on the way cannot be listed. One that is not there holds nothing.
    pub fn glob(&self, pattern: &str) -> Result<Vec<String>, ReadError> {
        let mut found = vec![String::new()];
        for name in pattern.split('/').filter(|name| !name.is_empty()) {
            let mut next = Vec::new();
            for parent in found {
                if is_pattern(name) {
                    next.extend(self.names_in(&parent, name)?.into_iter().map(|child| format!("{parent}/{child}")));
                } else {
                    next.push(format!("{parent}/{name}"));
                }
            }
            next.truncate(LIMIT);
            found = next;
        }
        // What follows the last pattern need not be there.
        let mut there = Vec::new();
        for path in found {
            if self.exists(&path)? {
                there.push(path);
            }
        }
        there.sort_unstable();
        Ok(there)
    }

    fn names_in(&self, directory: &str, pattern: &str) -> Result<Vec<String>, ReadError> {
        match self.list(if directory.is_empty() { "/" } else { directory }) {
            Ok(names) => Ok(names.into_iter().filter(|name| matches(pattern, name)).collect()),
            Err(error) if error.is_absence() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let [pattern, name] = [pattern, name].map(|text| text.chars().collect::<Vec<_>>());
    (name.first() != Some(&'.') || pattern.first() == Some(&'.')) && fits(&pattern, &name)
}

/// fnmatch(3). Of several `*` only the last has to be tried again: what the others took can be given to it.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match one(&pattern[p..], name[n]) {
            _ if pattern.get(p) == Some(&'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(length) => {
                p += length;
                n += 1;
            }
            None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|char| *char == '*')
}

/// Whether the pattern's first item is this character, and how long the item is.
fn one(pattern: &[char], char: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == char).then_some(2),
        ['[', rest @ ..] => match class(rest, char) {
            Some((held, length)) => held.then_some(length + 1),
            // A bracket that is not closed stands for itself.
            None => (char == '[').then_some(1),
        },
        [plain, ..] => (*plain == char).then_some(1),
        [] => None,
    }
}

/// What follows a `[`: whether the class holds the character, and its length with the bracket that closes it.
fn class(rest: &[char], char: char) -> Option<(bool, usize)> {
    let negated = matches!(rest.first(), Some('!' | '^'));
    let begin = usize::from(negated);
    // A `]` in the first place is a member.
    let end = rest.iter().skip(begin + 1).position(|char| *char == ']')? + begin + 1;
    let members = &rest[begin..end];
    let mut held = false;
    let mut at = 0;
    while at < members.len() {
        if let [low, '-', high, ..] = members[at..] {
            held |= (low..=high).contains(&char);
            at += 3;
        } else {
            held |= members[at] == char;
            at += 1;
        }
    }
    Some((held != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn names_match_as_a_shell_has_it() {
        for (pattern, name, does) in [
            ("*.env", "10-a.env", true),
            ("*.env", ".env", false),
            (".*", ".env", true),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1c2b", false),
            ("?0-*.env", "10-x.env", true),
            ("[0-9]*", "1a", true),
            ("[!0-9]*", "1a", false),
            ("[]x]", "]", true),
            ("[ab", "[ab", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
        ] {
            assert_eq!(matches(pattern, name), does, "{pattern} {name}");
        }
    }

    #[test]
    fn paths_come_sorted_and_what_is_not_there_is_none() {
        let node = Node::new().file("/etc/kubelet.d/20.env", "").file("/etc/kubelet.d/10.env", "").file("/etc/kubelet.d/x.conf", "");
        let found = |pattern: &str| node.host().glob(pattern).unwrap();
        assert_eq!(found("/etc/kubelet.d/*.env"), ["/etc/kubelet.d/10.env", "/etc/kubelet.d/20.env"]);
        assert_eq!(found("/etc/kube*.d/1?.env"), ["/etc/kubelet.d/10.env"]);
        assert_eq!(found("/etc/*/none"), Vec::<String>::new());
        assert_eq!(found("/none/*.env"), Vec::<String>::new());
    }
}
