//! One open journal: finding a place in it and reading entries.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nodewhy_diagnosis::catalogue::{Matcher, Sighting};
use nodewhy_diagnosis::record::{JournalFields, MAX_MESSAGE};
use nodewhy_diagnosis::{Missing, MissingKind};
use systemd::id128::Id128;
use systemd::journal::{Journal, OpenDirectoryOptions};

use super::Host;
use super::fields::Fields;

const DIRECTORIES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
/// `MESSAGE=` and its longest value.
const THRESHOLD: usize = MAX_MESSAGE + 8;

/// An open journal. Lives on the thread that opened it.
pub struct Reader {
    pub(super) journal: Journal,
    boot: Option<Id128>,
    /// As `_BOOT_ID` has it.
    boot_text: Vec<u8>,
    fields: Fields,
    directories: String,
    damaged: u64,
    /// Why nothing of this boot is read, though entries are there: nobody who looks at this journal sees what happens.
    pub(super) stale: Option<String>,
    /// New and rotated files are noticed by the library; false where the system has no inotify instance left.
    pub(super) notices_files: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("directories", &self.directories).finish_non_exhaustive()
    }
}

/// How a saved position was found again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resumed {
    /// Behind the very entry; what comes next is what comes next.
    Exactly,
    /// It cannot be had any more, for this reason.
    Lost(String),
}

impl Reader {
    /// Opens the journal of the system whose root the host has.
    ///
    /// # Errors
    /// Why nothing can be read from it.
    pub fn open(host: &Host) -> Result<Self, Missing> {
        let root = host.path("/");
        let failed =
            |what: &str, error: &dyn std::fmt::Display| Missing::new(MissingKind::Failed, format!("{what} {}: {error}", root.display()));
        let mut options = OpenDirectoryOptions::default();
        let journal = options
            .os_root(true)
            .system(true)
            .open_directory(root.as_os_str().as_encoded_bytes().to_vec())
            .map_err(|error| failed("open the journal beneath", &error))?;
        let mut reader = Self::new(journal, host, String::new()).map_err(|error| failed("open the journal beneath", &error))?;
        // Sets up the notification, and must come first: it makes the library look for files again.
        reader.notices_files = reader.journal.fd().is_ok();
        let files = files(host);
        reader.journal.seek_head().map_err(|error| failed("read the journal beneath", &error))?;
        let any = reader.journal.next().map_err(|error| failed("read the journal beneath", &error))?;
        if any == 0 {
            why_empty(host, &files)?;
        }
        reader.directories = said(host, &files);
        Ok(reader)
    }

    fn new(mut journal: Journal, host: &Host, directories: String) -> Result<Self, systemd::Error> {
        // A field is not unpacked further than it is looked at.
        journal.set_data_threshold(THRESHOLD)?;
        let boot = boot_id(host);
        let boot_text = boot.map(|boot| boot.to_string().into_bytes()).unwrap_or_default();
        Ok(Self { journal, boot, boot_text, fields: Fields::default(), directories, damaged: 0, stale: None, notices_files: true })
    }

    /// Opens a journal that lies elsewhere on the node: the directory that holds its files.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open_directory(host: &Host, path: &str) -> Result<Self, Missing> {
        let real = host.path(path);
        let failed = |error: &dyn std::fmt::Display| Missing::new(MissingKind::Failed, format!("open the journal in {path}: {error}"));
        // The library makes no difference between a directory without files and none.
        std::fs::metadata(&real).map_err(|error| failed(&error))?;
        let opened = OpenDirectoryOptions::default().open_directory(real.as_os_str().as_encoded_bytes().to_vec());
        let journal = opened.map_err(|error| failed(&error))?;
        let mut reader = Self::new(journal, host, path.to_owned()).map_err(|error| failed(&error))?;
        reader.notices_files = reader.journal.fd().is_ok();
        Ok(reader)
    }

    /// Goes to the first entry from a moment on.
    ///
    /// # Errors
    /// The library's.
    pub fn begin_at(&mut self, from: Timestamp) -> Result<(), systemd::Error> {
        self.journal.seek_realtime_usec(u64::try_from(from.as_microsecond()).unwrap_or(0))
    }

    /// The next entry's fields and time; `None` at the end.
    ///
    /// # Errors
    /// The library's: the journal has to be opened anew.
    pub fn next_entry<T>(&mut self, then: impl FnOnce(&JournalFields<'_>, Timestamp) -> T) -> Result<Option<T>, systemd::Error> {
        loop {
            if self.journal.next()? == 0 {
                self.notice_files()?;
                return Ok(None);
            }
            self.read();
            if let Some(at) = self.entry_time().filter(|_| self.of_this_boot()) {
                return Ok(Some(self.fields.with("", |fields| then(fields, at))));
            }
        }
    }

    /// Directories that hold files of it.
    pub fn directories(&self) -> &str {
        &self.directories
    }

    /// Entries that could not be read because the file is damaged.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Positions behind the entry at `cursor`.
    pub(super) fn resume(&mut self, cursor: &str) -> Resumed {
        if cursor.contains('\0') || self.journal.seek_cursor(cursor.to_owned()).is_err() {
            return Resumed::Lost("the saved position cannot be understood".to_owned());
        }
        match self.journal.next() {
            Ok(0) => Resumed::Lost("the entry read last is gone, and nothing follows it".to_owned()),
            Ok(_) if self.journal.test_cursor(cursor.to_owned()).unwrap_or(false) => Resumed::Exactly,
            Ok(_) => Resumed::Lost("the entry read last is gone: its file was rotated away or is damaged".to_owned()),
            Err(error) => Resumed::Lost(format!("the saved position cannot be reached: {error}")),
        }
    }

    /// Whether a cursor is of this boot; true if that cannot be told.
    pub(super) fn is_cursor_of_this_boot(&self, cursor: &str) -> bool {
        let of = cursor.split(';').find_map(|part| part.strip_prefix("b="));
        match (of, &self.boot) {
            (Some(of), Some(boot)) => of == boot.to_string(),
            _ => true,
        }
    }

    /// Positions behind the newest entry.
    pub(super) fn go_to_end(&mut self) -> Result<(), systemd::Error> {
        self.journal.seek_tail()?;
        // Without this step the next one would go to the newest entry itself (sd_journal_seek_tail(3)).
        if self.journal.previous()? == 0 {
            self.journal.seek_head()?;
        }
        Ok(())
    }

    /// The next entry's sightings; `None` at the end.
    pub(super) fn next(&mut self, matcher: &Matcher) -> Result<Option<Vec<Sighting>>, systemd::Error> {
        if self.journal.next()? == 0 {
            return Ok(None);
        }
        self.read();
        if !self.of_this_boot() {
            return Ok(Some(Vec::new()));
        }
        self.stale = None;
        Ok(Some(self.recognise(matcher)))
    }

    /// Why the newest entry is not of this boot, if it is not.
    pub(super) fn stale(&self) -> Option<&str> {
        self.stale.as_deref()
    }

    pub(super) fn of_another_boot(&self) -> String {
        let at = self.entry_time().map(|at| format!(" ({at:.0})")).unwrap_or_default();
        format!("the newest entry{at} of the journal in {} is of another boot than this one", self.directories)
    }

    /// Lets the library notice new, rotated and deleted files.
    pub(super) fn notice_files(&mut self) -> Result<(), systemd::Error> {
        if self.notices_files {
            self.journal.process()?;
        }
        Ok(())
    }

    /// Position of the present entry.
    pub(super) fn cursor(&self) -> Option<String> {
        self.journal.cursor().ok()
    }

    /// Time of the present entry.
    pub(super) fn entry_time(&self) -> Option<Timestamp> {
        let micros = i64::try_from(self.journal.timestamp_usec().ok()?).ok()?;
        Timestamp::from_microsecond(micros).ok()
    }

    /// Whether the entry that was read is. The library has to look the entry up again for its boot, so it is asked only where the field is missing.
    pub(super) fn of_this_boot(&self) -> bool {
        match (&self.boot, self.fields.boot()) {
            (None, _) => true,
            (Some(boot), b"") => self.journal.monotonic_timestamp().map_or(true, |(_, of)| of == *boot),
            (Some(_), of) => of == self.boot_text,
        }
    }

    /// Takes the fields of the present entry.
    pub(super) fn read(&mut self) {
        self.fields.clear();
        loop {
            match self.journal.enumerate_data() {
                Ok(Some(field)) => self.fields.take(field.data()),
                Ok(None) => return,
                // The library would give the same field for ever; what came before it is still true.
                Err(_) => {
                    self.damaged += 1;
                    return;
                }
            }
            if self.fields.is_whole() {
                return;
            }
        }
    }

    /// The sightings in the entry that was read. Most have none, and that is told from its bytes.
    pub(super) fn recognise(&mut self, matcher: &Matcher) -> Vec<Sighting> {
        let source = self.fields.source();
        if !matcher.listens_to(source) || !matcher.may_recognise(source, self.fields.message()) {
            return Vec::new();
        }
        let Some(at) = self.entry_time() else { return Vec::new() };
        let mut sightings = self.fields.with("", |fields| matcher.recognise(&fields.record(Some(at)), at));
        if !sightings.is_empty() {
            let cursor = self.cursor().unwrap_or_default();
            sightings.iter_mut().for_each(|sighting| sighting.cursor.clone_from(&cursor));
        }
        sightings
    }
}

fn boot_id(host: &Host) -> Option<Id128> {
    let text = std::fs::read_to_string(host.path("/proc/sys/kernel/random/boot_id")).ok()?;
    Id128::from_cstr(&std::ffi::CString::new(text.trim()).ok()?).ok()
}

/// The system's journal files.
fn files(host: &Host) -> Vec<PathBuf> {
    let entries = |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    DIRECTORIES
        .iter()
        .flat_map(|directory| entries(&host.path(directory)).collect::<Vec<_>>())
        .flat_map(|machine| entries(&machine).collect::<Vec<_>>())
        .filter(|file| file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"system")))
        .collect()
}

/// A user outside the group systemd-journal opens the directory without an error and finds no entry in it.
fn why_empty(host: &Host, files: &[PathBuf]) -> Result<(), Missing> {
    let places = DIRECTORIES.map(|directory| host.path(directory).display().to_string()).join(" or ");
    if files.is_empty() {
        let denied = DIRECTORIES.iter().find_map(|directory| {
            let error = std::fs::read_dir(host.path(directory)).err()?;
            (error.kind() == std::io::ErrorKind::PermissionDenied).then(|| format!("{}: {error}", host.path(directory).display()))
        });
        return Err(match denied {
            Some(why) => Missing::new(MissingKind::Denied, why).hint("run the agent as root or with the group systemd-journal"),
            None => Missing::new(MissingKind::Failed, format!("there is no journal file of the system beneath {places}")).hint(
                "is systemd-journald running? In a container, mount /var/log/journal, /run/log/journal and /etc/machine-id of the node",
            ),
        });
    }
    for file in files {
        if let Err(error) = std::fs::File::open(file) {
            let kind = if error.kind() == std::io::ErrorKind::PermissionDenied { MissingKind::Denied } else { MissingKind::Failed };
            return Err(Missing::new(kind, format!("open {}: {error}", file.display()))
                .hint("run the agent as root or with the group systemd-journal"));
        }
    }
    let newest = files.iter().filter_map(|file| file.metadata().ok()?.len().checked_sub(1)).count();
    if newest == 0 {
        return Err(Missing::new(MissingKind::Failed, format!("every journal file beneath {places} is empty")));
    }
    // Files that are there, can be opened and give nothing: fresh, or all damaged. journalctl --verify tells; a fresh one has a valid head.
    if files.iter().all(|file| !has_signature(file)) {
        return Err(Missing::new(MissingKind::Failed, format!("no file beneath {places} is a journal that can be read"))
            .hint("look at: journalctl --verify; journalctl --rotate begins a new file"));
    }
    Ok(())
}

/// systemd's journal file format, "Header".
fn has_signature(file: &Path) -> bool {
    use std::io::Read as _;
    let mut head = [0_u8; 8];
    std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut head)).is_ok() && &head == b"LPKSHHRH"
}

fn said(host: &Host, files: &[PathBuf]) -> String {
    let with_files =
        DIRECTORIES.iter().map(|directory| host.path(directory)).filter(|directory| files.iter().any(|file| file.starts_with(directory)));
    with_files.map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}
