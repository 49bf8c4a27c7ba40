//! What can be used of a file in which something of `retention` cannot.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::{Config, ConfigError, Retention, Tls};

/// A value, or where it stands and why it is none.
#[derive(Debug)]
enum Lenient<T> {
    Good(T),
    Bad { at: Location, problem: String },
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced: at, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(match T::deserialize(value) {
            Ok(good) => Self::Good(good),
            Err(error) => Self::Bad { at, problem: error.to_string() },
        })
    }
}

/// The file with the same strictness as ever, but for one key.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Outer {
    #[serde(deserialize_with = "super::listen")]
    listen: SocketAddr,
    data_dir: PathBuf,
    tls: Option<Tls>,
    alerts_file: Option<PathBuf>,
    #[serde(deserialize_with = "super::metrics")]
    metrics: Option<SocketAddr>,
    retention: Option<Value>,
}

impl Default for Outer {
    fn default() -> Self {
        let Config { listen, data_dir, .. } = Config::default();
        Self { listen, data_dir, tls: None, alerts_file: None, metrics: None, retention: None }
    }
}

/// Keys that nobody knows are told by the strict reading.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inner {
    retention: LooseRetention,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LooseRetention {
    closed_cases: Option<Lenient<Period>>,
    closed_cases_per_node: Option<Lenient<u32>>,
    silent_nodes: Option<Lenient<Period>>,
}

#[derive(Deserialize)]
struct Period(#[serde(deserialize_with = "super::duration")] std::time::Duration);

/// `strict` is what the strict reading said; it stands where this cannot do better.
pub(super) fn read(path: &Path, text: &str, strict: ConfigError) -> Result<Config, ConfigError> {
    let Ok(Outer { listen, data_dir, tls, alerts_file, metrics, retention }) = serde_saphyr::from_str::<Outer>(text) else {
        return Err(strict);
    };
    // Of another form altogether: nothing of it can be used.
    let object = |value: &Option<Value>| value.as_ref().is_none_or(|value| value.is_object() || value.is_null());
    let inner = if object(&retention) { serde_saphyr::from_str::<Inner>(text).ok() } else { None };
    let Inner { retention } = inner.unwrap_or_default();
    let mut reader = Reader { path, problems: Vec::new() };
    let mut keep = Retention::default();
    keep.closed_cases = reader.take("retention.closedCases", retention.closed_cases).map_or(keep.closed_cases, |Period(time)| time);
    keep.silent_nodes = reader.take("retention.silentNodes", retention.silent_nodes).map_or(keep.silent_nodes, |Period(time)| time);
    let per_node = reader.take("retention.closedCasesPerNode", retention.closed_cases_per_node);
    keep.closed_cases_per_node = per_node.unwrap_or(keep.closed_cases_per_node);
    if reader.problems.is_empty() {
        reader.problems.push(strict.to_string());
    }
    Ok(Config { listen, data_dir, tls, alerts_file, metrics, retention: keep, left_out: reader.problems })
}

struct Reader<'a> {
    path: &'a Path,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn take<T>(&mut self, what: &str, value: Option<Lenient<T>>) -> Option<T> {
        match value? {
            Lenient::Good(value) => Some(value),
            Lenient::Bad { at, problem } => {
                self.problems.push(format!("{}:{}: {what}: {problem}; it is left out", self.path.display(), at.line()));
                None
            }
        }
    }
}
