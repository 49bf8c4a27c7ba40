//! Ends and removes all that a slot may hold, however far its making had come.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, umount2};

use crate::cgroup;
use crate::command::{output, run};
use crate::machine;
use crate::slot::SlotNumber;

/// File beneath the slot's directory that a test turns on as swap.
pub const SWAP_FILE: &str = "swap/swapfile";

/// Cleans up a slot. Nothing there is fine.
///
/// # Errors
/// Something resists; all else is cleaned up nevertheless.
pub fn up(slot: SlotNumber) -> Result<()> {
    // In this order: who lives holds mounts, and what is mounted holds files.
    let results = [
        ("kernel parameters", machine::put_back(slot)),
        ("processes", end_processes(slot)),
        ("swap", swap_off(slot)),
        ("mounts", unmount(slot)),
        ("network", unplug(slot)),
        ("files", remove_files(slot)),
    ];
    let failures: Vec<_> = results.into_iter().filter_map(|(what, result)| Some(format!("{what}: {:#}", result.err()?))).collect();
    if !failures.is_empty() {
        bail!("slot {}: {}", slot.0, failures.join("; "));
    }
    Ok(())
}

fn end_processes(slot: SlotNumber) -> Result<()> {
    cgroup::end(&slot.group())?;
    cgroup::end_memory(&slot.group())
}

fn swap_off(slot: SlotNumber) -> Result<()> {
    let file = slot.dir().join(SWAP_FILE);
    if !file.exists() {
        return Ok(());
    }
    // It is an error if it is not on; /proc/swaps shows the path as the node had it, so it is no help.
    let off = output(&["swapoff", &file.to_string_lossy()])?;
    let said = String::from_utf8_lossy(&off.stderr).into_owned();
    if !off.status.success() && !said.contains("Invalid argument") {
        bail!("swapoff {}: {said}", file.display());
    }
    Ok(())
}

fn unmount(slot: SlotNumber) -> Result<()> {
    for point in mounts_beneath(&slot.dir())?.iter().rev() {
        umount2(point, MntFlags::empty())
            .or_else(|_| umount2(point, MntFlags::MNT_DETACH))
            .with_context(|| format!("cannot unmount {}", point.display()))?;
    }
    Ok(())
}

/// Mount points beneath a directory, in the order in which they were mounted.
fn mounts_beneath(dir: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).filter(|point| point.starts_with(dir)).collect())
}

fn unplug(slot: SlotNumber) -> Result<()> {
    let name = slot.node_name();
    if Path::new("/run/netns").join(&name).exists() {
        run(&["ip", "netns", "del", &name])?;
    }
    if Path::new("/sys/class/net").join(slot.link()).exists() {
        // The kernel removes it by itself together with its other end in the namespace, and may be faster.
        let _ = output(&["ip", "link", "del", &slot.link()])?;
    }
    Ok(())
}

fn remove_files(slot: SlotNumber) -> Result<()> {
    let dir = slot.dir();
    if !dir.exists() {
        return Ok(());
    }
    let mounted = mounts_beneath(&dir)?;
    if !mounted.is_empty() {
        bail!("{} is left alone: {mounted:?} is mounted beneath it", dir.display());
    }
    fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))
}
