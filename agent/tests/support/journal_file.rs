//! Writes a journal file as systemd-journald would (https://systemd.io/JOURNAL_FILE_FORMAT, "The Structure"), for tests: so that they
//! need no journald, no root, and can make files that journald would not.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "support for several tests, of which each uses a part")]

use std::fs::{File, OpenOptions, create_dir_all};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

pub const MACHINE: &str = "0123456789abcdef0123456789abcdef";
pub const BOOT: &str = "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0";
pub const EARLIER_BOOT: &str = "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0";

const HEADER: u64 = 256;
const ENTRY_ARRAY_HEAD: u64 = 24;

/// A journal file that is written to.
pub struct JournalFile {
    file: File,
    pub path: PathBuf,
    capacity: u64,
    entries: u64,
    first_seqnum: u64,
    end: u64,
}

/// Makes a root directory with a boot id; journals go beneath it.
pub fn root(directory: &Path) {
    create_dir_all(directory.join("proc/sys/kernel/random")).unwrap();
    let dashed = format!("{}-{}-{}-{}-{}\n", &BOOT[..8], &BOOT[8..12], &BOOT[12..16], &BOOT[16..20], &BOOT[20..]);
    std::fs::write(directory.join("proc/sys/kernel/random/boot_id"), dashed).unwrap();
    create_dir_all(directory.join("etc")).unwrap();
    std::fs::write(directory.join("etc/machine-id"), format!("{MACHINE}\n")).unwrap();
    std::fs::write(directory.join("etc/hostname"), "node-1\n").unwrap();
    create_dir_all(journal_directory(directory)).unwrap();
}

pub fn journal_directory(root: &Path) -> PathBuf {
    root.join("var/log/journal").join(MACHINE)
}

pub fn now_micros() -> u64 {
    u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn id(hex: &str) -> [u8; 16] {
    std::array::from_fn(|index| u8::from_str_radix(&hex[index * 2..index * 2 + 2], 16).unwrap())
}

impl JournalFile {
    /// A new file of this name beneath a root, with room for so many entries and bytes. Sequence numbers begin at `first_seqnum`.
    pub fn create(root: &Path, name: &str, capacity: u64, bytes: u64, first_seqnum: u64) -> Self {
        let path = journal_directory(root).join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.set_len(bytes).unwrap();
        let array = HEADER;
        let end = array + ENTRY_ARRAY_HEAD + capacity * 8;
        let journal = Self { file, path, capacity, entries: 0, first_seqnum, end };
        let mut header = vec![0_u8; usize::try_from(HEADER).unwrap()];
        header[..8].copy_from_slice(b"LPKSHHRH");
        header[16] = 1;
        // Files of the same machine and sequence, but of different identity.
        let mut file_id = id(MACHINE);
        file_id[..8].copy_from_slice(&first_seqnum.to_le_bytes());
        header[24..40].copy_from_slice(&file_id);
        header[40..56].copy_from_slice(&id(MACHINE));
        header[56..72].copy_from_slice(&id(BOOT));
        header[72..88].copy_from_slice(&id("5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"));
        header[88..96].copy_from_slice(&HEADER.to_le_bytes());
        header[96..104].copy_from_slice(&(bytes - HEADER).to_le_bytes());
        header[136..144].copy_from_slice(&array.to_le_bytes());
        header[144..152].copy_from_slice(&1_u64.to_le_bytes());
        header[176..184].copy_from_slice(&array.to_le_bytes());
        journal.file.write_all_at(&header, 0).unwrap();
        journal.object(array, 6, ENTRY_ARRAY_HEAD + capacity * 8, &[]);
        journal
    }

    /// The usual file.
    pub fn system(root: &Path) -> Self {
        Self::create(root, "system.journal", 20_000, 32 << 20, 1)
    }

    fn object(&self, at: u64, kind: u8, size: u64, body: &[u8]) {
        let mut head = [0_u8; 16];
        head[0] = kind;
        head[8..].copy_from_slice(&size.to_le_bytes());
        self.file.write_all_at(&head, at).unwrap();
        self.file.write_all_at(body, at + 16).unwrap();
    }

    /// An entry of the kubelet, of this boot, now.
    pub fn kubelet(&mut self, message: &str) {
        self.entry(now_micros(), BOOT, &kubelet_fields(message.as_bytes()));
    }

    /// An entry: its time, boot and fields as `NAME=value`. Gives its offset.
    pub fn entry(&mut self, realtime: u64, boot: &str, fields: &[Vec<u8>]) -> u64 {
        assert!(self.entries < self.capacity, "the test file is full");
        let entry = self.end + fields.iter().map(|field| aligned(64 + field.len() as u64)).sum::<u64>();
        let mut items = Vec::new();
        for field in fields {
            let at = self.end;
            let hash = at ^ 0x9e37_79b9;
            let mut body = Vec::new();
            for value in [hash, 0, 0, entry, 0, 1] {
                body.extend_from_slice(&value.to_le_bytes());
            }
            body.extend_from_slice(field);
            self.object(at, 1, 64 + field.len() as u64, &body);
            items.extend_from_slice(&at.to_le_bytes());
            items.extend_from_slice(&hash.to_le_bytes());
            self.end += aligned(64 + field.len() as u64);
        }
        let seqnum = self.first_seqnum + self.entries;
        let mut body = Vec::new();
        for value in [seqnum, realtime, realtime % 1_000_000_000_000] {
            body.extend_from_slice(&value.to_le_bytes());
        }
        body.extend_from_slice(&id(boot));
        body.extend_from_slice(&seqnum.to_le_bytes());
        body.extend_from_slice(&items);
        self.object(entry, 3, 16 + body.len() as u64, &body);
        self.end = entry + aligned(16 + body.len() as u64);
        self.word(HEADER + ENTRY_ARRAY_HEAD + self.entries * 8, entry);
        if self.entries == 0 {
            self.word(168, seqnum);
            self.word(184, realtime);
        }
        self.word(136, entry);
        self.word(160, seqnum);
        self.word(192, realtime);
        self.word(200, realtime % 1_000_000_000_000);
        self.entries += 1;
        // Last: from now on readers see it.
        self.word(152, self.entries);
        entry
    }

    fn word(&self, at: u64, value: u64) {
        self.file.write_all_at(&value.to_le_bytes(), at).unwrap();
    }

    /// Overwrites bytes: damage.
    pub fn damage(&self, at: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, at).unwrap();
    }

    /// journald's rotation: the file is archived under another name, and a new one takes its place.
    pub fn rotate(self, root: &Path) -> Self {
        let archived = journal_directory(root)
            .join(format!("system@5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e-{:016x}-0000000000000001.journal", self.first_seqnum));
        self.damage(16, &[2]);
        std::fs::rename(&self.path, archived).unwrap();
        Self::create(root, "system.journal", self.capacity, 32 << 20, self.first_seqnum + self.entries)
    }
}

pub fn kubelet_fields(message: &[u8]) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> =
        ["_TRANSPORT=stdout", "PRIORITY=6", "SYSLOG_IDENTIFIER=kubelet", "_PID=4711", "_SYSTEMD_UNIT=kubelet.service"]
            .iter()
            .map(|field| field.as_bytes().to_vec())
            .collect();
    fields.push([b"MESSAGE=", message].concat());
    fields
}

const fn aligned(size: u64) -> u64 {
    size.div_ceil(8) * 8
}
