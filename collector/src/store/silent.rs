//! Silence: the one cause that the collector finds by itself.

use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Transition, TransitionKind, Verdict};
use rusqlite::{Connection, params};

use super::cases::Cases;
use super::{Store, StoreError, Touches, micros};
use crate::silence::CODE;

impl Store {
    /// A node has fallen silent; `cause` says since when.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn fell_silent(&self, node: Arc<str>, cause: PresentCause, reason: String, now: Timestamp) -> Result<(), StoreError> {
        self.write(Touches::node(&node), move |connection| {
            connection.prepare_cached("UPDATE nodes SET silent_us = ?2, rank = ?3 WHERE node = ?1")?.execute(params![
                node,
                micros(cause.since),
                super::nodes::UNKNOWN_RANK
            ])?;
            connection.transition(&node, &change(TransitionKind::Opened, &cause, reason, now), now)?;
            Ok(())
        })
        .await
    }

    /// A silent node speaks again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn speaks_again(&self, node: Arc<str>, now: Timestamp) -> Result<(), StoreError> {
        self.write(Touches::node(&node), move |connection| {
            end(connection, &node, "the agent speaks again", now)?;
            let mut select = connection.prepare_cached("SELECT verdict FROM nodes WHERE node = ?1")?;
            let verdict = nodewhy_wire::verdict_from_wire(select.query_row([&node], |row| row.get(0))?).unwrap_or(Verdict::Unknown);
            connection
                .prepare_cached("UPDATE nodes SET silent_us = NULL, rank = ?2 WHERE node = ?1")?
                .execute(params![node, super::nodes::rank(verdict)])?;
            Ok(())
        })
        .await
    }
}

/// Closes the case of a silence.
fn end(connection: &Connection, node: &str, reason: &str, now: Timestamp) -> rusqlite::Result<()> {
    for cause in connection.open_cases(node)?.into_iter().filter_map(|(_, cause)| cause).filter(|cause| cause.code == CODE) {
        connection.transition(node, &change(TransitionKind::Closed, &cause, reason.to_owned(), now), now)?;
    }
    Ok(())
}

fn change(kind: TransitionKind, cause: &PresentCause, reason: String, at: Timestamp) -> Transition {
    Transition { kind, case_id: cause.case_id.clone(), code: cause.code.clone(), at, since: cause.since, reason, cause: cause.clone() }
}
