//! The outbox: messages to hooks, from the transaction that made them until the hook has taken them. What is given up is a dead letter,
//! which is kept and can be sent again.

mod bounds;
mod resend;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError, Touches, micros, time};
use crate::message::Message;
pub use bounds::Others;
pub use resend::Resent;

/// Messages that may wait for one hook. Beyond it the oldest become dead letters.
pub const MAX_LETTERS: u32 = 10_000;
/// Dead letters that are kept.
pub const MAX_DEAD: u32 = 10_000;
/// How long dead letters are kept.
pub const DEAD_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// No pause before the next try is as long: what is due later was put off by a clock that has been set back since.
const LONGER_THAN_ANY_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// A message that waits for a hook, or was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// The hook.
    pub hook: String,
    /// Idempotency key: the same for every attempt.
    pub key: String,
    /// The incident.
    pub incident: String,
    /// The message, JSON.
    pub message: String,
    /// Attempts that were counted: a hook that nobody answers at is tried without counting.
    pub attempts: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is tried next; long ago if it has not been tried.
    pub due_at: Timestamp,
    /// What the hook said last.
    pub error: Option<String>,
    /// Since when the hook has refused it.
    pub refused_since: Option<Timestamp>,
    /// When it was given up.
    pub dead_at: Option<Timestamp>,
}

/// What waits for a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The hook.
    pub hook: String,
    /// How many messages.
    pub waiting: u64,
    /// When the oldest was made.
    pub oldest: Option<Timestamp>,
    /// How many dead letters it has.
    pub dead: u64,
}

/// Messages of one incident to one hook that the hook has not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The incident.
    pub incident: String,
    /// The hook.
    pub hook: String,
    /// They were given up; else they wait.
    pub dead: bool,
}

/// Which letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this hook alone.
    pub hook: Option<String>,
    /// With this key alone.
    pub key: Option<String>,
}

const COLUMNS: &str = "id, hook, key, incident, message, attempts, created_us, due_us, error, refused_us, dead_us";
/// A letter before it of the same incident.
const FIRST: &str = "NOT EXISTS (SELECT 1 FROM letters AS p WHERE p.hook = o.hook AND p.incident = o.incident AND p.dead_us IS NULL
     AND (p.number, p.id) < (o.number, o.id))";

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter {
        id: row.get(0)?,
        hook: row.get(1)?,
        key: row.get(2)?,
        incident: row.get(3)?,
        message: row.get(4)?,
        attempts: row.get(5)?,
        created_at: time(row.get(6)?),
        due_at: time(row.get(7)?),
        error: row.get(8)?,
        refused_since: row.get::<_, Option<i64>>(9)?.map(time),
        dead_at: row.get::<_, Option<i64>>(10)?.map(time),
    })
}

/// Number of the newest message ever.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'letters'")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Puts a message for a hook into the outbox, within the transaction that made it.
///
/// # Errors
/// Those of SQLite, and a message that is no JSON.
pub fn push(connection: &Connection, hook: &str, message: &Message) -> rusqlite::Result<()> {
    let text = serde_json::to_string(message).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO letters (hook, key, incident, number, message, created_us, due_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
        )?
        .execute(params![hook, message.key, message.incident, message.number, text, micros(message.at)])?;
    Ok(())
}

impl Store {
    /// Puts messages for hooks into the outbox by themselves.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn post(&self, messages: Vec<(Arc<str>, Message)>) -> Result<(), StoreError> {
        self.write(Touches::Nothing, move |connection| messages.iter().try_for_each(|(hook, message)| push(connection, hook, message)))
            .await
    }

    /// What hooks have not taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn undelivered(&self) -> Result<Vec<Undelivered>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached("SELECT DISTINCT incident, hook, dead_us IS NOT NULL FROM letters")?;
            select.query_map([], |row| Ok(Undelivered { incident: row.get(0)?, hook: row.get(1)?, dead: row.get(2)? }))?.collect()
        })
        .await
    }

    /// The next message for a hook that is due and has none of the same incident before it; those never tried first, so that none waits
    /// for the pauses of others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_letter(&self, hook: Arc<str>, now: Timestamp) -> Result<Option<Letter>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM letters AS o WHERE hook = ?1 AND dead_us IS NULL AND (due_us <= ?2 OR due_us > ?3) AND {FIRST}
                 ORDER BY attempts > 0, due_us, id LIMIT 1"
            ))?;
            select.query_row(params![hook, micros(now), put_off(now)], letter).optional()
        })
        .await
    }

    /// When the next message of a hook, with none of the same incident before it, is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_letter_at(&self, hook: Arc<str>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT min(CASE WHEN due_us > ?2 THEN 0 ELSE due_us END) FROM letters AS o WHERE hook = ?1 AND dead_us IS NULL AND {FIRST}"
            ))?;
            Ok(select.query_row(params![hook, put_off(now)], |row| row.get::<_, Option<i64>>(0))?.map(time))
        })
        .await
    }

    /// The hook has taken a message. `standing` is how the incident stands with it now, for a hook that has to be told again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn letter_taken(&self, id: i64, standing: Option<super::StandingAlert>) -> Result<(), StoreError> {
        self.write(Touches::Nothing, move |connection| {
            connection.prepare_cached("DELETE FROM letters WHERE id = ?1")?.execute([id])?;
            standing.map_or(Ok(()), |standing| standing.keep(connection))
        })
        .await
    }

    /// The hook did not take a message: not before `pause` is over again. `refused`: it does not want it at all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn letter_refused(&self, id: i64, error: String, refused: bool, pause: Duration, now: Timestamp) -> Result<(), StoreError> {
        self.write(Touches::Nothing, move |connection| {
            let due = now.checked_add(SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX);
            connection
                .prepare_cached(
                    "UPDATE letters SET attempts = attempts + 1, error = ?2, due_us = ?3,
                         refused_us = CASE WHEN ?4 THEN coalesce(refused_us, ?5) ELSE refused_us END WHERE id = ?1",
                )?
                .execute(params![id, error, micros(due), refused, micros(now)])
                .map(drop)
        })
        .await
    }

    /// Gives a message up: a dead letter, behind which nothing waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bury_letter(&self, id: i64, error: String, now: Timestamp) -> Result<(), StoreError> {
        self.write(Touches::Nothing, move |connection| {
            connection
                .prepare_cached("UPDATE letters SET attempts = attempts + 1, error = ?2, dead_us = ?3 WHERE id = ?1")?
                .execute(params![id, error, micros(now)])?;
            forget_ends(connection)
        })
        .await
    }

    /// Letters that wait, or dead ones (the newest first).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn letters(&self, which: Which, dead: bool, limit: u32) -> Result<Vec<Letter>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM letters WHERE (dead_us IS NOT NULL) = ?1 AND hook = coalesce(?2, hook) AND key = coalesce(?3, key)
                 ORDER BY CASE WHEN ?1 THEN -dead_us ELSE id END, id LIMIT ?4"
            ))?;
            select.query_map(params![dead, which.hook, which.key, limit], letter)?.collect()
        })
        .await
    }

    /// What waits for each hook that has something waiting or dead.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn letter_backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT hook, count(*) FILTER (WHERE dead_us IS NULL), min(created_us) FILTER (WHERE dead_us IS NULL),
                     count(*) FILTER (WHERE dead_us IS NOT NULL) FROM letters GROUP BY hook",
            )?;
            let rows = select.query_map([], |row| {
                let oldest = row.get::<_, Option<i64>>(2)?.map(time);
                let count = |n: i64| u64::try_from(n).unwrap_or_default();
                Ok(Backlog { hook: row.get(0)?, waiting: count(row.get(1)?), oldest, dead: count(row.get(3)?) })
            })?;
            rows.collect()
        })
        .await
    }
}

/// What is due after this was put off by another clock.
fn put_off(now: Timestamp) -> i64 {
    micros(now.checked_add(LONGER_THAN_ANY_PAUSE).unwrap_or(Timestamp::MAX))
}

/// An alert whose end was given up is not told as open again and again.
fn forget_ends(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM standing AS s WHERE EXISTS (SELECT 1 FROM letters AS l WHERE l.dead_us IS NOT NULL AND l.hook = s.hook
                 AND l.incident = s.incident AND l.number > s.number AND json_extract(l.message, '$.event') = 'resolved')",
        )?
        .execute([])
        .map(drop)
}
