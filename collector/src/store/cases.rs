//! Cases and what happened to them.

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Transition, TransitionKind};
use nodewhy_proto::v1 as pb;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError, micros, time};

/// Events kept of a case.
const MAX_EVENTS: i64 = 50;

/// A case as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCase {
    /// The store's own number.
    pub id: i64,
    /// Identity within its node.
    pub case_id: String,
    /// Node.
    pub node: String,
    /// As told last, as on the wire.
    pub cause: pb::PresentCause,
    /// When the agent opened it.
    pub opened_at: Timestamp,
    /// Why.
    pub opened_reason: String,
    /// When that was committed here.
    pub opened_recorded_at: Timestamp,
    /// When the agent closed it, why, and when that was committed here.
    pub closed: Option<(Timestamp, String, Timestamp)>,
    /// Oldest first.
    pub events: Vec<StoredEvent>,
}

/// A change of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// As on the wire.
    pub kind: i32,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// Which cases are wanted.
#[derive(Debug, Clone, Default)]
pub struct CasePage {
    /// Of this node; of all if empty.
    pub node: String,
    /// Only open ones.
    pub open_only: bool,
    /// At most so many.
    pub size: u32,
    /// Those after this place: microseconds of opening, and number.
    pub after: Option<(i64, i64)>,
}

const COLUMNS: &str =
    "id, case_id, node, cause, opened_us, opened_reason, opened_recorded_us, closed_us, closed_reason, closed_recorded_us";

impl Store {
    /// Cases, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cases(&self, page: CasePage) -> Result<Vec<StoredCase>, StoreError> {
        self.read(move |connection| {
            // Written out, so that each takes its index.
            let of = if page.node.is_empty() { "?1 = ''" } else { "node = ?1" };
            let open = if page.open_only { "AND closed_us IS NULL" } else { "" };
            let mut select = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM cases WHERE {of} {open} AND (opened_us, id) < (?2, ?3) ORDER BY opened_us DESC, id DESC LIMIT ?4"
            ))?;
            let (after_us, after_id) = page.after.unwrap_or((i64::MAX, i64::MAX));
            let found = select.query_map(params![page.node, after_us, after_id, page.size], case)?;
            let mut cases: Vec<StoredCase> = found.collect::<rusqlite::Result<_>>()?;
            let mut events = connection.prepare_cached("SELECT kind, at_us, reason FROM events WHERE of_case = ?1 ORDER BY id")?;
            for case in &mut cases {
                let event = |row: &Row<'_>| Ok(StoredEvent { kind: row.get(0)?, at: time(row.get(1)?), reason: row.get(2)? });
                case.events = events.query_map([case.id], event)?.collect::<rusqlite::Result<_>>()?;
            }
            Ok(cases)
        })
        .await
    }
}

fn case(row: &Row<'_>) -> rusqlite::Result<StoredCase> {
    let closed = match row.get::<_, Option<i64>>(7)? {
        Some(at) => Some((time(at), row.get(8)?, time(row.get(9)?))),
        None => None,
    };
    Ok(StoredCase {
        id: row.get(0)?,
        case_id: row.get(1)?,
        node: row.get(2)?,
        cause: decode(&row.get::<_, Vec<u8>>(3)?)?,
        opened_at: time(row.get(4)?),
        opened_reason: row.get(5)?,
        opened_recorded_at: time(row.get(6)?),
        closed,
        events: Vec::new(),
    })
}

fn decode(bytes: &[u8]) -> rusqlite::Result<pb::PresentCause> {
    pb::PresentCause::decode(bytes).map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error.into()))
}

/// A cause as kept, if this version can still read it.
pub(crate) fn decode_cause(bytes: &[u8]) -> Option<PresentCause> {
    nodewhy_wire::cause_from_wire(pb::PresentCause::decode(bytes).ok()?).ok()
}

/// What is done to cases within a transaction.
pub(crate) trait Cases {
    /// Applies a change; one that has been applied before changes nothing.
    fn transition(&self, node: &str, transition: &Transition, recorded_at: Timestamp) -> rusqlite::Result<()>;
    /// Open cases of a node: identity, and cause if this version can still read it.
    fn open_cases(&self, node: &str) -> rusqlite::Result<Vec<(String, Option<PresentCause>)>>;
    /// The cause as it stands now.
    fn update_cause(&self, node: &str, cause: &PresentCause) -> rusqlite::Result<()>;
}

impl Cases for Connection {
    fn transition(&self, node: &str, transition: &Transition, recorded_at: Timestamp) -> rusqlite::Result<()> {
        let mut select = self.prepare_cached("SELECT id, closed_us FROM cases WHERE node = ?1 AND case_id = ?2")?;
        let known: Option<(i64, Option<i64>)> =
            select.query_row(params![node, transition.case_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match (known, transition.kind) {
            (None, kind) => {
                let id = open(self, node, transition, recorded_at)?;
                // A change of a case that was never heard of: what opened it was lost on the way.
                if kind == TransitionKind::Closed { close(self, id, transition, recorded_at) } else { Ok(()) }
            }
            (Some((id, None)), TransitionKind::Confirmed) => {
                self.update_cause(node, &transition.cause)?;
                event(self, id, TransitionKind::Confirmed, transition)
            }
            (Some((id, None)), TransitionKind::Closed) => close(self, id, transition, recorded_at),
            // Closed here because reports were lost, and present after all.
            (Some((id, Some(closed_us))), TransitionKind::Opened) if micros(transition.at) > closed_us => reopen(self, id, transition),
            _ => Ok(()),
        }
    }

    fn open_cases(&self, node: &str) -> rusqlite::Result<Vec<(String, Option<PresentCause>)>> {
        let mut select = self.prepare_cached("SELECT case_id, cause FROM cases WHERE node = ?1 AND closed_us IS NULL")?;
        let rows = select.query_map([node], |row| Ok((row.get(0)?, decode_cause(&row.get::<_, Vec<u8>>(1)?))))?;
        rows.collect()
    }

    fn update_cause(&self, node: &str, cause: &PresentCause) -> rusqlite::Result<()> {
        let bytes = bytes_of(cause);
        self.prepare_cached("UPDATE cases SET cause = ?3 WHERE node = ?1 AND case_id = ?2 AND closed_us IS NULL AND cause <> ?3")?
            .execute(params![node, cause.case_id, bytes])?;
        Ok(())
    }
}

fn bytes_of(cause: &PresentCause) -> Vec<u8> {
    nodewhy_wire::cause_to_wire(cause).encode_to_vec()
}

fn open(connection: &Connection, node: &str, transition: &Transition, recorded_at: Timestamp) -> rusqlite::Result<i64> {
    let at = if transition.kind == TransitionKind::Opened { transition.at } else { transition.since };
    let reason = if transition.kind == TransitionKind::Opened { &transition.reason } else { "its opening was not reported" };
    connection
        .prepare_cached(
            "INSERT INTO cases (node, case_id, code, cause, opened_us, opened_reason, opened_recorded_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            node,
            transition.case_id,
            transition.code,
            bytes_of(&transition.cause),
            micros(at),
            reason,
            micros(recorded_at)
        ])?;
    let id = connection.last_insert_rowid();
    let opening = Transition { at, reason: reason.to_owned(), ..transition.clone() };
    event(connection, id, TransitionKind::Opened, &opening)?;
    Ok(id)
}

fn close(connection: &Connection, id: i64, transition: &Transition, recorded_at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE cases SET cause = ?2, closed_us = ?3, closed_reason = ?4, closed_recorded_us = ?5 WHERE id = ?1")?
        .execute(params![id, bytes_of(&transition.cause), micros(transition.at), transition.reason, micros(recorded_at)])?;
    event(connection, id, TransitionKind::Closed, transition)
}

fn reopen(connection: &Connection, id: i64, transition: &Transition) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE cases SET cause = ?2, closed_us = NULL, closed_reason = NULL, closed_recorded_us = NULL WHERE id = ?1")?
        .execute(params![id, bytes_of(&transition.cause)])?;
    event(connection, id, TransitionKind::Opened, transition)
}

fn event(connection: &Connection, id: i64, kind: TransitionKind, transition: &Transition) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO events (of_case, kind, at_us, reason) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        id,
        nodewhy_wire::transition_kind_to_wire(kind),
        micros(transition.at),
        transition.reason
    ])?;
    // The first says why it opened; of the others the newest are kept.
    connection
        .prepare_cached(
            "DELETE FROM events WHERE of_case = ?1 AND id <= (SELECT id FROM events WHERE of_case = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
             AND id > (SELECT min(id) FROM events WHERE of_case = ?1)",
        )?
        .execute(params![id, MAX_EVENTS - 1])?;
    Ok(())
}
