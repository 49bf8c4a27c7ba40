//! The kernel's log from /dev/kmsg (Documentation/ABI/testing/dev-kmsg): one record a read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

use super::Host;

/// The largest record: LOG_LINE_MAX with its dictionary and escapes (kernel/printk/printk.c, PRINTK_MESSAGE_MAX is 2048).
const RECORD: usize = 8 << 10;

/// The open device.
#[derive(Debug)]
pub struct Kmsg {
    file: File,
    /// The wall clock's time at the kernel's zero.
    zero: Timestamp,
}

impl Kmsg {
    /// Opens it at its oldest record.
    ///
    /// # Errors
    /// In words: it takes CAP_SYSLOG where kernel.dmesg_restrict is set, and a container may not have the device.
    pub fn open(host: &Host) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("open /dev/kmsg: {error}");
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(host.path("/dev/kmsg")).map_err(failed)?;
        if !file.metadata().map_err(failed)?.file_type().is_char_device() {
            return Err("/dev/kmsg is no device".to_owned());
        }
        let up = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|error| format!("clock_gettime: {error}"))?;
        let up = SignedDuration::new(up.tv_sec(), i32::try_from(up.tv_nsec()).unwrap_or(0));
        let zero = Timestamp::now().checked_sub(up).map_err(|error| error.to_string())?;
        Ok(Self { file, zero })
    }

    /// The next record; `None` when there is none yet.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn next_record(&mut self) -> Result<Option<(Timestamp, String)>, String> {
        let mut buffer = [0_u8; RECORD];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => {
                    if let Some(record) = record(&buffer[..length], self.zero) {
                        return Ok(Some(record));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                // Records were overwritten before they were read, or one is larger than any is: the next read gives the next.
                Err(error) if matches!(error.raw_os_error(), Some(nix::libc::EPIPE | nix::libc::EINTR | nix::libc::EINVAL)) => {}
                Err(error) => return Err(format!("read /dev/kmsg: {error}")),
            }
        }
    }
}

/// `6,339,5140900,-;text` and lines of a dictionary, each after a blank.
fn record(bytes: &[u8], zero: Timestamp) -> Option<(Timestamp, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, rest) = text.split_once(';')?;
    let micros: i64 = head.split(',').nth(2)?.trim().parse().ok()?;
    let message = rest.lines().next().unwrap_or_default();
    Some((zero.checked_add(SignedDuration::from_micros(micros)).ok()?, unescaped(message)))
}

/// The kernel writes what is not printable as `\x0a` (msg_print_ext_body).
fn unescaped(message: &str) -> String {
    if !message.contains("\\x") {
        return message.to_owned();
    }
    let mut bytes = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// For the fuzzer: any bytes as a record; and their begin as a time with the rest as a text, written as the kernel writes it.
#[doc(hidden)]
pub fn fuzz_record(bytes: &[u8]) {
    if let Some((_, message)) = record(bytes, Timestamp::UNIX_EPOCH) {
        // A byte that is no text becomes three.
        assert!(message.len() <= 3 * bytes.len());
    }
    let Some((micros, text)) = bytes.split_first_chunk::<4>() else { return };
    let micros = u32::from_le_bytes(*micros);
    let escaped = |byte: &u8| match byte {
        b'\\' | 0..b' ' | 0x7f.. => format!("\\x{byte:02x}"),
        plain => char::from(*plain).to_string(),
    };
    let message: String = text.iter().map(escaped).collect();
    let written = format!("30,1,{micros},c,caller=T1;{message}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:1f.2\n");
    let wanted = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_micros(micros.into())).ok();
    assert_eq!(record(written.as_bytes(), Timestamp::UNIX_EPOCH), wanted.map(|at| (at, String::from_utf8_lossy(text).into_owned())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_time_and_its_text() {
        let read = |text: &str| record(text.as_bytes(), Timestamp::UNIX_EPOCH);
        let (at, text) = read("6,339,5140900,-;NET: Registered PF_VSOCK protocol family\n SUBSYSTEM=net\n").expect("a record");
        assert_eq!((at.as_microsecond(), text.as_str()), (5_140_900, "NET: Registered PF_VSOCK protocol family"));
        assert_eq!(read("4,1,7,c,caller=T1;a;b\\x0ac\\x5cx\\xzz\n").map(|(_, text)| text).as_deref(), Some("a;b\nc\\x\\xzz"));
        for garbage in ["", "6,1;x", "6,1,x,-;y", "no head"] {
            assert_eq!(read(garbage), None, "{garbage}");
        }
    }
}
