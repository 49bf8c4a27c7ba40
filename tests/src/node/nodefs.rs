//! A small real file system for the kubelet's directory, to be filled and broken.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::run;
use crate::slot::SlotNumber;

/// An ext4 on a loop device.
#[derive(Debug, Clone, Copy)]
pub struct NodeFs {
    /// Its size.
    pub size_mib: u64,
    /// Its inodes; ext4 keeps 10 of them for itself.
    pub inodes: u64,
}

impl Default for NodeFs {
    fn default() -> Self {
        Self { size_mib: 48, inodes: 512 }
    }
}

/// Makes and mounts it on this machine, and says where.
pub(super) fn make(slot: SlotNumber, nodefs: &NodeFs) -> Result<PathBuf> {
    let image = slot.dir().join("tree/nodefs.img");
    let at = slot.dir().join("nodefs");
    File::create(&image)?.set_len(nodefs.size_mib * 1024 * 1024)?;
    fs::create_dir_all(&at)?;
    let (image, mount_point) = (image.to_string_lossy().into_owned(), at.to_string_lossy().into_owned());
    // No reserved blocks: what is free to root is free to the kubelet.
    run(&["mkfs.ext4", "-q", "-m", "0", "-N", &nodefs.inodes.to_string(), &image])?;
    // The loop device goes with the mount.
    run(&["mount", "-o", "loop", &image, &mount_point]).context("real file systems in tests need loop devices")?;
    Ok(at)
}
