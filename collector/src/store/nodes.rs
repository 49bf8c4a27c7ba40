//! Nodes, and taking in what their agents report.

use std::collections::BTreeSet;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Diagnosis, PresentCause, Transition, TransitionKind};
use nodewhy_proto::v1 as pb;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};

use super::cases::Cases;
use super::{Store, StoreError, micros, time};
use crate::alerts::Plan;

/// A node as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name.
    pub node: String,
    /// As the wire has it.
    pub verdict: i32,
    /// Codes of the roots.
    pub roots: Vec<String>,
    /// Since when the first is present.
    pub since: Option<Timestamp>,
    /// When its agent was heard last.
    pub last_seen: Timestamp,
    /// How often its agent speaks.
    pub heartbeat: std::time::Duration,
    /// Versions.
    pub agent_version: String,
    /// See `agent_version`.
    pub kubelet_version: String,
    /// The last diagnosis, as it came over the wire.
    pub diagnosis: Option<Vec<u8>>,
}

/// An agent has said Hello.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it said.
    pub hello: pb::Hello,
    /// How often it will speak.
    pub heartbeat: std::time::Duration,
    /// When.
    pub at: Timestamp,
}

/// A report, checked.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// Whose.
    pub node: String,
    /// Of which spool.
    pub spool_id: String,
    /// Its number in it.
    pub sequence: u64,
    /// Reports lost before it.
    pub dropped: u64,
    /// The node's boot.
    pub boot_id: String,
    /// The whole diagnosis.
    pub diagnosis: Diagnosis,
    /// What changed.
    pub transitions: Vec<Transition>,
    /// When it came.
    pub at: Timestamp,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Highest sequence of the spool that is committed.
    pub sequence: u64,
    /// False if it was there already.
    pub new: bool,
}

impl Store {
    /// Notes an agent's Hello; gives the highest committed sequence of its spool.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hello(&self, seen: Seen) -> Result<u64, StoreError> {
        self.write(move |connection| {
            let hello = &seen.hello;
            connection.execute(
                "INSERT INTO nodes (node, machine_id, boot_id, agent_version, kubelet_version, kernel, os, heartbeat_us, last_seen_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (node) DO UPDATE SET machine_id = ?2, boot_id = ?3, agent_version = ?4, kubelet_version = ?5, kernel = ?6, os = ?7,
                     heartbeat_us = ?8, last_seen_us = max(last_seen_us, ?9)",
                params![
                    hello.node,
                    hello.machine_id,
                    hello.boot_id,
                    hello.agent_version,
                    hello.kubelet_version,
                    hello.kernel,
                    hello.os,
                    i64::try_from(seen.heartbeat.as_micros()).unwrap_or(i64::MAX),
                    micros(seen.at)
                ],
            )?;
            committed(connection, &hello.node, &hello.spool_id)
        })
        .await
    }

    /// Takes a report in, once: what changed, the diagnosis, the alerts that follow from it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn report(&self, report: NewReport, plan: Plan) -> Result<Committed, StoreError> {
        self.write(move |connection| {
            let before = committed(connection, &report.node, &report.spool_id)?;
            if report.sequence <= before {
                return Ok(Committed { sequence: before, new: false });
            }
            connection.execute(
                "INSERT INTO spools (node, spool_id, committed, dropped, seen_us) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (node, spool_id) DO UPDATE SET committed = ?3, dropped = dropped + ?4, seen_us = ?5",
                params![report.node, report.spool_id, as_i64(report.sequence), as_i64(report.dropped), micros(report.at)],
            )?;
            for transition in &report.transitions {
                connection.transition(&report.node, transition, report.at)?;
            }
            reconcile(connection, &report)?;
            keep_diagnosis(connection, &report)?;
            plan.carry_out(connection, &report.node, &report.diagnosis.causes, report.at)?;
            Ok(Committed { sequence: report.sequence, new: true })
        })
        .await
    }

    /// Notes when agents were heard last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heard(&self, nodes: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        self.write(move |connection| {
            let mut update = connection.prepare_cached("UPDATE nodes SET last_seen_us = max(last_seen_us, ?2) WHERE node = ?1")?;
            nodes.iter().try_for_each(|(node, at)| update.execute(params![node, micros(*at)]).map(drop))
        })
        .await
    }

    /// All nodes, by name. Without their diagnoses.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS}, NULL FROM nodes ORDER BY node"))?;
            select.query_map([], node)?.collect()
        })
        .await
    }

    /// One node with its diagnosis.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn node(&self, name: String) -> Result<Option<Node>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS}, diagnosis FROM nodes WHERE node = ?1"))?;
            select.query_row([name], node).optional()
        })
        .await
    }
}

const COLUMNS: &str = "node, verdict, roots, since_us, last_seen_us, heartbeat_us, agent_version, kubelet_version";

fn node(row: &rusqlite::Row<'_>) -> rusqlite::Result<Node> {
    let roots: String = row.get(2)?;
    Ok(Node {
        node: row.get(0)?,
        verdict: row.get(1)?,
        roots: serde_json::from_str(&roots).unwrap_or_default(),
        since: row.get::<_, Option<i64>>(3)?.map(time),
        last_seen: time(row.get(4)?),
        heartbeat: std::time::Duration::from_micros(u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0)),
        agent_version: row.get(6)?,
        kubelet_version: row.get(7)?,
        diagnosis: row.get(8)?,
    })
}

fn committed(connection: &Connection, node: &str, spool_id: &str) -> rusqlite::Result<u64> {
    let mut select = connection.prepare_cached("SELECT committed FROM spools WHERE node = ?1 AND spool_id = ?2")?;
    let found: Option<i64> = select.query_row(params![node, spool_id], |row| row.get(0)).optional()?;
    Ok(found.map_or(0, |n| u64::try_from(n).unwrap_or(0)))
}

/// Reports may be lost (a full spool, a state directory that was wiped): what the diagnosis says is present is open, and nothing else is.
fn reconcile(connection: &Connection, report: &NewReport) -> rusqlite::Result<()> {
    let present: BTreeSet<&str> = report.diagnosis.causes.iter().map(|cause| &*cause.case_id).collect();
    for (case_id, cause) in connection.open_cases(&report.node)? {
        if cause.code != crate::silence::CODE && !present.contains(&*case_id) {
            let reason = "the agent does not report it any more".to_owned();
            connection.transition(&report.node, &transition(TransitionKind::Closed, cause, report.diagnosis.at, reason), report.at)?;
        }
    }
    for cause in &report.diagnosis.causes {
        let reason = "reported by the agent".to_owned();
        connection.transition(&report.node, &transition(TransitionKind::Opened, cause.clone(), report.diagnosis.at, reason), report.at)?;
        connection.update_cause(cause)?;
    }
    Ok(())
}

fn transition(kind: TransitionKind, cause: PresentCause, at: Timestamp, reason: String) -> Transition {
    Transition { kind, case_id: cause.case_id.clone(), code: cause.code.clone(), at, since: cause.since, reason, cause }
}

fn keep_diagnosis(connection: &Connection, report: &NewReport) -> rusqlite::Result<()> {
    let roots: Vec<&PresentCause> = report.diagnosis.causes.iter().filter(|cause| cause.root).collect();
    let codes: Vec<&str> = roots.iter().map(|cause| &*cause.code).collect();
    let changed = connection.execute(
        "UPDATE nodes SET verdict = ?2, roots = ?3, since_us = ?4, diagnosis = ?5, boot_id = ?6, last_seen_us = max(last_seen_us, ?7) WHERE node = ?1",
        params![
            report.node,
            nodewhy_wire::verdict_to_wire(report.diagnosis.verdict),
            serde_json::to_string(&codes).unwrap_or_default(),
            roots.first().map(|cause| micros(cause.since)),
            nodewhy_wire::diagnosis_to_wire(&report.diagnosis).encode_to_vec(),
            report.boot_id,
            micros(report.at)
        ],
    )?;
    debug_assert_eq!(changed, 1, "an agent says Hello before it reports");
    Ok(())
}

fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Store {
    /// A node has fallen silent: it was heard last at `since`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn silent(&self, node: String, since: Timestamp, plan: Plan) -> Result<(), StoreError> {
        self.write(move |connection| {
            let now = Timestamp::now();
            let cause = crate::silence::cause(&node, since, now);
            let opened = crate::silence::transition(TransitionKind::Opened, cause, now, "no heartbeat for three intervals");
            connection.transition(&node, &opened, now)?;
            plan.carry_out(connection, &node, &[], now)
        })
        .await
    }

    /// A silent node speaks again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn speaks_again(&self, node: String, plan: Plan) -> Result<(), StoreError> {
        self.write(move |connection| {
            let now = Timestamp::now();
            for (_, cause) in connection.open_cases(&node)?.into_iter().filter(|(_, cause)| cause.code == crate::silence::CODE) {
                let closed = crate::silence::transition(TransitionKind::Closed, cause, now, "the agent speaks again");
                connection.transition(&node, &closed, now)?;
            }
            plan.carry_out(connection, &node, &[], now)
        })
        .await
    }
}
