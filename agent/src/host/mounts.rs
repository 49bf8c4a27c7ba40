//! Mounted file systems of the node, as its PID 1 sees them, and their free space.
//!
//! The agent's own mount namespace lies about read-only: a unit with ProtectSystem=strict and a pod with a read-only /host see everything as
//! read-only. So what is mounted how is read from /proc/1/mountinfo, and only sizes come from statvfs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodewhy_diagnosis::node::mountinfo;
pub use nodewhy_diagnosis::node::{Mount, Space, mount_of};
use nodewhy_diagnosis::{Missing, MissingKind};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::Host;
use super::files::{ReadError, os_words};

/// The table of mounts as PID 1 sees it.
const MOUNTS: &str = "/proc/1/mountinfo";

/// How a file system answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its space.
    pub space: Result<Space, Missing>,
    /// A look at the directory itself fails with EIO: the device is gone, or the file system was shut down.
    pub gives_io_errors: bool,
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

/// Tells when the table of mounts changes (proc(5), /proc/pid/mountinfo). Nothing runs while nothing changes.
#[derive(Debug)]
pub struct MountChanges(AsyncFd<File>);

impl MountChanges {
    /// Comes back after a change. Those since the last call count as one; those before [`Host::mount_changes`] do not count.
    ///
    /// # Errors
    /// The runtime is going down.
    pub async fn next(&mut self) -> io::Result<()> {
        // fs/proc_namespace.c mounts_poll says EPOLLPRI once after each change, and that it can be read always.
        self.0.ready(Interest::PRIORITY).await?.clear_ready();
        Ok(())
    }
}

impl Host {
    /// Begins to follow the table of mounts that [`Host::mounts`] reads.
    ///
    /// # Errors
    /// It cannot be opened, or cannot be waited for (a root that is no real one).
    #[expect(deprecated, reason = "sound for a File, which owns its descriptor; what replaces it is unsafe for all")]
    pub fn mount_changes(&self) -> Result<MountChanges, ReadError> {
        let failed = |did| move |source| ReadError { did, path: MOUNTS.into(), source };
        let file = File::open(self.resolve(MOUNTS)?).map_err(failed("open"))?;
        AsyncFd::with_interest(file, Interest::PRIORITY).map(MountChanges).map_err(failed("poll"))
    }

    /// All mounts, in the order in which they were made.
    ///
    /// # Errors
    /// /proc/1/mountinfo cannot be read; it takes CAP_SYS_PTRACE for another than root.
    pub fn mounts(&self) -> Result<Vec<Mount>, ReadError> {
        Ok(mountinfo(&self.read_text(MOUNTS)?))
    }

    /// How the file system that a path is on answers. One that does not is told as hung, and not asked again until it does.
    ///
    /// # Errors
    /// Why it cannot be known.
    pub async fn ask_file_system(&self, absolute: &Path, patience: Duration) -> Result<Answer, Missing> {
        let (host, path) = (self.clone(), absolute.to_owned());
        let work = move || {
            let is_io_error = |error: &ReadError| error.source.raw_os_error() == Some(nix::libc::EIO);
            Ok(Answer { space: host.statvfs(&path), gives_io_errors: host.stat(&path).is_err_and(|error| is_io_error(&error)) })
        };
        bounded(&self.pending, absolute, patience, work).await
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

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
        let answer = Host::new("/").ask_file_system(Path::new("/"), Duration::from_secs(5)).await.unwrap();
        assert!(!answer.gives_io_errors);
        let space = answer.space.unwrap();
        assert!(space.size_bytes > space.available_bytes);
        let none = Host::new("/").ask_file_system(Path::new("/no/such"), Duration::from_secs(5)).await.unwrap().space.unwrap_err();
        assert_eq!(none.why, "statvfs /no/such: No such file or directory");
    }
}
