//! What a file of a bundle is: a log and whose, facts, or nothing to read.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nodewhy_diagnosis::Source;
use nodewhy_diagnosis::record::{Klog, LineParser, Lines};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A log; the program whose it is, where its lines do not say, or empty if nobody knows.
    Log(&'a str),
    /// The kernel's or a program's account of the node: /proc/swaps, df, a configuration.
    Facts,
    /// A journal's binary file: journalctl reads it.
    Journal,
    /// Nothing that says anything of the node's state.
    Other,
}

/// Logs of the whole system: their lines say who speaks.
const SYSTEM_LOGS: [&str; 9] = ["messages", "syslog", "journal", "journalctl", "kern", "daemon", "warn", "console", "system"];
/// Lines of an application say nothing of the node, whatever words they have in common.
const POD_LOGS: [&str; 3] = ["pods", "containers", "pod-logs"];

/// Looks at a file's path and its beginning.
///
/// What an archive holds has to prove that it is a log: half of its first lines have a time and a head. `given`: the file was named by
/// the user, so it is one unless it is plainly something else.
pub fn content<'a>(path: &'a str, head: &[u8], given: bool) -> Content<'a> {
    if head.starts_with(b"LPKSHHRH") {
        return Content::Journal;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if is_facts(name, head) {
        return Content::Facts;
    }
    if given {
        return Content::Log("");
    }
    let utf16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    if (head.contains(&0) && !utf16) || !looks_like_a_log(head) {
        return Content::Other;
    }
    match speaker(path, name) {
        // A name that is no program's, a node's perhaps: klog is what the kubelet and its kin write, so the lines speak for themselves.
        Some(speaker) if Source::of(speaker) == Source::Other && is_klog(head) => Content::Log(""),
        Some(speaker) => Content::Log(speaker),
        None => Content::Other,
    }
}

/// Who speaks where a line does not say; `None` if it is nobody of ours.
fn speaker<'a>(path: &'a str, name: &'a str) -> Option<&'a str> {
    let parts: Vec<&str> = path.split('/').collect();
    if let Some(at) = parts.iter().position(|part| POD_LOGS.contains(part)) {
        // pods/NAMESPACE_POD_UID/CONTAINER/0.log, containers/POD_NAMESPACE_CONTAINER-ID.log
        let container = match parts.len() - at {
            4.. => parts[parts.len() - 2],
            _ => name.rsplit('_').next().unwrap_or(name),
        };
        let known = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd"];
        return known.into_iter().find(|known| container.starts_with(known));
    }
    let mut words = name.split(['.', '_', '-', ' ']).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or("");
    if SYSTEM_LOGS.contains(&first) {
        return Some("");
    }
    if name.starts_with("dmesg") || name.contains("_dmesg") || name.contains("-dmesg") {
        return Some("kernel");
    }
    let whole = name.split(['.', '_']).next().unwrap_or(name);
    // A word such as init is no program of ours in a name.
    let known = |word: &&str| !matches!(Source::of(word), Source::Other | Source::Systemd);
    Some([whole, first].into_iter().chain(words).find(known).unwrap_or(whole))
}

fn is_klog(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(4096)]);
    text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| Klog::parse(line).is_some())
}

fn looks_like_a_log(head: &[u8]) -> bool {
    const LOOK_AT: usize = 60;
    let (mut lines, mut parser) = (Lines::new(), LineParser::new(Timestamp::UNIX_EPOCH, TimeZone::UTC));
    let (mut seen, mut heads) = (0, 0);
    let mut look = |line: &str| {
        if seen < LOOK_AT {
            seen += usize::from(!line.trim().is_empty());
            parser.each(line, |spoken| {
                let kernel = spoken.record.source == Source::Kernel;
                heads += usize::from(spoken.headed && (spoken.record.at.is_some() || spoken.pid.is_some() || kernel));
            });
        }
    };
    lines.feed(head, &mut look);
    lines.finish(&mut look);
    heads > 0 && heads * 2 >= seen || heads * 12 >= seen && heads > 0 && is_journal_block(head)
}

/// Entries of which each takes a dozen lines or more: journalctl -o verbose, export, json-pretty.
fn is_journal_block(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(4096)]);
    text.contains("__CURSOR") || text.contains("    _BOOT_ID=") || text.contains("\"__REALTIME_TIMESTAMP\"")
}

/// Whether the file is one of those that `facts` reads.
fn is_facts(name: &str, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(8192)]);
    nodewhy_diagnosis::node::recognise(name, &text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KLOG: &str = "E1122 00:54:49.103848   14029 run.go:72] \"command failed\"\n";
    const SYSLOG: &str = "Nov 22 00:54:49 n1 kubelet[14029]: x\nNov 22 00:54:49 n1 sshd[1]: y\n";

    #[test]
    fn logs_are_known_by_what_they_hold_and_by_their_names() {
        for (path, head, want) in [
            ("b/n1/kubelet.log", KLOG, Content::Log("kubelet")),
            ("b/n1/kubelet.log.1", KLOG, Content::Log("kubelet")),
            ("b/n1/journalctl-kubelet.txt", SYSLOG, Content::Log("")),
            ("b/var/log/messages-20261122", SYSLOG, Content::Log("")),
            ("b/var/log/cloud-init.log", "2026-11-22 00:54:49,103 - util.py[DEBUG]: x\n", Content::Log("cloud-init")),
            ("b/worker-1.log", KLOG, Content::Log("")),
            ("b/kernel/dmesg.current", "[    0.000000] Linux version 6.1\n", Content::Log("kernel")),
            ("b/pods/kube-system_etcd-n1_0a/etcd/0.log", "2026-11-22T00:54:49Z stderr F x\n", Content::Log("etcd")),
            ("b/pods/shop_web-1_0a/web/0.log", "2026-11-22T00:54:49Z stderr F no space left on device\n", Content::Other),
            (
                "b/containers/kube-apiserver-n1_kube-system_kube-apiserver-0ab.log",
                "2026-11-22T00:54:49Z stderr F x\n",
                Content::Log("kube-apiserver"),
            ),
            ("b/etc/os-release", "NAME=Debian\nVERSION=12\n", Content::Other),
            ("b/describe.txt", "Name: n1\nReady False\n", Content::Other),
            ("b/x.bin", "\0\0\0\0", Content::Other),
            ("b/empty", "", Content::Other),
            ("b/system.journal", "LPKSHHRH\0\0", Content::Journal),
        ] {
            assert_eq!(content(path, head.as_bytes(), false), want, "{path}");
        }
    }

    #[test]
    fn a_file_that_was_named_is_a_log_unless_it_is_plainly_something_else() {
        assert_eq!(content("x", b"what somebody pasted", true), Content::Log(""));
        assert_eq!(content("swaps", b"Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n", true), Content::Facts);
    }

    #[test]
    fn a_journal_of_blocks_is_a_log() {
        let export = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795308889500000\n_BOOT_ID=1\nA=1\nB=1\nC=1\nD=1\nMESSAGE=swap\n\n".repeat(3);
        assert_eq!(content("b/journal.export", export.as_bytes(), false), Content::Log(""));
    }
}
