//! What the agent cannot do itself, told with every diagnosis.

use nodewhy_diagnosis::model::Unknown;

use super::Brain;

impl Brain {
    /// What was left out of the configuration, and a state directory that takes nothing: without it a restart forgets open cases and what
    /// was not delivered.
    pub(super) fn notes(&self) -> impl Iterator<Item = Unknown> {
        let disk = self.disk_error.iter().map(|why| Unknown { what: "stateDir".to_owned(), why: why.clone() });
        self.start.notes.iter().cloned().chain(disk)
    }
}
