//! What a hook's files hold: headers with secrets, and whom to trust.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reqwest::Certificate;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Hook;

/// A hook that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Its headers file cannot be read.
    #[error("hook {name}: cannot read headersFile {}: {source}", path.display())]
    Headers {
        /// The hook.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of it is no header.
    #[error("hook {name}: {}:{line}: has to be `Name: value`", path.display())]
    Header {
        /// The hook.
        name: String,
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// The HTTP client cannot be made.
    #[error("hook {name}: cannot make an HTTPS client: {source}; are there CA certificates (package ca-certificates)? caFile names others")]
    Client {
        /// The hook.
        name: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Its CA file cannot be read.
    #[error("hook {name}: cannot use caFile {}: {reason}", path.display())]
    Ca {
        /// The hook.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// `Name: value` lines; empty ones and those that begin with # are left out.
pub(super) fn read(hook: &Hook) -> Result<HeaderMap, HookError> {
    let mut headers = HeaderMap::new();
    let Some(path) = &hook.headers_file else { return Ok(headers) };
    let text = fs::read_to_string(path).map_err(|source| HookError::Headers { name: hook.name.clone(), path: path.clone(), source })?;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        let header = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
        });
        let (name, value) = header.ok_or_else(|| HookError::Header { name: hook.name.clone(), path: path.clone(), line: index + 1 })?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The certificates of a PEM file.
pub(super) fn authorities(name: &str, path: &Path) -> Result<Vec<Certificate>, HookError> {
    let failed = |reason: String| HookError::Ca { name: name.to_owned(), path: path.to_owned(), reason };
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    match Certificate::from_pem_bundle(&bytes) {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(failed("there is no certificate in it (PEM is needed)".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Result<HeaderMap, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("h");
        fs::write(&path, text).expect("written");
        let hook = Hook { name: "ops".into(), url: "http://h".into(), headers_file: Some(path), ca_file: None };
        read(&hook).map_err(|error| error.to_string())
    }

    #[test]
    fn headers_are_read_and_kept_out_of_logs() {
        let headers = headers("# secret\n\nAuthorization: Bearer abc:def\nX-Team:ops\n").expect("good");
        assert_eq!(headers["authorization"], "Bearer abc:def");
        assert_eq!(headers["x-team"], "ops");
        assert!(headers["authorization"].is_sensitive());
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_told_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.crt");
        for (text, says) in [(None, "No such file"), (Some(""), "no certificate in it"), (Some("noise"), "no certificate in it")] {
            if let Some(text) = text {
                fs::write(&path, text).expect("written");
            }
            let error = authorities("ops", &path).expect_err("refused").to_string();
            assert!(error.contains("hook ops: cannot use caFile") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_line_that_is_no_header_is_told_by_its_number_and_not_by_its_content() {
        let error = headers("A: b\nsecret without colon\n").expect_err("refused");
        assert!(error.contains("h:2: has to be `Name: value`") && !error.contains("secret"), "{error}");
    }
}
