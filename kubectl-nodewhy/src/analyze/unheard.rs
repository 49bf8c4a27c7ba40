//! Errors that no cause knows: a log in which what the node cannot do without fails in words that the catalogue does not have is not healthy,
//! it is not understood.
//!
//! Only where the words alone prove that much. Most of what a kubelet logs as an error is about a pod, or over at the next try.

use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::record::{Klog, KlogSeverity, LogRecord, Source, Spoken, clip};

/// So many are quoted, so long.
const MAX_QUOTES: usize = 3;
const MAX_QUOTE: usize = 300;
/// Where the kubelet speaks of its start, its certificate, its Node and its runtime (`pkg/kubelet`, `cmd/kubelet/app`, client-go's certificates).
const DUTIES: [&str; 8] =
    ["kubelet_node_status.go", "setters.go", "server.go", "run.go", "bootstrap.go", "certificate_manager.go", "transport.go", "generic.go"];
/// How the runtime (logrus, logfmt) and etcd (zap, capnslog until 3.4) mark what ends them or fails; Go's own end of any of them.
const RUNTIME_ENDS: [&str; 2] = ["level=fatal", "level=panic"];
const ETCD_FAILS: [&str; 5] = ["\"level\":\"error\"", "\"level\":\"fatal\"", "\"level\":\"panic\"", " C | ", " E | "];
const GO_ENDS: [&str; 2] = ["panic: ", "fatal error: "];

/// What was not understood of one node.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    count: u64,
    quotes: Vec<String>,
    /// The last record, until it is known whether what follows belongs to it.
    waiting: Option<String>,
}

impl Unheard {
    /// A record, and whether any sign knows it (or, of a line without a head, what it continues).
    pub(super) fn hear(&mut self, spoken: &Spoken<'_>, known: bool) {
        match (spoken.headed, known) {
            (false, true) => self.waiting = None,
            (false, false) => {}
            (true, _) => {
                self.settle();
                let quote = || clip(spoken.record.message, MAX_QUOTE).to_owned();
                self.waiting = (!known && fails(&spoken.record)).then(quote);
            }
        }
    }

    fn settle(&mut self) {
        let Some(quote) = self.waiting.take() else { return };
        self.count += 1;
        if self.quotes.len() < MAX_QUOTES {
            self.quotes.push(quote);
        }
    }

    /// In words, if there was any.
    pub(super) fn told(mut self) -> Option<Unknown> {
        self.settle();
        let lines = if self.count == 1 { "line says" } else { "lines say" };
        let why = format!(
            "{} {lines} that something failed which the node cannot do without, in words that no cause knows: {}",
            self.count,
            self.quotes.join(" … ")
        );
        (self.count > 0).then(|| Unknown { what: "log".to_owned(), why })
    }
}

fn fails(record: &LogRecord<'_>) -> bool {
    let says = |words: &[&str]| words.iter().any(|word| record.message.contains(word));
    let ends = GO_ENDS.iter().any(|word| record.message.starts_with(word));
    match record.source {
        Source::Kubelet | Source::Bundle => ends || record.klog.as_ref().is_some_and(klog_fails) || says(&RUNTIME_ENDS),
        Source::ControlPlane => ends || record.klog.as_ref().is_some_and(|klog| klog.severity == KlogSeverity::Fatal),
        Source::Runtime => ends || says(&RUNTIME_ENDS),
        Source::Etcd => ends || says(&ETCD_FAILS),
        _ => false,
    }
}

fn klog_fails(klog: &Klog<'_>) -> bool {
    let file = klog.origin.split(':').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    klog.severity == KlogSeverity::Fatal || klog.severity == KlogSeverity::Error && DUTIES.contains(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines with a head of their own (or a continuation, where there is none), and whether a sign knows them.
    fn told(lines: &[(Source, &str, bool)]) -> Option<String> {
        let mut unheard = Unheard::default();
        for &(source, message, known) in lines {
            let record = LogRecord { at: None, source, unit: "", priority: None, klog: Klog::parse(message), message, cursor: "" };
            let headed = source != Source::Unknown;
            unheard.hear(&Spoken { record, host: "", pid: None, headed }, known);
        }
        unheard.told().map(|unknown| unknown.why)
    }

    const REGISTER: &str = "E0712 04:05:06.100200    1411 kubelet_node_status.go:94] Unable to register node: new words";

    #[test]
    fn errors_of_the_nodes_own_duties_that_no_sign_knows_are_quoted_and_counted() {
        let why = told(&[(Source::Kubelet, REGISTER, false), (Source::Etcd, "2019-01-01 00:00:00.1 C | etcdmain: new words", false)]);
        let why = why.expect("told");
        assert!(why.starts_with("2 lines say") && why.contains(REGISTER) && why.contains("etcdmain"), "{why}");
    }

    #[test]
    fn what_a_sign_knows_and_what_is_about_a_pod_or_said_by_others_is_left() {
        let pod = "E0712 04:05:06.100200    1411 pod_workers.go:190] \"Error syncing pod, skipping\" err=\"x\"";
        let warning = "W0712 04:05:06.100200    1411 server.go:190] x";
        let left = [(Source::Kubelet, REGISTER, true), (Source::Kubelet, pod, false), (Source::Kubelet, warning, false)];
        assert_eq!(told(&left), None);
        assert_eq!(told(&[(Source::Other, "panic: x", false), (Source::Other, REGISTER, false)]), None);
    }

    #[test]
    fn a_wrapped_line_that_a_sign_knows_as_a_whole_is_understood() {
        assert_eq!(told(&[(Source::Kubelet, REGISTER, false), (Source::Unknown, "its end", true)]), None);
        assert!(told(&[(Source::Kubelet, REGISTER, false), (Source::Unknown, "its end", false)]).is_some());
    }
}
