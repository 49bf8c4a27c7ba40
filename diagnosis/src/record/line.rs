//! One line as a program wrote it, behind whatever head it has.

use jiff::Timestamp;

use super::head::{self, Head, kernel_message, unit_spoken_of};
use super::odd::after_mark;
use super::text::Spoken;
use super::time::{self, Clock, Stamp};
use super::{Klog, LogRecord, Logfmt, Source, further, speaker};

/// What is known of a line beside itself.
pub(super) struct Around<'a> {
    pub(super) at: Option<Timestamp>,
    /// Who speaks if the line does not say.
    pub(super) speaker: &'a str,
    pub(super) host: &'a str,
}

/// A line that nothing carries.
pub(super) fn plain<'a>(clock: &mut Clock, line: &'a str, around: &Around<'a>) -> Spoken<'a> {
    // A kubelet's own file: nothing stands before the message.
    if let Some(klog) = Klog::parse(line).filter(|klog| klog.stamp.is_some() && around.speaker != "kernel") {
        return headed(clock, (Head::default(), line), Some(klog), around);
    }
    let (head, message) = head::split(without_printks_note(line));
    let klog = Klog::parse(message);
    let silent = head.name.is_empty() && !head.kernel;
    if silent && klog.is_none() && Logfmt::parse(message).is_none() {
        let undated = head.stamp.is_none();
        // What stands before the head, or, between time and line, the name of a stream.
        if let Some((speaker, rest)) = after_mark(if undated { line } else { message }) {
            let speaker = if speaker.is_empty() { around.speaker } else { speaker };
            let split = if undated { head::split(rest) } else { (head, rest) };
            let klog = Klog::parse(split.1);
            return headed(clock, split, klog, &Around { speaker, ..*around });
        }
        if let Some((found, rest)) = further::tag(message) {
            let head = Head { stamp: head.stamp.or(found.stamp), ..found };
            return headed(clock, (head, rest), Klog::parse(rest), around);
        }
        if let Some((speaker, rest)) = further::klog(message) {
            let speaker = if speaker.is_empty() { around.speaker } else { speaker };
            return headed(clock, (head, rest), Klog::parse(rest), &Around { speaker, ..*around });
        }
    }
    headed(clock, (head, message), klog, around)
}

/// Without `** 11 printk messages dropped ** `, which the kernel puts before the next line (kernel/printk/printk.c).
fn without_printks_note(line: &str) -> &str {
    const NOTE: &str = "printk messages dropped ** ";
    const LONGEST: usize = 64;
    match line.find(NOTE).filter(|&at| at <= LONGEST) {
        Some(at) if line[at + NOTE.len()..].starts_with('[') => &line[at + NOTE.len()..],
        _ => line,
    }
}

fn headed<'a>(clock: &mut Clock, (mut head, message): (Head<'a>, &'a str), klog: Option<Klog<'a>>, around: &Around<'a>) -> Spoken<'a> {
    let own = head.kernel || !head.name.is_empty();
    if !own {
        head.name = around.speaker;
        head.kernel = head.name == "kernel";
    }
    let mut source = match head.kernel {
        true => Source::Kernel,
        false => speaker::source(head.name, klog.as_ref(), Logfmt::parse(message).is_some()),
    };
    let (message, klog) = match source {
        Source::Kernel => (kernel_message(message), None),
        _ => (message, klog),
    };
    if matches!(source, Source::Runtime | Source::Other)
        && matches!(head.name, "docker" | "dockerd" | "journal")
        && speaker::is_etcds(message)
    {
        source = Source::Etcd;
    }
    if source == Source::Systemd && head.pid.is_some_and(|pid| pid != 1) {
        source = Source::Other; // A user's manager.
    }
    let mut unit = head.name;
    if own && head.name.ends_with(".service") && head.stamp.is_none() && head.pid.is_none() {
        source = Source::Systemd; // PID 1's words whose prefix was lost: `kubelet.service: Main process exited`.
    } else if source == Source::Systemd {
        unit = unit_spoken_of(message);
    }
    let logfmt = if klog.is_some() { None } else { Logfmt::parse(message) };
    let stamp_of_its_own = own_stamp(klog.as_ref(), logfmt.as_ref());
    let headed = head.stamp.is_some() || own || klog.is_some() || logfmt.is_some() || Klog::is_origin(message);
    // A full date beats one without a year, the carrier's beats the program's own.
    let stamp = match (head.stamp, stamp_of_its_own) {
        (None | Some(Stamp::Yearless { .. }), Some(own @ Stamp::Exact(_))) => Some(own),
        (Some(stamp), _) => Some(stamp),
        (None, own) => own,
    };
    let at = around.at.or_else(|| stamp.and_then(|stamp| clock.resolve(stamp)));
    head.priority = head.priority.or_else(|| logfmt.as_ref().and_then(Logfmt::priority));
    let pid = head.pid.or_else(|| klog.and_then(|klog| klog.stamp).map(|stamp| stamp.pid).filter(|&pid| pid > 0));
    let record = LogRecord { at, source, unit, priority: head.priority, klog, message, cursor: "" };
    let host = if head.host.is_empty() { around.host } else { head.host };
    Spoken { record, host, pid, headed }
}

fn own_stamp(klog: Option<&Klog<'_>>, logfmt: Option<&Logfmt<'_>>) -> Option<Stamp> {
    if let Some(stamp) = klog.and_then(|klog| klog.stamp) {
        return Some(Stamp::Yearless { month: stamp.month, day: stamp.day, micros: stamp.micros });
    }
    time::iso(logfmt?.time).map(|(stamp, _)| stamp)
}
