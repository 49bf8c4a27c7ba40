//! Nodes, and taking in what their agents report.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Diagnosis, PresentCause, Transition, TransitionKind, Unknown, Verdict};
use nodewhy_proto::v1 as pb;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::oneshot;

use super::cases::Cases;
use super::{Store, StoreError, Touches, as_i64, micros, time};
use crate::fleet::About;

/// Spools remembered of a node: an agent has one, and a new one after it lost its state.
const MAX_SPOOLS: i64 = 8;

/// A node as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name.
    pub node: String,
    /// As reported last, as the wire has it.
    pub verdict: i32,
    /// Codes of the roots reported last.
    pub roots: Vec<String>,
    /// Since when the first is present.
    pub since: Option<Timestamp>,
    /// When its agent was heard last.
    pub last_seen: Timestamp,
    /// Since when it is silent.
    pub silent: Option<Timestamp>,
    /// How often its agent speaks.
    pub heartbeat: Duration,
    /// The agent's.
    pub agent_version: String,
    /// The kubelet's.
    pub kubelet_version: String,
    /// Place in lists: worst first.
    pub rank: i64,
    /// The last diagnosis, as it came over the wire.
    pub diagnosis: Option<Vec<u8>>,
}

/// An agent has said Hello.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it said.
    pub hello: pb::Hello,
    /// How often it will speak.
    pub heartbeat: Duration,
    /// When.
    pub at: Timestamp,
}

/// A report that can be used.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// Whose.
    pub node: Arc<str>,
    /// Of which spool.
    pub spool_id: Arc<str>,
    /// Its number in it.
    pub sequence: u64,
    /// Reports lost before it.
    pub dropped: u64,
    /// The node's boot.
    pub boot_id: String,
    /// The whole diagnosis, or why it cannot be read.
    pub content: Result<(Diagnosis, Vec<Transition>), Refused>,
    /// When it came.
    pub at: Timestamp,
}

/// Why a report's content is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is committed, now or before.
    UpTo(u64),
    /// Reports are missing between the last one committed, which is this, and it.
    Gap(u64),
}

impl Store {
    /// Notes an agent's Hello; gives the highest committed sequence of its spool.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hello(&self, seen: Seen) -> Result<u64, StoreError> {
        self.write(Touches::Nodes(vec![seen.hello.node.as_str().into()]), move |connection| {
            let hello = &seen.hello;
            connection
                .prepare_cached(
                    "INSERT INTO nodes (node, machine_id, boot_id, agent_version, kubelet_version, kernel, os, heartbeat_us, first_seen_us,
                         last_seen_us)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
                     ON CONFLICT (node) DO UPDATE SET machine_id = ?2, boot_id = ?3, agent_version = ?4, kubelet_version = ?5, kernel = ?6,
                         os = ?7, heartbeat_us = ?8, last_seen_us = max(last_seen_us, ?9)",
                )?
                .execute(params![
                    hello.node,
                    hello.machine_id,
                    hello.boot_id,
                    hello.agent_version,
                    hello.kubelet_version,
                    hello.kernel,
                    hello.os,
                    i64::try_from(seen.heartbeat.as_micros()).unwrap_or(i64::MAX),
                    micros(seen.at)
                ])?;
            committed(connection, &hello.node, &hello.spool_id)
        })
        .await
    }

    /// Takes a report in, once: what changed, the diagnosis, the alerts that follow from it. Reports are worked on in the order of calls;
    /// the receiver hears after the commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn report(&self, report: NewReport) -> Result<oneshot::Receiver<Result<Taken, StoreError>>, StoreError> {
        let node = report.node.clone();
        self.submit(Touches::node(&node), move |connection| take(connection, &report)).await
    }

    /// An agent has said what its node is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn about(&self, node: Arc<str>, said: pb::About, now: Timestamp) -> Result<(), StoreError> {
        self.write(Touches::node(&node), move |connection| {
            let Some(before) = about_of(connection, &node)? else { return Ok(()) };
            let after = serde_json::to_string(&before.heard(said, now)).unwrap_or_default();
            connection
                .prepare_cached("UPDATE nodes SET about = ?2 WHERE node = ?1 AND about <> ?2")?
                .execute(params![node, after])
                .map(drop)
        })
        .await
    }

    /// Notes when agents were heard last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn heard(&self, nodes: Vec<(Arc<str>, Timestamp)>) -> Result<(), StoreError> {
        self.write(Touches::Nothing, move |connection| {
            let mut update = connection.prepare_cached("UPDATE nodes SET last_seen_us = max(last_seen_us, ?2) WHERE node = ?1")?;
            nodes.iter().try_for_each(|(node, at)| update.execute(params![node, micros(*at)]).map(drop))
        })
        .await
    }

    /// Nodes, worst first, then by name, without their diagnoses: at most `size` after `(rank, name)`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn nodes(&self, after: Option<(i64, String)>, size: u32) -> Result<Vec<Node>, StoreError> {
        self.read(move |connection| {
            let (rank, name) = after.unwrap_or((-1, String::new()));
            let mut select = connection
                .prepare_cached(&format!("SELECT {COLUMNS}, NULL FROM nodes WHERE (rank, node) > (?1, ?2) ORDER BY rank, node LIMIT ?3"))?;
            select.query_map(params![rank, name, size], node)?.collect()
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

const COLUMNS: &str = "node, verdict, roots, since_us, last_seen_us, silent_us, heartbeat_us, agent_version, kubelet_version, rank";

fn node(row: &Row<'_>) -> rusqlite::Result<Node> {
    let roots: String = row.get(2)?;
    Ok(Node {
        node: row.get(0)?,
        verdict: row.get(1)?,
        roots: serde_json::from_str(&roots).unwrap_or_default(),
        since: row.get::<_, Option<i64>>(3)?.map(time),
        last_seen: time(row.get(4)?),
        silent: row.get::<_, Option<i64>>(5)?.map(time),
        heartbeat: Duration::from_micros(u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0)),
        agent_version: row.get(7)?,
        kubelet_version: row.get(8)?,
        rank: row.get(9)?,
        diagnosis: row.get(10)?,
    })
}

/// What a node is; `None` if there is no such node.
pub(crate) fn about_of(connection: &Connection, node: &str) -> rusqlite::Result<Option<About>> {
    let mut select = connection.prepare_cached("SELECT about FROM nodes WHERE node = ?1")?;
    let text: Option<String> = select.query_row([node], |row| row.get(0)).optional()?;
    // What another version wrote and this one cannot read will be said again.
    Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_default()))
}

fn committed(connection: &Connection, node: &str, spool_id: &str) -> rusqlite::Result<u64> {
    let mut select = connection.prepare_cached("SELECT committed FROM spools WHERE node = ?1 AND spool_id = ?2")?;
    let found: Option<i64> = select.query_row(params![node, spool_id], |row| row.get(0)).optional()?;
    Ok(found.map_or(0, |n| u64::try_from(n).unwrap_or(0)))
}

fn take(connection: &Connection, report: &NewReport) -> rusqlite::Result<Taken> {
    let before = committed(connection, &report.node, &report.spool_id)?;
    if report.sequence <= before {
        return Ok(Taken::UpTo(before));
    }
    // One that could not be committed must come again before those behind it: an acknowledgement covers all up to it.
    if report.sequence - before - 1 > report.dropped {
        return Ok(Taken::Gap(before));
    }
    count(connection, report)?;
    match &report.content {
        Ok((diagnosis, transitions)) => {
            for transition in transitions {
                connection.transition(&report.node, transition, report.at)?;
            }
            reconcile(connection, report, diagnosis)?;
            keep_diagnosis(connection, report, diagnosis)?;
        }
        Err(refused) => keep_refusal(connection, report, refused)?,
    }
    Ok(Taken::UpTo(report.sequence))
}

fn count(connection: &Connection, report: &NewReport) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO spools (node, spool_id, committed, dropped, refused, seen_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (node, spool_id) DO UPDATE SET committed = ?3, dropped = dropped + ?4, refused = refused + ?5, seen_us = ?6",
        )?
        .execute(params![
            report.node,
            report.spool_id,
            as_i64(report.sequence),
            as_i64(report.dropped),
            report.content.is_err(),
            micros(report.at)
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM spools WHERE node = ?1
             AND seen_us < (SELECT seen_us FROM spools WHERE node = ?1 ORDER BY seen_us DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![report.node, MAX_SPOOLS - 1])?;
    Ok(())
}

/// Reports may be lost (a full spool, a state directory that was wiped): what the diagnosis says is present is open, and nothing else is.
fn reconcile(connection: &Connection, report: &NewReport, diagnosis: &Diagnosis) -> rusqlite::Result<()> {
    let change = |kind, cause: &PresentCause, reason: &str| Transition {
        kind,
        case_id: cause.case_id.clone(),
        code: cause.code.clone(),
        at: diagnosis.at,
        since: cause.since,
        reason: reason.to_owned(),
        cause: cause.clone(),
    };
    let present: BTreeSet<&str> = diagnosis.causes.iter().map(|cause| &*cause.case_id).collect();
    for (case_id, cause) in connection.open_cases(&report.node)? {
        // One that this version cannot read any more is left as it is: not being able to read is no recovery.
        let Some(cause) = cause else { continue };
        if cause.code != crate::silence::CODE && !present.contains(&*case_id) {
            let closed = change(TransitionKind::Closed, &cause, "the agent does not report it any more");
            connection.transition(&report.node, &closed, report.at)?;
        }
    }
    for cause in &diagnosis.causes {
        connection.transition(&report.node, &change(TransitionKind::Opened, cause, "reported by the agent as present"), report.at)?;
        connection.update_cause(&report.node, cause)?;
    }
    Ok(())
}

fn keep_diagnosis(connection: &Connection, report: &NewReport, diagnosis: &Diagnosis) -> rusqlite::Result<()> {
    let roots: Vec<&PresentCause> = diagnosis.causes.iter().filter(|cause| cause.root).collect();
    let codes: Vec<&str> = roots.iter().map(|cause| &*cause.code).collect();
    connection
        .prepare_cached(
            "UPDATE nodes SET verdict = ?2, roots = ?3, since_us = ?4, diagnosis = ?5, boot_id = ?6, last_seen_us = max(last_seen_us, ?7),
                 rank = CASE WHEN silent_us IS NULL THEN ?8 ELSE rank END
             WHERE node = ?1",
        )?
        .execute(params![
            report.node,
            nodewhy_wire::verdict_to_wire(diagnosis.verdict),
            serde_json::to_string(&codes).unwrap_or_default(),
            roots.first().map(|cause| micros(cause.since)),
            nodewhy_wire::diagnosis_to_wire(diagnosis).encode_to_vec(),
            report.boot_id,
            micros(report.at),
            rank(diagnosis.verdict)
        ])?;
    Ok(())
}

/// Nobody knows how the node is: what was known stays open, and the node is unknown.
fn keep_refusal(connection: &Connection, report: &NewReport, refused: &Refused) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached("SELECT diagnosis FROM nodes WHERE node = ?1")?;
    let before: Option<Vec<u8>> = select.query_row([&report.node], |row| row.get(0)).optional()?.flatten();
    let before = before.and_then(|bytes| nodewhy_wire::diagnosis_from_wire(pb::Diagnosis::decode(&*bytes).ok()?).ok());
    let why = format!("the agent's last report cannot be read: {}; are agent and collector of one version?", refused.0);
    let diagnosis = Diagnosis {
        node: report.node.to_string(),
        at: report.at,
        verdict: Verdict::Unknown,
        causes: before.map(|diagnosis| diagnosis.causes).unwrap_or_default(),
        unknown: vec![Unknown { what: "diagnosis".to_owned(), why }],
    };
    keep_diagnosis(connection, report, &diagnosis)
}

/// Place in lists.
pub(super) fn rank(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::NotReady => 0,
        Verdict::Unknown => UNKNOWN_RANK,
        Verdict::Degraded => 2,
        Verdict::Healthy => 3,
    }
}

/// Also of the silent.
pub(super) const UNKNOWN_RANK: i64 = 1;
