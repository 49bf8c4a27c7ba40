//! How many there are.

use std::collections::BTreeMap;

use nodewhy_diagnosis::model::Verdict;
use nodewhy_diagnosis::render::verdict_word;

use super::{Store, StoreError};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Nodes by their verdict; silent ones are unknown.
    pub nodes: BTreeMap<&'static str, u64>,
    /// Cases that are open.
    pub cases: u64,
    /// Incidents that are open.
    pub incidents: u64,
}

impl Store {
    /// Counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        self.read(|connection| {
            let mut nodes: BTreeMap<&'static str, u64> =
                [Verdict::Healthy, Verdict::Degraded, Verdict::NotReady, Verdict::Unknown].map(|verdict| (verdict_word(verdict), 0)).into();
            let mut select = connection.prepare_cached("SELECT verdict, silent_us IS NOT NULL, count(*) FROM nodes GROUP BY 1, 2")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let verdict =
                    if row.get(1)? { Verdict::Unknown } else { nodewhy_wire::verdict_from_wire(row.get(0)?).unwrap_or(Verdict::Unknown) };
                *nodes.entry(verdict_word(verdict)).or_default() += u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
            }
            let one = |text: &str| -> rusqlite::Result<u64> {
                let many: i64 = connection.prepare_cached(text)?.query_row([], |row| row.get(0))?;
                Ok(u64::try_from(many).unwrap_or(0))
            };
            let cases = one("SELECT count(*) FROM cases WHERE closed_us IS NULL")?;
            Ok(Counts { nodes, cases, incidents: one("SELECT count(*) FROM incidents WHERE closed_us IS NULL")? })
        })
        .await
    }
}
