//! node-problem-detector's configurations as they are: its rules become causes of the catalogue, its logs are read and its plugins run here.
//!
//! What its own program does is followed where it decides what a rule recognises (patterns, buffers, exit codes). Where it decides when a
//! problem is over, nodewhy's rules hold: what was not seen is unknown and closes nothing, and nothing stays until a restart.

mod buffer;
mod causes;
mod config;
mod feeds;
#[doc(hidden)]
pub mod fuzz;
mod gotime;
mod keys;
mod monitor;
mod pattern;
mod plugins;
mod report;
mod runner;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use causes::Sign;
use config::Monitor;

pub use runner::{Runner, once};

/// The monitors of all files.
#[derive(Debug, Default, PartialEq)]
pub struct Set {
    /// By their files' paths.
    monitors: Vec<(String, Monitor)>,
    /// Which sign a rule of a file is.
    signs: BTreeMap<(String, usize), Sign>,
}

/// A cause made of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Its code.
    pub code: String,
    /// As a file of the catalogue.
    pub text: String,
    /// The files that the rules are from.
    pub files: Vec<String>,
}

/// A file whose text is one of node-problem-detector's.
///
/// # Errors
/// Line, column (0: not known), and what is wrong.
pub fn check(text: &str) -> Result<(), (u64, u64, String)> {
    config::parse(text).map(drop)
}

/// Names in a file that node-problem-detector does not know, with their places: it passes them over.
pub fn unknown_names(text: &str) -> Vec<String> {
    keys::unknown(text)
}

/// The monitors of these files (path, text), and the causes that their rules are. What [`check`] refuses is left out.
pub fn set(files: &[(String, String)]) -> (Set, Vec<Rules>) {
    let monitors: Vec<(String, Monitor)> =
        files.iter().filter_map(|(path, text)| Some((path.clone(), config::parse(text).ok()?))).collect();
    let (texts, signs) = causes::causes(&monitors);
    let files_of = |code: &str| -> BTreeSet<String> {
        signs.iter().filter(|(_, sign)| sign.code == code).map(|((file, _), _)| file.clone()).collect()
    };
    let rules = texts.into_iter().map(|(code, text)| Rules { files: files_of(&code).into_iter().collect(), code, text }).collect();
    (Set { monitors, signs }, rules)
}

impl Set {
    /// There is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.signs.is_empty()
    }

    fn signs_of(&self, file: &str) -> Vec<Sign> {
        self.signs.range((file.to_owned(), 0)..=(file.to_owned(), usize::MAX)).map(|(_, sign)| sign.clone()).collect()
    }
}

/// Files themselves, and of directories the `*.json` in them.
#[must_use]
pub fn files(named: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in named {
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                inside.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
                inside.sort();
                files.extend(inside);
            }
            Err(_) => files.push(path.clone()),
        }
    }
    files.dedup();
    files.truncate(MAX_FILES);
    files
}

const MAX_FILES: usize = 200;
