//! What stands before a message: time, host, speaker, process, priority, in the many ways there are.

use super::time::{self, Stamp};
use super::{Source, date};

/// What stands before a message.
#[derive(Default)]
pub(super) struct Head<'a> {
    pub(super) stamp: Option<Stamp>,
    pub(super) host: &'a str,
    pub(super) name: &'a str,
    pub(super) pid: Option<u32>,
    pub(super) kernel: bool,
    pub(super) priority: Option<u8>,
}

/// The head and the message.
pub(super) fn split(line: &str) -> (Head<'_>, &str) {
    if let Some(stamp) = audit(line) {
        return (Head { stamp: Some(stamp), ..Head::default() }, line);
    }
    let mut head = Head::default();
    let mut rest = line;
    if let Some((priority, after)) = angle_priority(rest) {
        head.priority = Some(priority & 7);
        if let Some(found) = rfc5424(after, head.priority) {
            return found;
        }
        rest = after;
    }
    if let Some((host, kernel, priority, after)) = facility(rest) {
        (head.host, head.kernel, head.priority, rest) = (host, kernel, priority, after);
    }
    if let Some((stamp, after)) = bracketed(rest) {
        let speaker = tag(after.trim_start(), Strictness::PidOrKnown);
        (head.kernel, head.stamp) = (speaker.is_none(), stamp);
        rest = without_caller(after);
    } else if let Some((stamp, after)) = leading_stamp(rest) {
        head.stamp = Some(stamp);
        rest = after.trim_start_matches([' ', '\t', '|']);
        if let Some((stamp, after)) = bracketed(rest) {
            (head.kernel, rest) = (true, without_caller(after));
            head.stamp = head.stamp.or(stamp);
        }
        rest = without_cri(rest);
    }
    if head.kernel {
        return (head, rest.trim_start_matches(' '));
    }
    let strictness = match head.stamp {
        Some(Stamp::Yearless { .. }) => Strictness::Any,
        Some(_) => Strictness::PidOrKnownAfterHost,
        None => Strictness::PidOrKnown,
    };
    if let Some(tag) = tag(rest.trim_start(), strictness) {
        (head.name, head.pid) = (tag.name, tag.pid);
        head.host = if tag.host.is_empty() { head.host } else { tag.host };
        // PID 1's words without their prefix keep the unit's name.
        let bare_unit = head.stamp.is_none() && tag.pid.is_none() && tag.name.ends_with(".service");
        rest = if bare_unit { rest } else { tag.rest };
    }
    (head, rest.strip_prefix(' ').unwrap_or(rest))
}

/// `1 2026-11-22T00:54:49.103848Z host kubelet 14029 - [meta x="y"] message`, after the priority (RFC 5424).
fn rfc5424(text: &str, priority: Option<u8>) -> Option<(Head<'_>, &str)> {
    let (stamp, rest) = time::iso(text.strip_prefix("1 ")?)?;
    let mut words = rest.trim_start_matches(' ').splitn(5, ' ');
    let (host, name, pid, _id, rest) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let known = |word| if word == "-" { "" } else { word };
    let head = Head { stamp: Some(stamp), host: known(host), name: known(name), pid: pid.parse().ok(), kernel: name == "kernel", priority };
    let message = without_structured_data(rest).trim_start_matches(['\u{feff}', ' ']);
    Some((head, message))
}

/// The time in `type=AVC msg=audit(1700596261.324:4756): ...` of auditd's own log and of ausearch; the whole line is the message.
fn audit(text: &str) -> Option<Stamp> {
    let text = text.strip_prefix("node=").and_then(|named| named.split_once(' ')).map_or(text, |(_, rest)| rest);
    let (kind, rest) = text.strip_prefix("type=")?.split_once(" msg=audit(")?;
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_[]".contains(&byte);
    let (time, _) = rest.split_once(':').filter(|_| kind.len() <= 32 && kind.bytes().all(plain))?;
    time::unix(time).map(Stamp::Exact)
}

fn without_structured_data(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix("- ") {
        return rest;
    }
    let mut rest = text;
    while rest.starts_with('[') {
        // A quoted value may hold a bracket only escaped (RFC 5424, 6.3.3).
        let Some(end) = rest.char_indices().skip(1).find(|&(at, c)| c == ']' && !rest[..at].ends_with('\\')) else { return text };
        rest = &rest[end.0 + 1..];
    }
    rest
}

/// Any time at the beginning: ISO, syslog, with a weekday before it (short-full), seconds since 1970 (short-unix).
pub(super) fn leading_stamp(text: &str) -> Option<(Stamp, &str)> {
    if let Some(found) = time::iso(text).or_else(|| time::syslog(text)).or_else(|| date::other(text)) {
        return Some(found);
    }
    let (word, rest) = text.split_once(' ')?;
    if let Some(at) = time::unix(word) {
        return Some((Stamp::Exact(at), rest));
    }
    let weekday = word.len() <= 24 && word.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | ','));
    let rest = rest.trim_start_matches(' ');
    let (stamp, rest) = if weekday { time::iso(rest).or_else(|| time::date_command(rest))? } else { return None };
    // A zone's abbreviation other than UTC (CET) says too little: the caller's zone decides.
    let zone = rest.trim_start().split(' ').next().unwrap_or("");
    let is_zone = matches!(stamp, Stamp::Local(_)) && (2..=5).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_uppercase());
    Some((stamp, if is_zone { &rest.trim_start()[zone.len()..] } else { rest }))
}

/// `[ 1234.567890] `, `[Tue Nov 21 19:51:01 2023] `, `[Nov22 00:54] `, `[  +0.000012] `: the kernel's, by dmesg in its forms, or
/// journalctl's short-monotonic.
pub(super) fn bracketed(text: &str) -> Option<(Option<Stamp>, &str)> {
    let inner_and_rest = text.strip_prefix('[')?;
    let end = inner_and_rest.bytes().take(64).position(|byte| byte == b']')?;
    let (inner, rest) = (&inner_and_rest[..end], &inner_and_rest[end + 1..]);
    let uptime = inner.trim_start().split([' ', '<']).next().unwrap_or("");
    let (seconds, fraction) = uptime.strip_prefix('+').unwrap_or(uptime).split_once('.').unwrap_or(("", ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(seconds) && digits(fraction) {
        return Some((None, rest));
    }
    time::ctime(inner).or_else(|| time::reltime(inner)).map(|stamp| (Some(stamp), rest))
}

/// Without the `[ T1234]` or `[    C0]` of kernels built with CONFIG_PRINTK_CALLER (kernel/printk/printk.c, print_caller; 5.1 and later).
fn without_caller(text: &str) -> &str {
    let caller = || {
        let (inner, rest) = text.trim_start_matches(' ').strip_prefix('[')?.split_once(']')?;
        let number = inner.trim_start().strip_prefix(['T', 'C'])?;
        (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
    };
    caller().unwrap_or(text)
}

/// `<30>` of syslog, `<6>` of the kernel.
fn angle_priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    (digits.len() <= 3).then(|| digits.parse().ok())?.map(|priority| (priority, rest))
}

/// What [`dmesg_facility`] reads, in talosctl dmesg behind a node's name: `10.0.0.2: kern:    info: [2026-11-22T00:54:49Z]: `.
fn facility(text: &str) -> Option<(&str, bool, Option<u8>, &str)> {
    let (host, (kernel, priority, rest)) = match dmesg_facility(text) {
        Some(found) => ("", found),
        None => text.split_once(": ").filter(|(host, _)| is_host(host)).and_then(|(host, rest)| Some((host, dmesg_facility(rest)?)))?,
    };
    Some((host, kernel, priority, rest))
}

/// `kern  :err   : ` of dmesg -x: whether the kernel itself speaks, how loud, and what follows.
fn dmesg_facility(text: &str) -> Option<(bool, Option<u8>, &str)> {
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    // Others write to /dev/kmsg too: systemd before there is a journal.
    const FACILITIES: [&str; 6] = ["kern", "user", "daemon", "syslog", "auth", "mail"];
    let (facility, rest) = text.split_once(':')?;
    let facility = FACILITIES.iter().find(|known| **known == facility.trim_end())?;
    let (level, rest) = rest.split_once(':')?;
    let priority = LEVELS.iter().position(|known| *known == level.trim() || known.starts_with("warn") && level.trim() == "warning")?;
    Some((*facility == "kern", Some(priority as u8), rest.trim_start_matches(' ')))
}

/// Without the `stderr F ` that CRI log files have between time and message.
fn without_cri(text: &str) -> &str {
    ["stdout F ", "stderr F ", "stdout P ", "stderr P "].iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text)
}

/// The kernel's words without its own time, and without the empty tag some rsyslog templates leave (`kernel: : [12.3] `).
pub(super) fn kernel_message(message: &str) -> &str {
    let message = message.strip_prefix(": ").unwrap_or(message).trim_start_matches(' ');
    bracketed(message).map_or(message, |(_, rest)| without_caller(rest).trim_start_matches(' '))
}

pub(super) struct Tag<'a> {
    pub(super) host: &'a str,
    pub(super) name: &'a str,
    pub(super) pid: Option<u32>,
    pub(super) rest: &'a str,
}

/// What may count as a speaker: in a syslog line any name, elsewhere only one with a process number or one that is known, because
/// ordinary prose has colons too.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Strictness {
    Any,
    /// After a full time a known name may also come without a process number after a host's.
    PidOrKnownAfterHost,
    PidOrKnown,
}

pub(super) fn tag(text: &str, strictness: Strictness) -> Option<Tag<'_>> {
    if let Some(rest) = text.strip_prefix("kernel:") {
        return Some(Tag { host: "", name: "kernel", pid: None, rest });
    }
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    if let Some((name, pid)) = name_and_pid(first, strictness) {
        return Some(Tag { host: "", name, pid, rest });
    }
    let (second, rest) = rest.trim_start_matches(' ').split_once(' ').unwrap_or((rest.trim_start_matches(' '), ""));
    if !is_host(first) {
        return None;
    }
    // Two words and a colon are prose unless a time or a process number says otherwise.
    let (name, pid) =
        name_and_pid(second, strictness).filter(|(_, pid)| pid.is_some() || strictness != Strictness::PidOrKnown || second == "kernel:")?;
    Some(Tag { host: first, name, pid, rest })
}

pub(super) fn is_host(word: &str) -> bool {
    const LEVELS: [&str; 8] = ["error", "warning", "warn", "info", "debug", "fatal", "notice", "trace"];
    let hostname = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !word.is_empty() && word.bytes().all(hostname) && !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

pub(super) fn name_and_pid(word: &str, strictness: Strictness) -> Option<(&str, Option<u32>)> {
    let word = word.strip_suffix(':')?;
    let (name, pid) = match word.strip_suffix(']').and_then(|word| word.rsplit_once('[')) {
        // `kubelet[xxxx]`: somebody made it unknown.
        Some((name, pid)) if pid.parse::<u32>().is_err() && !is_redacted(pid, name) => return None,
        Some((name, pid)) => (name, pid.parse().ok()),
        None => (word, None),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./@()\\".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) || name.contains(".go") {
        return None;
    }
    let known = || Source::of(name) != Source::Other || name.ends_with(".service");
    (pid.is_some() || strictness == Strictness::Any || known()).then_some((name, pid))
}

/// Whether a process number was made unknown, behind a name that is known.
fn is_redacted(pid: &str, name: &str) -> bool {
    const SIGNS: [char; 5] = ['x', 'X', '*', '#', '.'];
    (1..=8).contains(&pid.len()) && pid.chars().all(|c| SIGNS.contains(&c)) && Source::of(name) != Source::Other
}

/// The unit in PID 1's words: `kubelet.service: Main process exited`, `Started kubelet.service - kubelet: ...`.
pub(super) fn unit_spoken_of(message: &str) -> &str {
    let is_unit = |word: &&str| word.len() > 8 && (word.ends_with(".service") || word.ends_with(".scope") || word.ends_with(".slice"));
    message.split([' ', ':', ',']).take(6).map(|word| word.trim_end_matches('.')).find(is_unit).unwrap_or("")
}
