//! The agent's own files: no more of them than can be right is read, and none is waited for without end.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Larger than any configuration, certificate or bundle of certificates.
const LIMIT: u64 = 4 << 20;

/// A file's bytes; one that is larger is refused and not cut.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB: is it the right one?", LIMIT >> 20)));
    }
    Ok(bytes)
}

/// The same on a thread that is left behind when it hangs: with a dead disk, or with a FIFO that nobody writes. A FIFO that somebody does
/// write (`--config <(...)`) is read like a file.
pub(crate) fn read_within(path: &Path, patience: Duration) -> io::Result<Vec<u8>> {
    let (done, result) = sync_channel(1);
    let owned = path.to_owned();
    std::thread::Builder::new().name("file".to_owned()).spawn(move || drop(done.send(read(&owned))))?;
    result.recv_timeout(patience).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout => {
            let hangs = format!("reading it did not come back within {patience:?}: is it a FIFO, or does its disk hang?");
            Err(io::Error::new(io::ErrorKind::TimedOut, hangs))
        }
        RecvTimeoutError::Disconnected => Err(io::Error::other("reading it broke off")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_end_is_refused_and_a_fifo_without_writer_given_up() {
        assert!(read(Path::new("/dev/zero")).expect_err("no end").to_string().contains("larger than 4 MiB"));
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert!(read_within(&path, Duration::from_millis(20)).expect_err("nobody writes").to_string().contains("FIFO"));
        // Lets the thread that still waits for a writer come to its end.
        std::fs::write(&path, "late").expect("somebody reads");
    }

    #[test]
    fn a_fifo_that_somebody_writes_is_read_and_a_file_that_is_not_there_is_told_as_that() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        let to = path.clone();
        let writer = std::thread::spawn(move || std::fs::write(to, "text"));
        assert_eq!(read_within(&path, Duration::from_secs(30)).expect("written"), b"text");
        writer.join().expect("no panic").expect("read");
        assert_eq!(read_within(Path::new("/none"), Duration::from_secs(30)).expect_err("none").kind(), io::ErrorKind::NotFound);
    }
}
