//! Control groups of the nodes' own, so that one write ends all that a node and its test have started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait::until_blocking;

/// Where cgroup v1 has its memory controller.
const MEMORY_V1: &str = "/sys/fs/cgroup/memory";

/// Where a process has to be put so that systemd-nspawn builds upon it: the cgroup2 tree, and beside it systemd's own on hybrid machines.
///
/// # Errors
/// The machine has cgroup v1 alone.
pub fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.procs").exists() {
        return Ok(vec![root.to_owned()]);
    }
    let hybrid = [root.join("unified"), root.join("systemd")];
    if hybrid.iter().all(|tree| tree.join("cgroup.procs").exists()) {
        return Ok(hybrid.to_vec());
    }
    bail!("there is no cgroup2 hierarchy at /sys/fs/cgroup or /sys/fs/cgroup/unified")
}

/// Makes a group in all hierarchies and gives the `cgroup.procs` files to write a pid to.
///
/// # Errors
/// A directory cannot be made.
pub fn make(group: &str) -> Result<Vec<PathBuf>> {
    hierarchies()?
        .into_iter()
        .map(|tree| {
            let dir = tree.join(group);
            fs::create_dir_all(&dir).with_context(|| format!("cannot make the cgroup {}", dir.display()))?;
            Ok(dir.join("cgroup.procs"))
        })
        .collect()
}

/// Makes a group of the memory controller, wherever the machine has it, and gives its directory and the file that takes the limit.
///
/// # Errors
/// The machine has none.
pub fn make_memory(group: &str) -> Result<(PathBuf, &'static str)> {
    let v1 = Path::new(MEMORY_V1);
    let (dir, limit) = match v1.join("cgroup.procs").exists() {
        true => (v1.join(group), "memory.limit_in_bytes"),
        false => (hierarchies()?.remove(0).join(group), "memory.max"),
    };
    fs::create_dir_all(&dir).with_context(|| format!("cannot make the cgroup {}", dir.display()))?;
    Ok((dir, limit))
}

/// Removes what [`make_memory`] has made in a tree of its own. Its processes are gone already.
///
/// # Errors
/// A directory cannot be removed.
pub fn end_memory(group: &str) -> Result<()> {
    let dir = Path::new(MEMORY_V1).join(group);
    if dir.exists() { remove(&dir) } else { Ok(()) }
}

/// Kills everything in a group and beneath it, waits until it is gone, and removes the group. A group that is not there is fine.
///
/// # Errors
/// Something survives, or a directory cannot be removed.
pub fn end(group: &str) -> Result<()> {
    for tree in hierarchies()? {
        let dir = tree.join(group);
        if !dir.exists() {
            continue;
        }
        // cgroup.kill: cgroup2, Linux 5.14 and later. The other tree of a hybrid machine holds the same processes.
        if dir.join("cgroup.kill").exists() {
            fs::write(dir.join("cgroup.kill"), "1").with_context(|| format!("cannot kill what is in {}", dir.display()))?;
        } else {
            kill_each(&dir)?;
        }
        until_blocking(&format!("nothing lives in {}", dir.display()), Duration::from_secs(10), || {
            Ok(processes(&dir)?.is_empty().then_some(()))
        })?;
        remove(&dir)?;
    }
    Ok(())
}

fn kill_each(dir: &Path) -> Result<()> {
    for pid in processes(dir)? {
        // Gone already is what is wanted.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    Ok(())
}

fn processes(dir: &Path) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for group in beneath(dir)? {
        match fs::read_to_string(group.join("cgroup.procs")) {
            Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
            // Threaded groups refuse with EOPNOTSUPP; a group may vanish beneath us.
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", group.display())),
        }
    }
    Ok(found)
}

/// The group and all beneath it, the deepest last.
fn beneath(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut all = vec![dir.to_owned()];
    let mut next = 0;
    while let Some(group) = all.get(next).cloned() {
        next += 1;
        let entries = match fs::read_dir(&group) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot list {}", group.display())),
        };
        all.extend(
            entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
    Ok(all)
}

fn remove(dir: &Path) -> Result<()> {
    for group in beneath(dir)?.iter().rev() {
        // A process that has just died keeps its group busy for a moment.
        until_blocking(&format!("remove {}", group.display()), Duration::from_secs(5), || match fs::remove_dir(group) {
            Ok(()) => Ok(Some(())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(())),
            Err(error) => Err(error.into()),
        })?;
    }
    Ok(())
}
