//! Writing answers: the only place that prints.

use std::io::{self, IsTerminal, Write};

use nodewhy_diagnosis::Verdict;
use nodewhy_diagnosis::render::Style;
use serde::Serialize;

use crate::cli::Format;

/// No answer, or input that cannot be used.
pub(crate) const EXIT_NO_ANSWER: u8 = 3;
/// A wrong call (EX_USAGE of sysexits.h).
pub(crate) const EXIT_USAGE: u8 = 64;

/// How to write.
pub(crate) struct Output {
    format: Format,
    pub(crate) style: Style,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { format, style: Style { colour: terminal && !plain, width: if terminal { columns() } else { 0 }, ..Style::default() } }
    }

    /// Writes `value` for scripts, or what `text` makes of it for people.
    pub(crate) fn answer<T: Serialize>(&self, value: &T, text: impl FnOnce(Style) -> String) -> anyhow::Result<()> {
        match self.format {
            Format::Text => self.print(&text(self.style)),
            Format::Json => self.print(&(serde_json::to_string_pretty(value)? + "\n")),
            Format::Yaml => self.print(&serde_saphyr::to_string(value)?),
        }
    }

    /// Writes as it is. A reader that has gone away (`| head`) is no error.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(anyhow::Error::new(error).context("cannot write the answer to standard output"))
            }
            _ => Ok(()),
        }
    }

    /// Says what went wrong, with all that led to it.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        drop(writeln!(io::stderr(), "kubectl-nodewhy: {error:#}"));
    }
}

/// The exit code that a verdict means.
pub(crate) fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => 0,
        Verdict::Degraded => 1,
        Verdict::NotReady => 2,
        Verdict::Unknown => EXIT_NO_ANSWER,
    }
}

/// Columns of the terminal; 100 if it does not tell.
fn columns() -> usize {
    terminal_size::terminal_size().map_or(100, |(columns, _)| usize::from(columns.0).max(40))
}
