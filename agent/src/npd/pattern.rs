//! Patterns as node-problem-detector has them: Go's RE2 syntax, and what matches has to end where the buffered lines end
//! (pkg/systemlogmonitor/log_buffer.go, v1.37).

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Compiled patterns are small; one that counts to millions is refused.
const REGEX_BYTES: usize = 4 << 20;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// It can match in the newest line alone: the older ones need not be looked at.
    pub(super) last_line_only: bool,
}

impl Pattern {
    /// Anchored to the end of what it is matched against, as node-problem-detector does it: the anchor is appended to the text, so of
    /// alternatives at the top it binds the last alone.
    pub(super) fn compile(expr: &str) -> Result<Self, String> {
        // Alone first, so that an error cites the pattern as written.
        compile(expr)?;
        let anchored = format!("{expr}\\z");
        let regex = compile(&anchored)?;
        let last_line_only = match (parse(&translated(&anchored)), parse(&translated(&format!("(?:{expr})\\z")))) {
            (Some(tree), Some(grouped)) => tree == grouped && stays_in_line(&tree),
            _ => false,
        };
        Ok(Self { regex, last_line_only })
    }
}

/// Compiles one of Go's expressions. `\d`, `\w`, `\s`, `\b` know ASCII only, as in Go.
pub(super) fn compile(expr: &str) -> Result<Regex, String> {
    let translated = translated(expr);
    let build = |unicode: bool| RegexBuilder::new(&translated).unicode(unicode).octal(true).size_limit(REGEX_BYTES).build();
    // Bytes do for everything but classes of letters beyond ASCII.
    build(false).or_else(|error| build(true).map_err(|_| error)).map_err(|error| error.to_string())
}

fn parse(translated: &str) -> Option<Hir> {
    regex_syntax::ParserBuilder::new().unicode(false).utf8(false).octal(true).build().parse(translated).ok()
}

/// What Go writes otherwise: `\Q...\E`, braces that count nothing, and the signs that this engine has and Go has not inside of classes.
fn translated(expr: &str) -> String {
    let mut out = String::with_capacity(expr.len());
    let mut chars = expr.char_indices().peekable();
    let mut in_class = false;
    while let Some((at, c)) = chars.next() {
        let rest = &expr[at..];
        match c {
            '\\' if rest.starts_with("\\Q") => {
                let quoted = rest[2..].split("\\E").next().unwrap_or_default();
                out.push_str(&regex_syntax::escape(quoted));
                let end = at + 2 + quoted.len() + if rest[2 + quoted.len()..].starts_with("\\E") { 2 } else { 0 };
                while chars.next_if(|(next, _)| *next < end).is_some() {}
            }
            '\\' => {
                out.push(c);
                out.extend(chars.next().map(|(_, escaped)| escaped));
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.next_if(|(_, next)| *next == '^').is_some() {
                    out.push('^');
                }
                // A bracket that closes nothing is itself.
                if chars.next_if(|(_, next)| *next == ']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if rest.starts_with("[:") => {
                let end = rest.find(":]").map_or(1, |end| end + 2);
                out.push_str(&rest[..end]);
                while chars.next_if(|(next, _)| *next < at + end).is_some() {}
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && rest.starts_with("--") => out.push_str("\\-"),
            '{' if !in_class && !counts(rest) => out.push_str("\\{"),
            c => out.push(c),
        }
    }
    out
}

/// `{2}`, `{2,}`, `{2,3}`.
fn counts(rest: &str) -> bool {
    let Some((inside, _)) = rest[1..].split_once('}') else { return false };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    !from.is_empty() && from.bytes().chain(to.bytes()).all(|byte| byte.is_ascii_digit())
}

/// Takes no line end in, and does not ask where the lines begin.
fn stays_in_line(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty => true,
        HirKind::Literal(literal) => !literal.0.contains(&b'\n'),
        HirKind::Class(Class::Bytes(class)) => !class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&b'\n')),
        HirKind::Class(Class::Unicode(_)) => false,
        HirKind::Look(look) => matches!(look, Look::End | Look::WordAscii | Look::WordAsciiNegate),
        HirKind::Repetition(repetition) => stays_in_line(&repetition.sub),
        HirKind::Capture(capture) => stays_in_line(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(stays_in_line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expr: &str, text: &str) -> bool {
        Pattern::compile(expr).unwrap_or_else(|error| panic!("{expr}: {error}")).regex.is_match(text.as_bytes())
    }

    #[test]
    fn a_match_has_to_end_with_the_text() {
        assert!(matches("blocked for more than \\w+ seconds\\.", "task x:1 blocked for more than 120 seconds."));
        assert!(!matches("blocked for more than \\w+ seconds", "task x:1 blocked for more than 120 seconds."));
        assert!(matches("first|second", "first of all"), "the anchor binds the last alternative alone, as in Go");
    }

    #[test]
    fn gos_syntax_is_understood() {
        for (expr, text) in [
            ("\\Qa.b[\\E\\d+", "a.b[17"),
            ("task [\\S ]+:\\w+", "task a b:x1"),
            ("a{,2}", "a{,2}"),
            ("x{y", "x{y"),
            ("[[:digit:]]{3}", "123"),
            ("[a[]b", "[b"),
            ("[]a]+", "]a"),
            ("[a&&b]+", "&b"),
            ("(?i)currently UNREADABLE.*", "Currently unreadable (pending) sectors"),
            ("(?P<a>x)(?<b>y)", "xy"),
            ("\\x41\\101", "AA"),
            ("é+", "éé"),
            ("[é]", "é"),
        ] {
            assert!(matches(expr, text), "{expr} on {text}");
        }
        assert!(!matches("^\\w$", "é") && !matches("\\d", "٣"), "ASCII alone, as in Go");
    }

    #[test]
    fn what_is_no_pattern_is_refused_as_written() {
        for expr in ["(", "a**?[", "\\", "(?:a{1000}){1000}{1000}"] {
            assert!(Pattern::compile(expr).is_err(), "{expr}");
        }
    }

    #[test]
    fn which_patterns_need_older_lines_is_known() {
        for (expr, last_line_only) in
            [("a .* b", true), ("a\nb", false), ("^a", false), ("a|b", false), ("[^x]*b", false), ("(?s)a.b", false)]
        {
            assert_eq!(Pattern::compile(expr).expect("good").last_line_only, last_line_only, "{expr}");
        }
    }
}
