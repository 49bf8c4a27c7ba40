//! Mounted file systems of the node, as its PID 1 sees them, and their free space.
//!
//! The agent's own mount namespace lies about read-only: a unit with ProtectSystem=strict and a pod with a read-only /host see everything as
//! read-only. So what is mounted how is read from /proc/1/mountinfo, and only sizes come from statvfs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodewhy_diagnosis::{Missing, MissingKind};
use tokio::time::timeout;

use super::Host;
use super::files::{ReadError, os_words};

/// A line of mountinfo (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// What: a device or a name.
    pub source: String,
    /// File system type.
    pub fstype: String,
    /// `major:minor`: equal for two mounts of one file system.
    pub device: String,
    /// Read-only by this mount or by the file system itself (errors=remount-ro).
    pub read_only: bool,
}

/// Space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub size_bytes: i64,
    /// Bytes that users without privilege may still take, as the kubelet counts.
    pub available_bytes: i64,
    /// Inodes in all; 0 where the file system has no fixed number (btrfs).
    pub inodes: i64,
    /// Inodes left.
    pub inodes_free: i64,
}

/// Looks at file systems that have not come back yet, so that a dead one costs one thread and not one more at each look.
#[derive(Debug, Default)]
pub struct Pending(Mutex<BTreeSet<PathBuf>>);

impl Pending {
    fn enter(self: &Arc<Self>, path: &Path) -> Option<Inside> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        fresh.then(|| Inside { pending: self.clone(), path: path.to_owned() })
    }
}

struct Inside {
    pending: Arc<Pending>,
    path: PathBuf,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.pending.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

impl Host {
    /// All mounts, in the order in which they were made.
    ///
    /// # Errors
    /// /proc/1/mountinfo cannot be read; it takes CAP_SYS_PTRACE for another than root.
    pub fn mounts(&self) -> Result<Vec<Mount>, ReadError> {
        Ok(self.read_text("/proc/1/mountinfo")?.lines().filter_map(parse).collect())
    }

    /// Space of the file system that a path is on. One that does not answer is told as hung, and not asked again until it does.
    ///
    /// # Errors
    /// Why it cannot be known.
    pub async fn space(&self, absolute: &Path, patience: Duration) -> Result<Space, Missing> {
        let (host, path) = (self.clone(), absolute.to_owned());
        bounded(&self.pending, absolute, patience, move || host.statvfs(&path)).await
    }

    fn statvfs(&self, path: &Path) -> Result<Space, Missing> {
        let real = self.resolve(path)?;
        let stat = nix::sys::statvfs::statvfs(&real).map_err(|errno| {
            let words = format!("statvfs {}: {}", path.display(), os_words(&errno.into()));
            let kind = if errno == nix::errno::Errno::EACCES { MissingKind::Denied } else { MissingKind::Failed };
            Missing::new(kind, words)
        })?;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let block = stat.fragment_size();
        Ok(Space {
            size_bytes: number(stat.blocks().saturating_mul(block)),
            available_bytes: number(stat.blocks_available().saturating_mul(block)),
            inodes: number(stat.files()),
            inodes_free: number(stat.files_free()),
        })
    }
}

async fn bounded<T: Send + 'static>(
    pending: &Arc<Pending>,
    path: &Path,
    patience: Duration,
    work: impl FnOnce() -> Result<T, Missing> + Send + 'static,
) -> Result<T, Missing> {
    let Some(inside) = pending.enter(path) else {
        return Err(Missing::new(MissingKind::Hung, format!("statvfs {}: an earlier one has not come back yet", path.display())));
    };
    let looking = tokio::task::spawn_blocking(move || {
        let _inside = inside;
        work()
    });
    match timeout(patience, looking).await {
        Ok(Ok(space)) => space,
        Ok(Err(panic)) => Err(Missing::new(MissingKind::Failed, format!("the look itself broke: {panic}"))),
        Err(_) => {
            let words = format!("statvfs {} did not come back within {} ms", path.display(), patience.as_millis());
            Err(Missing::new(MissingKind::Hung, words).hint("the device or the server behind this file system does not answer"))
        }
    }
}

/// The mount a path lies on: the longest mount point above it, and of several there the last, which covers the others.
pub fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.components().count())
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(2);
    let device = fields.next()?.to_owned();
    let (point, options) = (fields.nth(1)?, fields.next()?);
    let mut rest = after.split(' ');
    let (fstype, source, super_options) = (rest.next()?, rest.next()?, rest.next()?);
    let read_only = [options, super_options].iter().any(|options| options.split(',').any(|option| option == "ro"));
    Some(Mount { point: unescape(point).into(), source: unescape(source), fstype: fstype.to_owned(), device, read_only })
}

fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const MOUNTS: &str = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n\
        23 22 0:21 / /proc rw,nosuid - proc proc rw\n\
        30 22 254:17 / /var/lib/kubelet rw,relatime - ext4 /dev/vdb1 ro,errors=remount-ro\n\
        31 22 254:33 / /mnt/with\\040space ro,relatime - xfs /dev/vdc1 rw\n\
        32 22 254:49 / /var/lib/kubelet rw - ext4 /dev/vdd1 rw\n\
        garbage\n33 22 0:1 / /cut rw";

    fn mounts() -> Vec<Mount> {
        MOUNTS.lines().filter_map(parse).collect()
    }

    #[test]
    fn read_only_is_said_by_mount_or_file_system() {
        let all = mounts();
        assert_eq!(all.iter().map(|mount| mount.read_only).collect::<Vec<_>>(), [false, false, true, true, false]);
        assert_eq!(all[3].point, Path::new("/mnt/with space"));
    }

    #[test]
    fn a_path_lies_on_the_deepest_and_latest_mount() {
        let all = mounts();
        let source = |path: &str| mount_of(&all, Path::new(path)).unwrap().source.clone();
        assert_eq!(source("/var/lib/kubelet/pods"), "/dev/vdd1");
        assert_eq!(source("/var/lib/kubelet-other"), "/dev/vda1");
        assert_eq!(source("/"), "/dev/vda1");
    }

    #[tokio::test]
    async fn a_hung_file_system_is_told_and_not_asked_twice() {
        let pending = Arc::<Pending>::default();
        let (release, held) = mpsc::channel::<()>();
        let dead = Path::new("/dead");
        let short = Duration::from_millis(20);
        let first = bounded(&pending, dead, short, move || held.recv().map_err(|_| Missing::not_yet())).await.unwrap_err();
        assert_eq!(first.kind, MissingKind::Hung);
        let second = bounded(&pending, dead, short, || Ok(())).await.unwrap_err();
        assert!(second.why.contains("has not come back yet"));
        release.send(()).unwrap();
        while pending.0.lock().unwrap().contains(dead) {
            tokio::task::yield_now().await;
        }
        assert_eq!(bounded(&pending, dead, Duration::from_secs(5), || Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn this_machine_has_space() {
        let space = Host::new("/").space(Path::new("/"), Duration::from_secs(5)).await.unwrap();
        assert!(space.size_bytes > space.available_bytes);
        let none = Host::new("/").space(Path::new("/no/such"), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(none.why, "statvfs /no/such: No such file or directory");
    }
}
