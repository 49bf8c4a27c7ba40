//! The fields of one entry, copied out of the journal's map into buffers that are used again for the next.

use std::borrow::Cow;

use nodewhy_diagnosis::record::{JournalFields, MAX_MESSAGE};

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
    priority: Vec<u8>,
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
            &mut self.priority,
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
            Some(b"PR") => (&mut self.priority, &b"PRIORITY="[..], MAX_NAME),
            _ => return,
        };
        if let Some(value) = data.strip_prefix(name)
            && slot.is_empty()
        {
            slot.extend_from_slice(&value[..value.len().min(max)]);
        }
    }

    /// Hands the fields on as text; what is not UTF-8 is replaced.
    pub(super) fn with<T>(&self, cursor: &str, then: impl FnOnce(&JournalFields<'_>) -> T) -> T {
        let text = String::from_utf8_lossy;
        let owned: [Cow<'_, str>; 8] = [
            text(&self.message),
            text(&self.systemd_unit),
            text(&self.unit),
            text(&self.identifier),
            text(&self.pid),
            text(&self.uid),
            text(&self.transport),
            text(&self.priority),
        ];
        let [message, systemd_unit, unit, identifier, pid, uid, transport, priority] = &owned;
        then(&JournalFields { message, systemd_unit, unit, identifier, pid, uid, transport, priority, cursor })
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
    fn a_cleared_buffer_holds_nothing_of_the_last_entry() {
        let mut fields = Fields::default();
        fields.take(b"MESSAGE=old");
        fields.take(b"_PID=1");
        fields.clear();
        fields.take(b"MESSAGE=new");
        fields.with("", |fields| assert_eq!((fields.message, fields.pid), ("new", "")));
    }
}
