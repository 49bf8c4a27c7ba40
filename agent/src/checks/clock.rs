//! The clock: whether anything keeps it in time. How far it is off is known from the API server's Date (see `apiserver`).

use std::time::Duration;

use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::schema as fact;

use super::support::{blocking, failed};
use super::{Check, Look, Stage};
use crate::host::clock;
use crate::host::files::os_words;

const REPORTS: &[&str] = &["clock.synchronized"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "clock",
    about: "whether the kernel's clock is disciplined by NTP or the like",
    stage: Stage::Look,
    period: Duration::from_secs(60),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let synchronized = clock::synchronized().map_err(|error| failed(format!("adjtimex: {}", os_words(&error))));
    facts.put(fact::CLOCK_SYNCHRONIZED, look.began_at, synchronized);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn the_kernel_says_whether_its_clock_is_disciplined() {
        assert!(Node::this_machine().look(&CHECK).known(fact::CLOCK_SYNCHRONIZED).is_some());
    }
}
