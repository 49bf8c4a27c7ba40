//! Writes the generated part of the user's guide: docs/causes/ (a page for every cause) and docs/facts.md.
//!
//! `cargo run -p nodewhy-causes --bin nodewhy-docs` writes; with `--check` it only says what is stale, and exits 1 if anything is.

mod cause_page;
mod facts_page;
mod words;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Path below the repository's root, and text.
type Pages = BTreeMap<PathBuf, String>;

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        other => return end(&format!("usage: nodewhy-docs [--check]; not understood: {}", other.join(" ")), 64),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let outcome = stale(&root, &pages()).and_then(|stale| if check { Ok(stale) } else { write(&root, &stale).map(|()| stale) });
    match outcome {
        Err(problem) => end(&problem, 3),
        Ok(stale) if stale.is_empty() => end("generated docs are fresh", 0),
        Ok(stale) => {
            let names = stale.keys().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n  ");
            match check {
                true => end(&format!("stale, run `cargo run -p nodewhy-causes --bin nodewhy-docs`:\n  {names}"), 1),
                false => end(&format!("written:\n  {names}"), 0),
            }
        }
    }
}

fn end(words: &str, code: u8) -> ExitCode {
    // A closed pipe is nobody's loss here; the exit code says it all.
    let _ = writeln!(std::io::stdout(), "{words}");
    ExitCode::from(code)
}

fn pages() -> Pages {
    let catalogue = nodewhy_causes::catalogue();
    let mut pages: Pages = catalogue
        .causes()
        .iter()
        .map(|cause| (PathBuf::from(format!("docs/causes/{}.md", cause.code)), cause_page::page(cause, catalogue)))
        .collect();
    pages.insert("docs/causes/README.md".into(), cause_page::index(catalogue));
    pages.insert("docs/facts.md".into(), facts_page::page());
    pages
}

/// What differs on disk: the text it should have, or `None` for a page of a cause that is no more.
fn stale(root: &Path, pages: &Pages) -> Result<BTreeMap<PathBuf, Option<String>>, String> {
    let mut stale = BTreeMap::new();
    for (path, text) in pages {
        match std::fs::read_to_string(root.join(path)) {
            Ok(found) if found == *text => {}
            Ok(_) => drop(stale.insert(path.clone(), Some(text.clone()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => drop(stale.insert(path.clone(), Some(text.clone()))),
            Err(error) => return Err(format!("read {}: {error}", path.display())),
        }
    }
    let directory = root.join("docs/causes");
    for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
        let path = Path::new("docs/causes").join(entry.file_name());
        if !pages.contains_key(&path) {
            stale.insert(path, None);
        }
    }
    Ok(stale)
}

fn write(root: &Path, stale: &BTreeMap<PathBuf, Option<String>>) -> Result<(), String> {
    std::fs::create_dir_all(root.join("docs/causes")).map_err(|error| format!("create docs/causes: {error}"))?;
    for (path, text) in stale {
        let target = root.join(path);
        let result = match text {
            Some(text) => std::fs::write(&target, text),
            None => std::fs::remove_file(&target),
        };
        result.map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    Ok(())
}
