//! The one place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line's output")]

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
    /// For scripts
    Yaml,
}

/// In the format wanted; `text` makes the one for people.
pub(super) fn value<T: Serialize>(value: &T, output: Output, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let printed = match output {
        Output::Text => text(),
        Output::Json => serde_json::to_string_pretty(value)? + "\n",
        Output::Yaml => serde_saphyr::to_string(value)?,
    };
    raw(printed.as_bytes());
    Ok(())
}

/// As it is. A reader that went away (`| head`) is no error.
pub(super) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(bytes).and_then(|()| out.flush()));
}

/// One line.
pub(super) fn line(text: &str) {
    raw(format!("{text}\n").as_bytes());
}

/// An error with all its reasons.
pub(super) fn error(error: &dyn std::error::Error) {
    let mut text = format!("nodewhy-collector: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// clap's own words, to the stream it means.
pub(super) fn clap(error: &clap::Error) {
    // The pipe may be closed: nothing is to be done about that.
    drop(error.print());
}

/// The log goes to stderr. Time and colour are left to who reads it.
pub(super) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("NODEWHY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    // journald has the time.
    let set = if std::env::var_os("JOURNAL_STREAM").is_some() { log.without_time().try_init() } else { log.try_init() };
    drop(set);
}
