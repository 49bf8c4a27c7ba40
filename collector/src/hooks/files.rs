//! The files that a hook names, read before each use: a changed secret counts with the next message. What they hold is never logged.

use std::path::Path;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::sign::{Secret, secrets};

/// Longest file that is read.
const LONGEST: u64 = 256 * 1024;

/// Whether files are read, or only named: for those who look what would be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// They are read.
    Read,
    /// Their names stand for what they hold.
    Named,
}

impl Files {
    /// The one line of a file.
    pub(super) fn line(self, key: &str, path: &Path) -> Result<String, String> {
        if self == Self::Named { Ok(format!("({key} {})", path.display())) } else { line(key, path) }
    }

    /// The URL that a file holds.
    pub(super) fn url(self, key: &str, path: &Path) -> Result<Url, String> {
        if self == Self::Named { Url::parse("https://in.a.file/").map_err(|error| error.to_string()) } else { url(key, path) }
    }

    /// The headers that a file holds.
    pub(super) fn headers(self, path: Option<&Path>) -> Result<HeaderMap, String> {
        headers(path.filter(|_| self == Self::Read))
    }

    /// The signing secrets that a file holds.
    pub(super) fn secrets(self, path: Option<&Path>) -> Result<Vec<Secret>, String> {
        let Some(path) = path.filter(|_| self == Self::Read) else { return Ok(Vec::new()) };
        secrets(&text("secretFile", path)?).map_err(|error| format!("secretFile {}: {error}", path.display()))
    }
}

/// The text of a file.
pub(super) fn text(key: &str, path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("cannot read {key} {}: {error}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// The one line of a file.
pub(super) fn line(key: &str, path: &Path) -> Result<String, String> {
    let text = text(key, path)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next()) {
        (Some(line), None) if line.bytes().all(|c| !c.is_ascii_control()) => Ok(line.to_owned()),
        _ => Err(format!("{key} {}: one line is needed in it", path.display())),
    }
}

/// The URL that a file holds.
fn url(key: &str, path: &Path) -> Result<Url, String> {
    let url = line(key, path)?.parse::<crate::policy::hooks::HttpUrl>();
    url.map(|url| url.url().clone()).map_err(|error| format!("{key} {}: {error}", path.display()))
}

/// `Name: value` lines; empty ones and those that begin with # are left out.
fn headers(path: Option<&Path>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let Some(path) = path else { return Ok(headers) };
    let text = text("headersFile", path)?;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let header = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        });
        let (name, value) = header.ok_or_else(|| format!("headersFile {}:{}: has to be `Name: value`", path.display(), index + 1))?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    #[test]
    fn headers_are_read_and_kept_out_of_logs() {
        let (_dir, path) = file("# secret\n\nAuthorization: Bearer abc:def\nX-Team:ops\n");
        let headers = headers(Some(&path)).expect("good");
        assert_eq!(
            (&headers["authorization"], &headers["x-team"]),
            (&"Bearer abc:def".parse().expect("a value"), &"ops".parse().expect("a value"))
        );
        assert!(headers["authorization"].is_sensitive());
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_and_not_shown() {
        let (_dir, path) = file("A: b\nsecret without colon\n");
        let error = headers(Some(&path)).expect_err("refused");
        assert!(error.contains("f:2: has to be `Name: value`") && !error.contains("secret"), "{error}");
        for text in ["", "secret\nsecret\n"] {
            let (_dir, path) = file(text);
            let error = line("apiKeyFile", &path).expect_err("refused");
            assert!(error.contains("one line") && !error.contains("secret"), "{error}");
        }
        let (_dir, path) = file("htp://secret\n");
        let error = url("urlFile", &path).expect_err("refused");
        assert!(error.contains("http:// or https://") && !error.contains("secret"), "{error}");
        assert!(line("urlFile", Path::new("/none/x")).expect_err("refused").contains("cannot read urlFile /none/x"));
    }
}
