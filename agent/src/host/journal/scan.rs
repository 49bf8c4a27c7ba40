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
            if scan.entries % ENTRIES_A_CLOCK == 0 && Instant::now() >= until {
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
