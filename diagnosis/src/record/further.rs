//! A head that stands further in a line, behind a mark nobody foresaw: a dashboard's column, a prompt, a CI's, a table's cell.

use super::head::{self, Head, Strictness, leading_stamp};
use super::{Klog, Source};

/// So far a head is looked for.
const MAX_MARK: usize = 200;
/// So many words of prose a mark may have; a sentence that quotes a log line is a message itself.
const MAX_PROSE: usize = 2;

/// Who speaks, if the mark says so, and the line from klog's head on.
pub(super) fn klog(line: &str) -> Option<(&str, &str)> {
    let bytes = line.as_bytes();
    let begins = |at: usize| {
        matches!(bytes[at], b'I' | b'W' | b'E' | b'F')
            && bytes.get(at + 1..at + 5).is_some_and(|date| date.iter().all(u8::is_ascii_digit))
            && matches!(bytes.get(at + 5), Some(b' ' | b'\t'))
    };
    let at = (0..bytes.len().min(MAX_MARK)).find(|&at| begins(at) && Klog::parse(&line[at..]).is_some_and(|klog| klog.stamp.is_some()))?;
    let mark = &line[..at];
    is_mark(mark).then(|| (speaker_in(mark), &line[at..]))
}

/// The head that `kubelet[14029]: ` ends, where what stands before it is no time and host: both were cut, redacted or are of a form of
/// their own. The name has to be known.
pub(super) fn tag(line: &str) -> Option<(Head<'_>, &str)> {
    let mut from = 0;
    while let Some(len) = line.get(from..)?.find(' ').filter(|len| from + len < MAX_MARK) {
        let word = &line[from..from + len];
        if word.ends_with("]:")
            && let Some((name, pid)) =
                head::name_and_pid(word, Strictness::PidOrKnown).filter(|(name, _)| Source::of(name) != Source::Other)
        {
            let mark = &line[..from];
            let stamp = mark.char_indices().find_map(|(at, _)| leading_stamp(&mark[at..]).map(|(stamp, _)| stamp));
            let before = mark.trim_end().rsplit(' ').next().unwrap_or("");
            let host = if head::is_host(before) && before.bytes().any(|byte| byte.is_ascii_alphabetic()) { before } else { "" };
            return is_mark(mark).then_some((Head { stamp, host, name, pid, ..Head::default() }, &line[from + len + 1..]));
        }
        from += len + 1;
    }
    None
}

/// Whether a text before a head is no message: hardly any words, no error of klog's or logfmt's pairs, no text in JSON but a carrier's.
fn is_mark(text: &str) -> bool {
    const PAIRS: [&str; 3] = ["msg=", "err=", "error="];
    let prose = |word: &&str| {
        let word = word.trim_end_matches([':', ',', '.']);
        word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase()) && Source::of(word) == Source::Other
    };
    let carried = ["\"log\":", "\"message\":", "\"MESSAGE\":", "\"textPayload\":", "\"line\":"];
    let inner = text.trim_end_matches(['"', ' ']);
    (!text.contains("{\"") || carried.iter().any(|name| inner.ends_with(name)))
        && !PAIRS.iter().any(|pair| text.contains(pair))
        && text.split_ascii_whitespace().filter(prose).count() <= MAX_PROSE
}

/// A program that is known among the words of a mark; the last, as names go from the node to the container.
fn speaker_in(mark: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let told = |word: &&str| !matches!(Source::of(word), Source::Other | Source::Unknown | Source::Kernel | Source::Systemd);
    mark.rsplit(|c: char| !plain(c)).find(told).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "E1122 00:54:49.103848   14029 run.go:72] \"command failed\" err=\"x\"";

    #[test]
    fn a_klog_line_is_found_behind_what_people_and_tools_put_before_it() {
        for (mark, speaker) in [
            ("$ ", ""),
            ("→ ", ""),
            ("[12] ", ""),
            ("root@node1:~# ", ""),
            ("7/14/2026 3:12:49 PM", ""),
            ("{unit=\"kubelet.service\"} ", "kubelet.service"),
            ("DEBG 'kubelet' stderr output: ", "kubelet"),
            ("node1 | CHANGED | rc=0 >> ", ""),
            ("[kube-proxy-x7 kube-proxy] ", "kube-proxy"),
            ("{\"stream\":\"stderr\",\"log\":\"", ""),
        ] {
            let line = format!("{mark}{LINE}");
            assert_eq!(klog(&line), Some((speaker, LINE)), "{mark}");
        }
    }

    #[test]
    fn a_message_that_quotes_a_klog_line_keeps_its_beginning() {
        for before in [
            "[ERROR CRI]: container runtime is not running: output: ",
            "level=error msg=\"kubelet exited\" ",
            "{\"level\":\"info\",\"msg\":\"",
            "the log of this pod says ",
        ] {
            assert_eq!(klog(&format!("{before}{LINE}")), None, "{before}");
        }
        assert_eq!(klog(&format!("{}{LINE}", "x".repeat(MAX_MARK))), None);
    }

    #[test]
    fn a_speaker_with_its_process_is_found_behind_a_cut_or_redacted_head() {
        for (mark, host) in [
            ("22 00:54:49 node1 ", "node1"),
            (":49 node1 ", "node1"),
            ("00:54:49 <host> ", ""),
            ("node1 daemon.info ", "daemon.info"),
            ("Message from syslogd: ", ""),
        ] {
            let line = format!("{mark}kubelet[14029]: {LINE}");
            let (head, rest) = tag(&line).expect("a head");
            assert_eq!((head.host, head.name, head.pid, rest), (host, "kubelet", Some(14029), LINE), "{mark}");
        }
        assert!(tag("a shim of containerd died, says kubelet[14029]: x").is_none(), "prose");
        assert!(tag("x foo[1]: y").is_none(), "nobody known");
        assert!(tag("").is_none() && tag("kubelet[1]:").is_none());
    }
}
