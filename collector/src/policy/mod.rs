//! `alerts.yaml`: whom to tell what. Parsed with lines, reloaded without restart; see ARCHITECTURE.md, "From cases to messages", and
//! docs/policy.md.

mod decode;
mod file;
mod glob;
pub mod hooks;
mod maintenance;
pub(crate) mod matching;
mod read;
mod routes;
mod silence;
mod watch;
mod yaml;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use glob::Glob;
pub use hooks::HookConfig;
pub use maintenance::{Every, Maintenance, When};
pub(crate) use matching::word;
pub use matching::{Differs, Match, Subject};
pub(crate) use read::short;
pub use routes::Route;
pub use silence::{LONGEST, Silence, Silences, parse_matchers};
pub use watch::{Loaded, Watcher};

/// Where the policy is looked for if no other file is named.
pub const DEFAULT_PATH: &str = "/etc/nodewhy/alerts.yaml";
/// A larger file is refused.
pub const MAX_FILE: usize = 1 << 20;

/// Whom to tell what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who can be told.
    pub hooks: Vec<Arc<HookConfig>>,
    /// Who is told what; never empty if there are hooks.
    pub routes: Vec<Route>,
    /// When what is not told.
    pub maintenance: Vec<Maintenance>,
    /// How much a hook is told.
    pub rate_cap: RateCap,
    /// When what comes and goes is told once only.
    pub flap: Flap,
    /// In which words.
    pub templates: Templates,
    /// Where people find the collector's pages; without a slash at its end.
    pub external_url: Option<String>,
    /// What may not be meant as it is written; it holds all the same.
    pub notes: Vec<PolicyError>,
}

/// So many messages to one hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateCap {
    /// At most.
    pub messages: usize,
    /// In this time, whenever it begins.
    pub within: Duration,
}

impl Default for RateCap {
    fn default() -> Self {
        Self { messages: 30, within: Duration::from_secs(60) }
    }
}

/// What comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flap {
    /// An incident that opened so often, the first time counted, is flapping: told as such, and not as over at once. 0: none is.
    pub openings: usize,
    /// So often in this time; and a case that comes back within it makes its incident open again.
    pub within: Duration,
    /// What is flapping is over after so long a quiet.
    pub quiet: Duration,
}

impl Default for Flap {
    fn default() -> Self {
        Self { openings: 3, within: Duration::from_secs(600), quiet: Duration::from_secs(300) }
    }
}

/// Templates over a message; without them the words are nodewhy's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates {
    /// Of the one line.
    pub title: Option<String>,
    /// Of the whole.
    pub text: Option<String>,
}

impl Default for Policy {
    /// Nobody is told anything: there are no hooks.
    fn default() -> Self {
        Self {
            hooks: Vec::new(),
            routes: Vec::new(),
            maintenance: Vec::new(),
            rate_cap: RateCap::default(),
            flap: Flap::default(),
            templates: Templates::default(),
            external_url: None,
            notes: Vec::new(),
        }
    }
}

impl Policy {
    /// Reads a policy's text; `path` is for messages.
    ///
    /// # Errors
    /// All mistakes, in the order of their places.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Vec<PolicyError>> {
        file::parse(path, text)
    }

    /// Reads a policy's bytes.
    ///
    /// # Errors
    /// All mistakes; a file that is too large or no UTF-8 has one.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Vec<PolicyError>> {
        file::from_bytes(path, bytes)
    }

    /// The hook of this name.
    pub fn hook(&self, name: &str) -> Option<&Arc<HookConfig>> {
        self.hooks.iter().find(|hook| hook.name == name)
    }

    /// Names of all hooks.
    pub fn hook_names(&self) -> impl Iterator<Item = &str> {
        self.hooks.iter().map(|hook| &*hook.name)
    }

    /// The routes that an incident takes, if `about` says which matches are about it: the first, and those after it while they go on.
    pub fn taken(&self, mut about: impl FnMut(&Match) -> bool) -> Vec<&Route> {
        let mut taken = Vec::new();
        for route in &self.routes {
            if about(&route.matches) {
                taken.push(route);
                if !route.goes_on {
                    break;
                }
            }
        }
        taken
    }
}

/// A mistake in a file beside the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Line, from 1; 0 if the whole file is meant.
    pub(crate) line: u64,
    /// Column, from 1.
    pub(crate) column: u64,
    /// What is wrong and what would be right.
    pub(crate) problem: String,
}

/// Reads another YAML (or JSON) file as strictly as the policy.
pub(crate) fn read_as<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    let mistake = |(at, problem): (yaml::Place, String)| Mistake { line: at.line, column: at.column, problem };
    let node = yaml::Node::parse(text).map_err(mistake)?;
    let node = node.ok_or_else(|| Mistake { line: 0, column: 0, problem: "there is nothing in it".to_owned() })?;
    decode::decode(&node).map_err(mistake)
}

/// A mistake in a policy file, or a remark about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PolicyError {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1; 0 if the whole file is meant.
    pub line: u64,
    /// Column, from 1; 0 if the whole line or file is meant.
    pub column: u64,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, problem } = self;
        match line {
            0 => write!(formatter, "{}: {problem}", path.display()),
            _ => write!(formatter, "{}:{line}:{column}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for PolicyError {}

#[cfg(test)]
mod tests;
