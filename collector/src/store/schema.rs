//! The tables, by numbered migrations that are never edited once they were released.

use rusqlite::{Connection, ErrorCode};

const MIGRATIONS: &[&str] = &["
CREATE TABLE nodes (
    node TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL, boot_id TEXT NOT NULL,
    agent_version TEXT NOT NULL, kubelet_version TEXT NOT NULL, kernel TEXT NOT NULL, os TEXT NOT NULL,
    heartbeat_us INTEGER NOT NULL,
    last_seen_us INTEGER NOT NULL,
    verdict INTEGER NOT NULL DEFAULT 4,
    roots TEXT NOT NULL DEFAULT '[]',
    since_us INTEGER,
    diagnosis BLOB
) STRICT;
CREATE TABLE spools (
    node TEXT NOT NULL, spool_id TEXT NOT NULL, committed INTEGER NOT NULL, dropped INTEGER NOT NULL DEFAULT 0, seen_us INTEGER NOT NULL,
    PRIMARY KEY (node, spool_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE cases (
    case_id TEXT PRIMARY KEY,
    node TEXT NOT NULL, code TEXT NOT NULL,
    cause BLOB NOT NULL,
    opened_us INTEGER NOT NULL, opened_reason TEXT NOT NULL, opened_recorded_us INTEGER NOT NULL,
    closed_us INTEGER, closed_reason TEXT, closed_recorded_us INTEGER,
    alerts INTEGER NOT NULL DEFAULT 0,
    alerting INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX cases_of_node ON cases (node, opened_us DESC);
CREATE INDEX cases_by_time ON cases (opened_us DESC);
CREATE INDEX cases_open ON cases (node) WHERE closed_us IS NULL;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, case_id TEXT NOT NULL, kind INTEGER NOT NULL, at_us INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_case ON events (case_id, id);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY, hook TEXT NOT NULL, key TEXT NOT NULL, case_id TEXT NOT NULL, message TEXT NOT NULL,
    created_us INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT
) STRICT;
CREATE INDEX outbox_of_hook ON outbox (hook, id);
"];

/// Sets the connection up and brings the tables up to date.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // FULL: an acknowledged report survives a power failure.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 400;",
    )?;
    let have: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let have = usize::try_from(have).unwrap_or(0);
    if have > MIGRATIONS.len() {
        let newer = format!("it was written by a newer nodewhy-collector (schema {have}, this one knows {})", MIGRATIONS.len());
        return Err(rusqlite::Error::ToSqlConversionFailure(newer.into()));
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(have) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {}; COMMIT;", index + 1))?;
    }
    let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" {
        return Err(rusqlite::Error::ToSqlConversionFailure(format!("it is damaged: {state}").into()));
    }
    Ok(())
}

/// Words for why opening failed, and what to do.
pub(super) fn explain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            format!(
                "{error}; the file is damaged. Move it away (mv) and start again: agents report anew what is present now, history is lost"
            )
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!("{error}; another nodewhy-collector uses it"),
        Some(ErrorCode::DiskFull) => format!("{error}; make room on its file system"),
        _ => error.to_string(),
    }
}
