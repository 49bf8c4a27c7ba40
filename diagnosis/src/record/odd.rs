//! Marks that people and tools put before a line that has a head of its own: quoting, bullets, line numbers, file and pod names.

use super::head::{bracketed, leading_stamp};
use super::{Klog, Logfmt, Source};

/// A mark may be so long.
const MAX_MARK: usize = 256;

/// What opens a block of code or a bold line in chats, trackers and pages, on the line that it begins.
const MARKUP: [&str; 8] = ["```", "{noformat}", "{code}", "[code]", "<pre>", "<code>", "<p>", "**"];

/// Without indentation and the marks of quoting and lists before a line.
pub(super) fn unquoted(line: &str) -> &str {
    let mut text = line.trim_start();
    // Nearly every line begins with a letter or a digit.
    if text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && !text.starts_with("data: ") {
        return text;
    }
    loop {
        let rest = ["> ", "# ", "* ", "- ", "| ", "• ", "data: "].iter().find_map(|mark| text.strip_prefix(mark)).or_else(|| {
            // `>Nov 22` and `>> Nov 22` of mails; `>` alone.
            text.strip_prefix('>').filter(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '>'))
        });
        let rest = rest.or_else(|| MARKUP.iter().find_map(|mark| text.strip_prefix(mark)).filter(|rest| has_head(rest)));
        match rest {
            Some(rest) => text = rest.trim_start(),
            None => return text.trim_start_matches('\u{1e}'),
        }
    }
}

/// Lines that nobody logged: blank, journalctl's own, its explanations (-x), a pager's, a Markdown fence.
pub(super) fn is_mark(text: &str) -> bool {
    if text.as_bytes().first().is_some_and(|&byte| byte.is_ascii_alphanumeric() && byte != b'l') {
        return false;
    }
    let pager = || text.strip_prefix("lines ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('-'));
    text.trim_end().is_empty() || text == "--" || text.starts_with("-- ") || text.starts_with("░░") || text.starts_with("```") || pager()
}

/// A line whose head is not at its beginning: who speaks, if the mark says so, and the line from its head on.
///
/// Only what is followed by a head counts as a mark, so that no message loses its beginning.
pub(super) fn after_mark(line: &str) -> Option<(&str, &str)> {
    if let Some(rest) = line.strip_prefix('`') {
        return has_head(rest).then(|| ("", rest.trim_end_matches('`')));
    }
    numbered(line)
        .or_else(|| pod_prefix(line))
        .or_else(|| tailed(line))
        .or_else(|| file_name(line))
        .or_else(|| column(line))
        .or_else(|| stream_name(line))
}

/// `12: line`, `12. line`, `12) line`, `12 line`: an editor's, a web page's or grep -n's.
fn numbered(line: &str) -> Option<(&str, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..)?.trim_start_matches([':', '.', ')', '|', '-', ' ', '\t']);
    ((1..=7).contains(&digits) && has_head(rest)).then_some(("", rest))
}

/// `[pod/NAME/CONTAINER] line` of kubectl logs --prefix.
fn pod_prefix(line: &str) -> Option<(&str, &str)> {
    let (pod, rest) = line.strip_prefix("[pod/")?.split_once("] ")?;
    Some((pod.rsplit('/').next().unwrap_or(pod), rest))
}

/// `kubelet.log:12:line`, `/var/log/messages:line` of grep.
fn file_name(line: &str) -> Option<(&str, &str)> {
    let colon = line.bytes().take(MAX_MARK).position(|byte| byte == b':')?;
    let (path, rest) = (&line[..colon], &line[colon + 1..]);
    if path.is_empty() || path.contains(' ') {
        return None;
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = rest[digits..].strip_prefix(':').filter(|_| digits > 0);
    [numbered, Some(rest)].into_iter().flatten().find(|rest| has_head(rest)).map(|rest| (if_known(speaker_of_file(path)), rest))
}

/// `kubelet-1  | line` of docker compose.
fn column(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(" | ")?;
    let name = name.trim_end();
    (name.len() <= MAX_MARK && !name.contains(' ') && has_head(rest)).then(|| (container(name), rest))
}

/// `POD CONTAINER line` of stern, `STREAM line` of aws logs tail: one or two words before a klog head.
fn stream_name(line: &str) -> Option<(&str, &str)> {
    let (first, rest) = line.split_once([' ', '\t'])?;
    let name = |word: &str| {
        !word.is_empty() && word.len() <= MAX_MARK && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte))
    };
    if !name(first) {
        return None;
    }
    let rest = rest.trim_start();
    if is_klog(rest) {
        return Some((if_known(first.trim_end_matches(':')), rest));
    }
    let (second, rest) = rest.split_once([' ', '\t'])?;
    let rest = rest.trim_start();
    (name(second) && is_klog(rest)).then(|| (container(second), rest))
}

/// A word where a container's name stands, if it can be one: no time of day, no stream, no level.
fn container(word: &str) -> &str {
    const STREAMS: [&str; 6] = ["stdout", "stderr", "error", "warning", "info", "debug"];
    let word = word.trim_end_matches(':');
    if word.starts_with(|c: char| c.is_ascii_lowercase()) && !STREAMS.contains(&word) { word } else { "" }
}

/// `[POD CONTAINER] line` of kubetail, `POD › CONTAINER line` of stern, `NAMESPACE/POD[CONTAINER]: line` of kail.
fn tailed(line: &str) -> Option<(&str, &str)> {
    let (pod, container, rest) = if let Some(inner) = line.strip_prefix('[') {
        let (names, rest) = inner.split_once("] ")?;
        let (pod, container) = names.split_once(' ')?;
        (pod, container, rest)
    } else if let Some((pod, rest)) = line.split_once(" › ") {
        let (container, rest) = rest.split_once(' ')?;
        (pod, container, rest)
    } else {
        let (names, rest) = line.split_once("]: ")?;
        let (pod, container) = names.split_once('[').filter(|(pod, _)| pod.contains('/'))?;
        (pod, container, rest)
    };
    let plain = |name: &str| {
        name.len() <= MAX_MARK
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-./".contains(&byte))
    };
    (plain(pod) && plain(container) && has_head(rest)).then_some((container, rest))
}

/// The name of a file or a stream, if it is a program's that is known.
pub(super) fn if_known(name: &str) -> &str {
    if Source::of(name) == Source::Other { "" } else { name }
}

fn is_klog(text: &str) -> bool {
    Klog::parse(text).is_some_and(|klog| klog.stamp.is_some())
}

fn has_head(text: &str) -> bool {
    let text = text.trim_start();
    is_klog(text) || leading_stamp(text).is_some() || bracketed(text).is_some() || Logfmt::parse(text).is_some()
}

/// Who wrote a file, by its name: `/var/log/pods/x/kube-apiserver/0.log` says nothing, `kubelet.log.1`, `kubelet.txt` do.
pub(super) fn speaker_of_file(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.split(['.', '_']).next().unwrap_or(name)
}

/// A line that somebody put into quotes: a CSV's cell, an array of strings. What was in them, unescaped.
pub(super) fn in_quotes(line: &str) -> Option<String> {
    let line = line.trim_end().trim_end_matches(',');
    let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = line.get(1..)?.strip_suffix(quote)?;
    if inner.is_empty() || inner.ends_with('\\') {
        return None;
    }
    let doubled = [quote, quote].iter().collect::<String>();
    let rest = inner.replace(&doubled, "").replace(&format!("\\{quote}"), "");
    // A quote left over is the message's own: `"command failed" err="x"` is no quoted line.
    if rest.contains(quote) {
        return None;
    }
    Some(unescaped(&inner.replace(&doubled, &quote.to_string())))
}

/// Whether somebody escaped the whole line: the first quote in it is escaped, which klog and logrus never write.
pub(super) fn is_escaped(line: &str) -> bool {
    let inner = line.strip_prefix('"').unwrap_or(line);
    inner.find('"').is_some_and(|at| at > 0 && inner.as_bytes()[at - 1] == b'\\')
}

/// One level of escapes taken back: quotes, line ends, tabs, `\u003c`.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let Some(c) = after.chars().next() else {
            rest = &rest[at..];
            break;
        };
        let mut used = c.len_utf8();
        match c {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '"' | '\'' | '\\' | '/' => out.push(c),
            'u' => match after.get(1..5).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
                Some(c) => {
                    out.push(c);
                    used = 5;
                }
                None => out.push_str("\\u"),
            },
            other => out.extend(['\\', other]),
        }
        rest = &after[used..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "E1122 00:54:49.103848   14029 run.go:72] \"command failed\" err=\"x\"";

    #[test]
    fn marks_before_a_head_are_taken_off_and_may_say_who_speaks() {
        for (mark, speaker) in [
            ("12: ", ""),
            ("  7 ", ""),
            ("1. ", ""),
            ("[pod/kube-apiserver-n1/kube-apiserver] ", "kube-apiserver"),
            ("kubelet.log:12:", "kubelet"),
            ("/var/log/kubelet.log:", "kubelet"),
            ("kubelet-1  | ", "kubelet-1"),
            ("kube-proxy-x2 kube-proxy ", "kube-proxy"),
            ("[csi-node-x2 driver-registrar] ", "driver-registrar"),
            ("csi-node-x2 › driver-registrar ", "driver-registrar"),
            ("kube-system/csi-node-x2[driver-registrar]: ", "driver-registrar"),
            ("00:54:49.103 | ", ""),
            ("node1 stderr ", ""),
            ("node1 kubelet: ", "kubelet"),
            ("`", ""),
        ] {
            let line = format!("{mark}{LINE}");
            assert_eq!(after_mark(line.trim_start()), Some((speaker, LINE)), "{mark}");
        }
    }

    #[test]
    fn what_is_followed_by_no_head_is_no_mark() {
        for line in ["12 apples", "error: no such file", "a | b", "open /x: no such file", "12", "", ":", "[pod/x", "`code`"] {
            assert_eq!(after_mark(line), None, "{line}");
        }
    }

    #[test]
    fn quoted_lines_are_told_from_quotes_in_a_line() {
        let json = format!("\"{}\",", LINE.replace('"', "\\\""));
        let csv = format!("\"{}\"", LINE.replace('"', "\"\""));
        assert_eq!(in_quotes(&json).as_deref(), Some(LINE));
        assert_eq!(in_quotes(&csv).as_deref(), Some(LINE));
        assert_eq!(in_quotes(&format!("'{LINE}'")).as_deref(), Some(LINE));
        for line in ["\"command failed\" err=\"x\"", "\"", "\"\"", "'", "\"x\\\"", "é"] {
            assert_eq!(in_quotes(line), None, "{line}");
        }
    }

    #[test]
    fn escapes_are_taken_back_once() {
        assert_eq!(unescaped(r#"a \"b\" \u003cc\u003e \\n d\n"#), "a \"b\" <c> \\n d\n");
        assert_eq!(unescaped("x\\"), "x\\");
        assert_eq!(unescaped("\\u12 \\uzzzz \\é"), "\\u12 \\uzzzz \\é");
        assert!(
            is_escaped(r#"a \"b\""#) && !is_escaped(r#"a "b \"c\"""#) && !is_escaped("\"") && is_escaped(r#""cut \"b"#) && !is_escaped("")
        );
    }

    #[test]
    fn quoting_of_mails_and_lists_is_no_part_of_a_line() {
        for line in ["> x", ">> x", ">x", "  > > x", "# x", "* x", "- x", "| x", "data: x", "\u{1e}x"] {
            assert_eq!(unquoted(line), "x", "{line}");
        }
        assert_eq!(unquoted("-- Boot"), "-- Boot");
        for mark in MARKUP {
            assert_eq!(unquoted(&format!("{mark}{LINE}")), LINE, "{mark}");
        }
        assert_eq!(unquoted("**Kubelet log**"), "**Kubelet log**");
    }
}
