//! The two segment files, written through [`Writer`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use nix::errno::Errno;

use super::segment::{FRAME, Frame, HEADER, Header};
use super::writer::{Late, Writer, hung};

/// Both segments; `None` where there is no disk.
pub(super) type Segments = [Option<Arc<File>>; 2];

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) segments: Segments,
    /// Bytes of each.
    pub(super) size: u64,
    pub(super) at: Place,
    /// `None` where there is no disk, or no thread for it.
    pub(super) writer: Option<Writer>,
    /// Where the spool goes on if the turn that was given up comes to its end after all.
    turning: Option<Place>,
}

/// Where the next frame goes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// Index of the segment.
    pub(super) current: usize,
    pub(super) generation: u64,
    pub(super) offset: u64,
}

impl Disk {
    pub(super) fn new(segments: Segments, size: u64) -> Self {
        let writer = segments.iter().any(Option::is_some).then(Writer::start).and_then(Result::ok);
        Self { segments, size, at: Place::default(), writer, turning: None }
    }

    /// Whether there are files to write.
    pub(super) fn is_there(&self) -> bool {
        self.segments.iter().any(Option::is_some)
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.at.generation > 0 && self.at.offset + bytes as u64 <= self.size
    }

    pub(super) fn current(&self) -> Option<Arc<File>> {
        self.segments[self.at.current].clone()
    }

    fn file(&self, index: usize) -> io::Result<Arc<File>> {
        self.segments[index].clone().ok_or_else(|| io::Error::other("there is no spool file"))
    }

    fn writer(&mut self) -> io::Result<&mut Writer> {
        self.writer.as_mut().ok_or_else(|| io::Error::other("there is no thread to write the spool"))
    }

    pub(super) fn append(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let mut bytes = frame.encode(self.at.generation, self.at.offset);
        let (file, offset, length) = (self.file(self.at.current)?, self.at.offset, bytes.len() as u64);
        self.end(&mut bytes, offset + length);
        self.writer()?.run(Box::new(move || file.write_all_at(&bytes, offset)))?;
        self.at.offset += length;
        Ok(())
    }

    /// Writes frames into the other segment and goes on there; the generation of `header` is set here.
    pub(super) fn turn(&mut self, header: Header, frames: &[Frame<'_>]) -> io::Result<()> {
        self.settle()?;
        let (index, generation) = (1 - self.at.current, self.at.generation + 1);
        let file = self.file(index)?;
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(frame.encode(generation, HEADER + bytes.len() as u64));
        }
        let there = Place { current: index, generation, offset: HEADER + bytes.len() as u64 };
        if there.offset > self.size {
            return Err(io::Error::from(Errno::EFBIG));
        }
        self.end(&mut bytes, there.offset);
        let written = self.writer()?.run(Box::new(move || {
            // A turn that failed half-way may have left a header of this very generation.
            file.write_all_at(&[0; HEADER as usize], 0)?;
            file.write_all_at(&bytes, HEADER)?;
            file.sync_data()?;
            Header { generation, ..header }.write(&file)?;
            file.sync_data()
        }));
        match &written {
            Ok(()) => self.at = there,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.turning = Some(there),
            Err(_) => {}
        }
        written
    }

    /// Zeros behind the last frame, as far as the segment goes: what an earlier life of the file left there would look like a torn one.
    fn end(&self, bytes: &mut Vec<u8>, at: u64) {
        let zeros = self.size.saturating_sub(at).min(FRAME as u64);
        bytes.extend((0..zeros).map(|_| 0));
    }

    /// Takes note of what became of a write that was given up: a turn that was completed after all is the newest segment there is.
    fn settle(&mut self) -> io::Result<()> {
        let writer = self.writer()?;
        match writer.late() {
            Late::None => {}
            Late::Hung => return Err(hung(writer.patience)),
            Late::Done(result) => {
                if let Some(there) = self.turning.take().filter(|_| result.is_ok()) {
                    self.at = there;
                }
            }
        }
        Ok(())
    }
}
