//! Environment files and the expansion of variables in command lines, as systemd does both (src/basic/env-file.c, replace_env_argv; v252).

use std::collections::BTreeMap;

/// Variables by name.
pub(crate) type Environment = BTreeMap<String, String>;

/// Adds the assignments of an EnvironmentFile; later ones win.
pub(crate) fn read_file(text: &str, into: &mut Environment) {
    Reader { chars: text.chars().peekable() }.assignments(into);
}

/// Adds `NAME=value` assignments of Environment=, already unquoted.
pub(crate) fn read_assignments(assignments: &[String], into: &mut Environment) {
    for (name, value) in assignments.iter().filter_map(|assignment| assignment.split_once('=')) {
        into.insert(name.to_owned(), value.to_owned());
    }
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Reader<'_> {
    fn assignments(&mut self, into: &mut Environment) {
        while let Some(&next) = self.chars.peek() {
            match next {
                '#' | ';' => self.skip_comment(),
                white if white.is_whitespace() => {
                    self.chars.next();
                }
                _ => {
                    if let Some((name, value)) = self.assignment() {
                        into.insert(name, value);
                    }
                }
            }
        }
    }

    fn skip_comment(&mut self) {
        while let Some(char) = self.chars.next() {
            match char {
                // A backslash carries a comment over to the next line too.
                '\\' => {
                    self.chars.next();
                }
                '\n' => return,
                _ => {}
            }
        }
    }

    /// A line without `=` is dropped.
    fn assignment(&mut self) -> Option<(String, String)> {
        let mut name = String::new();
        loop {
            match self.chars.next()? {
                '=' => break,
                '\n' => return None,
                char => name.push(char),
            }
        }
        Some((name.trim_end().to_owned(), self.value()))
    }

    /// Quotes count only where a piece of the value begins; within an unquoted piece they stand for themselves.
    fn value(&mut self) -> String {
        let mut value = String::new();
        loop {
            match self.chars.next() {
                None | Some('\n') => return value,
                Some('\'') => self.single_quoted(&mut value),
                Some('"') => self.double_quoted(&mut value),
                Some(white) if white.is_whitespace() => {}
                Some(first) => {
                    self.unquoted(first, &mut value);
                    return value;
                }
            }
        }
    }

    fn single_quoted(&mut self, value: &mut String) {
        value.extend(self.chars.by_ref().take_while(|char| *char != '\''));
    }

    fn double_quoted(&mut self, value: &mut String) {
        while let Some(char) = self.chars.next() {
            match char {
                '"' => return,
                '\\' => match self.chars.next() {
                    Some('\n') | None => {}
                    Some(escaped @ ('"' | '\\' | '`' | '$')) => value.push(escaped),
                    Some(other) => value.extend(['\\', other]),
                },
                char => value.push(char),
            }
        }
    }

    fn unquoted(&mut self, first: char, value: &mut String) {
        // White space at the end goes, unless a backslash made it part of the value.
        let mut keep = value.len();
        let mut next = Some(first);
        while let Some(char) = next {
            match char {
                '\n' => break,
                '\\' => {
                    if let Some(escaped) = self.chars.next().filter(|char| *char != '\n') {
                        value.push(escaped);
                        keep = value.len();
                    }
                }
                char => {
                    value.push(char);
                    if !char.is_whitespace() {
                        keep = value.len();
                    }
                }
            }
            next = self.chars.next();
        }
        value.truncate(keep);
    }
}

/// Expands a unit's argv: a word `$NAME` becomes the words of its value, `${NAME}` is replaced wherever it stands, `$$` is a dollar sign.
pub(crate) fn expand(argv: &[String], environment: &Environment) -> Vec<String> {
    let mut words = Vec::new();
    for word in argv {
        match word.strip_prefix('$') {
            Some(name) if !name.starts_with(['{', '$']) => {
                words.extend(environment.get(name).map(|value| split_words(value)).unwrap_or_default());
            }
            _ => words.push(replace_braced(word, environment)),
        }
    }
    words
}

fn replace_braced(word: &str, environment: &Environment) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(left) = after.strip_prefix('$') {
            out.push('$');
            rest = left;
        } else if let Some((name, left)) = after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            out.push_str(environment.get(name).map_or("", String::as_str));
            rest = left;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out + rest
}

/// Words parted by white space; quotes hold a word together, a backslash takes the next character as it is.
pub(crate) fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), char) if char == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, white) if white.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Environment {
        let mut environment = Environment::new();
        read_file(text, &mut environment);
        environment
    }

    #[test]
    fn kubeadm_flags_env_is_read() {
        let env = parsed(
            "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd/containerd.sock --pod-infra-container-image=pause:3.9\"\n",
        );
        let argv = ["/usr/bin/kubelet".to_owned(), "$KUBELET_KUBEADM_ARGS".to_owned(), "$KUBELET_EXTRA_ARGS".to_owned()];
        assert_eq!(
            expand(&argv, &env),
            [
                "/usr/bin/kubelet",
                "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
                "--pod-infra-container-image=pause:3.9"
            ]
        );
    }

    #[test]
    fn quotes_comments_and_continuations_follow_systemd() {
        let env = parsed(
            "# comment \\\n A=not this\n; B=nor this\nC='it is' \"so\"\n D = x \\\n  y  \nE=a\"b\"c\nF=\"a\\\"b\\n\"\nbroken line\nG=\nH=tail\\ \n",
        );
        assert_eq!(env.get("A"), None, "the comment goes on after a backslash");
        assert_eq!(env.get("B"), None);
        assert_eq!(env["C"], "it isso");
        assert_eq!(env["D"], "x   y");
        assert_eq!(env["E"], "a\"b\"c");
        assert_eq!(env["F"], "a\"b\\n");
        assert_eq!(env["G"], "");
        assert_eq!(env["H"], "tail ");
        assert_eq!(env.len(), 6);
    }

    #[test]
    fn a_later_assignment_wins_and_cut_files_are_read_as_far_as_they_go() {
        assert_eq!(parsed("A=1\nA=2")["A"], "2");
        assert_eq!(parsed("A=\"open")["A"], "open");
        assert_eq!(parsed("A=x\\")["A"], "x");
        assert!(parsed("\u{0}\u{fffd}").is_empty());
    }

    #[test]
    fn braces_do_not_split_and_dollars_escape() {
        let env = parsed("A=\"one two\"\n");
        let words = |argv: &[&str]| expand(&argv.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), &env);
        assert_eq!(
            words(&["${A}", "$A", "--x=${A}", "--y=$A", "$$A", "${B}", "$B", "${open"]),
            ["one two", "one", "two", "--x=one two", "--y=$A", "$A", "", "${open"]
        );
    }

    #[test]
    fn words_keep_what_is_quoted() {
        assert_eq!(split_words("--a=1 '--b=2 3' --c=\"4 \\\" 5\" \\ x ''"), ["--a=1", "--b=2 3", "--c=4 \" 5", " x", ""]);
    }
}
