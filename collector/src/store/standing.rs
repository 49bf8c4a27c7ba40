//! How incidents stand with hooks that forget: an Alertmanager takes an alert for over if it does not hear of it again, and knows it by its
//! labels, which have to stay the same.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, StoreError, micros, time};

/// What has been over for so long is not told again.
pub const OVER_FOR: SignedDuration = SignedDuration::from_mins(15);

/// An incident as a hook was told of it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingAlert {
    /// The hook.
    pub hook: Arc<str>,
    /// The incident.
    pub incident: String,
    /// Number of the message.
    pub number: u32,
    /// The labels by which the hook knows it, JSON.
    pub labels: String,
    /// The message, JSON.
    pub message: String,
    /// When it was told to be over.
    pub resolved_at: Option<Timestamp>,
}

impl StandingAlert {
    pub(super) fn keep(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                // A message that was brought back says nothing of what came after it.
                "INSERT INTO standing (hook, incident, number, labels, message, resolved_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (hook, incident) DO UPDATE SET number = ?3, labels = ?4, message = ?5, resolved_us = ?6 WHERE number <= ?3",
            )?
            .execute(params![self.hook, self.incident, self.number, self.labels, self.message, self.resolved_at.map(micros)])
            .map(drop)
    }
}

const COLUMNS: &str = "hook, incident, number, labels, message, resolved_us";

fn standing(row: &rusqlite::Row<'_>) -> rusqlite::Result<StandingAlert> {
    Ok(StandingAlert {
        hook: row.get(0)?,
        incident: row.get(1)?,
        number: row.get(2)?,
        labels: row.get(3)?,
        message: row.get(4)?,
        resolved_at: row.get::<_, Option<i64>>(5)?.map(time),
    })
}

impl Store {
    /// How an incident stands with a hook.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing_alert(&self, hook: Arc<str>, incident: String) -> Result<Option<StandingAlert>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM standing WHERE hook = ?1 AND incident = ?2"))?;
            select.query_row(params![hook, incident], standing).optional()
        })
        .await
    }

    /// All that a hook is to be told again: what is open, and what was over after `over_after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing_alerts(&self, hook: Arc<str>, over_after: Timestamp) -> Result<Vec<StandingAlert>, StoreError> {
        self.read(move |connection| {
            let mut select = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM standing WHERE hook = ?1 AND (resolved_us IS NULL OR resolved_us > ?2)"))?;
            select.query_map(params![hook, micros(over_after)], standing)?.collect()
        })
        .await
    }
}

/// Forgets what has been over for long.
pub(super) fn tidy(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let before = micros(now.checked_sub(OVER_FOR).unwrap_or(Timestamp::MIN));
    connection.execute("DELETE FROM standing WHERE resolved_us < ?1", [before]).map(drop)
}

/// Forgets what all hooks but these were told: `known` is a list of names, JSON.
pub(super) fn forget_others(connection: &Connection, known: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM standing WHERE hook NOT IN (SELECT value FROM json_each(?1))", [known]).map(drop)
}
