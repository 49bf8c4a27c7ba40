//! What is one for the whole machine and that a test changes: put back when its slot is cleaned up, however the test ended.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::slot::SlotNumber;

/// Directory beneath the slot's that remembers what was there before.
const REMEMBERED: &str = "sysctl";

/// Sets a kernel parameter (`fs/inotify/max_user_instances`) of the whole machine, for the time of this test.
///
/// # Errors
/// The kernel has none of this name, or refuses the value.
pub fn set_sysctl(slot: SlotNumber, name: &str, value: &str) -> Result<()> {
    let (path, remembered) = (sysctl(name), slot.dir().join(REMEMBERED).join(name.replace('/', ".")));
    let before = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    if !remembered.exists() {
        fs::create_dir_all(slot.dir().join(REMEMBERED))?;
        fs::write(&remembered, before)?;
    }
    fs::write(&path, value).with_context(|| format!("write {value} to {}", path.display()))
}

/// Puts all of them back.
///
/// # Errors
/// The kernel refuses a value that it had.
pub fn put_back(slot: SlotNumber) -> Result<()> {
    let Ok(entries) = fs::read_dir(slot.dir().join(REMEMBERED)) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = sysctl(&entry.file_name().to_string_lossy().replace('.', "/"));
        fs::write(&path, fs::read(entry.path())?).with_context(|| format!("put {} back", path.display()))?;
        fs::remove_file(entry.path())?;
    }
    Ok(())
}

fn sysctl(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}
