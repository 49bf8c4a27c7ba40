//! Real kubelets' outputs, cut into lines with their times.

use std::time::Duration;

macro_rules! log {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/kubelet-logs/", $name, ".log"))
    };
}

pub(crate) const HEALTHY: &str = log!("healthy-standalone");
pub(crate) const PODS_HEALTHY: &str = log!("pods-static-healthy");
pub(crate) const SWAP_ON: &str = log!("swap-on");
pub(crate) const UNKNOWN_FLAG: &str = log!("unknown-flag");
pub(crate) const CONFIG_MISSING: &str = log!("config-missing");
pub(crate) const CONFIG_BAD_YAML: &str = log!("config-bad-yaml");
pub(crate) const KUBECONFIG_MALFORMED: &str = log!("kubeconfig-malformed");
pub(crate) const CLIENT_CERTIFICATE_EXPIRED: &str = log!("client-cert-expired-bootstrap-missing");
pub(crate) const CRI_SOCKET_MISSING: &str = log!("cri-socket-missing");
pub(crate) const CONTAINERD_STOPPED: &str = log!("containerd-stopped-while-running");
pub(crate) const IMAGE_PULL_FAILED: &str = log!("pod-image-pull-fail");
pub(crate) const PORT_IN_USE: &str = log!("port-10250-in-use");
pub(crate) const NODEFS_PRESSURE: &str = log!("eviction-nodefs-pressure");

/// Lines to be said, each at its time after the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) lines: Vec<Line>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) after: Duration,
    /// klog's letter, if the line has a header; others go on where the one before ended.
    pub(crate) severity: Option<char>,
    pub(crate) text: String,
}

impl Script {
    /// Of a recorded output.
    pub(crate) fn of(log: &str) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        let mut first = None;
        for raw in log.lines() {
            let before = lines.last().map_or(Duration::ZERO, |line| line.after);
            lines.push(match header(raw) {
                Some((severity, at, text)) => {
                    let first = *first.get_or_insert(at);
                    Line { after: at.saturating_sub(first), severity: Some(severity), text: text.to_owned() }
                }
                None => Line { after: before, severity: None, text: raw.to_owned() },
            });
        }
        Self { lines }
    }

    /// What comes before the line that holds these words, and the rest from it on.
    pub(crate) fn split_before(self, words: &str) -> (Self, Self) {
        let at = self.lines.iter().position(|line| line.text.contains(words)).unwrap_or(self.lines.len());
        let mut lines = self.lines;
        let rest = lines.split_off(at);
        (Self { lines }, Self { lines: rest }.counted_from_its_first())
    }

    /// The first line, and the rest.
    pub(crate) fn split_after_first(self) -> (Self, Self) {
        let mut lines = self.lines;
        let rest = lines.split_off(lines.len().min(1));
        (Self { lines }, Self { lines: rest }.counted_from_its_first())
    }

    /// Only the lines that hold one of these.
    pub(crate) fn only_with(self, words: &[&str]) -> Self {
        let lines = self.lines.into_iter().filter(|line| words.iter().any(|word| line.text.contains(word))).collect();
        Self { lines }.counted_from_its_first()
    }

    /// With its times counted from its own first line.
    fn counted_from_its_first(mut self) -> Self {
        let first = self.lines.first().map_or(Duration::ZERO, |line| line.after);
        for line in &mut self.lines {
            line.after = line.after.saturating_sub(first);
        }
        self
    }
}

/// Severity, time of day and text of a line with klog's header: `I1122 00:54:49.076337   14029 flags.go:64] ...`.
fn header(line: &str) -> Option<(char, Duration, &str)> {
    let severity = line.chars().next().filter(|letter| "IWEF".contains(*letter))?;
    let mut words = line.get(1..)?.splitn(3, ' ');
    let date = words.next()?;
    if date.len() != 4 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let time = time_of_day(words.next()?)?;
    let rest = words.next()?.trim_start();
    let (_pid, text) = rest.split_once(' ')?;
    Some((severity, time, text))
}

fn time_of_day(text: &str) -> Option<Duration> {
    let (clock, micros) = text.split_once('.')?;
    let mut seconds = 0;
    for part in clock.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(Duration::from_secs(seconds) + Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_output_has_times_that_run_forward() {
        for log in [HEALTHY, PODS_HEALTHY, SWAP_ON, CRI_SOCKET_MISSING, CONTAINERD_STOPPED, PORT_IN_USE, NODEFS_PRESSURE] {
            let script = Script::of(log);
            assert!(script.lines.len() > 100);
            // klog's goroutines pass each other by less than a millisecond now and then.
            assert!(script.lines.windows(2).all(|pair| pair[0].after <= pair[1].after + Duration::from_millis(50)));
            assert!(script.lines.last().unwrap().after < Duration::from_secs(90));
        }
    }

    #[test]
    fn a_line_without_header_goes_with_the_one_before() {
        let script = Script::of("I1122 00:00:01.000000   1 a.go:1] one\n\ttwo\nE1122 00:00:02.500000   1 a.go:2] three\n");
        let said: Vec<_> = script.lines.iter().map(|line| (line.after.as_millis(), line.severity, line.text.as_str())).collect();
        assert_eq!(said, [(0, Some('I'), "a.go:1] one"), (0, None, "\ttwo"), (1500, Some('E'), "a.go:2] three")]);
    }

    #[test]
    fn the_rest_of_a_script_counts_from_its_own_first_line() {
        let script = Script::of("I1122 00:00:01.000000   1 a.go:1] one\nI1122 00:00:03.000000   1 a.go:1] two\n");
        let (begin, rest) = script.split_before("two");
        assert_eq!((begin.lines.len(), rest.lines.len(), rest.lines[0].after), (1, 1, Duration::ZERO));
    }
}
