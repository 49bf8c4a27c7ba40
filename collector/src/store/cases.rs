//! Cases and what happened to them.

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Transition, TransitionKind};
use nodewhy_proto::v1 as pb;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, StoreError, micros, time};

/// Events kept of a case.
const MAX_EVENTS: i64 = 50;
/// Closed cases kept of a node; the oldest go first.
const MAX_CLOSED: i64 = 1000;

/// A case as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCase {
    /// Identity.
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
    /// Those after this place.
    pub after: Option<(i64, String)>,
}

impl Store {
    /// Cases, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cases(&self, page: CasePage) -> Result<Vec<StoredCase>, StoreError> {
        self.read(move |connection| {
            let (after_us, after_id) = page.after.unwrap_or((i64::MAX, String::new()));
            let mut select = connection.prepare_cached(
                "SELECT case_id, node, cause, opened_us, opened_reason, opened_recorded_us, closed_us, closed_reason, closed_recorded_us FROM cases
                 WHERE (?1 = '' OR node = ?1) AND (NOT ?2 OR closed_us IS NULL) AND (opened_us < ?3 OR (opened_us = ?3 AND case_id > ?4))
                 ORDER BY opened_us DESC, case_id LIMIT ?5",
            )?;
            let found = select.query_map(params![page.node, page.open_only, after_us, after_id, page.size], case)?;
            let mut cases: Vec<StoredCase> = found.collect::<rusqlite::Result<_>>()?;
            let mut events = connection.prepare_cached("SELECT kind, at_us, reason FROM events WHERE case_id = ?1 ORDER BY id")?;
            for case in &mut cases {
                let event = |row: &rusqlite::Row<'_>| Ok(StoredEvent { kind: row.get(0)?, at: time(row.get(1)?), reason: row.get(2)? });
                case.events = events.query_map([&case.case_id], event)?.collect::<rusqlite::Result<_>>()?;
            }
            Ok(cases)
        })
        .await
    }
}

fn case(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredCase> {
    let closed: Option<i64> = row.get(6)?;
    Ok(StoredCase {
        case_id: row.get(0)?,
        node: row.get(1)?,
        cause: decode(&row.get::<_, Vec<u8>>(2)?)?,
        opened_at: time(row.get(3)?),
        opened_reason: row.get(4)?,
        opened_recorded_at: time(row.get(5)?),
        closed: match closed {
            Some(at) => {
                Some((time(at), row.get::<_, Option<String>>(7)?.unwrap_or_default(), time(row.get::<_, Option<i64>>(8)?.unwrap_or(at))))
            }
            None => None,
        },
        events: Vec::new(),
    })
}

fn decode(bytes: &[u8]) -> rusqlite::Result<pb::PresentCause> {
    pb::PresentCause::decode(bytes).map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error.into()))
}

/// What is done to cases within a transaction.
pub(crate) trait Cases {
    /// Applies a change; one that has been applied before changes nothing.
    fn transition(&self, node: &str, transition: &Transition, recorded_at: Timestamp) -> rusqlite::Result<()>;
    /// Open cases of a node with their causes.
    fn open_cases(&self, node: &str) -> rusqlite::Result<Vec<(String, PresentCause)>>;
    /// The cause as it stands now.
    fn update_cause(&self, cause: &PresentCause) -> rusqlite::Result<()>;
}

impl Cases for Connection {
    fn transition(&self, node: &str, transition: &Transition, recorded_at: Timestamp) -> rusqlite::Result<()> {
        let cause = nodewhy_wire::cause_to_wire(&transition.cause).encode_to_vec();
        let closed: Option<Option<i64>> = self
            .prepare_cached("SELECT closed_us FROM cases WHERE case_id = ?1")?
            .query_row([&transition.case_id], |row| row.get(0))
            .optional()?;
        // A change of a case that was never heard of: what opened it was lost on the way.
        let (opened, changed) = match (closed, transition.kind) {
            (None, _) => {
                self.prepare_cached(
                    "INSERT INTO cases (case_id, node, code, cause, opened_us, opened_reason, opened_recorded_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    transition.case_id,
                    node,
                    transition.code,
                    cause,
                    micros(if transition.kind == TransitionKind::Opened { transition.at } else { transition.since }),
                    transition.reason,
                    micros(recorded_at)
                ])?;
                (true, transition.kind != TransitionKind::Opened)
            }
            (Some(None), TransitionKind::Confirmed | TransitionKind::Closed) => (false, true),
            (Some(_), _) => return Ok(()),
        };
        if opened {
            event(self, transition, TransitionKind::Opened)?;
        }
        if changed && transition.kind == TransitionKind::Confirmed {
            self.update_cause(&transition.cause)?;
            event(self, transition, TransitionKind::Confirmed)?;
        }
        if changed && transition.kind == TransitionKind::Closed {
            self.prepare_cached(
                "UPDATE cases SET cause = ?2, closed_us = ?3, closed_reason = ?4, closed_recorded_us = ?5 WHERE case_id = ?1",
            )?
            .execute(params![transition.case_id, cause, micros(transition.at), transition.reason, micros(recorded_at)])?;
            event(self, transition, TransitionKind::Closed)?;
            forget_oldest(self, node)?;
        }
        Ok(())
    }

    fn open_cases(&self, node: &str) -> rusqlite::Result<Vec<(String, PresentCause)>> {
        let mut select = self.prepare_cached("SELECT case_id, cause FROM cases WHERE node = ?1 AND closed_us IS NULL")?;
        let rows = select.query_map([node], |row| Ok((row.get::<_, String>(0)?, decode(&row.get::<_, Vec<u8>>(1)?)?)))?;
        // A cause that this version cannot read any more is left as it is: silence about it would close it.
        rows.filter_map(|row| row.map(|(id, cause)| Some((id, nodewhy_wire::cause_from_wire(cause).ok()?))).transpose()).collect()
    }

    fn update_cause(&self, cause: &PresentCause) -> rusqlite::Result<()> {
        let bytes = nodewhy_wire::cause_to_wire(cause).encode_to_vec();
        self.prepare_cached("UPDATE cases SET cause = ?2 WHERE case_id = ?1 AND closed_us IS NULL")?
            .execute(params![cause.case_id, bytes])?;
        Ok(())
    }
}

fn event(connection: &Connection, transition: &Transition, kind: TransitionKind) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO events (case_id, kind, at_us, reason) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        transition.case_id,
        nodewhy_wire::transition_kind_to_wire(kind),
        micros(transition.at),
        transition.reason
    ])?;
    // The first says why it opened; of the others the newest are kept.
    connection
        .prepare_cached(
            "DELETE FROM events WHERE case_id = ?1 AND id <= (SELECT id FROM events WHERE case_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
             AND id > (SELECT min(id) FROM events WHERE case_id = ?1)",
        )?
        .execute(params![transition.case_id, MAX_EVENTS - 1])?;
    Ok(())
}

fn forget_oldest(connection: &Connection, node: &str) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT case_id FROM cases WHERE node = ?1 AND closed_us IS NOT NULL AND alerting = 0 ORDER BY opened_us DESC LIMIT -1 OFFSET ?2",
    )?;
    let old: Vec<String> = select.query_map(params![node, MAX_CLOSED], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for case_id in old {
        connection.execute("DELETE FROM events WHERE case_id = ?1", [&case_id])?;
        connection.execute("DELETE FROM cases WHERE case_id = ?1", [&case_id])?;
    }
    Ok(())
}
