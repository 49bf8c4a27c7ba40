//! The one place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line's output")]

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use nodewhy_diagnosis::render::Style;
use serde::Serialize;

use super::Output;

/// Colour only for a terminal and unless NO_COLOR is set to something (no-color.org).
pub(super) fn style() -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let terminal = std::io::stdout().is_terminal();
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Style { colour: terminal && !no_color, width: if terminal { columns.unwrap_or(120) } else { 0 }, ..Style::default() }
}

/// As it is. A reader that went away (`| head`) is no error.
pub(super) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the answer to standard output"),
        _ => Ok(()),
    }
}

/// In the format wanted; `text` makes the one for people.
pub(super) fn value<T: Serialize>(value: &T, output: Output, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let printed = match output {
        Output::Text => text(),
        Output::Json => serde_json::to_string_pretty(value)? + "\n",
        Output::Yaml => serde_saphyr::to_string(value)?,
    };
    raw(printed.as_bytes())
}

/// A remark beside the output.
pub(super) fn note(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// An error with all its reasons.
pub(super) fn error(error: &dyn std::error::Error) {
    let mut text = format!("nodewhy-agent: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    note(&text);
}

/// clap's own words, to the stream it means.
pub(super) fn clap(error: &clap::Error) {
    drop(error.print());
}
