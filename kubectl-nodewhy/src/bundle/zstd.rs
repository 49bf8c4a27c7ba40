//! Zstandard streams.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::MAX_WINDOW;

/// Frames one after the other (pzstd, journald and rotated logs write several), skippable ones passed over (RFC 8878, 3.1.2).
pub(super) struct Zstd<R: BufRead> {
    input: R,
    decoder: Option<Box<FrameDecoder>>,
    /// Why the stream breaks off; told when all that was decoded is handed out.
    broken: Option<io::Error>,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, decoder: None, broken: None }
    }

    /// Begins the next frame; false at the end.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            let mut decoder = self.decoder.take().unwrap_or_else(|| {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(MAX_WINDOW);
                Box::new(decoder)
            });
            match decoder.reset(&mut self.input) {
                Ok(()) => {
                    self.decoder = Some(decoder);
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut (&mut self.input).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.decoder else {
                if self.begin()? {
                    continue;
                }
                return Ok(0);
            };
            while decoder.can_collect() == 0 && !decoder.is_finished() {
                if let Err(error) = decoder.decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1)) {
                    self.broken = Some(io::Error::new(io::ErrorKind::InvalidData, error));
                    finish(decoder)?;
                }
            }
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if let Some(error) = self.broken.take() {
                self.decoder = None;
                return Err(error);
            }
            if !self.begin()? {
                self.decoder = None;
                return Ok(0);
            }
        }
    }
}

/// Ends a frame that breaks off, so that the decoder gives what it holds back for references to it, up to a window: a last block without
/// content, and room for a checksum (RFC 8878, 3.1.1.2).
fn finish(decoder: &mut FrameDecoder) -> io::Result<()> {
    const LAST: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
    let ended = decoder.decode_blocks(&LAST[..], BlockDecodingStrategy::UptoBlocks(1));
    ended.map(drop).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
