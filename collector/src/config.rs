//! `collector.yaml`. Every key may be left out.
//!
//! A mistake in `retention` costs what it is in and nothing else, and is told. Any other one (a key that nobody knows, `tls`, `listen`,
//! `dataDir`, what is no YAML) ends the start: what was meant to be locked is never opened, nor a new, empty store begun. Whom to tell what is
//! in a file of its own ([`crate::policy`]).

mod lenient;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de};

use crate::own_file;
use crate::store::Keep;

/// Where the configuration is looked for if no other file is named.
pub const DEFAULT_PATH: &str = "/etc/nodewhy/collector.yaml";

/// How long reading it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The collector's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on; off loopback `tls` is needed.
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    /// The one directory for all data.
    pub data_dir: PathBuf,
    /// Certificates.
    pub tls: Option<Tls>,
    /// Whom to tell what; the file at [`crate::policy::DEFAULT_PATH`] if it is there.
    pub alerts_file: Option<PathBuf>,
    /// Where metrics are served, on loopback; none if left out.
    #[serde(deserialize_with = "metrics")]
    pub metrics: Option<SocketAddr>,
    /// What is kept how long.
    pub retention: Retention,
    /// What is left out of `retention`, each with its place.
    #[serde(skip)]
    pub left_out: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7870)),
            data_dir: PathBuf::from("/var/lib/nodewhy-collector"),
            tls: None,
            alerts_file: None,
            metrics: None,
            retention: Retention::default(),
            left_out: Vec::new(),
        }
    }
}

/// What is kept how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retention {
    /// Cases, after they closed.
    #[serde(deserialize_with = "duration")]
    pub closed_cases: Duration,
    /// Closed cases of one node at most.
    pub closed_cases_per_node: u32,
    /// Nodes, after they fell silent.
    #[serde(deserialize_with = "duration")]
    pub silent_nodes: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Retention {
    fn default() -> Self {
        Self { closed_cases: DAY * 90, closed_cases_per_node: 1000, silent_nodes: DAY * 7 }
    }
}

impl From<&Retention> for Keep {
    fn from(retention: &Retention) -> Self {
        Self { cases: retention.closed_cases, cases_per_node: retention.closed_cases_per_node, silent_nodes: retention.silent_nodes }
    }
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom(format!("listen: `{text}` is no address with a port, like 127.0.0.1:7870")))
}

fn metrics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let problem = |_| format!("metrics: `{text}` is no address with a port, like 127.0.0.1:7871; without metrics leave the key out");
    text.parse().map(Some).map_err(|error| de::Error::custom(problem(error)))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    let parsed = parsed.filter(|duration| *duration >= Duration::from_secs(60) && *duration <= DAY * 3660);
    parsed.ok_or_else(|| de::Error::custom(format!("`{text}` has to be a duration of 1m to 87840h (10 years), like 168h")))
}

/// The collector's certificate, and whose clients are let in. PEM; read again when a file changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Certificate with its chain.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// CA of the client certificates.
    #[serde(rename = "clientCAFile")]
    pub client_ca_file: PathBuf,
    /// Names (common or DNS) whose certificates may ask about all nodes. Left out: every certificate that is not a node's may.
    #[serde(default)]
    pub readers: Option<BTreeSet<String>>,
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
    #[error("{}:{line}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 if the whole file is meant.
        line: u64,
        /// What is wrong and what would be right.
        problem: String,
    },
}

const MOVED: &str =
    "hooks, and who is told what, are in a file of their own (alertsFile, /etc/nodewhy/alerts.yaml if it is there): see docs/policy.md";

impl Config {
    /// Reads the file named by the user, or the one at [`DEFAULT_PATH`] if there is one, or takes the defaults.
    ///
    /// # Errors
    /// [`ConfigError`]; a file that the user named has to be there.
    pub fn read(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        match own_file::read_within(path, PATIENCE).and_then(|bytes| String::from_utf8(bytes).map_err(not_text)) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads a configuration's text; `path` is for messages. What the command line may change is looked at by [`Config::validate`].
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |line, problem| ConfigError::Invalid { path: path.to_owned(), line, problem };
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(text).or_else(|error| {
            let line = error.location().map_or(0, |at| at.line());
            let moved = text.lines().position(|line| line.starts_with("alerts:"));
            match moved.filter(|_| error.without_snippet().to_string().contains("alerts")) {
                Some(at) => Err(invalid(at as u64 + 1, MOVED.to_owned())),
                None => lenient::read(path, text, invalid(line, error.without_snippet().to_string())),
            }
        })
    }

    /// Looks at what goes together, once the command line has had its say.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn validate(&self) -> Result<(), String> {
        if !self.listen.ip().is_loopback() && self.tls.is_none() {
            return Err(format!(
                "listen: {} is not on loopback, and there is no tls: add tls: {{certFile, keyFile, clientCAFile}} to the configuration, or \
                 listen on 127.0.0.1",
                self.listen
            ));
        }
        if let Some(metrics) = self.metrics.filter(|address| !address.ip().is_loopback()) {
            return Err(format!(
                "metrics: {metrics} is not on loopback: they are served without TLS, so let a proxy on this machine bring them elsewhere"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("collector.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_written_means_the_defaults() {
        assert_eq!(parse("# nothing\n"), Ok(Config::default()));
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = parse(
            "listen: 0.0.0.0:7870\ndataDir: /d\ntls: {certFile: /c, keyFile: /k, clientCAFile: /ca}\nalertsFile: /a.yaml\nmetrics: 127.0.0.1:9\n",
        )
        .expect("valid");
        assert_eq!((config.alerts_file.as_deref(), config.metrics.map(|address| address.port())), (Some(Path::new("/a.yaml")), Some(9)));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn metrics_that_are_not_written_are_none() {
        for text in ["metrics:\n", "metrics: null\n", "dataDir: /d\n"] {
            assert_eq!(parse(text).expect(text).metrics, None, "{text:?}");
        }
    }

    #[test]
    fn what_may_be_a_weaker_lock_ends_the_start_with_file_and_line() {
        for (text, place, says) in [
            ("listn: x\n", "collector.yaml:1:", "listn"),
            ("# c\nlisten: nowhere\n", "collector.yaml:2:", "listen: `nowhere` is no address with a port, like 127.0.0.1:7870"),
            ("metrics: off\n", "collector.yaml:1:", "metrics: `off` is no address with a port, like 127.0.0.1:7871; without metrics leave"),
            ("# c\nmetrics: none\n", "collector.yaml:2:", "metrics: `none` is no"),
            ("metrics: 7871\nretention: {closedCases: bad}\n", "collector.yaml:1:", "metrics: `7871` is no"),
            ("tls: {certFile: /c}\n", "collector.yaml:1:", "keyFile"),
            ("tls: {certFile: /c, keyFile: /k, clientCAFile: /ca, reders: []}\n", "collector.yaml:1:", "reders"),
            ("retention: {closedCases: bad}\ntsl: {}\n", "collector.yaml:", ""),
            ("retention: [\n", "collector.yaml:", ""),
            ("listen: 127.0.0.1:1\nalerts:\n  webhooks: []\n", "collector.yaml:2:", "alertsFile"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(place) && error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_mistake_in_retention_costs_its_own_place_alone() {
        for (text, place, says) in [
            ("retention:\n  silentNodes: 1s\n", "collector.yaml:2:", "168h"),
            ("retention:\n  silentNods: 100h\n", "collector.yaml:2:", "silentNods"),
        ] {
            let config = parse(&format!("{text}dataDir: /d\n")).expect(text);
            assert_eq!(config.data_dir, PathBuf::from("/d"), "{text:?}");
            let left_out = config.left_out.join("\n");
            assert!(left_out.starts_with(place) && left_out.contains(says), "{text:?}: {left_out}");
            assert_eq!(config.retention, Retention::default(), "{text:?}");
        }
    }

    #[test]
    fn retention_is_read_and_bounded() {
        let config = parse("retention: {closedCases: 24h, silentNodes: 30m, closedCasesPerNode: 10}\n").expect("valid");
        let keep = Keep { cases: DAY, cases_per_node: 10, silent_nodes: Duration::from_secs(1800) };
        assert_eq!(Keep::from(&config.retention), keep);
    }

    #[test]
    fn off_loopback_there_is_no_listening_without_tls() {
        let config = parse("listen: 0.0.0.0:7870\n").expect("read");
        assert!(config.validate().expect_err("refused").contains("not on loopback"));
    }
}
