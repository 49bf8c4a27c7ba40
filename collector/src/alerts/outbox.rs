//! Puts what the plan wants told into the outbox, within the transaction that changed the cases.

use jiff::Timestamp;
use nodewhy_diagnosis::model::PresentCause;
use rusqlite::{Connection, params};

use super::{Kind, Message, Plan, Standing};
use crate::store::decode_cause;

/// A case that may have to be told.
struct Case {
    id: i64,
    cause: PresentCause,
    opened_us: i64,
    closed: Option<(i64, String)>,
    /// How often it was told as opened.
    alerts: i64,
    alerting: bool,
}

impl Plan {
    /// Writes the messages that follow from a node's cases. `present` is what its diagnosis holds.
    pub(crate) fn carry_out(&self, connection: &Connection, node: &str, present: &[PresentCause], now: Timestamp) -> rusqlite::Result<()> {
        for case in cases(connection, node)? {
            let standing = Standing { cause: &case.cause, open: case.closed.is_none(), alerting: case.alerting };
            let Some(kind) = self.of(standing, present) else { continue };
            let alerts = case.alerts + i64::from(kind == Kind::Opened);
            connection.prepare_cached("UPDATE cases SET alerting = ?2, alerts = ?3 WHERE id = ?1")?.execute(params![
                case.id,
                kind == Kind::Opened,
                alerts
            ])?;
            let message = message(node, case, kind, alerts, now);
            let text = serde_json::to_string(&message).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            for hook in self.hooks.iter() {
                connection
                    .prepare_cached(
                        "INSERT INTO outbox (hook, key, node, case_id, message, created_us, due_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                    )?
                    .execute(params![hook, message.key, node, message.cause.case_id, text, now.as_microsecond()])?;
            }
        }
        Ok(())
    }
}

fn message(node: &str, case: Case, kind: Kind, alerts: i64, now: Timestamp) -> Message {
    let reason = match (&case.closed, kind) {
        (_, Kind::Opened | Kind::Test) => String::new(),
        (Some((_, reason)), Kind::Closed) => reason.clone(),
        (None, Kind::Closed) => format!("explained by {}", case.cause.explained_by.join(", ")),
    };
    Message {
        version: 1,
        key: format!("{}/{alerts}/{}", case.cause.case_id, kind.word()),
        kind,
        node: node.to_owned(),
        opened_at: time(case.opened_us),
        closed_at: (kind == Kind::Closed).then(|| case.closed.as_ref().map_or(now, |(at, _)| time(*at))),
        reason,
        cause: case.cause,
    }
}

/// Open cases of a node; of closed ones those that were told as opened and not as closed.
fn cases(connection: &Connection, node: &str) -> rusqlite::Result<Vec<Case>> {
    let mut select = connection.prepare_cached(
        "SELECT id, cause, opened_us, closed_us, closed_reason, alerts, alerting FROM cases WHERE node = ?1 AND closed_us IS NULL
         UNION ALL
         SELECT id, cause, opened_us, closed_us, closed_reason, alerts, alerting FROM cases
         WHERE node = ?1 AND closed_us IS NOT NULL AND alerting = 1
         ORDER BY 1",
    )?;
    let rows = select.query_map([node], |row| {
        let Some(cause) = decode_cause(&row.get::<_, Vec<u8>>(1)?) else { return Ok(None) };
        let closed = match row.get::<_, Option<i64>>(3)? {
            Some(at) => Some((at, row.get(4)?)),
            None => None,
        };
        Ok(Some(Case { id: row.get(0)?, cause, opened_us: row.get(2)?, closed, alerts: row.get(5)?, alerting: row.get(6)? }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}
