//! logfmt as logrus writes it: `time="2026-11-22T00:54:49Z" level=error msg="..." error="..."` (containerd, dockerd, CRI-O, k3s).

use std::borrow::Cow;

use super::klog::quoted;

/// The fields of a logfmt line that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logfmt<'a> {
    /// `time` as written.
    pub time: &'a str,
    /// `level` as written; empty if there is none.
    pub level: &'a str,
    /// `msg`, unescaped.
    pub message: Cow<'a, str>,
}

impl<'a> Logfmt<'a> {
    /// A line that begins with `time=` or `level=`.
    pub fn parse(line: &'a str) -> Option<Self> {
        if !line.starts_with("time=") && !line.starts_with("level=") {
            return None;
        }
        let mut found = Self { time: "", level: "", message: Cow::Borrowed("") };
        let mut rest = line;
        loop {
            let (key, value) = rest.split_once('=')?;
            match key {
                "time" => (found.time, rest) = plain(value),
                "level" => (found.level, rest) = plain(value),
                "msg" => {
                    found.message = quoted(value).map_or(Cow::Borrowed(value), |(message, _)| message);
                    return Some(found);
                }
                _ => return None,
            }
            rest = rest.trim_start_matches(' ');
        }
    }

    /// syslog priority of the level.
    pub fn priority(&self) -> Option<u8> {
        Some(match self.level {
            "panic" | "fatal" => 2,
            "error" => 3,
            "warning" | "warn" => 4,
            "info" => 6,
            "debug" | "trace" => 7,
            _ => return None,
        })
    }
}

/// A value without escapes, quoted or not, and what follows.
fn plain(text: &str) -> (&str, &str) {
    if let Some(inner) = text.strip_prefix('"') {
        return inner.split_once('"').unwrap_or((inner, ""));
    }
    text.split_once(' ').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_level_and_message_are_found() {
        let line = r#"time="2026-11-22T00:54:49.1Z" level=error msg="failed to \"load\" cni" error="cni config load failed""#;
        let found = Logfmt::parse(line).expect("logfmt");
        assert_eq!((found.time, found.level, &*found.message), ("2026-11-22T00:54:49.1Z", "error", r#"failed to "load" cni"#));
        assert_eq!(found.priority(), Some(3));
    }

    #[test]
    fn a_line_without_time_or_with_a_cut_message_is_read() {
        assert_eq!(
            Logfmt::parse("level=fatal msg=\"starting kubernetes: prep").map(|f| f.message.into_owned()).as_deref(),
            Some("starting kubernetes: prep")
        );
        assert_eq!(Logfmt::parse("level=info msg=done").map(|f| f.message.into_owned()).as_deref(), Some("done"));
    }

    #[test]
    fn anything_else_is_none() {
        for line in
            ["", "time", "time=", "time=\"", "level=info", "time=1 other=2 msg=x", "msg=\"x\"", "time=\"a\" \0=\"", "lev\u{e9}l=info msg=x"]
        {
            assert_eq!(Logfmt::parse(line), None, "{line:?}");
        }
    }
}
