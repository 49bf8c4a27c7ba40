//! The kernel's messages, for one node: a container has no /dev/kmsg of its own, so what this machine's kernel says from now on is passed on,
//! record by record, through a pipe that stands in its place. The words, and who reads them in the node (its journald), are real.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

use crate::slot::SlotNumber;

/// The kernel's own limit of a record.
const MAX_RECORD: usize = 8192;
/// A pipe hands out so much in one piece.
const MAX_PACKET: usize = 4095;
/// Between two looks at whether the node is gone.
const LOOK_UP_EVERY_MS: u16 = 100;

/// Passes on for as long as it lives.
#[derive(Debug)]
pub(super) struct Kernel {
    /// What the node has for /dev/kmsg.
    pub(super) pipe: PathBuf,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Kernel {
    /// Begins with what the kernel says next.
    pub(super) fn listen(slot: SlotNumber) -> Result<Self> {
        let pipe = slot.dir().join("tree/kmsg");
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).context("cannot make the node's pipe of kernel messages")?;
        let mut kernel =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg").context("open /dev/kmsg")?;
        kernel.seek(SeekFrom::End(0)).context("find the end of /dev/kmsg")?;
        // For reading too, so that it is open before the node reads.
        let into = OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&pipe)?;
        // pipe(7): one write, one read; journald takes one record at a time.
        fcntl(&into, FcntlArg::F_SETFL(OFlag::O_NONBLOCK | OFlag::O_DIRECT)).context("cannot make a pipe keep records apart")?;
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ended = Arc::clone(&ended);
            move || pass_on(kernel, into, &ended)
        });
        Ok(Self { pipe, ended, thread: Some(thread) })
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics at nothing; if it did, the test has failed for want of its messages.
            let _ = thread.join();
        }
    }
}

fn pass_on(mut kernel: File, mut into: File, ended: &AtomicBool) {
    let mut record = [0; MAX_RECORD];
    while !ended.load(Ordering::Relaxed) {
        let mut wait = [PollFd::new(kernel.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut wait, PollTimeout::from(LOOK_UP_EVERY_MS));
        match kernel.read(&mut record) {
            Ok(length) => put(&mut into, packet(&record[..length]), ended),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // EPIPE: records were overwritten before they were read; the next read goes on after them.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(_) => return,
        }
    }
}

/// Waits while the pipe is full: one report of the kernel's is more records than it holds.
fn put(into: &mut File, packet: &[u8], ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        match into.write(packet) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut wait = [PollFd::new(into.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut wait, PollTimeout::from(LOOK_UP_EVERY_MS));
            }
            _ => return,
        }
    }
}

/// A record without what follows its first line (its device), and no longer than a pipe keeps in one piece.
fn packet(record: &[u8]) -> &[u8] {
    let end = record.iter().position(|byte| *byte == b'\n').map_or(record.len(), |at| at + 1);
    &record[..end.min(MAX_PACKET)]
}

#[cfg(test)]
mod tests {
    use super::packet;

    #[test]
    fn a_record_is_its_first_line() {
        assert_eq!(packet(b"3,1,2,-;EXT4-fs error\n SUBSYSTEM=block\n"), b"3,1,2,-;EXT4-fs error\n");
        assert_eq!(packet(b""), b"");
        assert_eq!(packet(&[b'x'; 9000]).len(), 4095);
    }
}
