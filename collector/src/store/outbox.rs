//! Messages to hooks, from the transaction that made them until the hook has taken them.

use nodewhy_diagnosis::model::PresentCause;
use nodewhy_proto::v1 as pb;
use prost::Message;
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};

/// The next message for a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its number; messages of a hook are delivered in this order.
    pub id: i64,
    /// Idempotency key: the same for every attempt.
    pub key: String,
    /// The message, JSON.
    pub message: String,
    /// Attempts made.
    pub attempts: u32,
}

/// An alert that was told as opened and not as closed.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    /// The node.
    pub node: String,
    /// The cause as it stands.
    pub cause: PresentCause,
}

impl Store {
    /// The oldest message for a hook that it has not taken, and how many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, hook: String) -> Result<Option<Due>, StoreError> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached("SELECT id, key, message, attempts FROM outbox WHERE hook = ?1 ORDER BY id LIMIT 1")?;
            let due = |row: &rusqlite::Row<'_>| Ok(Due { id: row.get(0)?, key: row.get(1)?, message: row.get(2)?, attempts: row.get(3)? });
            select.query_row([hook], due).optional()
        })
        .await
    }

    /// The hook has taken a message, or it was given up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivered(&self, id: i64) -> Result<(), StoreError> {
        self.write(move |connection| connection.execute("DELETE FROM outbox WHERE id = ?1", [id]).map(drop)).await
    }

    /// An attempt failed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempted(&self, id: i64, error: String) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection.execute("UPDATE outbox SET attempts = attempts + 1, error = ?2 WHERE id = ?1", params![id, error]).map(drop)
        })
        .await
    }

    /// Alerts that are open: an Alertmanager forgets those that it does not hear of again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_alerts(&self) -> Result<Vec<OpenAlert>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached("SELECT node, cause FROM cases WHERE alerting = 1")?;
            let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
            let open = |(node, cause): (String, Vec<u8>)| {
                let cause = pb::PresentCause::decode(&*cause).ok()?;
                Some(OpenAlert { node, cause: nodewhy_wire::cause_from_wire(cause).ok()? })
            };
            rows.filter_map(|row| row.map(open).transpose()).collect()
        })
        .await
    }
}
