//! The generic webhook: one message, one POST.

use reqwest::RequestBuilder;

use crate::store::Due;

/// The request for a message.
pub(super) fn request(client: &reqwest::Client, url: &str, due: &Due) -> RequestBuilder {
    let request = client.post(url).header("content-type", "application/json").header("idempotency-key", &due.key);
    request.body(due.message.clone())
}
