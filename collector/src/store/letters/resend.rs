//! Sending dead letters again. A hook must not believe for ever what is not so: of an incident that is over for it nothing is sent after
//! which it would be open there, and of one that is open again no end.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::{Store, StoreError, Touches, as_i64};
use super::Which;
use crate::correlate::{Incident, number};
use crate::message::Event;

/// What became of dead letters that were to be sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resent {
    /// They are sent again.
    pub resent: usize,
    /// Left out: the incident is over for the hook, and nothing would tell it so a second time.
    pub over: usize,
    /// Left out: they say that the incident is over, and it is open again.
    pub open_again: usize,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dead {
    id: i64,
    hook: String,
    incident: String,
    number: i64,
    is_end: bool,
}

impl Store {
    /// Brings dead letters back, as new ones that are sent at once; one of an incident that is over comes with its end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resend_letters(&self, which: Which) -> Result<Resent, StoreError> {
        self.write(Touches::Nothing, move |connection| {
            let dead = dead(connection, &which)?;
            let mut resent = Resent::default();
            let mut back = Vec::new();
            for of_incident in dead.chunk_by(|a, b| (&a.hook, &a.incident) == (&b.hook, &b.incident)) {
                back.extend(true_in_the_end(connection, of_incident, &mut resent)?);
            }
            back.sort_unstable();
            bring_back(connection, &back)?;
            resent.resent = back.len();
            Ok(resent)
        })
        .await
    }
}

const COLUMNS: &str = "id, hook, incident, number, json_valid(message) AND json_extract(message, '$.event') = 'resolved' AS is_end";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Dead> {
    Ok(Dead { id: row.get(0)?, hook: row.get(1)?, incident: row.get(2)?, number: row.get(3)?, is_end: row.get(4)? })
}

fn dead(connection: &Connection, which: &Which) -> rusqlite::Result<Vec<Dead>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM letters WHERE dead_us IS NOT NULL AND hook = coalesce(?1, hook) AND key = coalesce(?2, key)
         ORDER BY hook, incident, number, id"
    ))?;
    select.query_map(params![which.hook, which.key], row)?.collect()
}

/// Of the letters of one incident to one hook those after which the hook believes what is so.
fn true_in_the_end(connection: &Connection, dead: &[Dead], resent: &mut Resent) -> rusqlite::Result<Vec<i64>> {
    let mut back = dead.to_vec();
    let Some(Dead { hook, incident, number, .. }) = dead.last() else { return Ok(Vec::new()) };
    let Some(open) = is_open(connection, incident, hook)? else { return Ok(back.iter().map(|letter| letter.id).collect()) };
    if !open && back.last().is_some_and(|last| !last.is_end) {
        back.extend(end_after(connection, hook, incident, *number)?);
    }
    // What waits is said after it, and is newer.
    let waits = newest_waiting(connection, hook, incident)?;
    while let Some(last) = back.last()
        && last.is_end == open
        && waits.is_none_or(|waits| waits < last.number)
    {
        let left_out = if open { &mut resent.open_again } else { &mut resent.over };
        *left_out += 1;
        back.pop();
    }
    Ok(back.iter().map(|letter| letter.id).collect())
}

/// Whether the hook was told last that the incident is open; of one that is not kept nobody will ever tell it the end. `None`: it is no
/// incident of ours.
fn is_open(connection: &Connection, incident: &str, hook: &str) -> rusqlite::Result<Option<bool>> {
    let Some(number) = number(incident) else { return Ok(None) };
    let mut select = connection.prepare_cached("SELECT state FROM incidents WHERE number = ?1")?;
    let state: Option<String> = select.query_row([as_i64(number)], |row| row.get(0)).optional()?;
    let kept = state.and_then(|state| serde_json::from_str::<Incident>(&state).ok());
    Ok(Some(kept.and_then(|kept| kept.told.get(hook).map(|told| told.event != Event::Resolved)).unwrap_or(false)))
}

fn end_after(connection: &Connection, hook: &str, incident: &str, number: i64) -> rusqlite::Result<Option<Dead>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM letters WHERE dead_us IS NOT NULL AND hook = ?1 AND incident = ?2 AND number > ?3 AND is_end
         ORDER BY number DESC, id DESC LIMIT 1"
    ))?;
    select.query_row(params![hook, incident, number], row).optional()
}

fn newest_waiting(connection: &Connection, hook: &str, incident: &str) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare_cached("SELECT max(number) FROM letters WHERE hook = ?1 AND incident = ?2 AND dead_us IS NULL")?;
    select.query_row([hook, incident], |row| row.get(0))
}

/// With new numbers: those who wait for messages hear of it.
fn bring_back(connection: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO letters (hook, key, incident, number, message, created_us, due_us)
         SELECT hook, key, incident, number, message, created_us, 0 FROM letters WHERE id = ?1",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM letters WHERE id = ?1")?;
    for id in ids {
        insert.execute([id])?;
        delete.execute([id])?;
    }
    Ok(())
}
