//! The generic webhook: one message, one POST, in one of three formats.

use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};

use super::alertmanager::{self, Labels};
use super::parcel::Post;
use super::sign::{self, Secret};
use super::words;
use crate::message::{Event, Message};
use crate::policy::hooks::Format;

/// What is the same for all messages of a hook.
pub(super) struct To<'a> {
    pub(super) hook: &'a str,
    pub(super) url: Url,
    pub(super) format: Format,
    pub(super) secrets: &'a [Secret],
}

/// The request for a message. `kept` are the labels by which the receiver knows the incident.
pub(super) fn request(to: To<'_>, message: &Message, kept: Option<&Labels>, now: Timestamp) -> Result<Post, String> {
    let mut post = match to.format {
        Format::Nodewhy => Post::json(to.url, message)?,
        Format::CloudEvents => {
            let post = Post::json(to.url, &cloud_event(message))?;
            Post { content_type: "application/cloudevents+json; charset=utf-8", ..post }
        }
        Format::Alertmanager => Post::json(to.url, &alertmanager::webhook(to.hook, message, kept, now))?,
    };
    post = post.header("idempotency-key", &message.key, false);
    if !to.secrets.is_empty() {
        let (id, second) = (sign::id(&message.key), now.as_second());
        let signature = sign::signature(to.secrets, &id, second, &post.body);
        post = post.header("webhook-id", &id, false);
        post = post.header("webhook-timestamp", &second.to_string(), false).header("webhook-signature", &signature, true);
    }
    Ok(post)
}

/// CloudEvents 1.0, structured mode: `source` and `id` together identify the event, `subject` the incident.
fn cloud_event(message: &Message) -> Value {
    let mut event = json!({
        "specversion": "1.0",
        "id": sign::id(&message.key),
        "source": source(message),
        "type": format!("io.nodewhy.incident.{}", message.event.word()),
        "time": message.at.to_string(),
        "datacontenttype": "application/json",
        "severity": words::severity(message.severity),
        "data": message,
    });
    let subject = super::text::one_line(&message.incident);
    if !subject.is_empty() {
        event["subject"] = subject.into();
    }
    if message.event == Event::Test {
        event["test"] = true.into();
    }
    event
}

/// The collector that speaks: by its page, if it has one.
fn source(message: &Message) -> String {
    let origin = super::text::link(message.page.as_deref()).and_then(|page| Url::parse(&page).ok()).map(|url| url.origin());
    origin.map_or_else(|| "urn:nodewhy:collector".to_owned(), |origin| origin.ascii_serialization())
}
