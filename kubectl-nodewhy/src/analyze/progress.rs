//! How far the reading is, on a terminal, for what takes longer than a second.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);

/// Written to standard error, over itself; gone when the answer comes.
pub(super) struct Progress {
    wanted: bool,
    begun: Instant,
    shown: Option<Instant>,
    /// Columns to blank.
    width: usize,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { wanted: io::stderr().is_terminal(), begun: Instant::now(), shown: None, width: 0 }
    }

    /// `read` of `size` bytes of the input named so.
    pub(super) fn tell(&mut self, name: &str, read: u64, size: Option<u64>) {
        let due = self.shown.map_or(self.begun.elapsed() >= AFTER, |shown| shown.elapsed() >= EVERY);
        if !self.wanted || !due {
            return;
        }
        self.shown = Some(Instant::now());
        self.show(&words(name, read, size, self.begun.elapsed()));
    }

    /// Leaves the line as it was.
    pub(super) fn clear(&mut self) {
        if self.width > 0 {
            self.show("");
            drop(write!(io::stderr(), "\r"));
            self.width = 0;
        }
    }

    /// Blanks instead of escape sequences: those who want no colours may have a terminal that knows none.
    fn show(&mut self, text: &str) {
        let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(columns, _)| usize::from(columns.0));
        let text: String = text.chars().take(columns.saturating_sub(1)).collect();
        let length = text.chars().count();
        let blanks = self.width.saturating_sub(length).min(columns.saturating_sub(1 + length));
        let mut out = io::stderr().lock();
        drop(write!(out, "\r{text}{}", " ".repeat(blanks)).and_then(|()| out.flush()));
        self.width = length;
    }
}

fn words(name: &str, read: u64, size: Option<u64>, took: Duration) -> String {
    const MIB: f64 = 1_048_576.0;
    let rate = read as f64 / MIB / took.as_secs_f64().max(0.001);
    let name: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let share = size.filter(|size| *size > 0).map(|size| format!(" ({} %)", read.min(size) * 100 / size)).unwrap_or_default();
    format!("Reading {name}: {:.0} MiB{share}, {rate:.0} MiB/s", read as f64 / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_how_far_it_is() {
        let took = Duration::from_secs(2);
        assert_eq!(words("a.log", 200 << 20, Some(800 << 20), took), "Reading a.log: 200 MiB (25 %), 100 MiB/s");
        assert_eq!(words("std\u{1b}in", 1 << 20, None, took), "Reading std?in: 1 MiB, 0 MiB/s");
    }
}
