//! The only door to the node: files, D-Bus, the journal, sockets. Everything else in the agent asks here.

pub mod bus;

use std::path::{Path, PathBuf};

/// The node as seen from a root directory.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The node whose file system is mounted at `root` (`/` for the agent's own).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where an absolute path of the node is to be found from here.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
