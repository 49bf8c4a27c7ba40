//! A place for one node: a number of its own for addresses, names and directories, held as long as anything of it is left.
//!
//! Whatever a test leaves behind when it ends (or is killed) is cleaned up by its `node-reaper`, a process that waits for the test's end. It
//! holds the slot's lock until all is gone; so the next one who gets the number finds it clean.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};

use crate::clean;
use crate::wait::until_blocking;

/// So many nodes at once, over all tests of the machine.
const SLOTS: u8 = 8;
/// A node that has not been cleaned up after this is not cleaned up at all.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(30);

/// The number of a slot, and all names that follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotNumber(pub u8);

impl SlotNumber {
    /// Directory for all that the node and its test write. On a real disk: a swap file has to be.
    pub fn dir(self) -> PathBuf {
        cache_dir().join("slots").join(self.0.to_string())
    }

    /// Host name of the node, and name of its network namespace.
    pub fn node_name(self) -> String {
        format!("nodewhy-{}", self.0)
    }

    /// The node's own control group.
    pub fn node_group(self) -> String {
        format!("nodewhy-{}/node", self.0)
    }

    /// Control group of the programs that run beside the node, on the host.
    pub fn host_group(self) -> String {
        format!("nodewhy-{}/host", self.0)
    }

    /// Control group that holds the two.
    pub fn group(self) -> String {
        format!("nodewhy-{}", self.0)
    }

    /// Name of the host's end of the node's cable.
    pub fn link(self) -> String {
        format!("nodewhy{}", self.0)
    }

    /// The host's address on that cable. 198.18.0.0/15 is set aside for tests (RFC 2544): no real network is in the way.
    pub fn host_address(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.0, 1)
    }

    /// The node's address.
    pub fn node_address(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.0, 2)
    }
}

/// A slot that is held. When it is dropped everything of it is cleaned up.
#[derive(Debug)]
pub struct Slot {
    /// Its number.
    pub number: SlotNumber,
    reaper: Child,
    _lock: Flock<File>,
}

impl Slot {
    /// Takes a free slot, cleans up what a killed run may have left in it, and sets its reaper to work. `reaper` is the program `node-reaper`.
    ///
    /// # Errors
    /// All slots are taken, or what was left cannot be cleaned up.
    pub fn take(reaper: &Path) -> Result<Self> {
        let (number, lock) = until_blocking("a slot for a node gets free", Duration::from_secs(120), || {
            for number in 0..SLOTS {
                let path = cache_dir().join(format!("slot-{number}.lock"));
                if let Some(lock) = lock(&path, FlockArg::LockExclusiveNonblock)? {
                    return Ok(Some((SlotNumber(number), lock)));
                }
            }
            bail!("all {SLOTS} are taken")
        })?;
        clean::up(number).with_context(|| format!("cannot clean up what an earlier run left in slot {}", number.0))?;
        fs::create_dir_all(number.dir()).with_context(|| format!("cannot make {}", number.dir().display()))?;
        // The lock goes with the reaper's standard output: it is freed when both have closed it. A process group of its own, so that
        // what ends the test's group leaves it alone.
        let shared = lock.try_clone().context("cannot share the slot's lock")?;
        let reaper = Command::new(reaper)
            .arg(number.0.to_string())
            .stdin(Stdio::piped())
            .stdout(shared)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", reaper.display()))?;
        Ok(Self { number, reaper, _lock: lock })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.reaper.stdin.take());
        let ended = until_blocking("the node is cleaned up", CLEAN_UP_WITHIN, || Ok(self.reaper.try_wait()?));
        match ended {
            Ok(status) if status.success() => {}
            // In a test that fails anyhow, a second panic would hide the first.
            Ok(status) if !std::thread::panicking() => {
                panic!("slot {}: cleaning up ended with {status}; its words are above", self.number.0)
            }
            Err(error) if !std::thread::panicking() => panic!("slot {}: {error:#}", self.number.0),
            _ => {}
        }
    }
}

/// What is one for the whole machine, its swap and its kernel's parameters: changed by one test, alone, or by none.
#[derive(Debug)]
pub struct MachineLock(#[expect(dead_code, reason = "held")] Flock<File>);

impl MachineLock {
    /// Waits for the right to change it (`exclusive`), or for the promise that nobody does.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn take(exclusive: bool) -> Result<Self> {
        let how = if exclusive { FlockArg::LockExclusive } else { FlockArg::LockShared };
        // Whoever waits stands in the door, so that those who come later and may run together do not keep one out who has to be alone.
        let _door = lock(&cache_dir().join("machine.door"), FlockArg::LockExclusive)?;
        lock(&cache_dir().join("machine.lock"), how)?.map(Self).context("the lock on the machine is not to be had")
    }
}

fn lock(path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    fs::create_dir_all(cache_dir()).with_context(|| format!("cannot make {}", cache_dir().display()))?;
    let file = File::options().create(true).append(true).open(path).with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// The directory that outlives test runs: the base tree, and the slots.
pub fn cache_dir() -> PathBuf {
    std::env::var_os("NODEWHY_BASE_DIR").map_or_else(|| PathBuf::from("/var/cache/nodewhy"), PathBuf::from)
}
