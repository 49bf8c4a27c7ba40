//! Logs that k3s and RKE2 keep in files of their own: what their kubelet and their containerd say is not in the journal. RKE2 gives its kubelet
//! `--log-file` (pkg/podexecutor/staticpod.go, logging.ExtractFromArgs), both give their containerd a file (k3s pkg/agent/containerd).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_diagnosis::catalogue::{Matcher, Sighting};
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::record::{LineParser, LogRecord};
use nodewhy_diagnosis::{Catalogue, Facts, Missing, MissingKind};
use tokio::sync::{mpsc, watch};

use crate::host::Host;
use crate::host::journal::{Batch, Current, MAX_SIGHTINGS};
use crate::host::tail::Tail;

/// How often they are looked at.
const PAUSE: Duration = Duration::from_millis(250);
/// Of what a file holds at first so much is read, from its end back. RKE2 keeps 50 MB.
const FIRST: u64 = 4 << 20;
/// How their kubeconfig ends; before it stands their data directory.
const KUBECONFIG: &str = "/agent/kubelet.kubeconfig";
/// Below it: the file, and who speaks in it.
const FILES: [(&str, &str); 2] = [("agent/logs/kubelet.log", "kubelet"), ("agent/containerd/containerd.log", "containerd")];

/// The files of the kubelet that is known, and how far they were read.
#[derive(Debug)]
pub struct LogFiles {
    followed: Vec<Followed>,
    from: Timestamp,
}

#[derive(Debug)]
struct Followed {
    path: String,
    tail: Tail,
    parser: LineParser,
    /// What was there before: each line is as old as it says, or as the line before it.
    history: Option<Option<Timestamp>>,
}

/// What one pass gave.
#[derive(Debug)]
pub struct Drained {
    /// Recognised records.
    pub sightings: Vec<Sighting>,
    /// Whether all that are there could be read.
    pub readable: Result<bool, Missing>,
    /// There is more already.
    pub more: bool,
}

impl LogFiles {
    /// Of none yet. Lines from before `from`, and from before this boot, are passed over.
    pub fn new(host: &Host, from: Option<Timestamp>) -> Self {
        let now = Timestamp::now();
        let booted_at = host.booted_at().unwrap_or(now);
        Self { followed: Vec::new(), from: from.map_or(booted_at, |from| from.max(booted_at)) }
    }

    /// From now on those of the kubelet that is known.
    pub fn choose(&mut self, host: &Host, facts: &Facts) {
        let kubeconfig = facts.known(s::KUBELET_KUBECONFIG_PATH);
        let Some(directory) = kubeconfig.as_deref().and_then(|path| path.strip_suffix(KUBECONFIG)) else { return self.followed.clear() };
        let wanted = FILES.map(|(file, speaker)| (format!("{directory}/{file}"), speaker));
        if self.followed.iter().map(|one| &one.path).eq(wanted.iter().map(|(path, _)| path)) {
            return;
        }
        let follow = |(path, speaker): (String, &str)| {
            let tail = Tail::new(path.clone()).first(FIRST);
            let parser = LineParser::new(Timestamp::now(), zone(host)).spoken_by(speaker);
            Followed { path, tail, parser, history: Some(None) }
        };
        self.followed = wanted.into_iter().map(follow).collect();
    }

    /// Takes in what has come.
    pub fn drain(&mut self, host: &Host, matcher: &Matcher) -> Drained {
        let mut drained = Drained { sightings: Vec::new(), readable: Ok(true), more: false };
        let mut there = 0;
        for one in &mut self.followed {
            match one.drain(host, matcher, self.from, &mut drained.sightings) {
                Ok(more) => {
                    there += 1;
                    drained.more |= more;
                }
                // A kubelet that never ran here has none, and one of before 2022 wrote into the journal.
                Err(_) if matches!(host.exists(&one.path), Ok(false)) => {}
                Err(words) => drained.readable = Err(refused(words)),
            }
        }
        if there == 0 && drained.readable.is_ok() {
            let why =
                if self.followed.is_empty() { "the kubelet keeps no log in a file" } else { "there is none of the kubelet's log files" };
            drained.readable = Err(Missing::new(MissingKind::NotApplicable, why));
        }
        let excess = drained.sightings.len().saturating_sub(MAX_SIGHTINGS);
        drained.sightings.drain(..excess);
        drained
    }
}

impl Followed {
    fn drain(&mut self, host: &Host, matcher: &Matcher, from: Timestamp, found: &mut Vec<Sighting>) -> Result<bool, String> {
        let Self { path, tail, parser, history } = self;
        let more = tail.drain(host, |line| {
            let now = Timestamp::now();
            parser.each(line, |spoken| {
                let at = match history {
                    Some(last) => {
                        *last = spoken.record.at.or(*last);
                        match *last {
                            Some(at) if at >= from => Some(at),
                            _ => return,
                        }
                    }
                    None => None,
                };
                found.extend(matcher.recognise(&LogRecord { at, unit: path, cursor: "", ..spoken.record }, now));
            });
        })?;
        if !more {
            *history = None;
        }
        Ok(more)
    }
}

/// The node's; the agent may run in a container that has another.
fn zone(host: &Host) -> TimeZone {
    let zone = host.read("/etc/localtime").ok().and_then(|bytes| TimeZone::tzif("node", &bytes).ok());
    zone.unwrap_or(TimeZone::UTC)
}

fn refused(words: String) -> Missing {
    if words.ends_with("Permission denied") {
        return Missing::new(MissingKind::Denied, words).hint("let the agent's user read it: k3s and RKE2 keep their logs for root");
    }
    Missing::new(MissingKind::Failed, words)
}

/// As the fact.
pub fn fact(readable: &Result<bool, Missing>, at: Timestamp) -> Facts {
    let mut facts = Facts::new();
    facts.put(s::LOGS_FILES_READABLE, at, readable.clone());
    facts
}

/// Follows them on a thread of its own, which ends when nobody listens to `out` any more.
///
/// # Errors
/// The system has no thread to give.
pub fn follow(
    host: Arc<Host>,
    known: watch::Receiver<Arc<Facts>>,
    current: Arc<Current<Catalogue>>,
    from: Option<Timestamp>,
    out: mpsc::Sender<Batch>,
) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("log-files".to_owned()).stack_size(512 << 10);
    thread.spawn(move || {
        let mut files = LogFiles::new(&host, from);
        let mut told = None;
        while !out.is_closed() {
            let facts = Arc::clone(&known.borrow());
            files.choose(&host, &facts);
            let catalogue = current.get();
            let Drained { sightings, readable, more } = files.drain(&host, catalogue.matcher());
            let news = told.as_ref() != Some(&readable);
            if news || !sightings.is_empty() {
                let facts = if news { fact(&readable, Timestamp::now()) } else { Facts::new() };
                if out.blocking_send(Batch { sightings, facts, by: Some(catalogue), ..Batch::default() }).is_err() {
                    return;
                }
                told = Some(readable);
            }
            if !more {
                std::thread::sleep(PAUSE);
            }
        }
    })?;
    Ok(())
}

/// Reads once to the end of what is there, or until `until`. Blocks.
pub fn once(host: &Host, facts: &Facts, catalogue: &Catalogue, until: Instant) -> Batch {
    let mut files = LogFiles::new(host, None);
    files.choose(host, facts);
    let mut batch = Batch::default();
    loop {
        let Drained { sightings, readable, more } = files.drain(host, catalogue.matcher());
        batch.sightings.extend(sightings);
        let in_time = Instant::now() < until;
        if more && in_time {
            continue;
        }
        let long = || Missing::new(MissingKind::Hung, "the kubelet's log files are longer than there was time to read");
        batch.facts = fact(&if more { Err(long()) } else { readable }, Timestamp::now());
        return batch;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const KUBELET: &str = "/var/lib/rancher/rke2/agent/logs/kubelet.log";
    const FLAG: &str = r#"run.go:72] "command failed" err="failed to parse kubelet flag: unknown flag: --network-plugin""#;

    fn known() -> Facts {
        let mut facts = Facts::new();
        facts.set(s::KUBELET_KUBECONFIG_PATH, Timestamp::UNIX_EPOCH, format!("/var/lib/rancher/rke2{KUBECONFIG}"));
        facts
    }

    /// A line as klog writes it, so many seconds ago.
    fn line(ago: i64, words: &str) -> String {
        let at = (Timestamp::now() - jiff::SignedDuration::from_secs(ago)).to_zoned(TimeZone::UTC);
        format!("{}    1200 {words}\n", at.strftime("E%m%d %H:%M:%S%.6f"))
    }

    fn following(node: &Node, booted_ago: i64) -> LogFiles {
        let mut files = LogFiles { followed: Vec::new(), from: Timestamp::now() - jiff::SignedDuration::from_secs(booted_ago) };
        files.choose(&node.host(), &known());
        files
    }

    fn codes(files: &mut LogFiles, node: &Node) -> Vec<String> {
        let drained = files.drain(&node.host(), nodewhy_causes::catalogue().matcher());
        assert_eq!(drained.readable, Ok(true));
        drained.sightings.into_iter().map(|sighting| sighting.code).collect()
    }

    #[test]
    fn what_rke2s_kubelet_says_is_heard_as_it_comes() {
        let first = line(100, "server.go:1] \"Kubelet version\"");
        let node = Node::new().file(KUBELET, &first);
        let mut files = following(&node, 3600);
        assert_eq!(codes(&mut files, &node), Vec::<String>::new());
        node.write(KUBELET, first + &line(0, FLAG));
        assert!(codes(&mut files, &node).contains(&"kubelet-unknown-flag".to_owned()));
        assert_eq!(codes(&mut files, &node), Vec::<String>::new());
    }

    #[test]
    fn what_was_said_before_is_as_old_as_it_says_and_of_this_boot_only() {
        let node = Node::new().file(KUBELET, line(7200, FLAG) + &line(60, FLAG));
        let drained = following(&node, 3600).drain(&node.host(), nodewhy_causes::catalogue().matcher());
        let age = |one: &Sighting| Timestamp::now().as_second() - one.at.as_second();
        assert!(!drained.sightings.is_empty() && drained.sightings.iter().all(|one| (59..=65).contains(&age(one))), "{drained:?}");
        assert_eq!(drained.sightings[0].unit, KUBELET);
    }

    #[test]
    fn containerds_file_is_read_as_the_runtimes() {
        let path = "/var/lib/rancher/rke2/agent/containerd/containerd.log";
        let at = Timestamp::now() - jiff::SignedDuration::from_secs(5);
        let error = "failed to create shim task: OCI runtime create failed: runc create failed: expected cgroupsPath to be of format \\\"slice:prefix:name\\\" for systemd cgroups, got \\\"/kubepods/x\\\" instead: unknown";
        let node = Node::new().file(path, format!("time=\"{at}\" level=error msg=\"RunPodSandbox failed\" error=\"{error}\"\n"));
        assert!(codes(&mut following(&node, 3600), &node).contains(&"cgroup-driver-mismatch".to_owned()));
    }

    #[test]
    fn files_that_are_not_there_miss_nothing_and_one_that_cannot_be_read_does() {
        let kind = |node: &Node| following(node, 60).drain(&node.host(), &Matcher::default()).readable.unwrap_err().kind;
        assert_eq!(kind(&Node::new()), MissingKind::NotApplicable);
        // A directory in its place.
        assert_eq!(kind(&Node::new().file(&format!("{KUBELET}/x"), "")), MissingKind::Failed);
        let plain = Node::new();
        let mut files = LogFiles::new(&plain.host(), None);
        files.choose(&plain.host(), &Facts::new());
        assert_eq!(files.drain(&plain.host(), &Matcher::default()).readable.unwrap_err().kind, MissingKind::NotApplicable);
    }
}
