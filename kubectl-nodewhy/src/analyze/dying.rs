//! What a log proves about the kubelet's process: that it exited, when and how, and that a later one ran well.

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::facts::{Facts, schema};
use nodewhy_diagnosis::record::{KlogSeverity, LogRecord, Logfmt, Source, Spoken};

/// A kubelet that has run for so long got past everything that ends one at start.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);
/// After these words the kubelet calls exit (cmd/kubelet/app/server.go, pkg/kubelet/{server/server.go,kubelet.go}).
const LAST_WORDS: [&str; 3] = ["Failed to listen and serve", "Failed to start ContainerManager", "Failed to run kubelet"];

/// What one record says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing new.
    Goes,
    /// The process ends with this record.
    Ends,
    /// A process that began after the last one ended has run for a minute: what ended that one is over.
    Settled,
    /// A process ends with this record, and a later one, read before, is known to have run for a minute: files of a bundle come in any order.
    Over,
}

/// Follows the kubelet's process through a log.
#[derive(Debug, Default)]
pub(super) struct Kubelet {
    unit: Option<String>,
    exit: Option<Exit>,
    restarts: Option<i64>,
    successor: Option<Successor>,
    /// The latest process that is known to have run for a minute, by when it was first heard.
    settled: Option<Run>,
    /// The process heard last.
    heard: Option<Run>,
}

/// A process, from when to when it was heard.
#[derive(Debug, Clone, Copy)]
struct Run {
    pid: u32,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Debug, Clone)]
struct Exit {
    at: Timestamp,
    pid: Option<u32>,
    /// `exited`, `killed`, `dumped`, with exit code or signal.
    status: Option<(String, i64)>,
    result: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Successor {
    /// `None` while only systemd has spoken of it.
    pid: Option<u32>,
    since: Timestamp,
}

impl Kubelet {
    pub(super) fn observe(&mut self, spoken: &Spoken<'_>, at: Timestamp) -> Life {
        let record = &spoken.record;
        match record.source {
            Source::Systemd => {
                self.systemd(record, at);
                Life::Goes
            }
            _ if is_last_words(record) => {
                if self.settled.is_some_and(|run| spoken.pid.is_some_and(|pid| pid != run.pid) && at < run.first) {
                    return Life::Over;
                }
                self.exited(at, spoken.pid);
                Life::Ends
            }
            Source::Kubelet | Source::Bundle => {
                self.hear(spoken.pid, at);
                self.lives(spoken.pid, at)
            }
            _ => Life::Goes,
        }
    }

    /// What is certain at the end of the log, as facts.
    pub(super) fn facts(&self, read_at: Timestamp) -> Facts {
        let mut facts = Facts::new();
        if let Some(unit) = &self.unit {
            facts.set(schema::KUBELET_UNIT_NAME, read_at, unit.clone());
        }
        if let Some(restarts) = self.restarts {
            facts.set(schema::KUBELET_UNIT_RESTARTS, read_at, restarts);
        }
        let Some(exit) = &self.exit else { return facts };
        facts.set(schema::KUBELET_UNIT_EXITED_AT, read_at, exit.at);
        if self.successor.is_none() {
            facts.set(schema::KUBELET_UNIT_RUNNING, read_at, false);
            facts.set(schema::KUBELET_UNIT_STATE_SINCE, read_at, exit.at);
        }
        if let Some((kind, status)) = &exit.status {
            facts.set(schema::KUBELET_UNIT_EXIT_KIND, read_at, kind.clone());
            facts.set(schema::KUBELET_UNIT_EXIT_STATUS, read_at, *status);
        }
        if let Some(result) = &exit.result {
            facts.set(schema::KUBELET_UNIT_RESULT, read_at, result.clone());
        }
        facts
    }

    fn exited(&mut self, at: Timestamp, pid: Option<u32>) {
        self.successor = None;
        match &mut self.exit {
            // The same end, told twice: by the kubelet and by systemd.
            Some(exit) if at.duration_since(exit.at).abs() <= SignedDuration::from_secs(5) => {
                exit.at = exit.at.max(at);
                exit.pid = pid.or(exit.pid);
            }
            Some(exit) if exit.at > at => {}
            _ => self.exit = Some(Exit { at, pid, status: None, result: None }),
        }
    }

    fn hear(&mut self, pid: Option<u32>, at: Timestamp) {
        let Some(pid) = pid else { return };
        let run = match self.heard {
            Some(run) if run.pid == pid => Run { pid, first: run.first.min(at), last: run.last.max(at) },
            _ => Run { pid, first: at, last: at },
        };
        self.heard = Some(run);
        let later = self.settled.is_none_or(|settled| settled.pid == pid || run.first > settled.first);
        if later && run.last.duration_since(run.first) >= SETTLED {
            self.settled = Some(run);
        }
    }

    fn lives(&mut self, pid: Option<u32>, at: Timestamp) -> Life {
        let (Some(exit), Some(pid)) = (&self.exit, pid) else { return Life::Goes };
        if exit.pid == Some(pid) || at < exit.at {
            return Life::Goes;
        }
        match self.successor {
            Some(successor) if successor.pid == Some(pid) => {
                if at.duration_since(successor.since) < SETTLED {
                    return Life::Goes;
                }
                self.exit = None;
                self.successor = None;
                Life::Settled
            }
            _ => {
                self.successor = Some(Successor { pid: Some(pid), since: at });
                Life::Goes
            }
        }
    }

    fn systemd(&mut self, record: &LogRecord<'_>, at: Timestamp) {
        if is_start(record) && self.exit.as_ref().is_some_and(|exit| at >= exit.at) {
            self.successor = Some(Successor { pid: None, since: at });
        }
        if !matches!(Source::of(record.unit), Source::Kubelet | Source::Bundle) {
            return;
        }
        self.unit = Some(record.unit.to_owned());
        let words = record.message;
        // The wording before systemd 242 has a small m.
        if let Some((_, how)) = words.split_once("ain process exited, ") {
            self.exited(at, None);
            if let Some(exit) = self.exit.as_mut().filter(|exit| exit.at == at) {
                exit.status = status(how);
            }
        } else if let Some((_, result)) = words.split_once("Failed with result '") {
            if let Some(exit) = self.exit.as_mut().filter(|exit| at.duration_since(exit.at).abs() <= SignedDuration::from_secs(5)) {
                exit.result = result.split_once('\'').map(|(result, _)| result.to_owned());
            }
        } else if let Some((_, counter)) = words.split_once("restart counter is at ") {
            self.restarts = counter.trim_end_matches('.').parse().ok().or(self.restarts);
        }
    }
}

/// `Started kubelet.service - ...`; systemd before 249 gives only the unit's description.
fn is_start(record: &LogRecord<'_>) -> bool {
    const DESCRIBED: [&str; 4] = ["ubelet", "Lightweight Kubernetes", "Rancher Kubernetes Engine", "MicroK8s"];
    let ours = || {
        matches!(Source::of(record.unit), Source::Kubelet | Source::Bundle) || DESCRIBED.iter().any(|words| record.message.contains(words))
    };
    record.message.starts_with("Started ") && ours()
}

/// `code=exited, status=1/FAILURE` as kind and number.
fn status(how: &str) -> Option<(String, i64)> {
    let kind = how.strip_prefix("code=")?.split_once(',')?.0;
    let (_, status) = how.split_once("status=")?;
    let digits = status.bytes().take_while(u8::is_ascii_digit).count();
    Some((kind.to_owned(), status[..digits].parse().ok()?))
}

fn is_last_words(record: &LogRecord<'_>) -> bool {
    // A file without speakers may hold anybody's lines: only what names the kubelet counts.
    let ours = match record.source {
        Source::Kubelet | Source::Bundle => true,
        Source::Unknown => record.message.contains("ubelet"),
        _ => return false,
    };
    if let Some(klog) = &record.klog {
        let words = klog.words();
        let words = words.as_deref().unwrap_or(klog.body);
        return (ours && (klog.severity == KlogSeverity::Fatal || words == "command failed")) || LAST_WORDS.contains(&words);
    }
    record.source == Source::Bundle && Logfmt::parse(record.message).is_some_and(|line| line.level == "fatal")
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::record::{LineParser, ParsedLine};

    use super::*;

    const FAILED: &str = "run.go:72] \"command failed\" err=\"failed to run Kubelet: x\"";

    fn read(lines: &str) -> (Kubelet, Vec<Life>) {
        let mut parser = LineParser::new("2026-11-23T00:00:00Z".parse().expect("a time"), jiff::tz::TimeZone::UTC);
        let (mut kubelet, mut lives) = (Kubelet::default(), Vec::new());
        for line in lines.lines() {
            if let ParsedLine::Record(spoken) = parser.parse(line) {
                let at = spoken.record.at.expect("test lines have times");
                lives.push(kubelet.observe(&spoken, at));
            }
        }
        (kubelet, lives)
    }

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().expect("a time")
    }

    #[test]
    fn the_last_words_and_systemds_account_are_one_exit() {
        let (kubelet, lives) = read(&format!(
            "Nov 22 00:54:49 n kubelet[7]: E1122 00:54:49.103848 7 {FAILED}
Nov 22 00:54:49 n systemd[1]: kubelet.service: Main process exited, code=exited, status=1/FAILURE
Nov 22 00:54:49 n systemd[1]: kubelet.service: Failed with result 'exit-code'.
Nov 22 00:54:59 n systemd[1]: kubelet.service: Scheduled restart job, restart counter is at 11."
        ));
        assert_eq!(lives[0], Life::Ends);
        let facts = kubelet.facts(now());
        assert_eq!(facts.known(schema::KUBELET_UNIT_NAME).as_deref(), Some("kubelet.service"));
        assert_eq!(facts.known(schema::KUBELET_UNIT_EXITED_AT).map(|at| at.to_string()).as_deref(), Some("2026-11-22T00:54:49Z"));
        assert_eq!(facts.known(schema::KUBELET_UNIT_EXIT_STATUS), Some(1));
        assert_eq!(facts.known(schema::KUBELET_UNIT_RESULT).as_deref(), Some("exit-code"));
        assert_eq!(facts.known(schema::KUBELET_UNIT_RESTARTS), Some(11));
        assert_eq!(facts.known(schema::KUBELET_UNIT_RUNNING), Some(false));
    }

    #[test]
    fn a_later_kubelet_that_runs_for_a_minute_settles_it_and_a_shorter_one_does_not() {
        let log = |last: &str| {
            format!(
                "Nov 22 00:54:49 n kubelet[7]: E1122 00:54:49.103848 7 {FAILED}
Nov 22 00:55:00 n kubelet[8]: I1122 00:55:00.000000 8 server.go:1] x
Nov 22 {last} n kubelet[8]: I1122 {last}.000000 8 server.go:1] x"
            )
        };
        let (kubelet, lives) = read(&log("00:56:01"));
        assert_eq!(lives, [Life::Ends, Life::Goes, Life::Settled]);
        assert_eq!(kubelet.facts(now()), Facts::new());
        let (kubelet, lives) = read(&log("00:55:30"));
        assert_eq!(lives, [Life::Ends, Life::Goes, Life::Goes]);
        assert_eq!(kubelet.facts(now()).known(schema::KUBELET_UNIT_RUNNING), None, "another one runs: down is not certain");
    }

    #[test]
    fn a_kubelet_started_again_is_not_known_to_be_down() {
        for started in ["Started kubelet.service - kubelet: The Kubernetes Node Agent.", "Started kubelet: The Kubernetes Node Agent."] {
            let (kubelet, _) = read(&format!(
                "Nov 22 00:54:49 n kubelet[7]: E1122 00:54:49.103848 7 {FAILED}
Nov 22 00:54:59 n systemd[1]: {started}"
            ));
            let facts = kubelet.facts(now());
            assert_eq!(facts.known(schema::KUBELET_UNIT_RUNNING), None, "{started}");
            assert!(facts.known(schema::KUBELET_UNIT_EXITED_AT).is_some(), "{started}");
        }
    }

    #[test]
    fn a_log_read_backwards_never_settles() {
        let (kubelet, lives) = read(&format!(
            "Nov 22 00:59:00 n kubelet[7]: E1122 00:59:00.000000 7 {FAILED}
Nov 22 00:50:00 n kubelet[6]: I1122 00:50:00.000000 6 server.go:1] x
Nov 22 00:40:00 n kubelet[6]: E1122 00:40:00.000000 6 {FAILED}"
        ));
        assert_eq!(lives, [Life::Ends, Life::Goes, Life::Ends]);
        assert_eq!(
            kubelet.facts(now()).known(schema::KUBELET_UNIT_EXITED_AT).map(|at| at.to_string()).as_deref(),
            Some("2026-11-22T00:59:00Z")
        );
    }

    #[test]
    fn what_ended_a_process_before_one_that_ran_well_is_over_in_whatever_order_they_are_read() {
        let (kubelet, lives) = read(&format!(
            "Nov 22 00:55:00 n kubelet[8]: I1122 00:55:00.000000 8 server.go:1] x
Nov 22 00:57:00 n kubelet[8]: I1122 00:57:00.000000 8 server.go:1] x
Nov 22 00:54:49 n kubelet[7]: E1122 00:54:49.103848 7 {FAILED}
Nov 22 00:58:00 n kubelet[8]: E1122 00:58:00.000000 8 {FAILED}"
        ));
        assert_eq!(lives, [Life::Goes, Life::Goes, Life::Over, Life::Ends]);
        assert_eq!(
            kubelet.facts(now()).known(schema::KUBELET_UNIT_EXITED_AT).map(|at| at.to_string()).as_deref(),
            Some("2026-11-22T00:58:00Z")
        );
    }

    #[test]
    fn another_program_dying_is_not_the_kubelet() {
        let (kubelet, lives) = read(
            "F1122 00:54:49.103848       1 controllermanager.go:1] leaderelection lost
E1122 00:54:49.103848       1 run.go:74] \"command failed\" err=\"leaderelection lost\"
Nov 22 00:54:49 n systemd[1]: containerd.service: Main process exited, code=exited, status=1/FAILURE",
        );
        assert_eq!(lives, [Life::Goes; 3]);
        assert_eq!(kubelet.facts(now()), Facts::new());
    }

    #[test]
    fn k3s_dies_with_a_fatal_line() {
        let (_, lives) = read("Nov 22 00:54:49 n k3s[7]: time=\"2026-11-22T00:54:49Z\" level=fatal msg=\"starting kubernetes: x\"");
        assert_eq!(lives, [Life::Ends]);
    }

    #[test]
    fn a_cut_or_odd_account_of_systemd_gives_no_status_and_no_panic() {
        for how in
            ["", "code=", "code=exited", "code=exited, status=", "code=exited, status=é/X", "code=killed, status=99999999999999999999/KILL"]
        {
            assert_eq!(status(how), None, "{how}");
        }
        assert_eq!(status("code=killed, status=9/KILL"), Some(("killed".to_owned(), 9)));
    }
}
