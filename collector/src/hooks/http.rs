//! POSTs, and what their answers mean.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Response};

use super::deliver::{Blame, Failure};
use super::parcel::Post;
use super::text::one_line;

/// How long a hook may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest pause that a hook may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Bytes of an answer that are looked at.
const WORDS: usize = 300;

/// A client that is made anew when the CA file changes.
#[derive(Debug, Default)]
pub(super) struct Http {
    ca_file: Option<PathBuf>,
    made: Mutex<Option<(Stamp, bool, Client)>>,
}

/// By what a change of a file is noticed.
type Stamp = Option<(SystemTime, u64)>;

impl Http {
    /// Trusting the CA of a file, or the machine's.
    pub(super) fn new(ca_file: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { ca_file, made: Mutex::default() })
    }

    /// Looks whether a client can be made, before one is needed.
    pub(super) fn try_out(&self, secure: bool) -> Result<(), String> {
        self.client(secure).map(drop)
    }

    /// Sends, and gives the beginning of what a hook that took it said.
    pub(super) async fn post(self: Arc<Self>, post: Post) -> Result<String, Failure> {
        let secure = post.url.scheme() == "https";
        // The machine's certificates are many files.
        let client = tokio::task::spawn_blocking(move || self.client(secure)).await.map_err(|error| error.to_string());
        let client = client.and_then(|client| client).map_err(|words| Failure { words, blame: Blame::Away })?;
        let mut request = client.post(post.url).headers(post.headers).body(post.body);
        request = request.header(CONTENT_TYPE, post.content_type);
        let response = request.send().await.map_err(|error| {
            let blame = if error.is_connect() { Blame::Away } else { Blame::Trouble };
            Failure { words: chain(&error.without_url()), blame }
        })?;
        judge(response).await
    }

    fn client(&self, secure: bool) -> Result<Client, String> {
        let stamp = self.ca_file.as_deref().and_then(stamp);
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, for_secure, client)) = &*made
            && *at == stamp
            && *for_secure >= secure
        {
            return Ok(client.clone());
        }
        let client = build(self.ca_file.as_deref(), secure)?;
        *made = Some((stamp, secure, client.clone()));
        Ok(client)
    }
}

fn stamp(path: &Path) -> Stamp {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn build(ca_file: Option<&Path>, secure: bool) -> Result<Client, String> {
    let mut client = Client::builder()
        .timeout(PATIENCE)
        .connect_timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("nodewhy-collector/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca_file {
        client = client.tls_certs_only(authorities(path)?);
    } else if !secure {
        // Trusts nobody, needs nobody: a machine without CA certificates (a slim image) can call plain hooks.
        client = client.tls_certs_only([]);
    }
    client.build().map_err(|error| {
        format!("cannot make an HTTPS client: {}; are there CA certificates (package ca-certificates)? caFile names others", chain(&error))
    })
}

/// The certificates of a PEM file.
fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let failed = |reason: String| format!("cannot use caFile {}: {reason}", path.display());
    let bytes = crate::own_file::read(path).map_err(|error| failed(error.to_string()))?;
    match Certificate::from_pem_bundle(&bytes) {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(failed("there is no certificate in it (PEM is needed)".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

async fn judge(response: Response) -> Result<String, Failure> {
    let status = response.status();
    let pause = pause(response.headers());
    let body = beginning(response).await;
    if status.is_success() {
        return Ok(body);
    }
    let blame = match status.as_u16() {
        // Others would fare no better.
        429 => Blame::Limited(pause),
        503 if pause.is_some() => Blame::Limited(pause),
        408 | 500.. => Blame::Trouble,
        _ => Blame::Refused,
    };
    let hint = if status.is_redirection() { " (redirects are not followed)" } else { "" };
    Err(Failure { words: format!("HTTP {status}{hint}: {}", one_line(&body)), blame })
}

/// How long a hook wants to be left alone. Opsgenie says it in a header of its own.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str| text.parse::<u64>().ok().map(Duration::from_secs);
    let after = text(RETRY_AFTER.as_str());
    // RFC 9110 10.2.3: seconds, or a date.
    let date = |text: &str| {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or(Duration::ZERO))
    };
    let asked = after.and_then(|text| seconds(text).or_else(|| date(text)));
    asked.or_else(|| text("x-ratelimit-period-in-sec").and_then(seconds)).map(|pause| pause.min(LONGEST_PAUSE))
}

/// The first words of an answer, however long it is.
async fn beginning(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < WORDS
        && let Ok(Some(more)) = response.chunk().await
    {
        bytes.extend_from_slice(&more);
    }
    String::from_utf8_lossy(&bytes).chars().take(WORDS).collect()
}

/// An error with its reasons.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &'static str, value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header"));
        pause(&headers)
    }

    #[test]
    fn a_hook_may_ask_for_a_pause_of_an_hour_at_most() {
        assert_eq!(asked("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("retry-after", "86400"), Some(LONGEST_PAUSE));
        assert_eq!(asked("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("x-ratelimit-period-in-sec", "60"), Some(Duration::from_secs(60)));
        assert_eq!(asked("retry-after", "soon"), None);
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_told_by_name_and_a_mended_one_is_taken() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.crt");
        let http = Http::new(Some(path.clone()));
        for (text, says) in [(None, "No such file"), (Some("noise"), "no certificate in it")] {
            if let Some(text) = text {
                std::fs::write(&path, text).expect("written");
            }
            let error = http.try_out(true).expect_err("refused");
            assert!(error.contains("cannot use caFile") && error.contains(says), "{error}");
        }
    }
}
