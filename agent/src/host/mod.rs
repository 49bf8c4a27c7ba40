//! The only door to the node: files, D-Bus, the journal, sockets. Everything else in the agent asks here.

pub mod api;
pub mod boot;
pub mod bus;
pub mod clock;
pub mod cri;
pub mod dns;
pub mod files;
pub mod glob;
pub mod journal;
pub mod kmsg;
pub mod mounts;
pub mod net;
pub mod procs;
pub mod tail;
pub mod tunnel;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use files::ReadError;

/// The node as seen from a root directory.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
    bus: Arc<bus::Bus>,
    pending: Arc<mounts::Pending>,
    api: Arc<api::Kept>,
    trends: Arc<crate::trend::Kept>,
    boot: Arc<boot::Kept>,
}

impl Host {
    /// The node whose file system is mounted at `root` (`/` for the agent's own).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            bus: Arc::default(),
            pending: Arc::default(),
            api: Arc::default(),
            trends: Arc::default(),
            boot: Arc::default(),
        }
    }

    /// The root directory the node is seen from.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was seen of this node over time.
    pub fn trends(&self) -> &crate::trend::Kept {
        &self.trends
    }

    /// Where an absolute path of the node is to be found from here.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let path = absolute.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}
