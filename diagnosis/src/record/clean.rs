//! What a terminal, a web page, a mail or a word processor did to a line, undone: colours, HTML entities, typographic quotes.

/// Whether a line holds anything that [`clean`] would change; one look at the bytes for the ordinary ones.
pub(super) fn is_clean(line: &str) -> bool {
    memchr::memchr2(0x1b, b'&', line.as_bytes()).is_none()
        && (line.is_ascii() || memchr::memchr3(0xc2, 0xe2, 0xef, line.as_bytes()).is_none())
}

/// The line as it was written, into `out`.
pub(super) fn clean(line: &str, out: &mut String) {
    out.clear();
    let mut rest = line;
    while let Some(at) = rest.find(|c: char| c == '\u{1b}' || c == '&' || !c.is_ascii()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = one(rest, out);
        rest = &rest[taken..];
    }
    out.push_str(rest);
}

/// Takes one odd character or sequence from the beginning; says how many bytes it was.
fn one(text: &str, out: &mut String) -> usize {
    if let Some(sequence) = text.strip_prefix("\u{1b}[") {
        return 2 + sequence.find(|c: char| c.is_ascii_alphabetic()).map_or(sequence.len(), |at| at + 1);
    }
    if let Some((c, len)) = entity(text) {
        out.push(c);
        return len;
    }
    let c = text.chars().next().unwrap_or_default();
    match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{ff02}' => out.push('"'),
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{ff07}' => out.push('\''),
        '\u{a0}' | '\u{2002}' | '\u{2003}' | '\u{2009}' | '\u{202f}' => out.push(' '),
        // Word processors make one dash of a flag's two.
        '\u{2013}' | '\u{2014}' if begins_flag(out, &text[c.len_utf8()..]) => out.push_str("--"),
        // Zero width, byte order mark, direction: nobody logged them.
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{1b}' => {}
        other => out.push(other),
    }
    c.len_utf8()
}

fn begins_flag(before: &str, after: &str) -> bool {
    let free = before.is_empty() || before.ends_with([' ', '"', '\'', '=', ':']);
    free && after.starts_with(|c: char| c.is_ascii_lowercase())
}

/// An HTML entity at the beginning and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    const LONGEST: usize = 8;
    let inner = text.strip_prefix('&')?;
    let end = inner.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = &inner[..end];
    let c = match name {
        "quot" | "ldquo" | "rdquo" => '"',
        "apos" | "lsquo" | "rsquo" => '\'',
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            let c = char::from_u32(code).filter(|c| *c == '\t' || !c.is_control())?;
            if c == '\u{a0}' { ' ' } else { c }
        }
    };
    Some((c, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(line: &str) -> String {
        let mut out = String::from("left over");
        clean(line, &mut out);
        out
    }

    #[test]
    fn what_pages_and_terminals_did_is_undone() {
        for (line, want) in [
            ("\u{1b}[0;1;31mred\u{1b}[0m plain", "red plain"),
            ("&quot;a&#34; &lt;b&gt; &amp;c &#x27;d&#39;&nbsp;e&#160;f", "\"a\" <b> &c 'd' e f"),
            ("“a” ‘b’ «c»\u{a0}d\u{200b}e", "\"a\" 'b' \"c\" de"),
            ("unknown flag: —foo a – b x—y", "unknown flag: --foo a – b x—y"),
            ("plain", "plain"),
            ("größe 日本", "größe 日本"),
        ] {
            assert_eq!(cleaned(line), want, "{line}");
        }
    }

    #[test]
    fn what_is_no_entity_stays_and_a_cut_sequence_ends_with_the_line() {
        for line in ["a & b; c", "a&b", "&#xffffffff;", "&#0;", "&toolonganame;", "&", "&;", "&#;", "&é;"] {
            assert_eq!(cleaned(line), line);
        }
        assert_eq!(cleaned("x\u{1b}["), "x");
        assert_eq!(cleaned("x\u{1b}"), "x");
        assert_eq!(cleaned("x\u{1b}[é"), "x");
    }

    #[test]
    fn ordinary_lines_are_known_to_be_clean() {
        assert!(is_clean("E1122 00:54:49.103848 14029 run.go:72] \"x\" err=\"y\""));
        for odd in ["\u{1b}[0m", "&lt;", "“", "\u{a0}", "\u{feff}x"] {
            assert!(!is_clean(odd), "{odd:?}");
        }
    }
}
