//! From the fields of a journal entry to a record.

use jiff::Timestamp;

use super::{Klog, LogRecord, Source, clip};

/// The fields of a journal entry that matter (systemd.journal-fields(7)); an absent one is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct JournalFields<'a> {
    /// `MESSAGE`
    pub message: &'a str,
    /// `_SYSTEMD_UNIT`
    pub systemd_unit: &'a str,
    /// `UNIT`: what PID 1 speaks about. Anybody may write it; it is believed of PID 1 only.
    pub unit: &'a str,
    /// `SYSLOG_IDENTIFIER`
    pub identifier: &'a str,
    /// `_PID`
    pub pid: &'a str,
    /// `_UID`; empty if the entry has none (a log that was saved without it).
    pub uid: &'a str,
    /// `_TRANSPORT`
    pub transport: &'a str,
    /// `CONTAINER_ID`: Docker's journald driver (moby daemon/logger/journald) writes what containers say under docker.service and gives their id.
    /// Anybody may write it; it takes belief away and gives none.
    pub container: &'a str,
    /// `PRIORITY`
    pub priority: &'a str,
    /// `__CURSOR`
    pub cursor: &'a str,
}

impl<'a> JournalFields<'a> {
    /// The record, its message bounded to [`super::MAX_MESSAGE`].
    pub fn record(&self, at: Option<Timestamp>) -> LogRecord<'a> {
        let (source, unit) = self.speaker();
        let message = clip(self.message, super::MAX_MESSAGE);
        let priority = self.priority.trim().parse().ok().filter(|priority| *priority <= 7);
        LogRecord { at, source, unit, priority, klog: Klog::parse(message), message, cursor: self.cursor }
    }

    /// What a program calls itself (`logger -t kubelet`) is believed of root alone. journald takes `_UID` from the kernel, also where the
    /// process had ended before its unit could be read (systemd.journal-fields(7), "Trusted Journal Fields").
    fn identifier_believed(&self) -> &'a str {
        if self.maybe_root() { self.identifier } else { "" }
    }

    /// The program that speaks, by the name it gives itself; empty if nobody can vouch for it: a user may take any name, and so may what runs
    /// in a container whose output Docker writes down.
    pub fn program(&self) -> &'a str {
        if self.container.is_empty() { self.identifier_believed() } else { "" }
    }

    fn maybe_root(&self) -> bool {
        matches!(self.uid, "" | "0")
    }

    /// Who speaks, and the unit: enough to tell whether any sign listens before the rest is read.
    pub fn speaker(&self) -> (Source, &'a str) {
        if self.transport == "kernel" {
            return (Source::Kernel, "kernel");
        }
        if self.pid == "1" && (!self.unit.is_empty() || self.identifier == "systemd") {
            return (Source::Systemd, self.unit);
        }
        let unit = if self.systemd_unit.is_empty() { self.identifier } else { self.systemd_unit };
        if !self.container.is_empty() {
            return (Source::Other, unit);
        }
        let source = match Source::of_entry(self.systemd_unit, self.identifier_believed()) {
            // They say so; only the transport and PID 1 can.
            Source::Systemd | Source::Kernel => Source::Other,
            // Somebody, who is not who they say.
            Source::Unknown if !self.identifier.is_empty() || !self.maybe_root() => Source::Other,
            source => source,
        };
        (source, unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_one_that_speaks_or_that_systemd_speaks_about() {
        let kubelet = JournalFields {
            message: "E run.go:74] x",
            systemd_unit: "kubelet.service",
            identifier: "kubelet",
            priority: "6",
            ..Default::default()
        };
        let record = kubelet.record(None);
        assert_eq!((record.source, record.unit, record.priority), (Source::Kubelet, "kubelet.service", Some(6)));
        assert!(record.klog.is_some());
        let systemd =
            JournalFields { pid: "1", systemd_unit: "init.scope", unit: "kubelet.service", identifier: "systemd", ..Default::default() };
        assert_eq!(systemd.speaker(), (Source::Systemd, "kubelet.service"));
    }

    #[test]
    fn nobody_else_can_speak_as_the_kernel_or_as_systemd() {
        let forged =
            JournalFields { pid: "77", unit: "kubelet.service", identifier: "systemd", systemd_unit: "evil.service", ..Default::default() };
        assert_eq!(forged.speaker(), (Source::Other, "evil.service"));
        let forged = JournalFields { identifier: "kernel", systemd_unit: "evil.service", transport: "syslog", ..Default::default() };
        assert_eq!(forged.speaker(), (Source::Other, "evil.service"));
    }

    #[test]
    fn nobody_but_root_can_speak_as_the_kubelet_by_name_alone() {
        let said = |systemd_unit, uid| JournalFields { identifier: "kubelet", systemd_unit, uid, ..Default::default() }.speaker().0;
        for (unit, uid, source) in [
            ("session-3.scope", "1000", Source::Other),
            ("user@1000.service", "1000", Source::Other),
            // journald could not read the unit of a process that was gone already.
            ("", "1000", Source::Other),
            ("my-node-agent.service", "0", Source::Kubelet),
            ("", "0", Source::Kubelet),
            ("kubelet.service", "1000", Source::Kubelet),
            // A saved log without the field.
            ("my-node-agent.service", "", Source::Kubelet),
        ] {
            assert_eq!(said(unit, uid), source, "{unit} {uid}");
        }
    }

    #[test]
    fn a_user_who_gives_no_name_is_not_taken_for_anybody() {
        let nameless = |uid| JournalFields { uid, ..Default::default() }.speaker().0;
        assert_eq!(nameless("1000"), Source::Other);
        assert_eq!(nameless(""), Source::Unknown, "a saved log that says nothing");
    }

    #[test]
    fn what_a_container_says_is_not_what_its_runtime_says() {
        let docker = JournalFields { systemd_unit: "docker.service", identifier: "dockerd", uid: "0", ..Default::default() };
        assert_eq!(docker.speaker(), (Source::Runtime, "docker.service"));
        let container = JournalFields { identifier: "0a1b2c3d4e5f", container: "0a1b2c3d4e5f", ..docker };
        assert_eq!(container.speaker(), (Source::Other, "docker.service"));
    }

    #[test]
    fn a_monstrous_message_is_bounded_and_a_bad_priority_is_none() {
        let long = "é".repeat(1 << 20);
        let record = JournalFields { message: &long, priority: "9\0", ..Default::default() }.record(None);
        assert!(record.message.len() <= crate::record::MAX_MESSAGE);
        assert_eq!((record.priority, record.source), (None, Source::Unknown));
    }
}
