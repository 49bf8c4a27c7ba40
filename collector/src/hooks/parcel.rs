//! What is sent for a message: ready, with all secrets in it, and never logged.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Ready to be sent.
#[derive(Debug)]
pub(super) enum Parcel {
    /// An HTTP request.
    Post(Post),
    /// A mail.
    Mail(Box<lettre::Message>),
    /// A command's run.
    Run(super::exec::Run),
}

/// A POST.
#[derive(Debug)]
pub(super) struct Post {
    /// Where to.
    pub(super) url: Url,
    /// Beside the content type.
    pub(super) headers: HeaderMap,
    /// Media type of the body.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Post {
    /// JSON.
    pub(super) fn json(url: Url, body: &impl serde::Serialize) -> Result<Self, String> {
        let body = serde_json::to_vec(body).map_err(|error| format!("the body cannot be written: {error}"))?;
        Ok(Self { url, headers: HeaderMap::new(), content_type: "application/json", body })
    }

    /// With one more header; what a header cannot hold is replaced.
    pub(super) fn header(mut self, name: &'static str, value: &str, secret: bool) -> Self {
        let value: String = value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect();
        if let Ok(mut value) = HeaderValue::from_str(&value) {
            value.set_sensitive(secret);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}
