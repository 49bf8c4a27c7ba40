//! Says the lines of a script, each at its time, with the time, names and paths of now.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::script::Script;

/// How this kubelet speaks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Voice {
    /// What was recorded, and what stands for it here.
    replaced: Vec<(String, String)>,
    /// Flags given, which the kubelet tells back.
    flags: Vec<(String, String)>,
}

impl Voice {
    /// Puts one text for another in all that is said.
    pub(crate) fn with(mut self, recorded: &str, here: impl Into<String>) -> Self {
        self.replaced.push((recorded.to_owned(), here.into()));
        self
    }

    /// Tells these flags back.
    pub(crate) fn with_flags(mut self, flags: impl IntoIterator<Item = (String, String)>) -> Self {
        self.flags.extend(flags);
        self
    }

    /// Says a whole script at its own pace.
    pub(crate) async fn play(&self, script: &Script) {
        let begun = Instant::now();
        for line in &script.lines {
            wait_until(begun + line.after).await;
            let text = self.here(&line.text);
            match line.severity {
                Some(severity) => say(severity, &text),
                None => put(&text),
            }
        }
    }

    /// A recorded text as it is here.
    pub(crate) fn here(&self, recorded: &str) -> String {
        let mut text = recorded.to_owned();
        if let Some((name, _)) = text.split_once("FLAG: --").and_then(|(_, flag)| flag.split_once('='))
            && let Some((_, value)) = self.flags.iter().find(|(given, _)| given == name)
        {
            return format!("flags.go:64] FLAG: --{name}={value:?}");
        }
        for (recorded, here) in &self.replaced {
            text = text.replace(recorded, here);
        }
        text
    }
}

async fn wait_until(at: Instant) {
    // A timer is good for a millisecond; lines closer than that are said at once, as they were.
    if at.saturating_duration_since(Instant::now()) > Duration::from_millis(1) {
        tokio::time::sleep_until(at).await;
    }
}

/// Says one line of one's own, with klog's header.
pub(crate) fn say(severity: char, text: &str) {
    let now = Timestamp::now().to_zoned(TimeZone::system());
    put(&format!("{severity}{} {:>7} {text}", now.strftime("%m%d %H:%M:%S.%6f"), std::process::id()));
}

fn put(line: &str) {
    // With nobody to hear it there is nothing to be done.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
