//! Opsgenie, Alert API (and Jira Service Management, which takes the same requests): one alert an incident, by its alias.
//!
//! Opsgenie may show texts as HTML: `<` and `>` are written as ‹ and ›.

use nodewhy_diagnosis::model::Severity;
use reqwest::Url;
use serde_json::{Value, json};

use super::parcel::Post;
use super::sign::hash;
use super::template::Texts;
use super::text::{cut, more, one_line};
use super::words;
use crate::message::{Event, Message};
use crate::policy::hooks::{Opsgenie, Responder};

/// The request: create, acknowledge, or close. Creating again counts at the open alert, and leaves a note.
pub(super) fn request(to: &Opsgenie, message: &Message, texts: &Texts, key: &str) -> Result<Post, String> {
    let alias = alias(&message.incident);
    let other = match message.event {
        Event::Resolved | Event::Replaced => Some("close"),
        Event::Acknowledged => Some("acknowledge"),
        Event::Opened | Event::Updated | Event::Repeated | Event::Test => None,
    };
    let post = match other {
        Some(action) => {
            let mut url: Url = to.url.join(&format!("v2/alerts/{alias}/{action}"));
            url.query_pairs_mut().append_pair("identifierType", "alias");
            Post::json(url, &note(message, texts))?
        }
        None => Post::json(to.url.join("v2/alerts"), &create(to, message, texts, &alias))?,
    };
    Ok(post.header("authorization", &format!("GenieKey {key}"), true))
}

fn note(message: &Message, texts: &Texts) -> Value {
    json!({"source": "nodewhy", "user": "nodewhy", "note": plain(&texts.text, 20_000, message)})
}

fn create(to: &Opsgenie, message: &Message, texts: &Texts, alias: &str) -> Value {
    let mut alert = json!({
        "message": plain(&texts.title, 130, message),
        "alias": alias,
        "description": plain(&texts.text, 15_000, message),
        "entity": plain(&one_line(&message.node), 500, message),
        "source": "nodewhy",
        "user": "nodewhy",
        "priority": priority(message.severity),
        "tags": tags(message),
        "details": details(message),
    });
    if !to.responders.is_empty() {
        alert["responders"] = to.responders.iter().take(50).map(responder).collect();
    }
    if message.event != Event::Opened {
        alert["note"] = plain(&format!("{}{}", words::heading(message.event), message.title), 1000, message).into();
    }
    alert
}

fn tags(message: &Message) -> Vec<String> {
    let tags = ["nodewhy".to_owned(), message.cause.code.clone(), words::layer(message.layer), words::kind(message.kind)];
    tags.iter().map(|tag| cut(&one_line(tag), 50, "…")).filter(|tag| !tag.is_empty()).collect()
}

/// At most 8000 characters in all.
fn details(message: &Message) -> Value {
    let all = [
        ("incident", message.incident.clone(), 255),
        ("nodes", words::place(message), 1000),
        ("shared", words::shared(message).unwrap_or_default(), 500),
        ("apart", words::apart(message).unwrap_or_default(), 1000),
        ("evidence", words::proofs(message), 1500),
        ("explains", message.cause.explains.join(", "), 500),
        ("remedy", words::steps(message), 2000),
        ("command", message.command.clone(), 300),
        ("page", message.page.clone().unwrap_or_default(), 500),
    ];
    all.into_iter()
        .filter(|(_, value, _)| !value.is_empty())
        .map(|(name, value, most)| (name.to_owned(), Value::from(plain(&value, most, message))))
        .collect()
}

fn responder(responder: &Responder) -> Value {
    match responder {
        Responder::Team(name) => json!({"type": "team", "name": name}),
        Responder::User(name) => json!({"type": "user", "username": name}),
        Responder::Escalation(name) => json!({"type": "escalation", "name": name}),
        Responder::Schedule(name) => json!({"type": "schedule", "name": name}),
    }
}

fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::Warning => "P3",
        Severity::Info => "P5",
    }
}

/// A path segment that needs no escaping, at most 512 characters.
fn alias(incident: &str) -> String {
    let plain =
        !incident.is_empty() && incident.len() <= 255 && incident.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    if plain { incident.to_owned() } else { hash(incident) }
}

fn plain(text: &str, most: usize, message: &Message) -> String {
    cut(&text.replace('<', "‹").replace('>', "›"), most, &more(message))
}
