//! `agent.yaml`. Every key may be left out. Its paths are paths as the agent's own process sees them, not beneath `--root`.
//!
//! A file, or a field of it, that cannot be used stops nothing: it is told with its place, and the agent goes on with the rest.

mod fields;
mod node;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::own_file;

/// Where the configuration is looked for if no other file is named.
pub const DEFAULT_PATH: &str = "/etc/nodewhy/agent.yaml";

/// The agent's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The node's name; as the kubelet names it if left out.
    pub node_name: Option<String>,
    /// The agent's own directory, the only place where it writes.
    pub state_dir: PathBuf,
    /// The operator's own causes, `*.yaml`.
    pub causes_dir: PathBuf,
    /// Where to report to; diagnosis goes on without, but nobody hears of it.
    pub collector: Option<Collector>,
    /// Labels of the node, for telling what nodes have in common; they win over those of its Node object.
    pub labels: BTreeMap<String, String>,
    /// How often the agent says that it lives while it has nothing else to say.
    pub heartbeat: Duration,
    /// Changes to checks, by their names.
    pub checks: BTreeMap<String, CheckConfig>,
    /// node-problem-detector's configuration files, or directories of them.
    pub npd_configs: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_name: None,
            state_dir: PathBuf::from("/var/lib/nodewhy-agent"),
            causes_dir: PathBuf::from("/etc/nodewhy/causes.d"),
            collector: None,
            labels: BTreeMap::new(),
            heartbeat: Duration::from_secs(10),
            checks: BTreeMap::new(),
            npd_configs: Vec::new(),
        }
    }
}

/// The collector to report to.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckConfig {
    /// False: this check is left out, and what it would report stays unknown.
    pub enabled: Option<bool>,
    /// From the begin of one look to the begin of the next.
    pub period: Option<Duration>,
    /// Longest time a look may take.
    pub deadline: Option<Duration>,
}

/// Something of the configuration that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1; 0 if the whole file is meant.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, problem } = self;
        match line {
            0 => write!(f, "{}: {problem}", path.display()),
            _ => write!(f, "{}:{line}:{column}: {problem}", path.display()),
        }
    }
}

impl Config {
    /// Reads the file named by the user, or the one at [`DEFAULT_PATH`] if there is one, or takes the defaults. Gives what of it is not
    /// used, too: a file that the user named and that is not there among it, or that cannot be had within `patience`.
    pub fn read(named: Option<&Path>, patience: Duration) -> (Self, Vec<Problem>) {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        match own_file::read_within(path, patience).and_then(|bytes| String::from_utf8(bytes).map_err(not_text)) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => (Self::default(), Vec::new()),
            Err(error) => {
                let problem = format!("cannot read the configuration, the defaults hold: {error}");
                (Self::default(), vec![Problem { path: path.to_owned(), line: 0, column: 0, problem }])
            }
        }
    }

    /// Reads a configuration's text; `path` is for messages.
    pub fn parse(path: &Path, text: &str) -> (Self, Vec<Problem>) {
        fields::read(path, text)
    }
}

impl Collector {
    fn validate(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        if self.address.is_empty() {
            return wrong("collector", "address is missing: it says where to report to");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Config, Vec<String>) {
        let (config, problems) = Config::parse(Path::new("agent.yaml"), text);
        (config, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_written_means_the_defaults() {
        for text in ["", "\n# nothing\n", "{}", "collector:\nchecks:\nnodeName:\n"] {
            assert_eq!(parse(text), (Config::default(), vec![]), "{text:?}");
        }
    }

    #[test]
    fn a_whole_file_is_read() {
        let (config, problems) = parse(
            "nodeName: worker-1\nstateDir: /s\ncausesDir: /c\ncollector:\n  address: https://c:7870\n  caFile: /ca\n  certFile: /cert\n  keyFile: /key\n  serverName: name\nheartbeat: 2s\nchecks: {disk: {period: 30s, deadline: 5s, enabled: true}}\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!((config.node_name.as_deref(), config.state_dir.as_path()), (Some("worker-1"), Path::new("/s")));
        assert_eq!(config.heartbeat, Duration::from_secs(2));
        let collector = config.collector.expect("there");
        assert_eq!((collector.server_name.as_deref(), collector.key_file.as_deref()), (Some("name"), Some(Path::new("/key"))));
        let (enabled, [period, deadline]) = (Some(true), [30, 5].map(|seconds| Some(Duration::from_secs(seconds))));
        assert_eq!(config.checks["disk"], CheckConfig { enabled, period, deadline });
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_what_would_be_right() {
        for (text, place, says) in [
            ("nodeNam: x\n", "agent.yaml:1:1:", "nodeNam"),
            ("# c\nheartbeat: soon\n", "agent.yaml:2:12:", "10s"),
            ("heartbeat: 1ms\n", "agent.yaml:1:", "out of range"),
            ("heartbeat: [1]\n", "agent.yaml:1:", "a list"),
            ("heartbeat: 10\n", "agent.yaml:1:12:", "has to be a length of time with its unit, like 500ms, 10s or 2m; it is a number"),
            ("collector:\n  address: http://10.0.0.1:7870\n", "agent.yaml:2:", "https"),
            ("collector:\n  address: ftp://h\n", "agent.yaml:2:", "http://"),
            ("collector:\n  address: https://h:1\n", "agent.yaml:1:", "caFile"),
            ("collector:\n  address: https://h:1\n  caFile: /a\n  certFile: /b\n", "agent.yaml:1:", "keyFile"),
            ("collector: {caFile: /a}\n", "agent.yaml:1:", "address"),
            ("checks:\n  no-such-check: {period: 1s}\n", "agent.yaml:2:3:", "no-such-check"),
            ("checks: {disk: {perod: 1s}}\n", "agent.yaml:1:17:", "checks.disk.perod"),
            ("checks: {disk: {period: 1ms}}\n", "agent.yaml:1:", "100ms"),
            ("nodeName: [1, 2\n", "agent.yaml:", ""),
            ("nodeName: ''\n", "agent.yaml:1:", "253"),
            ("nodeName: 7\n", "agent.yaml:1:", "quotes"),
            ("nodeName: ../../x\n", "agent.yaml:1:", "`../../x` is no name of a node: lower case letters"),
            ("nodeName: Worker-1\n", "agent.yaml:1:", "`Worker-1` is no name of a node"),
            ("nodeName: worker-\n", "agent.yaml:1:", "letter or digit"),
            ("labels: [a]\n", "agent.yaml:1:", "keys with values"),
            ("labels:\n  rack: [1]\n", "agent.yaml:2:", "a list"),
            ("labels:\n  'two words': x\n", "agent.yaml:2:", "two words"),
            ("- a\n- b\n", "agent.yaml:1:", "keys with values"),
        ] {
            let (config, problems) = parse(text);
            assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
            assert!(problems[0].starts_with(place) && problems[0].contains(says), "{text:?}: {problems:?}");
            assert_eq!(Config { checks: BTreeMap::new(), ..config }, Config::default(), "{text:?}");
        }
    }

    #[test]
    fn a_bad_field_takes_no_other_with_it() {
        let (config, problems) = parse(
            "nodeName: worker-1\nheartbeat: soon\ncollector:\n  address: http://127.0.0.1:7870\n  serverNam: x\nchecks:\n  disk: {period: 30s, deadlin: 5s}\n  dsk: {}\n",
        );
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!((config.node_name.as_deref(), config.heartbeat), (Some("worker-1"), Duration::from_secs(10)));
        assert_eq!(config.collector.map(|collector| collector.address).as_deref(), Some("http://127.0.0.1:7870"));
        assert_eq!(config.checks["disk"].period, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_no_yaml_takes_its_own_key_with_it_and_no_other() {
        for broken in ["checks: {disk: {period: 30s\n", "checks:\n   disk: {}\n  swap: {}\n", "collector: 'x\n"] {
            let (config, problems) = parse(&format!("nodeName: worker-1\n{broken}"));
            assert!(!problems.is_empty() && problems[0].starts_with("agent.yaml:"), "{broken}: {problems:?}");
            assert_eq!(config.node_name.as_deref(), Some("worker-1"), "{broken}: {problems:?}");
        }
        let (config, problems) = parse("a: 1\r\rb: ]\rnodeName: worker-1\r\n");
        assert!(problems[0].starts_with("agent.yaml:3:") && config.node_name.as_deref() == Some("worker-1"), "{problems:?}");
        let (config, problems) = parse("\u{1}\t{{{[[");
        assert!(!problems.is_empty() && config == Config::default(), "{problems:?}");
    }

    #[test]
    fn a_named_file_that_is_not_there_is_told_and_the_defaults_hold() {
        let (config, problems) = Config::read(Some(Path::new("/nonexistent/agent.yaml")), Duration::from_secs(30));
        assert_eq!(config, Config::default());
        assert!(problems[0].to_string().starts_with("/nonexistent/agent.yaml: cannot read"), "{problems:?}");
    }
}
