//! A webhook of a Microsoft Teams workflow: a message with one Adaptive Card.
//!
//! Foreign text stands in `TextRun`s, which read no markup; `TextBlock` and facts would read Markdown and functions.

use nodewhy_diagnosis::model::Severity;
use serde_json::{Value, json};

use super::template::Texts;
use super::text::{cut, link, more};
use crate::message::{Event, Message};

/// Bytes of the whole body; Microsoft says "approximately 28 KB".
const MOST: usize = 27_000;

/// The body.
pub(super) fn body(message: &Message, texts: &Texts) -> Value {
    let mut longest = 2000;
    loop {
        let body = card(message, texts, longest);
        if longest < 50 || body.to_string().len() <= MOST {
            return body;
        }
        longest /= 2;
    }
}

fn card(message: &Message, texts: &Texts, longest: usize) -> Value {
    let more = more(message);
    let title = run(&texts.title, longest.min(500), &more, &[("weight", "Bolder"), ("size", "Medium")]);
    let mut items = vec![json!({"type": "Container", "style": style(message), "bleed": true, "items": [rich(vec![title])]})];
    for line in texts.text.lines().filter(|line| !line.trim().is_empty()).take(40) {
        items.push(rich(pieces(line, !texts.own, longest, &more)));
    }
    if !texts.own
        && message.event != Event::Resolved
        && let Some(command) = message.cause.remedy.first().and_then(|step| step.run.as_deref()).filter(|command| command.len() <= longest)
    {
        items.push(rich(vec![run(command, longest, &more, &[("fontType", "Monospace")])]));
    }
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": items,
    });
    if let Some(page) = link(message.page.as_deref()) {
        content["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open the page", "url": page}]);
    }
    json!({
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": content}],
    })
}

/// A line; of ours the word before the colon is bold.
fn pieces(line: &str, labelled: bool, longest: usize, more: &str) -> Vec<Value> {
    const LABELS: [&str; 10] =
        ["Where", "Shared", "Since", "Proof", "Explains", "Do first", "Nodes with their own faults", "More", "What ended it", "It was"];
    match line.split_once(": ") {
        Some((label, rest)) if labelled && LABELS.contains(&label) && !rest.is_empty() => {
            vec![run(&format!("{label}: "), longest, more, &[("weight", "Bolder")]), run(rest, longest, more, &[])]
        }
        _ => vec![run(line, longest, more, &[])],
    }
}

fn rich(inlines: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str, longest: usize, more: &str, looks: &[(&str, &str)]) -> Value {
    let text = cut(text, longest, more);
    let mut run = json!({"type": "TextRun", "text": if text.is_empty() { "-" } else { &text }});
    for (name, value) in looks {
        run[*name] = (*value).into();
    }
    run
}

fn style(message: &Message) -> &'static str {
    match (message.event, message.severity) {
        (Event::Resolved, _) => "good",
        (_, Severity::Critical) => "attention",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "emphasis",
    }
}
