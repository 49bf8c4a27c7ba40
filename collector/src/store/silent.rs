//! Silence: the one cause that the collector finds by itself.

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Transition, TransitionKind, Verdict};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::cases::Cases;
use super::{Store, StoreError, Touches, micros};
use crate::presence::{Change, Presence};
use crate::silence::CODE;

/// A node falls silent or speaks again.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// Which, and how.
    pub(crate) change: Change,
    /// If it falls silent: the case that opens, and why.
    pub(crate) opens: Option<(PresentCause, String)>,
}

impl Store {
    /// Nodes have fallen silent or speak again: those of which that is still so when it is their turn. The receiver hears of which it was
    /// written down, after the commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn silences_turned(
        &self,
        turns: Vec<Turn>,
        presence: Presence,
        now: Timestamp,
    ) -> Result<oneshot::Receiver<Result<Vec<Change>, StoreError>>, StoreError> {
        let nodes = turns.iter().map(|turn| turn.change.node.clone()).collect();
        self.submit(Touches::Nodes(nodes), move |connection| {
            let mut written = Vec::new();
            for Turn { change, opens } in turns {
                if presence.holds(&change) {
                    match opens {
                        Some((cause, reason)) => fell_silent(connection, &change.node, &cause, reason, now)?,
                        None => speaks_again(connection, &change.node, now)?,
                    }
                    written.push(change);
                }
            }
            Ok(written)
        })
        .await
    }
}

fn fell_silent(connection: &Connection, node: &str, cause: &PresentCause, reason: String, now: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE nodes SET silent_us = ?2, rank = ?3 WHERE node = ?1")?.execute(params![
        node,
        micros(cause.since),
        super::nodes::UNKNOWN_RANK
    ])?;
    connection.transition(node, &change(TransitionKind::Opened, cause, reason, now), now)
}

fn speaks_again(connection: &Connection, node: &str, now: Timestamp) -> rusqlite::Result<()> {
    end(connection, node, "the agent speaks again", now)?;
    let mut select = connection.prepare_cached("SELECT verdict FROM nodes WHERE node = ?1")?;
    // One that is forgotten by now holds up no other.
    let verdict = select.query_row([node], |row| row.get(0)).optional()?;
    let verdict = verdict.and_then(|verdict| nodewhy_wire::verdict_from_wire(verdict).ok()).unwrap_or(Verdict::Unknown);
    connection
        .prepare_cached("UPDATE nodes SET silent_us = NULL, rank = ?2 WHERE node = ?1")?
        .execute(params![node, super::nodes::rank(verdict)])
        .map(drop)
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
