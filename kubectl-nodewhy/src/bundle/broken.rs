//! Streams that break off: what came before counts, and the error is told after it.

use std::io::{self, BufRead, Read};

/// A stream's beginning, at most `length` bytes of it, and what follows.
pub fn beginning<'a>(input: &'a mut dyn BufRead, length: u64) -> (Vec<u8>, Rest<'a>) {
    let mut head = Vec::new();
    // On an error, `read_to_end` leaves what it read.
    match (&mut *input).take(length).read_to_end(&mut head) {
        Ok(_) => (head, Rest::Goes(input)),
        Err(error) => (head, Rest::Broken(Some(error))),
    }
}

/// What follows a stream's beginning.
pub enum Rest<'a> {
    /// The stream.
    Goes(&'a mut dyn BufRead),
    /// Nothing but the error that it broke off with, told once.
    Broken(Option<io::Error>),
}

impl Read for Rest<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Goes(input) => input.read(buffer),
            Self::Broken(error) => error.take().map_or(Ok(0), Err),
        }
    }
}

impl BufRead for Rest<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Goes(input) => input.fill_buf(),
            Self::Broken(error) => error.take().map_or(Ok(&[]), Err),
        }
    }

    fn consume(&mut self, amount: usize) {
        if let Self::Goes(input) = self {
            input.consume(amount);
        }
    }
}
