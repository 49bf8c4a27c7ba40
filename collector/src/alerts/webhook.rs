//! The generic webhook: one message, one POST.

use reqwest::RequestBuilder;

/// The request for a message.
pub(super) fn request(client: &reqwest::Client, url: &str, key: &str, message: &str) -> RequestBuilder {
    // A key holds a node's name and a cause's code; what an own cause's code may hold beyond a header's characters is in the body.
    let header: String = key.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    client.post(url).header("content-type", "application/json").header("idempotency-key", header).body(message.to_owned())
}
