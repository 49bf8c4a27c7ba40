//! Text made safe and fitted: control characters escaped, lines wrapped, times and spans in words.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

/// Text from a log or a fact as it may be shown on a terminal: control characters, also C1 and those that turn the direction of
/// writing, are escaped; a tab becomes a space. Line ends are escaped too: split first where they are wanted.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if is_unsafe(c) && u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if is_unsafe(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    // Zero-width characters and directional marks can make a line look like another.
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A span in its two largest units: `45s`, `11m 2s`, `1h 3m`, `2d 4h`. Negative ones count as none.
pub fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let two = |one: i64, unit: &str, other: i64, small: &str| {
        if other == 0 { format!("{one}{unit}") } else { format!("{one}{unit} {other}{small}") }
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => two(minutes, "m", rest, "s"),
        (0, _, _) => two(hours, "h", minutes, "m"),
        _ => two(days, "d", hours, "h"),
    }
}

/// `2026-11-22 00:54:49Z`: to the second, in UTC.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Appends `text` in lines of at most `width` columns (0: as it is), each after `indent`. Breaks at spaces, within a word only where
/// one is longer than a line.
pub(crate) fn wrap(out: &mut String, text: &str, indent: &str, width: usize) {
    let room = width.saturating_sub(indent.chars().count());
    if width == 0 || room < 20 {
        out.extend([indent, text, "\n"]);
        return;
    }
    let mut rest = text;
    loop {
        let (line, more) = cut(rest, room);
        out.extend([indent, line, "\n"]);
        if more.is_empty() {
            return;
        }
        rest = more;
    }
}

/// The part of a text that fits, and the rest without the spaces at the cut.
fn cut(text: &str, room: usize) -> (&str, &str) {
    let Some((end, _)) = text.char_indices().nth(room) else { return (text, "") };
    if text[end..].starts_with(' ') {
        return (&text[..end], text[end..].trim_start_matches(' '));
    }
    match text[..end].rfind(' ').filter(|&space| !text[..space].trim().is_empty()) {
        Some(space) => (&text[..space], text[space..].trim_start_matches(' ')),
        None => text.split_at(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_log_holds_can_steer_the_terminal() {
        assert_eq!(escape("plain ü 月"), "plain ü 月");
        assert_eq!(escape("a\u{1b}[2Jb\0\u{7f}\u{9b}1m"), "a\\x1b[2Jb\\x00\\x7f\\x9b1m");
        assert_eq!(escape("x\u{202e}y\u{feff}\r\n\t."), "x\\u{202e}y\\u{feff}\\r\\n .");
    }

    #[test]
    fn spans_are_told_in_two_units() {
        for (seconds, want) in
            [(-5, "0s"), (0, "0s"), (45, "45s"), (60, "1m"), (662, "11m 2s"), (3780, "1h 3m"), (90_000, "1d 1h"), (172_800, "2d")]
        {
            assert_eq!(span(SignedDuration::from_secs(seconds)), want);
        }
    }

    #[test]
    fn wrapping_loses_nothing_but_spaces() {
        let text = "The quick brown fox jumps over the lazy dog and ".repeat(4) + &"x".repeat(70) + " ünd";
        for width in [0, 1, 24, 40, 80, 1000] {
            let mut out = String::new();
            wrap(&mut out, &text, "  ", width);
            assert_eq!(out.replace(['\n', ' '], ""), text.replace(' ', ""));
            assert!(width < 22 || out.lines().all(|line| line.chars().count() <= width), "{out}");
        }
    }
}
