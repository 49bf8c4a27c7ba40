//! `causes lint`.

use std::path::PathBuf;

use serde::Serialize;

use super::super::{Output, exit, output};
use crate::catalogue::{self, Refused};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    file: String,
    good: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// In `causes.d` it would stand for a built-in cause.
    replaces_built_in: bool,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    line: u64,
    column: u64,
    problem: String,
}

pub(super) fn lint(paths: &[PathBuf], format: Output) -> anyhow::Result<u8> {
    let (files, mut refused) = read(paths);
    let (loaded, more) = catalogue::lint(&files);
    refused.extend(more);
    let checked = |path: &PathBuf| {
        let file = path.display().to_string();
        let found = loaded.origins.iter().find(|(_, origin)| origin.file == file);
        let problem = |refused: &Refused| Problem { line: refused.line, column: refused.column, problem: refused.problem.clone() };
        let problems: Vec<Problem> = refused.iter().filter(|refused| refused.file == file).map(problem).collect();
        Checked {
            good: problems.is_empty(),
            code: found.map(|(code, _)| code.clone()),
            replaces_built_in: found.is_some_and(|(_, origin)| origin.replaces_built_in),
            file,
            problems,
        }
    };
    let checked: Vec<Checked> = paths.iter().map(checked).collect();
    let all_good = checked.iter().all(|file| file.good);
    if format == Output::Text {
        refused.iter().for_each(|why| output::note(&why.to_string()));
        for file in checked.iter().filter(|file| file.replaces_built_in) {
            output::note(&format!("{}: stands for the built-in cause of that name or code", file.file));
        }
        if all_good {
            let said = if checked.len() == 1 { "1 cause file is".to_owned() } else { format!("{} cause files are", checked.len()) };
            output::note(&format!("{said} good"));
        }
    } else {
        output::value(&checked, format, String::new)?;
    }
    Ok(if all_good { exit::HEALTHY } else { exit::COULD_NOT_LOOK })
}

/// The files' texts, and those that have none.
pub(super) fn read(paths: &[PathBuf]) -> (Vec<(String, String)>, Vec<Refused>) {
    let (mut files, mut refused) = (Vec::new(), Vec::new());
    for path in paths {
        let file = path.display().to_string();
        match catalogue::read(path) {
            Ok(text) => files.push((file, text)),
            Err(problem) => refused.push(Refused { file, line: 0, column: 0, problem, kept: false }),
        }
    }
    (files, refused)
}
