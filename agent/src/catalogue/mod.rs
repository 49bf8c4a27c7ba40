//! The catalogue as this agent uses it: the built-in causes, those of the admin's own directory, and node-problem-detector's rules.

mod own;
mod reload;
mod shelf;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::{Catalogue, LoadError};
use serde::Serialize;

use crate::npd;

pub use own::read;
pub use reload::follow;
pub use shelf::{Shelf, lint};

/// A catalogue, where each of its causes is from, and what had to be left out of it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// All causes that are good.
    pub catalogue: Arc<Catalogue>,
    /// Files that are refused.
    pub refused: Vec<Refused>,
    /// Where the causes that are not built in are from, by their codes.
    pub origins: BTreeMap<String, Origin>,
    /// node-problem-detector's monitors, to be run.
    pub npd: Arc<npd::Set>,
}

impl Loaded {
    /// Where a cause is from.
    pub fn origin(&self, code: &str) -> Origin {
        self.origins.get(code).cloned().unwrap_or_default()
    }

    /// What is refused, as the diagnosis tells what could not be looked at. At most 16: a directory of rubbish is one mistake.
    pub fn unknown(&self) -> impl Iterator<Item = Unknown> {
        self.refused.iter().take(16).map(|refused| {
            let then = if refused.kept { Refused::KEPT } else { "what it was to find is not looked for" };
            Unknown { what: refused.place(), why: format!("{}; {then}", refused.problem) }
        })
    }
}

/// Where a cause is from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The file, or files; none of a built-in cause.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// It stands for the built-in cause of this code or file name.
    pub replaces_built_in: bool,
    /// The file's newer version is refused, for this reason: the last good one is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_refused: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, replaces_built_in, newer_refused } = self;
        match file.as_str() {
            "" => f.write_str("built-in")?,
            file => f.write_str(file)?,
        }
        if *replaces_built_in {
            f.write_str(" (for the built-in one)")?;
        }
        if let Some(why) = newer_refused {
            write!(f, " (last good version; the newer is refused: {why})")?;
        }
        Ok(())
    }
}

/// A file that is refused, with the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// Line, from 1; 0 if the whole file is meant.
    pub line: u64,
    /// Column, from 1; 0 if the whole line or file is meant.
    pub column: u64,
    /// What is wrong.
    pub problem: String,
    /// An earlier version of the file stays in force.
    #[serde(rename = "lastGoodVersionInForce")]
    pub kept: bool,
}

impl Refused {
    const KEPT: &str = "its last good version stays in force";

    fn whole(file: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0, problem: problem.into(), kept: false }
    }

    fn place(&self) -> String {
        match (self.line, self.column) {
            (0, _) => self.file.clone(),
            (line, 0) => format!("{}:{line}", self.file),
            (line, column) => format!("{}:{line}:{column}", self.file),
        }
    }
}

impl From<&LoadError> for Refused {
    fn from(error: &LoadError) -> Self {
        Self { file: error.file.clone(), line: error.line, column: error.column, problem: error.problem.to_string(), kept: false }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.problem)?;
        if self.kept { write!(f, "; {}", Self::KEPT) } else { Ok(()) }
    }
}

/// Says what is refused now and was not before.
pub fn log_refused(refused: &[Refused], before: &[Refused]) {
    for refused in refused.iter().filter(|refused| !before.contains(refused)) {
        tracing::error!("a cause file is refused, the others stay: {refused}");
    }
}

#[cfg(test)]
mod tests;
