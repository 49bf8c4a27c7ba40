//! Whether the machine goes down, or is to: systemd's own state, and what shutdown(8) has scheduled.

use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{failed, not_applicable};
use super::{Check, Look, Looking, Stage};
use crate::host::Host;

const REPORTS: &[&str] = &["shutdown"];

/// Kept by systemd-logind while something is scheduled (src/login/logind-dbus.c; systemd-shutdownd before 223).
const SCHEDULED: &str = "/run/systemd/shutdown/scheduled";

/// The check.
pub(super) const CHECK: Check = Check {
    name: "shutdown",
    about: "whether the machine is going down or a shutdown is scheduled",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look,
};

fn look(look: Look) -> Looking {
    Box::pin(async move {
        let mut facts = Facts::new();
        facts.put(fact::SHUTDOWN_STATE, look.began_at, look.host.system_state().await);
        let (what, when) = match scheduled(&look.host) {
            Ok(Some((what, when))) => (Ok(what), Ok(when)),
            Ok(None) => (Ok(String::new()), Err(not_applicable("no shutdown is scheduled"))),
            Err(why) => (Err(why.clone()), Err(why)),
        };
        facts.put(fact::SHUTDOWN_SCHEDULED, look.began_at, what);
        facts.put(fact::SHUTDOWN_SCHEDULED_AT, look.began_at, when);
        facts
    })
}

/// `USEC=1763769600000000\nWARN_WALL=1\nMODE=reboot\n`
fn scheduled(host: &Host) -> Result<Option<(String, Timestamp)>, Missing> {
    let text = match host.read_text(SCHEDULED) {
        Err(error) if error.is_absence() => return Ok(None),
        other => other?,
    };
    let said = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let at = said("USEC").and_then(|micros| Timestamp::from_microsecond(micros.trim().parse().ok()?).ok());
    let what = said("MODE").map(|mode| mode.trim().trim_start_matches("dry-").to_owned()).filter(|mode| !mode.is_empty());
    what.zip(at).map(Some).ok_or_else(|| failed(format!("{SCHEDULED} does not say what and when")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn a_scheduled_reboot_is_told_with_its_time() {
        let facts = Node::new().file(SCHEDULED, "USEC=1763769600000000\nWARN_WALL=1\nMODE=reboot\n").look(&CHECK);
        assert_eq!(facts.known(fact::SHUTDOWN_SCHEDULED).unwrap(), "reboot");
        assert_eq!(facts.known(fact::SHUTDOWN_SCHEDULED_AT).unwrap(), "2025-11-22T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn nothing_scheduled_is_an_answer_and_garbage_is_none() {
        assert_eq!(Node::new().look(&CHECK).known(fact::SHUTDOWN_SCHEDULED).unwrap(), "");
        for text in ["", "MODE=reboot\n", "USEC=soon\nMODE=reboot\n", "USEC=1763769600000000\nMODE=\n"] {
            assert!(Node::new().file(SCHEDULED, text).look(&CHECK).value("shutdown.scheduled").is_err(), "{text:?}");
        }
    }
}
