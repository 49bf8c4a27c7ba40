//! The outbox's bounds.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::super::{Store, StoreError, Touches, micros, standing};
use super::{DEAD_FOR, MAX_DEAD, MAX_LETTERS, forget_ends};

/// What is known of hooks that are not among those that are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Nothing: no policy that can be used was read yet. What waits for them is kept.
    Unknown,
    /// The policy in force has them no more: what waits for them is given up.
    Gone,
    /// It has not had them for long: nobody will ever tell them how an incident ended.
    Forgotten,
}

impl Store {
    /// Keeps the outbox within its bounds: what waits for hooks that are not configured any more, and what is over [`MAX_LETTERS`] of the
    /// others, becomes dead letters; dead ones that are too old or too many go. Gives how many died, hook by hook, and how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tidy_letters(
        &self,
        hooks: Arc<[Arc<str>]>,
        others: Others,
        now: Timestamp,
    ) -> Result<(Vec<(String, u64)>, usize), StoreError> {
        let touches = if others == Others::Forgotten { Touches::Hooks(hooks.clone()) } else { Touches::Nothing };
        self.write(touches, move |connection| {
            let known = serde_json::to_string(&*hooks.iter().map(|hook| &**hook).collect::<Vec<_>>()).unwrap_or_default();
            let mut died = if others == Others::Unknown { Vec::new() } else { unknown(connection, &known, now)? };
            for hook in hooks.iter() {
                let many = connection.execute(
                    "UPDATE letters SET dead_us = ?3, error = ?4 WHERE hook = ?1 AND dead_us IS NULL AND id <=
                         (SELECT id FROM letters WHERE hook = ?1 AND dead_us IS NULL ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                    params![hook, MAX_LETTERS, micros(now), format!("more than {MAX_LETTERS} messages waited for the hook")],
                )?;
                if many > 0 {
                    died.push((hook.to_string(), many as u64));
                }
            }
            let before = micros(now.checked_sub(DEAD_FOR).unwrap_or(Timestamp::MIN));
            let gone = connection.execute(
                "DELETE FROM letters WHERE dead_us IS NOT NULL AND (dead_us < ?1 OR id <=
                     (SELECT id FROM letters WHERE dead_us IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?2))",
                params![before, MAX_DEAD],
            )?;
            forget_ends(connection)?;
            standing::tidy(connection, now)?;
            if others == Others::Forgotten {
                standing::forget_others(connection, &known)?;
            }
            Ok((died, gone))
        })
        .await
    }
}

/// What waits for hooks that are not configured any more.
fn unknown(connection: &Connection, known: &str, now: Timestamp) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut died = Vec::new();
    let mut update = connection.prepare_cached(
        "UPDATE letters SET dead_us = ?2, error = 'the hook is not configured any more'
         WHERE dead_us IS NULL AND hook NOT IN (SELECT value FROM json_each(?1)) RETURNING hook",
    )?;
    let hooks: Vec<String> = update.query_map(params![known, micros(now)], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for hook in hooks {
        match died.iter_mut().find(|(name, _)| *name == hook) {
            Some((_, many)) => *many += 1,
            None => died.push((hook, 1)),
        }
    }
    Ok(died)
}
