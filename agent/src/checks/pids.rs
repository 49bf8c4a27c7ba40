//! Process ids: how many are in use of those that there are.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing, MissingKind};

use super::support::{blocking, failed, needs};
use super::{Check, Look, Stage, quantity};
use crate::host::Host;

const REPORTS: &[&str] = &["pids"];

/// Below this share of the limit the machine is short of ids, where the kubelet has no threshold of its own.
const DEFAULT_THRESHOLD: &str = "2%";

/// The check.
pub(super) const CHECK: Check = Check {
    name: "pids",
    about: "processes and threads against the kernel's limits and the kubelet's threshold",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    let limit = limit(&look.host);
    let current = current(&look.host);
    let threshold = limit.clone().and_then(|limit| threshold(look, limit));
    let pressed = (|| Ok(limit.clone()? - current.clone()? < threshold.clone()?))();
    facts.put(fact::PIDS_LIMIT, at, limit);
    facts.put(fact::PIDS_CURRENT, at, current);
    facts.put(fact::PIDS_THRESHOLD, at, threshold);
    facts.put(fact::PIDS_UNDER_PRESSURE, at, pressed);
}

/// As the kubelet does (pkg/kubelet/stats/pidlimit).
fn limit(host: &Host) -> Result<i64, Missing> {
    let number =
        |path: &str| -> Result<i64, Missing> { host.read_line(path)?.parse().map_err(|_| failed(format!("{path} is not a number"))) };
    Ok(number("/proc/sys/kernel/pid_max")?.min(number("/proc/sys/kernel/threads-max")?))
}

/// `0.20 0.18 0.12 1/80 11206`: of 80 tasks one runs.
fn current(host: &Host) -> Result<i64, Missing> {
    let line = host.read_line("/proc/loadavg")?;
    let tasks = line.split(' ').nth(3).and_then(|field| field.split_once('/')?.1.parse().ok());
    tasks.ok_or_else(|| failed("/proc/loadavg is not in the form of proc(5)"))
}

fn threshold(look: &Look, limit: i64) -> Result<i64, Missing> {
    let own = match needs(look, fact::KUBELET_CONFIG_EVICTION_HARD) {
        Ok(thresholds) => thresholds.get("pid.available").and_then(|text| quantity::threshold(text, limit)),
        Err(why) if why.kind == MissingKind::NotApplicable => None,
        Err(why) => return Err(why),
    };
    own.or_else(|| quantity::threshold(DEFAULT_THRESHOLD, limit)).ok_or_else(|| failed("the limit is not a usable number"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::checks::testing::Node;

    fn node(loadavg: &str) -> Node {
        Node::new()
            .file("/proc/sys/kernel/pid_max", "4194304\n")
            .file("/proc/sys/kernel/threads-max", "10000\n")
            .file("/proc/loadavg", loadavg)
    }

    fn thresholds(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(signal, value)| ((*signal).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_smaller_limit_counts() {
        let facts = node("0.20 0.18 0.12 1/9850 11206\n").known(fact::KUBELET_CONFIG_EVICTION_HARD, thresholds(&[])).look(&CHECK);
        assert_eq!(facts.known(fact::PIDS_LIMIT), Some(10_000));
        assert_eq!(facts.known(fact::PIDS_THRESHOLD), Some(200));
        assert_eq!(facts.known(fact::PIDS_UNDER_PRESSURE), Some(true));
    }

    #[test]
    fn the_kubelets_own_threshold_comes_first() {
        let facts = node("0.20 0.18 0.12 1/9850 11206\n")
            .known(fact::KUBELET_CONFIG_EVICTION_HARD, thresholds(&[("pid.available", "100")]))
            .look(&CHECK);
        assert_eq!(facts.known(fact::PIDS_UNDER_PRESSURE), Some(false));
    }

    #[test]
    fn garbled_and_unreadable_files_are_unknown() {
        for loadavg in ["", "0.20 0.18", "0.20 0.18 0.12 180 1", "0.20 0.18 0.12 1/x 1"] {
            assert!(node(loadavg).look(&CHECK).value("pids.current").is_err(), "{loadavg:?}");
        }
        assert!(Node::new().look(&CHECK).value("pids.under_pressure").is_err());
    }

    #[test]
    fn this_machine_has_processes() {
        let facts = Node::this_machine().look(&CHECK);
        assert!(facts.known(fact::PIDS_CURRENT).unwrap() > 0);
    }
}
