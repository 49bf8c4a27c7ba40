//! The admin's own cause files: what lies in the directory, and the versions of it that were good last.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Larger than any cause; a log dropped into the directory by mistake is not read into memory.
pub(super) const MAX_FILE_BYTES: u64 = 256 << 10;
const MAX_FILES: usize = 1000;
/// Kept versions are files of the agent's own and as many as the above; a larger file is not theirs.
const MAX_KEPT_BYTES: u64 = 64 << 20;

/// A file as found: its name, its path, and its text or why that cannot be had.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) text: Result<String, String>,
}

/// The cause files of a directory, in the order of their names. No such directory is an empty one.
pub(super) fn files(directory: &Path) -> Result<Vec<Found>, String> {
    let failed = |error: io::Error| format!("cannot read the directory of own causes: {error}");
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    paths.retain(|path| is_yaml(path));
    paths.sort();
    let too_many = paths.len().saturating_sub(MAX_FILES);
    paths.truncate(MAX_FILES);
    let found = |path: &PathBuf| Found { name: name_of(path), path: path.display().to_string(), text: read(path) };
    let mut files: Vec<Found> = paths.iter().map(found).collect();
    if too_many > 0 {
        let text = Err(format!("{too_many} files are more than the {MAX_FILES} that are read"));
        files.push(Found { name: String::new(), path: directory.display().to_string(), text });
    }
    Ok(files)
}

/// Paths, times of change, sizes and inodes: what tells one state of the files from another without reading them.
pub(super) type Stamp = Vec<(PathBuf, i64, i64, u64, u64)>;

/// Of the directory's cause files, and of others.
pub(super) fn stamp(directory: &Path, others: &[PathBuf]) -> Stamp {
    let inside = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| is_yaml(path));
    let mut stamps: Vec<_> = inside
        .chain(others.iter().cloned())
        .take(2 * MAX_FILES)
        .filter_map(|path| {
            let meta = std::fs::metadata(&path).ok()?;
            Some((path, meta.mtime(), meta.mtime_nsec(), meta.size(), meta.ino()))
        })
        .collect();
    stamps.sort();
    stamps
}

/// One file's text, bounded.
///
/// # Errors
/// What happened, in words.
pub fn read(path: &Path) -> Result<String, String> {
    read_bounded(path, MAX_FILE_BYTES)
}

pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("cannot read it: {error}"))?;
    // Opening a FIFO that somebody put there would wait for its writer for ever.
    if !meta.is_file() {
        return Err("it is not a file".to_owned());
    }
    if meta.len() > max {
        return Err(format!("{} bytes are too many (at most {max})", meta.len()));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))
}

/// The last good versions, by the files' names, as an earlier agent left them. None if there are none to be had.
pub(super) fn kept(path: &Path) -> BTreeMap<String, String> {
    let text = read_bounded(path, MAX_KEPT_BYTES).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Leaves the last good versions to the next agent: wholly or not at all.
pub(super) fn keep(path: &Path, good: &BTreeMap<String, String>) -> io::Result<()> {
    if good.is_empty() && !path.exists() {
        return Ok(());
    }
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(good)?)?;
    std::fs::rename(new, path)
}

fn is_yaml(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
