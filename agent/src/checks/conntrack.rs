//! The kernel's connection tracking table: how full it is.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, failed, not_applicable};
use super::{Check, Look, Stage};

const REPORTS: &[&str] = &["conntrack"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "conntrack",
    about: "how full the connection tracking table is",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(1),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    facts.put(fact::CONNTRACK_ENTRIES, look.began_at, number(look, "nf_conntrack_count"));
    facts.put(fact::CONNTRACK_LIMIT, look.began_at, number(look, "nf_conntrack_max"));
}

fn number(look: &Look, name: &str) -> Result<i64, Missing> {
    let path = format!("/proc/sys/net/netfilter/{name}");
    match look.host.read_text(&path) {
        // The module is loaded with the first rule that needs it.
        Err(error) if error.is_absence() => Err(not_applicable("connection tracking is not loaded")),
        Err(error) => Err(error.into()),
        Ok(text) => text.trim().parse().map_err(|_| failed(format!("{path} holds no number: {}", text.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

    #[test]
    fn the_table_is_counted() {
        assert_eq!(Node::new().file(COUNT, "17\n").look(&CHECK).known(fact::CONNTRACK_ENTRIES), Some(17));
    }

    #[test]
    fn garbage_is_unknown_and_not_empty() {
        assert_eq!(Node::new().file(COUNT, "many\n").look(&CHECK).known(fact::CONNTRACK_ENTRIES), None);
    }
}
