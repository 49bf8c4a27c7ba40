//! The eviction manager: every 10 s it looks at the kubelet's own file system, and says what a real one said under pressure.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use crate::script::{NODEFS_PRESSURE, Script};
use crate::settings::Settings;
use crate::voice::Voice;

/// pkg/kubelet/eviction monitoringInterval.
const EVERY: Duration = Duration::from_secs(10);
/// evictionHard nodefs.available and nodefs.inodesFree, percent.
const BYTES_FREE: u64 = 10;
const INODES_FREE: u64 = 5;

/// Looks for as long as this kubelet lives.
pub(crate) async fn manage_evictions(settings: Arc<Settings>, voice: Arc<Voice>) {
    let mut every = tokio::time::interval(EVERY);
    every.tick().await;
    loop {
        every.tick().await;
        let Some(resource) = short_of(&settings.root_dir) else { continue };
        let words = ["\"Eviction manager: attempting to reclaim\"", "NodeHasDiskPressure", "must evict pod(s)", "thresholds have been met"];
        let voice = (*voice).clone().with("resourceName=\"ephemeral-storage\"", format!("resourceName=\"{resource}\""));
        voice.play(&Script::of(NODEFS_PRESSURE).only_with(&words)).await;
    }
}

fn short_of(dir: &str) -> Option<&'static str> {
    let stat = statvfs(dir).ok()?;
    if stat.blocks_available() * 100 < stat.blocks() * BYTES_FREE {
        return Some("ephemeral-storage");
    }
    (stat.files_available() * 100 < stat.files() * INODES_FREE).then_some("inodes")
}
