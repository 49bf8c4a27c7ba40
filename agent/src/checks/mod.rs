//! Checks: each looks at one thing and reports facts. None judges.

mod apiserver;
mod boot;
mod certificates;
mod clock;
mod cni;
mod conntrack;
mod disk;
mod exhaustion;
mod file_handles;
#[doc(hidden)]
pub mod fuzz;
mod hardware;
mod healthz;
mod inotify;
mod kernel;
mod kubeconfig;
mod kubelet;
mod manager_state;
mod memory;
mod network;
mod node;
mod pids;
mod pods;
mod port;
mod runtime;
mod sandboxes;
mod shutdown;
mod static_pods;
mod support;
mod swap;
#[cfg(test)]
pub(crate) mod testing;
pub mod units;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::node::quantity;

use crate::host::Host;

pub use units::{RUNTIME_UNIT, UNITS};

/// What a look is given.
#[derive(Debug, Clone)]
pub struct Look {
    /// The door to the node.
    pub host: Arc<Host>,
    /// What is known already: where the kubelet's files are, its endpoints, the thresholds.
    pub known: Arc<Facts>,
    /// When this look began; `read_at` of all it reports.
    pub began_at: Timestamp,
    /// How long it may take; sockets and requests use less than this as their own timeouts, so that a failure has a name.
    pub deadline: Duration,
}

/// A look under way.
pub type Looking = Pin<Box<dyn Future<Output = Facts> + Send>>;

/// When a check can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Needs nothing known.
    Discover,
    /// Needs what Discover found (unit names).
    Configuration,
    /// Needs the kubelet's configuration.
    Look,
}

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Short name, kebab-case: what the config file calls it.
    pub name: &'static str,
    /// What it looks at, one sentence.
    pub about: &'static str,
    /// When it can run first.
    pub stage: Stage,
    /// Default time from the begin of one look to the begin of the next.
    pub period: Duration,
    /// Default longest time a look may take.
    pub deadline: Duration,
    /// Prefixes of the facts it reports; all of them become missing (`Hung`) if it does not come back.
    pub reports: &'static [&'static str],
    /// The look itself. Blocking reads go through `tokio::task::spawn_blocking` within it.
    pub look: fn(Look) -> Looking,
}

impl Check {
    /// The period while a case is open whose cause reads one of this check's facts: most cases have to close within 15 s of their repair.
    pub fn period_while_wrong(&self) -> Duration {
        let period = if self.name == sandboxes::CHECK.name { sandboxes::PERIOD_WHILE_WRONG } else { PERIOD_WHILE_WRONG };
        self.period.min(period)
    }
}

/// See [`Check::period_while_wrong`].
const PERIOD_WHILE_WRONG: Duration = Duration::from_secs(2);

/// All checks.
pub const ALL: &[Check] = &[
    node::CHECK,
    kubelet::DISCOVER,
    UNITS,
    RUNTIME_UNIT,
    kubelet::CHECK,
    kubeconfig::CHECK,
    healthz::CHECK,
    port::CHECK,
    runtime::CHECK,
    sandboxes::CHECK,
    cni::CHECK,
    pods::CHECK,
    swap::CHECK,
    swap::AT_BOOT,
    memory::CHECK,
    disk::CHECK,
    hardware::CHECK,
    pids::CHECK,
    conntrack::CHECK,
    file_handles::CHECK,
    inotify::CHECK,
    kernel::CHECK,
    network::CHECK,
    manager_state::CHECK,
    static_pods::CHECK,
    shutdown::CHECK,
    clock::CHECK,
    certificates::CHECK,
    boot::CHECK,
    exhaustion::CHECK,
    apiserver::CHECK,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nodewhy_diagnosis::facts::schema;

    use super::*;

    #[test]
    fn every_check_has_a_name_and_a_sentence_of_its_own() {
        let mut names = BTreeSet::new();
        for check in ALL {
            assert!(names.insert(check.name), "{} is listed twice", check.name);
            assert!(!check.about.is_empty());
            assert!(check.deadline <= check.period, "{}: a look may take longer than the time to the next", check.name);
        }
    }

    #[test]
    fn a_list_of_all_pods_is_not_asked_for_all_the_time_while_a_warning_is_open() {
        assert_eq!(sandboxes::CHECK.period_while_wrong(), Duration::from_secs(15));
        assert_eq!(node::CHECK.period_while_wrong(), Duration::from_secs(2));
    }

    #[test]
    fn no_fact_is_reported_by_two_checks_and_every_prefix_names_facts() {
        let mut owners = std::collections::BTreeMap::new();
        for check in ALL {
            for prefix in check.reports {
                assert!(schema::under(prefix).next().is_some(), "{}: there is no fact at {prefix}", check.name);
                for entry in schema::under(prefix) {
                    let other = owners.insert(entry.path, check.name);
                    assert_eq!(other, None, "{} is reported by {} too", entry.path, check.name);
                }
            }
        }
    }

    #[test]
    fn the_table_of_checks_in_the_docs_is_theirs() {
        let docs = include_str!("../../../docs/configuration.md");
        let (_, table) = docs.split_once("| check | looks at | period | deadline |\n|---|---|---|---|\n").expect("the table");
        let row = |check: &Check| {
            format!("| `{}` | {} | {}s | {}s |\n", check.name, check.about, check.period.as_secs(), check.deadline.as_secs())
        };
        let wanted: String = ALL.iter().map(row).collect();
        assert!(table.starts_with(&format!("{wanted}\n")), "docs/configuration.md should have this table:\n{wanted}");
    }

    #[test]
    fn a_look_says_something_about_every_fact_it_reports() {
        for check in ALL {
            for kubernetes in [None, Some(false), Some(true)] {
                let node = testing::Node::new();
                let node = kubernetes.map(|is| testing::Node::new().known(schema::NODE_IS_KUBERNETES, is)).unwrap_or(node);
                // The helper asserts it, here for a node on which nothing is to be found.
                node.look(check);
            }
        }
    }
}
