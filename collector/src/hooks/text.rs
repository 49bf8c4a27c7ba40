//! Texts within other people's limits.

use crate::message::{Message, Nodes};

/// What stands where the rest of a text was cut off: where to read it.
pub(super) fn more(message: &Message) -> String {
    let command = one_line(&message.command);
    if command.is_empty() || command.len() > 100 { "…".to_owned() } else { format!("… ({command})") }
}

/// At most `most` characters, `more` among them.
pub(super) fn cut(text: &str, most: usize, more: &str) -> String {
    cut_by(text, most, more, |_| 1)
}

/// At most `most` bytes, `more` among them.
pub(super) fn cut_bytes(text: &str, most: usize, more: &str) -> String {
    cut_by(text, most, more, char::len_utf8)
}

/// At most `most` of what characters weigh, `more` among them. Before any escaping: `weigh` says how long a character is after it.
pub(super) fn cut_by(text: &str, most: usize, more: &str, weigh: impl Fn(char) -> usize) -> String {
    let long = |text: &str| text.chars().map(&weigh).sum::<usize>();
    let mut fits = 0;
    if text.chars().all(|c| {
        fits += weigh(c);
        fits <= most
    }) {
        return text.to_owned();
    }
    let more = if long(more) * 2 > most { "…" } else { more };
    let room = most.saturating_sub(long(more));
    let mut taken = 0;
    let kept: String = text
        .chars()
        .take_while(|c| {
            taken += weigh(*c);
            taken <= room
        })
        .collect();
    format!("{}{more}", kept.trim_end())
}

/// Without line breaks and other control characters: for headers, subjects and names.
pub(super) fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without control characters but line breaks and tabs.
pub(super) fn lines(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// For HTML, in text and in attributes.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A link that may be shown: http or https, and nothing in it that ends a link in somebody's markup.
pub(super) fn link(page: Option<&str>) -> Option<String> {
    let url = reqwest::Url::parse(page?).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let text = url.as_str().replace('|', "%7C").replace('>', "%3E").replace('<', "%3C").replace('"', "%22");
    (text.len() <= 2000).then_some(text)
}

/// The message with its texts cut so that its JSON is no longer than `bytes`. A command is whole or not there: half a command is another one.
pub(super) fn shorten(message: &Message, bytes: usize) -> Message {
    let mut short = message.clone();
    for most in [16_384, 4096, 1024, 256, 64] {
        if serde_json::to_string(&short).is_ok_and(|text| text.len() <= bytes) {
            break;
        }
        cut_all(&mut short, most);
    }
    short
}

fn cut_all(message: &mut Message, most: usize) {
    let more = more(message);
    let list = (most / 8).max(8);
    let cut = |text: &mut String| *text = cut_bytes(text, most, &more);
    cut(&mut message.title);
    cut(&mut message.ended_by);
    // Names of nodes have 253 characters at most (DNS), codes fewer.
    let name = |text: &mut String| *text = cut_bytes(text, most.clamp(64, 253), "…");
    name(&mut message.node);
    message.nodes.names.iter_mut().for_each(name);
    if message.command.len() > 1000 {
        message.command.clear();
    }
    if let Some(shared) = &mut message.shared {
        name(&mut shared.name);
        cut(&mut shared.value);
        shared.before.iter_mut().for_each(&cut);
    }
    message.nodes.names.truncate(Nodes::NAMED);
    message.apart.truncate(Nodes::NAMED);
    while message.nodes.labels.len() > list.min(32) {
        message.nodes.labels.pop_last();
    }
    message.nodes.labels.values_mut().for_each(&cut);
    for apart in &mut message.apart {
        cut(&mut apart.title);
        name(&mut apart.node);
        name(&mut apart.cause);
    }
    let cause = &mut message.cause;
    cut(&mut cause.title);
    cut(&mut cause.message);
    cause.evidence.truncate(list.min(16));
    cause.evidence.iter_mut().for_each(|proof| cut(&mut proof.quote));
    cause.explains.truncate(list.min(64));
    cause.explained_by.truncate(list.min(64));
    cause.explains.iter_mut().chain(&mut cause.explained_by).for_each(name);
    cause.evidence.iter_mut().for_each(|proof| name(&mut proof.source));
    cause.remedy.truncate(list.min(16));
    for step in &mut cause.remedy {
        cut(&mut step.say);
        if step.run.as_ref().is_some_and(|run| run.len() > most) {
            step.run = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_where_the_rest_is() {
        assert_eq!(cut("short", 5, "… (x)"), "short");
        assert_eq!(cut("a long text and more", 12, "… (x)"), "a long… (x)");
        assert_eq!(cut("🔥🔥🔥🔥", 3, "… (a long command)"), "🔥🔥…");
        assert_eq!(cut_bytes("🔥🔥🔥🔥", 11, "…"), "🔥🔥…");
        assert_eq!(cut_bytes("🔥🔥", 2, "…"), "…", "the mark alone may be too long, a limit is never that small");
    }

    #[test]
    fn a_header_has_one_line() {
        assert_eq!(one_line("a\r\nBcc: x\u{0}\u{1b}[31m  b"), "a Bcc: x [31m b");
        assert_eq!(lines("a\r\n\tb\u{0}c"), "a\n\tbc");
    }

    #[test]
    fn a_link_cannot_end_itself() {
        assert_eq!(link(Some("https://h/a|b>c")).as_deref(), Some("https://h/a%7Cb%3Ec"));
        assert_eq!(link(Some("javascript:alert(1)")), None);
        assert_eq!(link(None), None);
    }

    #[test]
    fn a_message_of_any_length_fits_and_its_commands_are_whole_or_gone() {
        let mut message = crate::hooks::example::fleet(jiff::Timestamp::UNIX_EPOCH);
        let huge = "\"\\\n<&>🔥".repeat(20_000);
        message.title.clone_from(&huge);
        message.cause.message.clone_from(&huge);
        message.cause.remedy[0].run = Some(huge.clone());
        message.cause.evidence[0].quote.clone_from(&huge);
        for bytes in [60_000, 20_000] {
            let short = shorten(&message, bytes);
            assert!(serde_json::to_string(&short).expect("JSON").len() <= bytes);
            assert_eq!(short.cause.remedy[0].run, None);
            assert!(short.cause.message.ends_with(&more(&message)));
        }
        let small = crate::hooks::example::node(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(shorten(&small, 60_000), small);
    }
}
