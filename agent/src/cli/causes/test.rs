//! `causes test`: examples and stories of cause files, as the built-in causes are tested by theirs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use nodewhy_diagnosis::story::{Node, Stories, examples};
use serde::Serialize;

use super::super::{Output, exit, output};
use super::lint::read;
use crate::catalogue::{self, Loaded};

#[derive(Serialize, Default)]
struct Tried {
    file: String,
    code: String,
    examples: usize,
    stories: usize,
    /// Log signs, counted from 0, that nothing proves.
    #[serde(rename = "signsWithoutExample")]
    without: Vec<usize>,
    failed: Vec<String>,
}

pub(super) fn test(paths: &[PathBuf], format: Output) -> anyhow::Result<u8> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(beneath(path)?);
    }
    let (files, mut refused) = read(&files);
    let (stories, causes): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(_, text)| text.lines().any(|line| line.starts_with("stories:")));
    let (loaded, more) = catalogue::lint(&causes);
    refused.extend(more);
    refused.iter().for_each(|why| output::note(&why.to_string()));
    if refused.is_empty() && stories.is_empty() && loaded.origins.is_empty() {
        let named: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!("{}: nothing to try: no cause file (*.yaml) and no stories are there", named.join(", "));
    }
    let mut tried: Vec<Tried> = loaded.origins.iter().map(|(code, origin)| of_examples(&loaded, code, &origin.file)).collect();
    tried.extend(stories.iter().map(|(file, text)| of_stories(&loaded, file, text)));
    output::value(&tried, format, || tried.iter().map(words).collect())?;
    Ok(match (refused.is_empty(), tried.iter().all(|one| one.failed.is_empty())) {
        (false, _) => exit::COULD_NOT_LOOK,
        (true, false) => exit::DEGRADED,
        (true, true) => exit::HEALTHY,
    })
}

/// The file itself, or the YAML files of a directory and of its directory `stories`.
#[allow(clippy::disallowed_methods, reason = "files that the user of the command line names")]
fn beneath(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for directory in [path.to_owned(), path.join("stories")] {
        if !directory.is_dir() {
            continue;
        }
        let entries = std::fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))?;
        let yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        files.extend(entries.flatten().map(|entry| entry.path()).filter(yaml));
    }
    files.sort();
    Ok(files)
}

fn of_examples(loaded: &Loaded, code: &str, file: &str) -> Tried {
    let mut tried = Tried { file: file.to_owned(), code: code.to_owned(), ..Tried::default() };
    if let Some(cause) = loaded.catalogue.cause(code) {
        let found = examples(&loaded.catalogue, cause);
        (tried.examples, tried.without, tried.failed) = (found.count, found.without, found.wrong);
    }
    tried
}

fn of_stories(loaded: &Loaded, file: &str, text: &str) -> Tried {
    let mut tried = Tried { file: file.to_owned(), ..Tried::default() };
    let stories = match Stories::parse(text) {
        Ok(stories) => stories,
        Err(problem) => return Tried { failed: vec![problem], ..tried },
    };
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    tried.code = stories.code.unwrap_or(stem);
    tried.stories = stories.stories.len();
    if loaded.catalogue.cause(&tried.code).is_none() {
        tried.failed.push(format!("there is no cause `{}`: name it with `code:`, and give its file too", tried.code));
        return tried;
    }
    match Node::healthy(&loaded.catalogue, nodewhy_causes::healthy()) {
        Err(problem) => tried.failed.push(problem),
        Ok(healthy) => {
            let told = stories.stories.iter().map(|story| (story, story.tell(healthy.clone(), &tried.code)));
            tried.failed = told.filter_map(|(story, told)| Some(format!("{}: {}", story.name, told.err()?))).collect();
        }
    }
    tried
}

fn words(tried: &Tried) -> String {
    let Tried { file, code, examples, stories, without, failed } = tried;
    let what = if *stories > 0 { format!("{stories} stories") } else { format!("{examples} examples") };
    let mut text = match failed.len() {
        0 => format!("{file}: {code}: {what} good\n"),
        wrong => format!("{file}: {code}: {wrong} wrong\n"),
    };
    failed.iter().for_each(|one| text.push_str(&format!("  {}\n", one.replace('\n', "\n  "))));
    for sign in without {
        text.push_str(&format!("  sign {sign} has no example: nothing shows that it recognises what it is for\n"));
    }
    text
}
