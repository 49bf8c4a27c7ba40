//! A Slack incoming webhook: a coloured bar, what and where, the commands to copy.
//!
//! Foreign text is plain text, escaped: no mention, no link, no markup. Limits are counted in bytes after escaping, whatever Slack counts in.

use serde_json::{Value, json};

use super::template::Texts;
use super::text::{cut_by, link, more};
use super::words;
use crate::message::{Event, Message};
use nodewhy_diagnosis::model::Severity;

/// The body.
pub(super) fn body(message: &Message, texts: &Texts) -> Value {
    let more = more(message);
    let mut blocks = Vec::new();
    if texts.own {
        blocks.push(plain(&texts.text, 2900, &more));
    } else {
        structured(message, &more, &mut blocks);
    }
    if let Some(page) = link(message.page.as_deref()) {
        blocks.push(
            json!({"type": "context", "elements": [{"type": "mrkdwn", "text": format!("<{}|Open the page>", page.replace('&', "&amp;"))}]}),
        );
    }
    json!({
        // Without markup: the title has foreign words in it.
        "mrkdwn": false,
        "text": escaped(&texts.title, 500, &more),
        "attachments": [{"color": colour(message), "fallback": escaped(&texts.title, 500, &more), "blocks": blocks}],
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn structured(message: &Message, more: &str, blocks: &mut Vec<Value>) {
    let over = message.event == Event::Resolved;
    let mut fields = vec![field("Where", &words::place(message), more), field("Since", &words::time(message.since), more)];
    if over {
        fields.push(field("Lasted", &words::lasted(message), more));
        if !message.ended_by.is_empty() {
            fields.push(field("What ended it", &message.ended_by, more));
        }
    } else {
        blocks.push(plain(&message.cause.message, 1500, more));
        fields.push(field("Severity", words::severity(message.severity), more));
        if !message.cause.explains.is_empty() {
            fields.push(field("Explains", &message.cause.explains.join(", "), more));
        }
    }
    if let Some(shared) = words::shared(message) {
        fields.push(field("Shared", &shared, more));
    }
    blocks.push(json!({"type": "section", "fields": fields}));
    if let Some(apart) = words::apart(message) {
        blocks.push(plain(&format!("Nodes with their own faults: {apart}"), 1500, more));
    }
    if !over {
        if let Some(proof) = words::proof(message) {
            blocks.push(plain(&format!("Proof: {proof}"), 800, more));
        }
        if let Some(step) = message.cause.remedy.first() {
            blocks.push(plain(&format!("Do first: {}", step.say), 800, more));
            blocks.extend(step.run.as_deref().map(code));
        }
    }
    blocks.push(code(&message.command));
}

fn colour(message: &Message) -> &'static str {
    match (message.event, message.severity) {
        (Event::Resolved, _) => "good",
        (_, Severity::Critical) => "danger",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "#808080",
    }
}

fn plain(text: &str, most: usize, more: &str) -> Value {
    json!({"type": "section", "text": {"type": "plain_text", "text": escaped(text, most, more), "emoji": false}})
}

fn field(name: &str, value: &str, more: &str) -> Value {
    json!({"type": "plain_text", "text": escaped(&format!("{name}\n{value}"), 800, more), "emoji": false})
}

/// A command to copy. One that a code block cannot hold as it is stands as plain text: a changed command is another one.
fn code(run: &str) -> Value {
    if run.contains('`') || run.len() > 1000 {
        return plain(run, 1500, "… (too long for here)");
    }
    json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("```{}```", escaped(run, 1500, "")), "verbatim": true}})
}

/// Not empty, with the three characters escaped that Slack reads.
fn escaped(text: &str, most: usize, more: &str) -> String {
    let weigh = |c| match c {
        '&' => 5,
        '<' | '>' => 4,
        c => c.len_utf8(),
    };
    let text = cut_by(text.trim(), most, more, weigh);
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if text.is_empty() { "-".to_owned() } else { text }
}
