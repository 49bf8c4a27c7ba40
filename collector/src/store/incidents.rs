//! Incidents and silences: what the alerts' engine knows, so that a restart forgets nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_diagnosis::model::Severity;
use nodewhy_wire::{severity_from_wire, severity_to_wire};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError, as_i64, decode_cause, micros, time};
use crate::alerts::COLLECTOR;
use crate::correlate::{self, CaseKey, Ending, Ids, Incident, Joined};
use crate::fleet::{Node, OpenCase};
use crate::policy::Silence;

/// An incident in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredIncident {
    /// Its number: lists go by it.
    pub number: i64,
    /// In one line.
    pub title: String,
    /// As it stood last; its members are the cases that are open.
    pub incident: Incident,
    /// When it was over.
    pub closed_at: Option<Timestamp>,
}

/// The state of a node that alerts go by; `None` if there is no such node.
pub(crate) fn node(connection: &Connection, name: &str) -> rusqlite::Result<Option<Node>> {
    let mut select = connection.prepare_cached("SELECT about, heartbeat_us FROM nodes WHERE node = ?1")?;
    let found: Option<(String, i64)> = select.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((about, heartbeat)) = found else { return Ok(None) };
    Ok(Some(Node {
        about: serde_json::from_str(&about).unwrap_or_default(),
        heartbeat: std::time::Duration::from_micros(u64::try_from(heartbeat).unwrap_or(0)),
        cases: open_roots(connection, name)?,
    }))
}

/// Names of all nodes.
pub(crate) fn node_names(connection: &Connection) -> rusqlite::Result<BTreeSet<Arc<str>>> {
    let mut select = connection.prepare("SELECT node FROM nodes UNION SELECT node FROM members WHERE left_us IS NULL")?;
    select.query_map([], |row| row.get(0))?.collect()
}

fn open_roots(connection: &Connection, node: &str) -> rusqlite::Result<Vec<OpenCase>> {
    let mut select = connection
        .prepare_cached("SELECT case_id, cause, opened_recorded_us FROM cases WHERE node = ?1 AND closed_us IS NULL ORDER BY id")?;
    let rows = select.query_map([node], |row| Ok((row.get::<_, Arc<str>>(0)?, row.get::<_, Vec<u8>>(1)?, time(row.get(2)?))))?;
    let mut open = Vec::new();
    for row in rows {
        let (case_id, cause, opened_at) = row?;
        open.extend(decode_cause(&cause).map(|cause| (case_id, cause, opened_at)));
    }
    let worst = |code: &str, own: Severity| {
        let explained = open.iter().filter(|(_, other, _)| other.explained_by.iter().any(|by| by == code));
        explained.map(|(_, other, _)| other.severity).fold(own, Severity::max)
    };
    let severities: Vec<Severity> = open.iter().map(|(_, cause, _)| worst(&cause.code, cause.severity)).collect();
    let roots = open.into_iter().zip(severities).filter(|((_, cause, _), _)| cause.root);
    Ok(roots.map(|((case_id, cause, opened_at), severity)| OpenCase { case_id, severity, opened_at, cause: Arc::new(cause) }).collect())
}

/// How a case that is no open root any more came to be none; by the collector's clock, as nodes' own may be off by years.
pub(crate) fn ending(connection: &Connection, (node, case_id): &CaseKey, now: Timestamp) -> rusqlite::Result<Ending> {
    let mut select = connection
        .prepare_cached("SELECT closed_us IS NULL, closed_recorded_us, closed_reason, cause FROM cases WHERE node = ?1 AND case_id = ?2")?;
    let found = select.query_row(params![node, case_id], |row| {
        Ok((row.get::<_, bool>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<String>>(2)?, row.get::<_, Vec<u8>>(3)?))
    });
    Ok(match found.optional()? {
        Some((false, at, reason, _)) => Ending { at: at.map_or(now, time), reason: reason.unwrap_or_default() },
        Some((true, _, _, cause)) => {
            let by = decode_cause(&cause).map(|cause| cause.explained_by.join(", ")).unwrap_or_default();
            Ending { at: now, reason: format!("explained by {by}") }
        }
        None if **node == *COLLECTOR => Ending { at: now, reason: "the collector was started anew".to_owned() },
        None => Ending { at: now, reason: "the node is forgotten".to_owned() },
    })
}

/// Incidents that are open, may open again, or have something left to be told; and the identities of further ones.
pub(crate) fn load(connection: &Connection, closed_after: Timestamp) -> rusqlite::Result<(Vec<Incident>, Ids)> {
    let mut select = connection.prepare("SELECT number, state FROM incidents WHERE closed_us IS NULL OR closed_us > ?1 OR telling = 1")?;
    let rows = select.query_map([micros(closed_after)], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let mut incidents = Vec::new();
    for row in rows {
        let (number, state) = row?;
        // What another version wrote and this one cannot read: its cases will make a new one.
        let Ok(incident) = serde_json::from_str::<Incident>(&state) else { continue };
        incidents.push(with_members(connection, number, incident)?);
    }
    let last: Option<i64> =
        connection.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'incidents'", [], |row| row.get(0)).optional()?;
    let store: String = connection.query_row("SELECT id FROM store", [], |row| row.get(0))?;
    Ok((incidents, Ids::new(store, last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))))
}

fn with_members(connection: &Connection, number: i64, mut incident: Incident) -> rusqlite::Result<Incident> {
    let mut select =
        connection.prepare_cached("SELECT node, case_id, code, severity, opened_us, left_us FROM members WHERE incident = ?1")?;
    let rows = select.query_map([number], |row| {
        let severity = severity_from_wire(row.get(3)?).unwrap_or(Severity::Critical);
        let joined = Joined { code: row.get(2)?, severity, opened_at: time(row.get(4)?) };
        let key: CaseKey = (row.get(0)?, row.get(1)?);
        Ok((key, joined, row.get::<_, Option<i64>>(5)?))
    })?;
    for row in rows {
        let (key, joined, left) = row?;
        // What it was on before it was told that it is over counts no more.
        if left.zip(incident.anew_at).is_some_and(|(left, anew)| left <= micros(anew)) {
            continue;
        }
        incident.ever.insert(key.0.clone());
        if left.is_none() {
            incident.members.insert(key, joined);
        }
    }
    Ok(incident)
}

/// Writes an incident down. `before` are the members as they were written last.
pub(crate) fn save(
    connection: &Connection,
    incident: &Incident,
    title: &str,
    telling: bool,
    before: &BTreeMap<CaseKey, Joined>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let number = number(&incident.id);
    let state = serde_json::to_string(incident).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO incidents (number, state, title, telling, opened_us, closed_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (number) DO UPDATE SET state = ?2, title = ?3, telling = ?4, opened_us = ?5, closed_us = ?6",
        )?
        .execute(params![number, state, title, telling, micros(incident.opened_at), incident.closed_at.map(micros)])?;
    let mut leave = connection.prepare_cached("UPDATE members SET left_us = ?4 WHERE incident = ?1 AND node = ?2 AND case_id = ?3")?;
    let mut forget =
        connection.prepare_cached("DELETE FROM members WHERE incident = ?1 AND node = ?2 AND case_id <> ?3 AND left_us IS NOT NULL")?;
    for (node, case_id) in before.keys().filter(|key| !incident.members.contains_key(*key)) {
        // That the node was there is kept once: one that comes and goes has another case each time.
        if leave.execute(params![number, node, case_id, micros(now)])? > 0 {
            forget.execute(params![number, node, case_id])?;
        }
    }
    let mut join = connection.prepare_cached(
        "INSERT INTO members (incident, node, case_id, code, severity, opened_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (incident, node, case_id) DO UPDATE SET severity = ?5, left_us = NULL",
    )?;
    for (key, joined) in incident.members.iter().filter(|(key, joined)| before.get(*key) != Some(joined)) {
        join.execute(params![number, key.0, key.1, joined.code, severity_to_wire(joined.severity), micros(joined.opened_at)])?;
    }
    Ok(())
}

/// Forgets an incident of which nobody was told.
pub(crate) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM incidents WHERE number = ?1")?.execute([number(id)]).map(drop)
}

fn number(id: &str) -> i64 {
    correlate::number(id).map_or(0, as_i64)
}

/// All silences that are not over.
pub(crate) fn silences(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<Silence>> {
    let mut select = connection.prepare("SELECT body FROM silences WHERE ends_us > ?1 ORDER BY ends_us")?;
    let rows = select.query_map([micros(now)], |row| row.get::<_, String>(0))?;
    let texts: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
}

impl Store {
    /// Incidents, newest first: at most `size` before the number `before`; only open ones, or all that are kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incidents(&self, open_only: bool, before: Option<i64>, size: u32) -> Result<Vec<StoredIncident>, StoreError> {
        self.read(move |connection| {
            let open = if open_only { "AND closed_us IS NULL" } else { "" };
            let mut select = connection.prepare_cached(&format!(
                "SELECT number, title, state, closed_us FROM incidents WHERE number < ?1 {open} ORDER BY number DESC LIMIT ?2"
            ))?;
            let rows = select.query_map(params![before.unwrap_or(i64::MAX), size], row)?;
            let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
            rows.into_iter().flatten().map(|one| filled(connection, one)).collect()
        })
        .await
    }

    /// One incident, by its identity.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incident(&self, id: String) -> Result<Option<StoredIncident>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached("SELECT number, title, state, closed_us FROM incidents WHERE number = ?1")?;
            let found = select.query_row([number(&id)], row).optional()?.flatten();
            found.filter(|one| one.incident.id == id).map(|one| filled(connection, one)).transpose()
        })
        .await
    }

    /// Keeps a silence, or changes one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn silence(&self, silence: Silence) -> Result<(), StoreError> {
        self.alert_work(move |connection| {
            let body = serde_json::to_string(&silence).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            connection
                .prepare_cached(
                    "INSERT INTO silences (id, body, ends_us) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET body = ?2, ends_us = ?3",
                )?
                .execute(params![silence.id, body, micros(silence.ends_at)])
                .map(drop)
        })
        .await
    }

    /// Silences that are in force or will be; with `over`, those that are over and still kept too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn silences(&self, over: bool, now: Timestamp) -> Result<Vec<Silence>, StoreError> {
        self.read(move |connection| silences(connection, if over { Timestamp::MIN } else { now })).await
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<Option<StoredIncident>> {
    let (number, title) = (row.get(0)?, row.get(1)?);
    let incident = serde_json::from_str(&row.get::<_, String>(2)?).ok();
    let closed_at = row.get::<_, Option<i64>>(3)?.map(time);
    Ok(incident.map(|incident| StoredIncident { number, title, incident, closed_at }))
}

fn filled(connection: &Connection, one: StoredIncident) -> rusqlite::Result<StoredIncident> {
    Ok(StoredIncident { incident: with_members(connection, one.number, one.incident)?, ..one })
}

#[cfg(test)]
mod tests;
