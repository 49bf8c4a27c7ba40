//! The fields of one entry, copied out of the journal's map into buffers that are used again for the next.

use std::borrow::Cow;

use nodewhy_diagnosis::record::{JournalFields, MAX_MESSAGE, Source};

/// Speakers that are remembered; most entries are of a few.
const SPEAKERS: usize = 8;
/// Names of units, identifiers and the like are shorter; anything longer is hostile.
const MAX_NAME: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Fields {
    message: Vec<u8>,
    systemd_unit: Vec<u8>,
    unit: Vec<u8>,
    identifier: Vec<u8>,
    pid: Vec<u8>,
    uid: Vec<u8>,
    transport: Vec<u8>,
    container: Vec<u8>,
    priority: Vec<u8>,
    boot: Vec<u8>,
    speakers: Vec<Speaker>,
    /// Which is forgotten next.
    oldest: usize,
}

/// Who an entry with these fields is of.
#[derive(Debug, PartialEq)]
struct Speaker {
    systemd_unit: Vec<u8>,
    identifier: Vec<u8>,
    uid: Vec<u8>,
    transport: Vec<u8>,
    in_container: bool,
    source: Source,
}

impl Fields {
    pub(super) fn clear(&mut self) {
        for buffer in [
            &mut self.message,
            &mut self.systemd_unit,
            &mut self.unit,
            &mut self.identifier,
            &mut self.pid,
            &mut self.uid,
            &mut self.transport,
            &mut self.container,
            &mut self.priority,
            &mut self.boot,
        ] {
            buffer.clear();
        }
    }

    /// Takes one `NAME=value`. Of a name that comes twice the first counts.
    pub(super) fn take(&mut self, data: &[u8]) {
        // Most of an entry's twenty or so fields are told apart by their first two bytes.
        let (slot, name, max) = match data.first_chunk::<2>() {
            Some(b"ME") => (&mut self.message, &b"MESSAGE="[..], MAX_MESSAGE),
            Some(b"_S") => (&mut self.systemd_unit, &b"_SYSTEMD_UNIT="[..], MAX_NAME),
            Some(b"UN") => (&mut self.unit, &b"UNIT="[..], MAX_NAME),
            Some(b"SY") => (&mut self.identifier, &b"SYSLOG_IDENTIFIER="[..], MAX_NAME),
            Some(b"_P") => (&mut self.pid, &b"_PID="[..], MAX_NAME),
            Some(b"_U") => (&mut self.uid, &b"_UID="[..], MAX_NAME),
            Some(b"_T") => (&mut self.transport, &b"_TRANSPORT="[..], MAX_NAME),
            Some(b"_B") => (&mut self.boot, &b"_BOOT_ID="[..], MAX_NAME),
            Some(b"CO") => (&mut self.container, &b"CONTAINER_ID="[..], MAX_NAME),
            Some(b"PR") => (&mut self.priority, &b"PRIORITY="[..], MAX_NAME),
            _ => return,
        };
        if let Some(value) = data.strip_prefix(name)
            && slot.is_empty()
        {
            slot.extend_from_slice(&value[..value.len().min(max)]);
        }
    }

    /// Whether all that decides has been taken, so that the rest of the entry need not be looked at. Of PID 1 and of whoever lacks a field (the
    /// kernel) it may still come;
    /// and only who speaks journald's own protocol can say fields of their own (`CONTAINER_ID`), in any place.
    pub(super) fn is_whole(&self) -> bool {
        let all = [&self.message, &self.boot, &self.systemd_unit, &self.identifier, &self.uid, &self.transport, &self.pid];
        all.iter().all(|field| !field.is_empty()) && self.pid != b"1" && self.transport != b"journal"
    }

    /// `_BOOT_ID`; empty if the entry has none.
    pub(super) fn boot(&self) -> &[u8] {
        &self.boot
    }

    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Who speaks.
    pub(super) fn source(&mut self) -> Source {
        // What PID 1 says is of the unit that it speaks about.
        if self.pid == b"1" {
            return self.with("", |fields| fields.speaker().0);
        }
        let same = |known: &&Speaker| {
            let Speaker { systemd_unit, identifier, uid, transport, in_container, .. } = known;
            (systemd_unit, identifier, uid, transport) == (&self.systemd_unit, &self.identifier, &self.uid, &self.transport)
                && *in_container != self.container.is_empty()
        };
        if let Some(known) = self.speakers.iter().find(same) {
            return known.source;
        }
        let source = self.with("", |fields| fields.speaker().0);
        let [systemd_unit, identifier, uid, transport] =
            [&self.systemd_unit, &self.identifier, &self.uid, &self.transport].map(Clone::clone);
        let in_container = !self.container.is_empty();
        let speaker = Speaker { systemd_unit, identifier, uid, transport, in_container, source };
        if self.speakers.len() < SPEAKERS {
            self.speakers.push(speaker);
        } else {
            self.speakers[self.oldest] = speaker;
            self.oldest = (self.oldest + 1) % SPEAKERS;
        }
        source
    }

    /// Hands the fields on as text; what is not UTF-8 is replaced.
    pub(super) fn with<T>(&self, cursor: &str, then: impl FnOnce(&JournalFields<'_>) -> T) -> T {
        let text = String::from_utf8_lossy;
        let owned: [Cow<'_, str>; 9] = [
            text(&self.message),
            text(&self.systemd_unit),
            text(&self.unit),
            text(&self.identifier),
            text(&self.pid),
            text(&self.uid),
            text(&self.transport),
            text(&self.container),
            text(&self.priority),
        ];
        let [message, systemd_unit, unit, identifier, pid, uid, transport, container, priority] = &owned;
        then(&JournalFields { message, systemd_unit, unit, identifier, pid, uid, transport, container, priority, cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_are_bounded_and_made_text() {
        let mut fields = Fields::default();
        let mut long = b"MESSAGE=".to_vec();
        long.extend(std::iter::repeat_n(b'x', 1 << 20));
        fields.take(&long);
        fields.take(b"_SYSTEMD_UNIT=kube\xff\0let.service");
        for odd in [&b""[..], b"M", b"ME", b"MESSAGE", b"=x", b"_SYSTEMD_UNITX=evil", b"MESSAGE=second"] {
            fields.take(odd);
        }
        fields.with("c", |fields| {
            assert_eq!(fields.message.len(), MAX_MESSAGE);
            assert_eq!(fields.systemd_unit, "kube\u{fffd}\0let.service");
        });
    }

    #[test]
    fn a_speaker_is_told_the_same_whether_it_is_remembered_or_not() {
        let mut fields = Fields::default();
        for round in 0..3 {
            for (unit, identifier, uid, pid, source) in [
                ("kubelet.service", "kubelet", "0", "7", Source::Kubelet),
                ("session-1.scope", "kubelet", "1000", "8", Source::Other),
                ("my.service", "kubelet", "0", "9", Source::Kubelet),
                ("init.scope", "systemd", "0", "1", Source::Systemd),
                ("init.scope", "systemd", "0", "2", Source::Other),
                ("a.service", "a", "0", "3", Source::Other),
                ("b.service", "b", "0", "3", Source::Other),
                ("c.service", "c", "0", "3", Source::Other),
                ("d.service", "d", "0", "3", Source::Other),
                ("e.service", "crio", "0", "3", Source::Runtime),
                ("f.service", "f", "0", "3", Source::Other),
            ] {
                fields.clear();
                for (name, value) in [("_SYSTEMD_UNIT", unit), ("SYSLOG_IDENTIFIER", identifier), ("_UID", uid), ("_PID", pid)] {
                    fields.take(format!("{name}={value}").as_bytes());
                }
                assert_eq!(fields.source(), source, "{unit} {identifier} {uid} {pid}, round {round}");
            }
        }
    }

    #[test]
    fn a_container_that_logs_through_docker_is_not_docker() {
        let mut fields = Fields::default();
        let dockers: [&[u8]; 6] =
            [b"_BOOT_ID=b", b"_SYSTEMD_UNIT=docker.service", b"SYSLOG_IDENTIFIER=x", b"_PID=7", b"_UID=0", b"MESSAGE=m"];
        for (transport, container, source) in [
            ("_TRANSPORT=stdout", "", Source::Runtime),
            ("_TRANSPORT=journal", "", Source::Runtime),
            ("_TRANSPORT=journal", "CONTAINER_ID=0a1b", Source::Other),
        ] {
            fields.clear();
            dockers.iter().for_each(|field| fields.take(field));
            fields.take(transport.as_bytes());
            assert_eq!(fields.is_whole(), transport.ends_with("stdout"), "the container may still be named");
            fields.take(container.as_bytes());
            assert_eq!(fields.source(), source, "{transport} {container}");
        }
    }

    #[test]
    fn an_entry_is_whole_when_nothing_that_comes_later_matters() {
        let mut fields = Fields::default();
        for field in ["_BOOT_ID=b", "_TRANSPORT=stdout", "_SYSTEMD_UNIT=kubelet.service", "SYSLOG_IDENTIFIER=kubelet", "_PID=7", "_UID=0"] {
            fields.take(field.as_bytes());
            assert!(!fields.is_whole());
        }
        fields.take(b"MESSAGE=m");
        assert!(fields.is_whole());
        fields.clear();
        assert!(!fields.is_whole());
    }

    #[test]
    fn a_cleared_buffer_holds_nothing_of_the_last_entry() {
        let mut fields = Fields::default();
        fields.take(b"MESSAGE=old");
        fields.take(b"_PID=1");
        fields.clear();
        fields.take(b"MESSAGE=new");
        fields.with("", |fields| assert_eq!((fields.message, fields.pid), ("new", "")));
    }
}
