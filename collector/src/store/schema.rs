//! The tables, by numbered migrations that are never edited once they were released.

use rusqlite::{Connection, ErrorCode};

const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE nodes (
    node TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL, boot_id TEXT NOT NULL,
    agent_version TEXT NOT NULL, kubelet_version TEXT NOT NULL, kernel TEXT NOT NULL, os TEXT NOT NULL,
    heartbeat_us INTEGER NOT NULL,
    first_seen_us INTEGER NOT NULL,
    last_seen_us INTEGER NOT NULL,
    -- Labels, and traits with the values before and the times of their changes: JSON.
    about TEXT NOT NULL DEFAULT '{}',
    -- Silent: since when nothing was heard.
    silent_us INTEGER,
    -- As reported last, in the numbers of the wire.
    verdict INTEGER NOT NULL DEFAULT 4,
    roots TEXT NOT NULL DEFAULT '[]',
    since_us INTEGER,
    diagnosis BLOB,
    -- For lists: 0 not ready, 1 unknown or silent, 2 degraded, 3 healthy.
    rank INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX nodes_worst_first ON nodes (rank, node);

-- Sequences count within a spool of an agent.
CREATE TABLE spools (
    node TEXT NOT NULL, spool_id TEXT NOT NULL, committed INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0, seen_us INTEGER NOT NULL,
    PRIMARY KEY (node, spool_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    node TEXT NOT NULL, case_id TEXT NOT NULL, code TEXT NOT NULL,
    cause BLOB NOT NULL,
    opened_us INTEGER NOT NULL, opened_reason TEXT NOT NULL, opened_recorded_us INTEGER NOT NULL,
    closed_us INTEGER, closed_reason TEXT, closed_recorded_us INTEGER,
    -- An identity counts within its node: no node can speak of another's cases.
    UNIQUE (node, case_id)
) STRICT;
CREATE INDEX cases_of_node ON cases (node, opened_us DESC, id DESC);
CREATE INDEX cases_by_time ON cases (opened_us DESC, id DESC);
CREATE INDEX cases_open ON cases (node, opened_us DESC, id DESC) WHERE closed_us IS NULL;
CREATE INDEX cases_closed ON cases (closed_recorded_us) WHERE closed_us IS NOT NULL;

-- Cases that are one event; `state` is JSON. `telling`: a hook was told of it, and not yet of its end.
CREATE TABLE incidents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL, title TEXT NOT NULL, telling INTEGER NOT NULL DEFAULT 0,
    opened_us INTEGER NOT NULL, closed_us INTEGER
) STRICT;
CREATE INDEX incidents_open ON incidents (number) WHERE closed_us IS NULL;
CREATE INDEX incidents_telling ON incidents (number) WHERE telling = 1;
CREATE INDEX incidents_closed ON incidents (closed_us) WHERE closed_us IS NOT NULL;
CREATE TABLE members (
    incident INTEGER NOT NULL REFERENCES incidents (number) ON DELETE CASCADE,
    node TEXT NOT NULL, case_id TEXT NOT NULL, code TEXT NOT NULL, severity INTEGER NOT NULL,
    opened_us INTEGER NOT NULL, left_us INTEGER,
    PRIMARY KEY (incident, node, case_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_open ON members (node) WHERE left_us IS NULL;

CREATE TABLE silences (id TEXT PRIMARY KEY, body TEXT NOT NULL, ends_us INTEGER NOT NULL) STRICT;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    of_case INTEGER NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
    kind INTEGER NOT NULL, at_us INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_case ON events (of_case, id);

CREATE TABLE letters (
    -- Never used twice: who waits for messages hears of a greater one.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hook TEXT NOT NULL, key TEXT NOT NULL, incident TEXT NOT NULL,
    -- Place among the messages about the incident to this hook.
    number INTEGER NOT NULL,
    message TEXT NOT NULL,
    created_us INTEGER NOT NULL, due_us INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT,
    -- Since when the hook refuses it, and when it was given up.
    refused_us INTEGER, dead_us INTEGER
) STRICT;
-- In the order in which they are tried: the first that may go is found without a look at the others.
CREATE INDEX letters_due ON letters (hook, attempts > 0, due_us, id) WHERE dead_us IS NULL;
CREATE INDEX letters_of_incident ON letters (hook, incident, number, id) WHERE dead_us IS NULL;
-- Counted without reading the messages.
CREATE INDEX letters_backlog ON letters (hook, dead_us, created_us);
CREATE INDEX letters_dead ON letters (hook, incident, number, dead_us) WHERE dead_us IS NOT NULL;

-- How incidents stand with hooks that forget.
CREATE TABLE standing (
    hook TEXT NOT NULL, incident TEXT NOT NULL, number INTEGER NOT NULL, labels TEXT NOT NULL, message TEXT NOT NULL, resolved_us INTEGER,
    PRIMARY KEY (hook, incident)
) STRICT, WITHOUT ROWID;
",
    "
-- Which store this is, for the identities of what is told from it.
CREATE TABLE store (id TEXT NOT NULL) STRICT;
INSERT INTO store (id) VALUES (lower(hex(randomblob(2))));
",
];

/// Sets the connection up, looks whether the file is sound, and brings the tables up to date.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // FULL: an acknowledged report survives a power failure.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 400;",
    )?;
    let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" {
        return Err(refused(format!("{state}; {DAMAGED}")));
    }
    let have: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let have = have as usize;
    if have > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        return Err(refused(format!("a newer nodewhy-collector wrote it (schema {have}, this one knows {known}): run that version again")));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(have) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {}; COMMIT;", index + 1))?;
    }
    Ok(())
}

const DAMAGED: &str = "the file is damaged. Move it away (with -wal and -shm) and start again: agents report anew what is present now, \
                       history is lost";

fn refused(reason: String) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(reason.into())
}

/// Words for why a statement failed, and what to do.
pub(super) fn explain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!("{error}; {DAMAGED}"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!("{error}; another program uses it"),
        Some(ErrorCode::DiskFull) => format!("{error}; make room on its file system"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            format!("{error}; its directory and files have to belong to the user that runs nodewhy-collector")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_run_once_and_a_newer_schema_is_refused() {
        let connection = Connection::open_in_memory().expect("memory");
        prepare(&connection).expect("made");
        prepare(&connection).expect("nothing left to do");
        connection.execute_batch("PRAGMA user_version = 99").expect("set");
        let error = explain(&prepare(&connection).expect_err("refused"));
        assert!(error.contains("newer nodewhy-collector wrote it (schema 99"), "{error}");
    }
}
