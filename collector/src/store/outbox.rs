//! Messages to hooks, from the transaction that made them until the hook has taken them.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{PresentCause, Severity};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError, decode_cause, micros, time};

/// Messages that may wait for one hook. Beyond it the oldest are dropped, and counted.
pub const MAX_WAITING: u32 = 10_000;

/// The next message for a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its number.
    pub id: i64,
    /// Idempotency key: the same for every attempt.
    pub key: String,
    /// The message, JSON.
    pub message: String,
    /// Attempts made.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An alert as it has to be told again.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    /// The node.
    pub node: String,
    /// The cause as it stands.
    pub cause: PresentCause,
    /// As it was told.
    pub severity: Severity,
    /// When it was over, and why.
    pub closed: Option<(Timestamp, String)>,
}

/// Number of the newest message.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT coalesce(sum(seq), 0) FROM sqlite_sequence WHERE name IN ('outbox', 'letters')")?;
    select.query_row([], |row| row.get(0))
}

impl Store {
    /// The next message for a hook that is due and has none of the same case before it; those never tried first, so that none waits for
    /// the pauses of others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, hook: Arc<str>, now: Timestamp) -> Result<Option<Due>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, key, message, attempts, created_us FROM outbox AS o WHERE hook = ?1 AND due_us <= ?2 AND NOT EXISTS
                     (SELECT 1 FROM outbox AS p WHERE p.hook = o.hook AND p.node = o.node AND p.case_id = o.case_id AND p.id < o.id)
                 ORDER BY attempts > 0, due_us, id LIMIT 1",
            )?;
            let due = |row: &Row<'_>| {
                let created_at = time(row.get(4)?);
                Ok(Due { id: row.get(0)?, key: row.get(1)?, message: row.get(2)?, attempts: row.get(3)?, created_at })
            };
            select.query_row(params![hook, micros(now)], due).optional()
        })
        .await
    }

    /// When the next message of a hook, with none of the same case before it, is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_due_at(&self, hook: Arc<str>) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT min(due_us) FROM outbox AS o WHERE hook = ?1 AND NOT EXISTS
                     (SELECT 1 FROM outbox AS p WHERE p.hook = o.hook AND p.node = o.node AND p.case_id = o.case_id AND p.id < o.id)",
            )?;
            Ok(select.query_row([hook], |row| row.get::<_, Option<i64>>(0))?.map(time))
        })
        .await
    }

    /// The hook has taken a message, or it was given up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivered(&self, id: i64) -> Result<(), StoreError> {
        self.write(None, move |connection| connection.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id]).map(drop)).await
    }

    /// The hook did not take a message: not before `pause` is over again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refused(&self, id: i64, error: String, pause: Duration, now: Timestamp) -> Result<(), StoreError> {
        self.write(None, move |connection| {
            let due = now.checked_add(SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX);
            connection
                .prepare_cached("UPDATE outbox SET attempts = attempts + 1, error = ?2, due_us = ?3 WHERE id = ?1")?
                .execute(params![id, error, micros(due)])
                .map(drop)
        })
        .await
    }

    /// Drops what waits for hooks that are not configured any more, and what is over the bound of the others; gives how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tidy_outbox(&self, hooks: Arc<[Arc<str>]>) -> Result<usize, StoreError> {
        self.write(None, move |connection| {
            let known = serde_json::to_string(&*hooks.iter().map(|hook| &**hook).collect::<Vec<_>>()).unwrap_or_default();
            let mut gone =
                connection.execute("DELETE FROM outbox WHERE hook NOT IN (SELECT value FROM json_each(?1))", params![known])?;
            for hook in hooks.iter() {
                gone += connection.execute(
                    "DELETE FROM outbox WHERE hook = ?1 AND id <= (SELECT id FROM outbox WHERE hook = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                    params![hook, MAX_WAITING],
                )?;
            }
            Ok(gone)
        })
        .await
    }

    /// Alerts that are open, and those that closed after `closed_after` and have not come again: an Alertmanager forgets what it does not
    /// hear of again, and one that was away did not hear of the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_alerts(&self, closed_after: Timestamp) -> Result<Vec<OpenAlert>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT node, cause, closed_us, closed_reason, told_severity FROM cases WHERE alerting = 1
                 UNION ALL
                 SELECT node, cause, closed_us, closed_reason, told_severity FROM cases AS c WHERE closed_us IS NOT NULL AND closed_recorded_us > ?1
                     AND alerts > 0 AND alerting = 0 AND NOT EXISTS
                     (SELECT 1 FROM cases AS o WHERE o.node = c.node AND o.code = c.code AND o.alerting = 1)",
            )?;
            let rows = select.query_map([micros(closed_after)], |row| {
                let closed = match row.get::<_, Option<i64>>(2)? {
                    Some(at) => Some((time(at), row.get(3)?)),
                    None => None,
                };
                let told = nodewhy_wire::severity_from_wire(row.get::<_, Option<i32>>(4)?.unwrap_or_default());
                let Some(cause) = decode_cause(&row.get::<_, Vec<u8>>(1)?) else { return Ok(None) };
                Ok(Some(OpenAlert { node: row.get(0)?, severity: told.unwrap_or(cause.severity), cause, closed }))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
        .await
    }
}
