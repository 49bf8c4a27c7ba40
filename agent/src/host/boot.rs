//! When this boot began.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use nodewhy_diagnosis::{Missing, MissingKind};

use super::Host;

/// The boot seen last, and the earliest that was read as its beginning.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Option<(String, Timestamp)>>);

impl Host {
    /// When the kernel booted. Its btime is the clock's time less the time since (fs/proc/stat.c, getboottime64), so whoever sets the clock
    /// forward moves it, past what was logged in this very boot: the earliest that was read in a boot counts.
    pub fn booted_at(&self) -> Result<Timestamp, Missing> {
        let stat = self.read_text("/proc/stat")?;
        let second = boot_second(&stat).and_then(|second| Timestamp::from_second(second).ok());
        let read = second.ok_or_else(|| Missing::new(MissingKind::Failed, "/proc/stat has no usable btime line"))?;
        let boot = self.read_line("/proc/sys/kernel/random/boot_id");
        let Ok(boot) = boot else { return Ok(read) };
        let mut kept = self.boot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = match &*kept {
            Some((same, earliest)) if *same == boot => read.min(*earliest),
            _ => read,
        };
        *kept = Some((boot, earliest));
        Ok(earliest)
    }
}

fn boot_second(stat: &str) -> Option<i64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::checks::testing::Node;

    #[test]
    fn a_clock_that_is_set_forward_does_not_move_the_boot_and_another_boot_does() {
        let node = Node::new();
        let host = node.host();
        for (boot, btime, booted_at) in [("a", 1000, 1000), ("a", 5000, 1000), ("a", 900, 900), ("a", 1000, 900), ("b", 5000, 5000)] {
            node.write("/proc/sys/kernel/random/boot_id", boot);
            node.write("/proc/stat", format!("cpu 1\nbtime {btime}\n"));
            assert_eq!(host.booted_at().map(|at| at.as_second()).ok(), Some(booted_at), "{boot} {btime}");
        }
    }
}
