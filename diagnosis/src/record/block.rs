//! Journal entries that span lines: journalctl -o export and -o verbose.

use jiff::Timestamp;

use super::time::{self, Clock};
use super::{JournalFields, Klog, MAX_MESSAGE, Spoken, clip};

/// Fields of one journal entry that matter, bounded.
#[derive(Debug, Default)]
pub(super) struct Entry {
    message: Option<String>,
    unit: String,
    /// `UNIT`: what PID 1 speaks about.
    about: String,
    identifier: String,
    transport: String,
    pid: String,
    uid: String,
    container: String,
    host: String,
    cursor: String,
    priority: String,
    micros: String,
    wall: Option<time::Stamp>,
}

impl Entry {
    pub(super) fn set(&mut self, name: &str, value: &str) {
        const MAX_FIELD: usize = 512;
        let field = match name {
            "MESSAGE" => {
                self.message = Some(clip(value, MAX_MESSAGE).to_owned());
                return;
            }
            "_SYSTEMD_UNIT" => &mut self.unit,
            "UNIT" => &mut self.about,
            "SYSLOG_IDENTIFIER" => &mut self.identifier,
            "_TRANSPORT" => &mut self.transport,
            "PRIORITY" => &mut self.priority,
            "_PID" => &mut self.pid,
            "_UID" => &mut self.uid,
            "CONTAINER_ID" => &mut self.container,
            "_HOSTNAME" => &mut self.host,
            "__CURSOR" => &mut self.cursor,
            "__REALTIME_TIMESTAMP" => &mut self.micros,
            _ => return,
        };
        clip(value, MAX_FIELD).clone_into(field);
    }

    /// The time, where it did not come in journald's own field.
    pub(super) fn date(&mut self, at: Option<Timestamp>) {
        self.wall = at.map(time::Stamp::Exact);
    }

    pub(super) fn spoken(&self, clock: &mut Clock) -> Spoken<'_> {
        let message = self.message.as_deref().unwrap_or("");
        // Many an export leaves the journal's time out; the program wrote its own.
        let own =
            || Klog::parse(message)?.stamp.map(|stamp| time::Stamp::Yearless { month: stamp.month, day: stamp.day, micros: stamp.micros });
        let at = time::unix_micros(&self.micros).or_else(|| self.wall.or_else(own).and_then(|stamp| clock.resolve(stamp)));
        let fields = JournalFields {
            message,
            systemd_unit: &self.unit,
            unit: &self.about,
            identifier: &self.identifier,
            pid: &self.pid,
            uid: &self.uid,
            transport: &self.transport,
            container: &self.container,
            priority: &self.priority,
            cursor: &self.cursor,
        };
        Spoken { record: fields.record(at), host: &self.host, pid: self.pid.parse().ok(), headed: true }
    }
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It belongs to no block.
    No,
    /// It was a field.
    Field,
    /// It ended a block whose entry can be had now.
    Complete,
}

/// A block that is being read.
#[derive(Debug, Default)]
pub(super) struct Block {
    form: Option<Form>,
    open: Entry,
    done: Option<Entry>,
    /// The export format's binary field whose length and data come next.
    binary: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Export,
    Verbose,
}

impl Block {
    pub(super) fn take(&mut self, line: &str) -> Taken {
        if line.starts_with("__CURSOR=") && self.form.is_none() {
            self.form = Some(Form::Export);
        }
        match self.form {
            Some(Form::Export) => self.export(line),
            Some(Form::Verbose) | None => self.verbose(line),
        }
    }

    /// The entry completed last.
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.done.as_ref()
    }

    /// Keeps an entry that was read elsewhere, so that records can borrow from it.
    pub(super) fn keep(&mut self, entry: Entry) -> &Entry {
        self.done.insert(entry)
    }

    /// Completes what is open.
    pub(super) fn end(&mut self) {
        self.form = None;
        self.binary = None;
        let open = std::mem::take(&mut self.open);
        self.done = open.message.is_some().then_some(open);
    }

    fn complete(&mut self) -> Taken {
        self.end();
        if self.done.is_some() { Taken::Complete } else { Taken::Field }
    }

    fn export(&mut self, line: &str) -> Taken {
        if let Some(name) = self.binary.take() {
            // A 64-bit length stands before the data; its first bytes may have been a line end or not UTF-8.
            let data = match line.char_indices().take(9).filter(|(_, c)| *c == '\0').last() {
                Some((at, _)) => &line[at + 1..],
                None if line.is_empty() => {
                    self.binary = Some(name);
                    return Taken::Field;
                }
                None => line,
            };
            self.open.set(&name, data);
            return Taken::Field;
        }
        if line.is_empty() {
            return self.complete();
        }
        match line.split_once('=') {
            Some((name, value)) if is_field_name(name) => self.open.set(name, value),
            None if is_field_name(line) => self.binary = Some(line.to_owned()),
            // More lines of a binary field.
            _ => {}
        }
        Taken::Field
    }

    fn verbose(&mut self, line: &str) -> Taken {
        if let Some(stamp) = verbose_header(line) {
            let taken = if self.form.is_some() { self.complete() } else { Taken::Field };
            self.form = Some(Form::Verbose);
            self.open.wall = Some(stamp);
            return taken;
        }
        if self.form.is_none() {
            return Taken::No;
        }
        match line.strip_prefix("    ").and_then(|line| line.split_once('=')) {
            Some((name, value)) if is_field_name(name) => {
                self.open.set(name, value);
                Taken::Field
            }
            // A further line of a field's text is indented too.
            _ if line.starts_with(' ') => Taken::Field,
            // Something else begins; what was read stays for `end`, unless this line has to be given away now.
            _ if line.is_empty() => self.complete(),
            _ => {
                self.end();
                Taken::No
            }
        }
    }
}

/// `Tue 2026-11-22 00:54:49.103848 UTC [s=5f1c...;i=1a2b;...]`.
fn verbose_header(line: &str) -> Option<time::Stamp> {
    if !line.ends_with(']') {
        return None;
    }
    let (head, _) = line.split_once(" [s=")?;
    let (_weekday, date) = head.split_once(' ')?;
    time::iso(date).map(|(stamp, _)| stamp)
}

fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
