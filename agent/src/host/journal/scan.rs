//! Looking back through a journal to the boot, newest first, for no longer than there is time.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use nodewhy_diagnosis::catalogue::{Matcher, Sighting};

use super::MAX_SIGHTINGS;
use super::reader::Reader;

/// Asking the clock costs more than reading an entry; a scan asks it once in so many entries.
const ENTRIES_A_CLOCK: u64 = 64;

/// Units whose words say why a kubelet is down, its own and the runtime's. What a flood of others' entries has pushed out of reach is looked
/// up by these names, which the journal indexes.
const UNITS: [&str; 19] = [
    "kubelet.service",
    "k3s.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
    "k0scontroller.service",
    "k0sworker.service",
    "microshift.service",
    "snap.microk8s.daemon-kubelite.service",
    "snap.microk8s.daemon-kubelet.service",
    "snap.microk8s.daemon-containerd.service",
    "snap.k8s.kubelet.service",
    "snap.k8s.containerd.service",
    "snap.kubelet-eks.daemon.service",
    "containerd.service",
    "crio.service",
    "docker.service",
    "cri-docker.service",
    "cri-dockerd.service",
];

/// What a scan back to the boot gave.
#[derive(Debug, Default)]
pub struct Scan {
    /// In the order of the journal.
    pub sightings: Vec<Sighting>,
    /// Cursor of the newest entry.
    pub tail: Option<String>,
    /// Entries looked at.
    pub entries: u64,
    /// The scan was cut short before it reached the boot; time of the oldest entry read.
    pub cut_at: Option<Timestamp>,
    /// Sightings, the oldest, that had no room.
    pub dropped: u64,
}

impl Scan {
    /// What was left out, in words; empty if nothing was.
    pub fn gap(&self) -> String {
        match (self.cut_at, self.dropped) {
            (Some(at), _) => format!(
                "the journal of this boot is longer than there was time to read: of the entries before {at:.0} only the newest of the kernel, \
                 the kubelet, the runtime and what systemd says of these were looked at"
            ),
            (None, 0) => String::new(),
            (None, dropped) => format!("the {dropped} oldest log lines that signs recognised in this boot had no room and were left out"),
        }
    }
}

impl Reader {
    /// Reads newest first until the boot, or until `budget` is used up: two thirds of it for all entries, the rest, where that was too
    /// little, for older ones of [`UNITS`] and the kernel. Leaves the position anywhere.
    pub fn scan_boot(&mut self, matcher: &Matcher, budget: Duration) -> Scan {
        let began = Instant::now();
        let mut scan = Scan::default();
        self.stale = None;
        if self.journal.seek_tail().is_err() {
            return scan;
        }
        if self.look_back(matcher, &mut scan, began + budget.mul_f64(2.0 / 3.0), None) {
            scan.cut_at = self.entry_time();
        }
        if let Some(cut_at) = scan.cut_at {
            if self.seek_units_before(cut_at).is_ok() {
                self.look_back(matcher, &mut scan, began + budget, Some(cut_at));
            }
            // Errors so far come from adding matches alone; without them all entries are read again.
            drop(self.journal.match_flush());
        }
        scan.sightings.reverse();
        scan
    }

    /// Goes back from the present position to the boot, and hears what was said before a moment, if one is given. True if there was no time
    /// for all of it.
    fn look_back(&mut self, matcher: &Matcher, scan: &mut Scan, until: Instant, before: Option<Timestamp>) -> bool {
        while matches!(self.journal.previous(), Ok(1..)) {
            if scan.tail.is_none() {
                scan.tail = self.cursor();
            }
            self.read();
            if !self.of_this_boot() {
                if scan.entries == 0 {
                    self.stale = Some(self.of_another_boot());
                }
                return false;
            }
            scan.entries += 1;
            if before.is_none_or(|before| self.entry_time().is_some_and(|at| at < before)) {
                let found = self.recognise(matcher);
                let room = MAX_SIGHTINGS.saturating_sub(scan.sightings.len());
                scan.dropped += found.len().saturating_sub(room) as u64;
                scan.sightings.extend(found.into_iter().take(room));
            }
            if scan.entries.is_multiple_of(ENTRIES_A_CLOCK) && Instant::now() >= until {
                return true;
            }
        }
        false
    }

    /// From here on only entries of [`UNITS`], systemd's about them and the kernel's (systemd.journal-fields(7)), before a moment.
    fn seek_units_before(&mut self, at: Timestamp) -> Result<(), systemd::Error> {
        for unit in UNITS {
            self.journal.match_add("_SYSTEMD_UNIT", unit)?;
        }
        self.journal.match_or()?;
        for unit in UNITS {
            self.journal.match_add("UNIT", unit)?;
        }
        self.journal.match_or()?.match_add("_TRANSPORT", "kernel")?;
        self.journal.seek_realtime_usec(u64::try_from(at.as_microsecond()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use nodewhy_diagnosis::catalogue::MatcherSign;
    use nodewhy_diagnosis::record::Source;

    use super::super::journal_file::{BOOT, MACHINE, journal_directory, now_micros, root};
    use super::*;
    use crate::host::Host;

    /// Writes journals with systemd's own library, indexes and all (package systemd-journal-remote).
    const WRITER: &str = "/lib/systemd/systemd-journal-remote";

    fn entry(realtime: u64, fields: &[&str], message: &str) -> String {
        let head = format!(
            "__REALTIME_TIMESTAMP={realtime}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={BOOT}\n_MACHINE_ID={MACHINE}\n",
            realtime % 1_000_000_000_000
        );
        format!("{head}{}\nMESSAGE={message}\n\n", fields.join("\n"))
    }

    fn written(root: &Path, entries: &str) {
        let file = journal_directory(root).join("system.journal");
        let mut writer = Command::new(WRITER).arg("--output").arg(file).arg("-").stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        let writer = writer.as_mut().unwrap_or_else(|error| panic!("{WRITER}: {error}; scripts/install-packages test"));
        writer.stdin.take().expect("piped").write_all(entries.as_bytes()).expect("written");
        assert!(writer.wait().expect("waited for").success());
    }

    #[test]
    fn what_a_flood_has_pushed_out_of_reach_is_looked_up_by_its_unit_once_and_in_order() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        root(directory.path());
        let began = now_micros() - 3_600_000_000;
        let kubelet = ["_TRANSPORT=stdout", "_PID=4711", "_SYSTEMD_UNIT=kubelet.service", "SYSLOG_IDENTIFIER=kubelet"];
        let systemd = ["_TRANSPORT=journal", "_PID=1", "_SYSTEMD_UNIT=init.scope", "UNIT=kubelet.service", "SYSLOG_IDENTIFIER=systemd"];
        let kernel = ["_TRANSPORT=kernel", "SYSLOG_IDENTIFIER=kernel"];
        let other = ["_TRANSPORT=stdout", "_PID=99", "_SYSTEMD_UNIT=app.service", "SYSLOG_IDENTIFIER=app"];
        let mut entries =
            entry(began, &kernel, "swap on 1") + &entry(began + 1, &kubelet, "swap on 2") + &entry(began + 2, &systemd, "swap on 3");
        (0..5000).for_each(|n| entries += &entry(began + 10 + n, &other, "swap on 4"));
        entries += &entry(began + 6000, &kubelet, "swap on 5");
        written(directory.path(), &entries);
        let from = [Source::Kubelet, Source::Systemd, Source::Kernel];
        let sign = MatcherSign { code: "swap-enabled", sign_index: 0, from: &from, named: false, pattern: "swap on [0-9]", unless: None };
        let matcher = Matcher::build([sign]).expect("a good pattern");
        let mut reader = Reader::open(&Host::new(directory.path())).expect("the journal can be read");

        let scan = reader.scan_boot(&matcher, Duration::ZERO);
        let texts: Vec<_> = scan.sightings.iter().map(|sighting| sighting.text.as_str()).collect();
        assert_eq!(texts, ["swap on 1", "swap on 2", "swap on 3", "swap on 5"]);
        assert!(scan.cut_at.is_some() && scan.entries < 1000, "{} entries", scan.entries);
        assert!(scan.gap().contains("only the newest of the kernel, the kubelet"), "{}", scan.gap());

        let whole = reader.scan_boot(&matcher, Duration::from_secs(60));
        assert_eq!((whole.sightings.len(), whole.entries, whole.gap()), (4, 5004, String::new()), "the matches are taken back");
    }
}
