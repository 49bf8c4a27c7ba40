//! What the collector finds about itself: each is an incident of its own.

use jiff::Timestamp;
use nodewhy_diagnosis::model::PresentCause;

use super::incident::{CaseKey, Incident, Joined};
use super::{Book, Ending};
use crate::alerts::{COLLECTOR, hook_of};
use crate::message::Kind;
use crate::policy::Flap;

impl Book {
    /// This and nothing else is what the collector finds about itself now. Gives when time alone will change something.
    pub fn own(&mut self, causes: &[PresentCause], flap: Flap, now: Timestamp) -> Option<Timestamp> {
        let open = self.incidents.values().filter(|one| one.kind == Kind::Collector && one.is_open());
        let over = open.filter(|one| causes.iter().all(|cause| cause.case_id != one.first.1.case_id));
        let over: Vec<CaseKey> = over.flat_map(|one| one.members.keys().cloned()).collect();
        for key in over {
            self.leave(&key, Ending { at: now, reason: "the hook takes messages again".to_owned() });
        }
        for cause in causes {
            self.found(cause, flap, now);
        }
        self.end(flap, now)
    }

    fn found(&mut self, cause: &PresentCause, flap: Flap, now: Timestamp) {
        let key: CaseKey = (COLLECTOR.into(), cause.case_id.as_str().into());
        if self.of_case.contains_key(&key) {
            return;
        }
        // A hook that takes a message now and then fails anew each time: of that nobody wants to hear each time.
        let of_it = |one: &&Incident| one.kind == Kind::Collector && hook_of(&one.first.1).is_some_and(|hook| Some(hook) == hook_of(cause));
        let again = self.incidents.values().filter(of_it).find(|one| one.is_back(flap, now)).map(|one| one.id.clone());
        let id = again.unwrap_or_else(|| {
            let id = self.ids.next();
            let one = Incident::new(id.clone(), &cause.case_id, COLLECTOR, cause, cause.severity, now);
            self.incidents.insert(id.clone(), Incident { kind: Kind::Collector, ..one });
            id
        });
        let Some(one) = self.get_mut(&id) else { return };
        one.open_again(flap, now);
        (one.first, one.worst) = ((COLLECTOR.to_owned(), cause.clone()), cause.severity);
        one.join(key.clone(), Joined { code: cause.code.as_str().into(), severity: cause.severity, opened_at: now });
        self.of_case.insert(key, id);
    }
}
