//! The values in a hook's configuration, each looked at where it stands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;
use serde::{Deserialize, Deserializer, de};

/// A `http://` or `https://` URL. What is shown of it is no more than scheme and host: the rest may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// This URL with more path behind it.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{}", self.0.path().trim_end_matches('/'), path));
        url
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        write!(formatter, "{}://{}{port}/...", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        // What stands there may be a secret: it is not repeated.
        let url = url.ok_or("has to be an http:// or https:// URL, like https://hooks.example.org/x")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user or password in it: put `Authorization: Basic ...` into headersFile".to_owned());
        }
        Ok(Self(url))
    }
}

impl<'de> Deserialize<'de> for HttpUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[allow(clippy::expect_used, reason = "constants, tested")]
fn known(url: &str) -> HttpUrl {
    url.parse().expect("a URL")
}

/// PagerDuty's own address.
pub(super) fn pagerduty() -> HttpUrl {
    known("https://events.pagerduty.com/v2/enqueue")
}

/// Opsgenie's own address.
pub(super) fn opsgenie() -> HttpUrl {
    known("https://api.opsgenie.com")
}

/// A mail server: `smtp://HOST[:PORT]` (587; STARTTLS, but to this machine) or `smtps://HOST[:PORT]` (465; TLS from the first byte).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is spoken to.
    pub security: SmtpSecurity,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, which the server has to offer.
    StartTls,
    /// On this machine alone: STARTTLS is used if a CA is named.
    Loopback,
}

impl fmt::Display for SmtpServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.security == SmtpSecurity::Tls { "smtps" } else { "smtp" };
        write!(formatter, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl FromStr for SmtpServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host());
        let url = url.ok_or("has to be smtp://HOST:PORT or smtps://HOST:PORT, like smtp://mail.example.org:587")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a user or password in the address: put them into usernameFile and passwordFile".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("has to end behind the port".to_owned());
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let (security, port) = match (url.scheme(), loopback) {
            ("smtps", _) => (SmtpSecurity::Tls, 465),
            (_, true) => (SmtpSecurity::Loopback, 25),
            (_, false) => (SmtpSecurity::StartTls, 587),
        };
        Ok(Self { host, port: url.port().unwrap_or(port), security })
    }
}

impl<'de> Deserialize<'de> for SmtpServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A mail address, with or without a name: `ops@example.org`, `Operations <ops@example.org>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox(pub lettre::message::Mailbox);

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let good = text.parse().map_err(|error| {
            de::Error::custom(format!("`{text}` is no mail address, like ops@example.org or Operations <ops@example.org>: {error}"))
        })?;
        Ok(Self(good))
    }
}

pub(super) fn receivers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Mailbox>, D::Error> {
    let all = Vec::<Mailbox>::deserialize(deserializer)?;
    if all.is_empty() { Err(de::Error::custom("needs one receiver at least")) } else { Ok(all) }
}

pub(super) fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    let Some(program) = command.first() else { return Err(de::Error::custom("has to be [PROGRAM, ARGUMENT, ...]")) };
    if !Path::new(program).is_absolute() {
        return Err(de::Error::custom(format!(
            "`{program}` has to be an absolute path: it is not looked for in PATH, and there is no shell"
        )));
    }
    if command.iter().any(|word| word.contains('\0')) {
        return Err(de::Error::custom("there is a NUL in it, which no program can be given"));
    }
    Ok(command)
}

/// How long a command may take if nothing is said.
pub(super) fn patience() -> Duration {
    Duration::from_secs(10)
}

pub(super) fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    let parsed = parsed.filter(|duration| *duration >= Duration::from_secs(1) && *duration <= Duration::from_secs(600));
    parsed.ok_or_else(|| de::Error::custom(format!("`{text}` has to be a duration of 1s to 10m, like 10s")))
}

/// The URL itself is taken for the name of its file all too easily; and names of files are shown, which a secret must not be.
pub(super) fn url_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = String::deserialize(deserializer)?;
    if path.contains("://") {
        return Err(de::Error::custom("has to be the path of a file that holds the URL: the URL is a secret, and does not stand here"));
    }
    Ok(path.into())
}
