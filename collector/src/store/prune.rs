//! What is not kept for ever.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Transition, TransitionKind};
use rusqlite::{Connection, params};

use super::cases::Cases;
use super::{Store, StoreError, Touches, micros};

/// Rows that go in one transaction, so that reports never wait long behind it.
const AT_ONCE: u32 = 500;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Cases, after they closed.
    pub cases: Duration,
    /// Closed cases of one node, at most.
    pub cases_per_node: u32,
    /// Nodes, after they fell silent.
    pub silent_nodes: Duration,
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Closed cases.
    pub cases: usize,
    /// Nodes that were silent for too long.
    pub nodes: Vec<Arc<str>>,
}

impl Store {
    /// Forgets what is too old. Called until nothing goes any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune(&self, keep: Keep, now: Timestamp) -> Result<Pruned, StoreError> {
        self.write(Touches::Nothing, move |connection| {
            prune_alerts(connection, keep.cases, now)?;
            Ok(Pruned { cases: prune_cases(connection, &keep, now)?, nodes: forget_nodes(connection, keep.silent_nodes, now)? })
        })
        .await
    }
}

fn before(now: Timestamp, age: Duration) -> i64 {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    micros(now.checked_sub(age).unwrap_or(Timestamp::MIN))
}

fn prune_cases(connection: &Connection, keep: &Keep, now: Timestamp) -> rusqlite::Result<usize> {
    let old = connection
        .prepare_cached(
            "DELETE FROM cases WHERE id IN
                 (SELECT id FROM cases WHERE closed_us IS NOT NULL AND closed_recorded_us < ?1 LIMIT ?2)",
        )?
        .execute(params![before(now, keep.cases), AT_ONCE])?;
    let many = connection
        .prepare_cached(
            "DELETE FROM cases WHERE id IN
                 (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY node ORDER BY opened_us DESC, id DESC) AS place
                      FROM cases WHERE closed_us IS NOT NULL)
                  WHERE place > ?1 LIMIT ?2)",
        )?
        .execute(params![keep.cases_per_node, AT_ONCE])?;
    Ok(old + many)
}

/// Incidents that are over and told, and silences that are over, as long as cases.
fn prune_alerts(connection: &Connection, age: Duration, now: Timestamp) -> rusqlite::Result<()> {
    let old = before(now, age);
    connection.prepare_cached("DELETE FROM silences WHERE ends_us < ?1")?.execute([old])?;
    connection
        .prepare_cached(
            "DELETE FROM incidents WHERE number IN (SELECT number FROM incidents WHERE closed_us < ?1 AND telling = 0 LIMIT ?2)",
        )?
        .execute(params![old, AT_ONCE])
        .map(drop)
}

fn forget_nodes(connection: &Connection, age: Duration, now: Timestamp) -> rusqlite::Result<Vec<Arc<str>>> {
    let mut select = connection.prepare_cached("SELECT node FROM nodes WHERE silent_us < ?1 LIMIT ?2")?;
    let nodes: Vec<Arc<str>> = select.query_map(params![before(now, age), AT_ONCE], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for node in &nodes {
        for cause in connection.open_cases(node)?.into_iter().filter_map(|(_, cause)| cause) {
            let (case_id, code) = (cause.case_id.clone(), cause.code.clone());
            let reason = "nothing was heard of the node for so long that it is forgotten".to_owned();
            let closed = Transition { kind: TransitionKind::Closed, case_id, code, at: now, since: cause.since, reason, cause };
            connection.transition(node, &closed, now)?;
        }
        connection.prepare_cached("DELETE FROM nodes WHERE node = ?1")?.execute([node])?;
        connection.prepare_cached("DELETE FROM spools WHERE node = ?1")?.execute([node])?;
    }
    Ok(nodes)
}
