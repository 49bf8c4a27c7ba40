//! Alerts: what is to be told follows from the cases, is written into the outbox in the transaction that changed them, and is delivered
//! until the hook has taken it.

mod alertmanager;
mod deliver;
mod message;
mod webhook;

use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Severity};
use prost::Message as _;
use rusqlite::{Connection, params};

use crate::config::Alerts;

pub use deliver::{Deliverer, HookError};
pub use message::{Kind, Message};

/// What alerts are made of which cases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plan {
    min_severity: Severity,
    hooks: Arc<[String]>,
}

/// A case as the plan needs it.
struct Case {
    cause: PresentCause,
    open: bool,
    opened_us: i64,
    closed: Option<(i64, String)>,
    /// How often it was told as opened.
    alerts: i64,
    /// Told as opened and not as closed.
    alerting: bool,
}

impl Plan {
    /// The plan of a configuration.
    pub fn new(alerts: &Alerts) -> Self {
        Self { min_severity: alerts.min_severity, hooks: alerts.hooks().map(|(_, hook)| hook.name.clone()).collect() }
    }

    /// What is to be told of a case: a root is told as opened once it and what it explains are severe enough, and as closed when it is
    /// over or turns out to be a symptom of another.
    fn of(&self, case: &Case, present: &[PresentCause]) -> Option<Kind> {
        let explained = present.iter().filter(|other| other.explained_by.contains(&case.cause.code)).map(|other| other.severity);
        let worst = explained.chain([case.cause.severity]).max().unwrap_or(case.cause.severity);
        let wanted = case.open && case.cause.root && (worst >= self.min_severity || case.alerting);
        match (case.alerting, wanted) {
            (false, true) => Some(Kind::Opened),
            (true, false) => Some(Kind::Closed),
            _ => None,
        }
    }

    /// Writes the messages that follow from a node's cases into the outbox, within the transaction that changed them.
    pub(crate) fn carry_out(&self, connection: &Connection, node: &str, present: &[PresentCause], now: Timestamp) -> rusqlite::Result<()> {
        for case in cases(connection, node)? {
            let Some(kind) = self.of(&case, present) else { continue };
            let alerts = case.alerts + i64::from(kind == Kind::Opened);
            connection.prepare_cached("UPDATE cases SET alerting = ?2, alerts = ?3 WHERE case_id = ?1")?.execute(params![
                case.cause.case_id,
                kind == Kind::Opened,
                alerts
            ])?;
            let key = format!("{}/{alerts}/{}", case.cause.case_id, kind.word());
            let reason = match (&case.closed, kind) {
                (_, Kind::Opened) => String::new(),
                (Some((_, reason)), Kind::Closed) => reason.clone(),
                (None, Kind::Closed) => format!("explained by {}", case.cause.explained_by.join(", ")),
            };
            let message = Message {
                version: 1,
                key: key.clone(),
                kind,
                node: node.to_owned(),
                opened_at: time(case.opened_us),
                closed_at: (kind == Kind::Closed).then(|| case.closed.as_ref().map_or(now, |(at, _)| time(*at))),
                reason,
                cause: case.cause,
            };
            let text = serde_json::to_string(&message).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            for hook in self.hooks.iter() {
                connection
                    .prepare_cached("INSERT INTO outbox (hook, key, case_id, message, created_us) VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![hook, key, message.cause.case_id, text, now.as_microsecond()])?;
            }
        }
        Ok(())
    }
}

/// Open cases of a node, and closed ones that were told as opened only.
fn cases(connection: &Connection, node: &str) -> rusqlite::Result<Vec<Case>> {
    let mut select = connection.prepare_cached(
        "SELECT cause, opened_us, closed_us, closed_reason, alerts, alerting FROM cases
         WHERE node = ?1 AND (closed_us IS NULL OR alerting = 1) ORDER BY opened_us, case_id",
    )?;
    let rows = select.query_map([node], |row| {
        let (bytes, closed_us): (Vec<u8>, Option<i64>) = (row.get(0)?, row.get(2)?);
        let cause = nodewhy_proto::v1::PresentCause::decode(&*bytes).ok().and_then(|cause| nodewhy_wire::cause_from_wire(cause).ok());
        let Some(cause) = cause else { return Ok(None) };
        let closed = match closed_us {
            Some(at) => Some((at, row.get::<_, Option<String>>(3)?.unwrap_or_default())),
            None => None,
        };
        Ok(Some(Case { cause, open: closed.is_none(), opened_us: row.get(1)?, closed, alerts: row.get(4)?, alerting: row.get(5)? }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests;
