//! Conditions of the catalogue in words, as far as they have some: `swap.fstab.size() > 0` is "`swap.fstab` is not empty".

use super::words;

/// What stands behind "if" or "while": words, or the expression as it is where there are none for it.
pub(super) fn in_words(expression: &str) -> String {
    let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = tokens(&expression).and_then(|tokens| {
        let mut reader = Reader { tokens: &tokens, at: 0 };
        reader.any_of().filter(|_| reader.at == tokens.len())
    });
    said.unwrap_or_else(|| words::code(&expression))
}

/// A path with what is called on it, a text, a number, or a sign.
type Token<'a> = &'a str;

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    const SIGNS: [&str; 15] = ["&&", "||", "==", "!=", ">=", "<=", ">", "<", "!", "(", ")", "[", "]", ",", "-"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"')? + 2,
            c if c.is_ascii_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len())
            }
            _ => SIGNS.iter().find(|sign| rest.starts_with(**sign))?.len(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
}

impl<'a> Reader<'_, 'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn any_of(&mut self) -> Option<String> {
        let mut said = self.all_of()?;
        while self.takes("||") {
            said = format!("{said}, or {}", self.all_of()?);
        }
        Some(said)
    }

    fn all_of(&mut self) -> Option<String> {
        let mut said = self.one(true)?;
        while self.takes("&&") {
            said = format!("{said} and {}", self.one(true)?);
        }
        Some(said)
    }

    /// One condition, or its contrary.
    fn one(&mut self, holds: bool) -> Option<String> {
        if self.takes("!") {
            return self.one(!holds);
        }
        if self.takes("(") {
            let from = self.at;
            // Of one condition alone the contrary has words of its own.
            if let Some(said) = self.one(holds)
                && self.takes(")")
            {
                return Some(said);
            }
            self.at = from;
            let said = self.any_of().filter(|_| self.takes(")"))?;
            return Some(if holds { format!("({said})") } else { format!("not ({said})") });
        }
        let word = self.next().filter(|word| is_path(word))?;
        if !self.takes("(") {
            return self.compared(word, holds);
        }
        self.called(word, holds)
    }

    /// `size(x) > 0`, `has(x)`, `x.size() > 0`, `x.startsWith("y")`.
    fn called(&mut self, word: &str, holds: bool) -> Option<String> {
        if matches!(word, "size" | "has") {
            let path = self.next().filter(|path| is_path(path))?;
            if !self.takes(")") {
                return None;
            }
            return if word == "has" {
                Some(format!("{} {}", named(path), if holds { "is known" } else { "is not known" }))
            } else {
                self.sized(path, holds)
            };
        }
        let (path, function) = word.rsplit_once('.')?;
        if function == "size" {
            return if self.takes(")") { self.sized(path, holds) } else { None };
        }
        let (does, does_not) = match function {
            "startsWith" => ("begins with", "does not begin with"),
            "endsWith" => ("ends in", "does not end in"),
            "contains" => ("contains", "does not contain"),
            _ => return None,
        };
        let text = self.next().filter(|text| text.starts_with('"'))?;
        let said = format!("{} {} {}", named(path), if holds { does } else { does_not }, words::code(text));
        self.takes(")").then_some(said)
    }

    /// How many there are of something, or whether there is any.
    fn sized(&mut self, path: &str, holds: bool) -> Option<String> {
        let (sign, number) = (self.next()?, self.next()?.parse::<u32>().ok()?);
        if path == "sighting.pods" && holds {
            return match (sign, number) {
                (">", 0) => Some("a pod is named".to_owned()),
                (">", number) => Some(format!("more than {number} {} hit", if number == 1 { "pod is" } else { "pods are" })),
                (">=", number) => Some(format!("{number} pods or more are hit")),
                _ => None,
            };
        }
        let any = match (sign, number) {
            (">", 0) => holds,
            ("==", 0) => !holds,
            _ => return None,
        };
        Some(match (path.strip_prefix("captures."), any) {
            (Some(_), true) => format!("the log names {}", named(path)),
            (Some(_), false) => format!("the log does not name {}", named(path)),
            (None, true) => format!("{} is not empty", named(path)),
            (None, false) => format!("{} is empty", named(path)),
        })
    }

    /// `x == "y"`, `x in ["y", "z"]`, `x`.
    fn compared(&mut self, path: &str, holds: bool) -> Option<String> {
        let name = named(path);
        let sign = match self.peek() {
            Some(sign @ ("==" | "!=" | ">" | ">=" | "<" | "<=" | "in")) => sign,
            _ => return Some(if holds { format!("{name} is true") } else { format!("{name} is false") }),
        };
        self.at += 1;
        if sign == "in" {
            let list = self.list()?;
            return Some(format!("{name} is {}one of {list}", if holds { "" } else { "not " }));
        }
        let other = self.value()?;
        let empty = other == "`\"\"`";
        let is = match (sign, holds) {
            ("==", true) | ("!=", false) if empty => return Some(format!("{name} is empty")),
            ("!=", true) | ("==", false) if empty => return Some(format!("{name} is not empty")),
            ("==", true) | ("!=", false) => "is",
            ("!=", true) | ("==", false) => "is not",
            ("<" | "<=", true) | (">" | ">=", false) if other == "now" => "is before",
            (">" | ">=" | "<" | "<=", _) if other == "now" => "is after",
            (">", true) | ("<=", false) => "is above",
            (">=", true) | ("<", false) => "is at least",
            ("<", true) | (">=", false) => "is below",
            _ => "is at most",
        };
        Some(format!("{name} {is} {other}"))
    }

    fn list(&mut self) -> Option<String> {
        if self.peek() != Some("[") {
            return self.value();
        }
        self.at += 1;
        let mut items = vec![self.value()?];
        while self.takes(",") {
            items.push(self.value()?);
        }
        self.takes("]").then(|| items.join(", "))
    }

    fn value(&mut self) -> Option<String> {
        let value = self.next()?;
        let plain = value.starts_with('"') || value.bytes().all(|byte| byte.is_ascii_digit());
        if plain {
            return Some(words::code(value));
        }
        is_path(value).then(|| if value == "now" { value.to_owned() } else { named(value) })
    }
}

fn is_path(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic()) && word != "in"
}

/// A fact, or what a log line tells.
fn named(path: &str) -> String {
    match path.strip_prefix("captures.") {
        Some(capture) => words::code(capture.trim_end_matches(|c: char| c.is_ascii_digit())),
        None => words::code(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_words() {
        for (expression, said) in [
            ("size(captures.path2) > 0", "the log names `path`"),
            ("!(size(captures.path) > 0)", "the log does not name `path`"),
            ("swap.fstab.size() > 0", "`swap.fstab` is not empty"),
            ("has(swap.fstab) && swap.fstab.size() == 0", "`swap.fstab` is known and `swap.fstab` is empty"),
            ("!kubelet.config.exists", "`kubelet.config.exists` is false"),
            ("kubelet.unit.running", "`kubelet.unit.running` is true"),
            ("shutdown.scheduled != \"\"", "`shutdown.scheduled` is not empty"),
            ("kubelet.process.state == \"T\"", "`kubelet.process.state` is `\"T\"`"),
            ("apiserver.failure in [\"timed-out\", \"no-route\"]", "`apiserver.failure` is one of `\"timed-out\"`, `\"no-route\"`"),
            ("kubelet_client_certificate.not_after < now", "`kubelet_client_certificate.not_after` is before now"),
            ("!(files.open >= files.limit)", "`files.open` is below `files.limit`"),
            (
                "captures.path == \"/dev/kmsg\" || captures.path.startsWith(\"/proc/sys\")",
                "`path` is `\"/dev/kmsg\"`, or `path` begins with `\"/proc/sys\"`",
            ),
            ("sighting.pods.size() >= 5", "5 pods or more are hit"),
            ("sighting.pods.size() > 1", "more than 1 pod is hit"),
            (
                "size(captures.certain) > 0 || !apiserver.reachable || apiserver.http_status >= 500",
                "the log names `certain`, or `apiserver.reachable` is false, or `apiserver.http_status` is at least `500`",
            ),
            ("!(a.b && c.d)", "not (`a.b` is true and `c.d` is true)"),
        ] {
            assert_eq!(in_words(expression), said, "{expression}");
        }
    }

    #[test]
    fn what_has_no_words_stands_as_it_is() {
        for expression in
            ["a.filter(x, x.y).size() > 0", "a + b > 3", "(a", "a &&", "\"x", "a.matches(\"x\")", "é", "a.b > duration(\"60s\")"]
        {
            assert_eq!(in_words(expression), format!("`{expression}`"));
        }
        assert_eq!(in_words("a.exists(x,\n  x > 1)"), "`a.exists(x, x > 1)`");
    }
}
