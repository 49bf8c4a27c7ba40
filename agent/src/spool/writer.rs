//! Writes on a thread of their own: a disk that hangs (a dead volume, a stuck NFS mount) takes that thread with it and not the agent.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// How long a write is waited for before the spool goes on in memory.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) type Job = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// How a job given up earlier stands.
#[derive(Debug)]
pub(super) enum Late {
    /// There is none.
    None,
    /// It is still in the disk.
    Hung,
    /// It came back after all.
    Done(io::Result<()>),
}

#[derive(Debug)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
    results: Receiver<io::Result<()>>,
    /// A job was given up and has not come back.
    behind: bool,
    pub(super) patience: Duration,
}

impl Writer {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, todo) = sync_channel::<Job>(1);
        let (done, results) = sync_channel(1);
        std::thread::Builder::new().name("spool".to_owned()).stack_size(128 << 10).spawn(move || {
            while let Ok(job) = todo.recv() {
                if done.send(job()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, results, behind: false, patience: PATIENCE })
    }

    /// Whether a job given up earlier has come back. To be asked before [`Writer::run`].
    pub(super) fn late(&mut self) -> Late {
        if !self.behind {
            return Late::None;
        }
        match self.results.try_recv() {
            Ok(result) => {
                self.behind = false;
                Late::Done(result)
            }
            Err(TryRecvError::Empty) => Late::Hung,
            Err(TryRecvError::Disconnected) => Late::Done(Err(gone())),
        }
    }

    /// Does a job and gives its result; gives it up if that takes too long.
    pub(super) fn run(&mut self, job: Job) -> io::Result<()> {
        if self.behind {
            return Err(hung(self.patience));
        }
        self.jobs.send(job).map_err(|_| gone())?;
        match self.results.recv_timeout(self.patience) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                self.behind = true;
                Err(hung(self.patience))
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

pub(super) fn hung(after: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the disk did not take a write within {after:?}: it hangs"))
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes has ended")
}
