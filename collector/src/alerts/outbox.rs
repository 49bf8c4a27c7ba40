//! Puts what the plan wants told into the outbox, within the transaction that changed the cases.

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Severity};
use nodewhy_wire::{severity_from_wire, severity_to_wire};
use rusqlite::{Connection, params};

use super::{Kind, Message, Plan, Standing, Step};
use crate::store::decode_cause;

/// A case that may have to be told.
struct Case {
    id: i64,
    cause: PresentCause,
    opened_us: i64,
    closed: Option<(i64, String)>,
    /// How often it was told as opened.
    alerts: i64,
    /// Told as opened and not as closed: with this severity.
    told: Option<Severity>,
}

impl Plan {
    /// Writes the messages that follow from a node's cases. `present` is what its diagnosis holds.
    pub(crate) fn carry_out(&self, connection: &Connection, node: &str, present: &[PresentCause], now: Timestamp) -> rusqlite::Result<()> {
        for case in cases(connection, node)? {
            let Some(step) = self.step(case.standing(), present) else { continue };
            if let (Step::Close | Step::Worsen(_), Some(told)) = (step, case.told) {
                let closed = Telling { kind: Kind::Closed, severity: told, alerts: case.alerts };
                self.tell(connection, node, &case, closed, now)?;
            }
            if let Step::Open(severity) | Step::Worsen(severity) = step {
                let opened = Telling { kind: Kind::Opened, severity, alerts: case.alerts + 1 };
                self.tell(connection, node, &case, opened, now)?;
            }
        }
        Ok(())
    }

    fn tell(&self, connection: &Connection, node: &str, case: &Case, telling: Telling, now: Timestamp) -> rusqlite::Result<()> {
        connection.prepare_cached("UPDATE cases SET alerting = ?2, alerts = ?3, told_severity = ?4 WHERE id = ?1")?.execute(params![
            case.id,
            telling.kind == Kind::Opened,
            telling.alerts,
            severity_to_wire(telling.severity)
        ])?;
        let message = message(node, case, telling, now);
        let text = serde_json::to_string(&message).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        for hook in self.hooks.iter() {
            connection
                .prepare_cached(
                    "INSERT INTO outbox (hook, key, node, case_id, message, created_us, due_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
                )?
                .execute(params![hook, message.key, node, message.cause.case_id, text, now.as_microsecond()])?;
        }
        Ok(())
    }
}

/// One message to be.
#[derive(Clone, Copy)]
struct Telling {
    kind: Kind,
    severity: Severity,
    /// How often the case was told as opened, with this one.
    alerts: i64,
}

impl Case {
    fn standing(&self) -> Standing<'_> {
        Standing { cause: &self.cause, open: self.closed.is_none(), told: self.told }
    }

    /// Why it is told as closed.
    fn ending(&self) -> String {
        match &self.closed {
            Some((_, reason)) => reason.clone(),
            None if self.cause.root => "it has become worse and is told anew".to_owned(),
            None => format!("explained by {}", self.cause.explained_by.join(", ")),
        }
    }
}

fn message(node: &str, case: &Case, telling: Telling, now: Timestamp) -> Message {
    let Telling { kind, severity, alerts } = telling;
    let closed = kind == Kind::Closed;
    Message {
        version: 1,
        key: format!("{}/{alerts}/{}", case.cause.case_id, kind.word()),
        kind,
        node: node.to_owned(),
        severity,
        opened_at: time(case.opened_us),
        closed_at: closed.then(|| case.closed.as_ref().map_or(now, |(at, _)| time(*at))),
        reason: if closed { case.ending() } else { String::new() },
        cause: case.cause.clone(),
    }
}

/// Open cases of a node; of closed ones those that were told as opened and not as closed.
fn cases(connection: &Connection, node: &str) -> rusqlite::Result<Vec<Case>> {
    let mut select = connection.prepare_cached(
        "SELECT id, cause, opened_us, closed_us, closed_reason, alerts, alerting, told_severity FROM cases WHERE node = ?1 AND closed_us IS NULL
         UNION ALL
         SELECT id, cause, opened_us, closed_us, closed_reason, alerts, alerting, told_severity FROM cases
         WHERE node = ?1 AND closed_us IS NOT NULL AND alerting = 1
         ORDER BY 1",
    )?;
    let rows = select.query_map([node], |row| {
        let Some(cause) = decode_cause(&row.get::<_, Vec<u8>>(1)?) else { return Ok(None) };
        let closed = match row.get::<_, Option<i64>>(3)? {
            Some(at) => Some((at, row.get(4)?)),
            None => None,
        };
        let told = match row.get::<_, Option<i32>>(7)?.filter(|_| row.get(6).unwrap_or(false)) {
            Some(severity) => Some(severity_from_wire(severity).unwrap_or(cause.severity)),
            None => None,
        };
        Ok(Some(Case { id: row.get(0)?, opened_us: row.get(2)?, closed, alerts: row.get(5)?, told, cause }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}
