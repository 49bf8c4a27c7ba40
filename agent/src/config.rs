//! `agent.yaml`. Every key may be left out. Its paths are paths as the agent's own process sees them, not beneath `--root`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de};

/// Where the configuration is looked for if no other file is named.
pub const DEFAULT_PATH: &str = "/etc/nodewhy/agent.yaml";

/// The agent's configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The node's name; as the kubelet names it if left out.
    pub node_name: Option<String>,
    /// The agent's own directory, the only place where it writes.
    pub state_dir: PathBuf,
    /// The operator's own causes, `*.yaml`.
    pub causes_dir: PathBuf,
    /// Where to report to; diagnosis goes on without, but nobody hears of it.
    pub collector: Option<Collector>,
    /// How often the agent says that it lives while it has nothing else to say.
    #[serde(deserialize_with = "duration")]
    pub heartbeat: Duration,
    /// Changes to checks, by their names.
    pub checks: BTreeMap<String, CheckConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_name: None,
            state_dir: PathBuf::from("/var/lib/nodewhy-agent"),
            causes_dir: PathBuf::from("/etc/nodewhy/causes.d"),
            collector: None,
            heartbeat: Duration::from_secs(10),
            checks: BTreeMap::new(),
        }
    }
}

/// The collector to report to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Collector {
    /// `http://127.0.0.1:7870`, or `https://...` elsewhere than on loopback.
    pub address: String,
    /// The CA that signed the collector's certificate, PEM.
    pub ca_file: Option<PathBuf>,
    /// Client certificate, PEM; read again at every connection.
    pub cert_file: Option<PathBuf>,
    /// Its key, PEM; may be the same file.
    pub key_file: Option<PathBuf>,
    /// Name that the collector's certificate has to bear; the address' host if left out.
    pub server_name: Option<String>,
}

/// A check set otherwise than it comes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CheckConfig {
    /// False: this check is left out, and what it would report stays unknown.
    pub enabled: Option<bool>,
    /// From the begin of one look to the begin of the next.
    #[serde(deserialize_with = "optional_duration")]
    pub period: Option<Duration>,
    /// Longest time a look may take.
    #[serde(deserialize_with = "optional_duration")]
    pub deadline: Option<Duration>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot read the configuration: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not as it has to be.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 if the whole file is meant.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Config {
    /// Reads the file named by the user, or the one at [`DEFAULT_PATH`] if there is one, or takes the defaults.
    ///
    /// # Errors
    /// [`ConfigError`]; a file that the user named has to be there.
    pub fn read(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads a configuration's text; `path` is for messages.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |line, column, problem| ConfigError::Invalid { path: path.to_owned(), line, column, problem };
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let config: Self = serde_saphyr::from_str(text).map_err(|error| {
            let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
            invalid(line, column, error.without_snippet().to_string())
        })?;
        config.validate().map_err(|(key, problem)| {
            let line = text.lines().position(|line| line.trim_start().starts_with(&format!("{key}:"))).map_or(0, |n| n as u64 + 1);
            invalid(line, 1, format!("{key}: {problem}"))
        })?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, problem: String| Err((key.to_owned(), problem));
        if self.heartbeat < Duration::from_millis(100) || self.heartbeat > Duration::from_secs(3600) {
            return wrong("heartbeat", format!("{:?} is out of range: 100ms to 1h", self.heartbeat));
        }
        if self.node_name.as_deref().is_some_and(|name| name.is_empty() || name.len() > 253) {
            return wrong("nodeName", "has to have 1 to 253 characters".into());
        }
        for (name, check) in &self.checks {
            if !crate::checks::ALL.iter().any(|known| known.name == name) {
                let known: Vec<_> = crate::checks::ALL.iter().map(|check| check.name).collect();
                return wrong(name, format!("there is no check of this name; there are: {}", known.join(", ")));
            }
            if [check.period, check.deadline].iter().flatten().any(|time| *time < Duration::from_millis(100)) {
                return wrong(name, "period and deadline have to be 100ms at least: the agent is a guest on the node".into());
            }
        }
        self.collector.as_ref().map_or(Ok(()), Collector::validate)
    }
}

impl Collector {
    fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        let Ok(url) = reqwest::Url::parse(&self.address) else {
            return wrong("address", "is not a URL: it has to be like http://127.0.0.1:7870 or https://HOST:7870");
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match url.scheme() {
            "https" if self.ca_file.is_none() => {
                wrong("collector", "caFile is missing: it says which CA signed the collector's certificate")
            }
            "https" if self.cert_file.is_some() != self.key_file.is_some() => {
                wrong("collector", "certFile and keyFile go together: one is missing")
            }
            "http" if !loopback => wrong("address", "http is for loopback only: use https:// with caFile, certFile and keyFile"),
            "http" | "https" => Ok(()),
            _ => wrong("address", "has to begin with http:// or https://"),
        }
    }
}

fn parse_duration<E: de::Error>(text: &str) -> Result<Duration, E> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| E::custom(format!("`{text}` is no duration: it has to be like 500ms, 10s or 2m")))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?)
}

fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|text| parse_duration(&text)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("agent.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_written_means_the_defaults() {
        for text in ["", "\n# nothing\n", "{}"] {
            assert_eq!(parse(text), Ok(Config::default()), "{text:?}");
        }
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = parse(
            "nodeName: worker-1\nstateDir: /s\ncausesDir: /c\ncollector:\n  address: https://c:7870\n  caFile: /ca\n  certFile: /cert\n  keyFile: /key\n  serverName: name\nheartbeat: 2s\n",
        )
        .expect("valid");
        assert_eq!(config.node_name.as_deref(), Some("worker-1"));
        assert_eq!(config.heartbeat, Duration::from_secs(2));
        assert_eq!(config.collector.expect("there").server_name.as_deref(), Some("name"));
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_what_would_be_right() {
        for (text, place, says) in [
            ("nodeNam: x\n", "agent.yaml:1:", "nodeNam"),
            ("# c\nheartbeat: soon\n", "agent.yaml:2:", "10s"),
            ("heartbeat: 1ms\n", "agent.yaml:1:", "out of range"),
            ("collector:\n  address: http://10.0.0.1:7870\n", "agent.yaml:2:", "https"),
            ("collector:\n  address: ftp://h\n", "agent.yaml:2:", "http://"),
            ("collector:\n  address: https://h:1\n", "agent.yaml:1:", "caFile"),
            ("collector:\n  address: https://h:1\n  caFile: /a\n  certFile: /b\n", "agent.yaml:1:", "keyFile"),
            ("collector: {}\n", "agent.yaml:1:", "address"),
            ("checks:\n  no-such-check: {period: 1s}\n", "agent.yaml:2:", "no-such-check"),
            ("nodeName: [1, 2\n", "agent.yaml:", ""),
            ("nodeName: ''\n", "agent.yaml:1:", "253"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(place) && error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_named_file_has_to_be_there() {
        let error = Config::read(Some(Path::new("/nonexistent/agent.yaml"))).expect_err("not there").to_string();
        assert!(error.starts_with("/nonexistent/agent.yaml: cannot read"), "{error}");
    }
}
