//! Memory as the kubelet counts it, and how the node suffers from its lack.

use std::time::Duration;

use nodewhy_diagnosis::facts::{Record, schema as fact};
use nodewhy_diagnosis::{Facts, Missing, node};

use super::support::{blocking, eviction_hard, failed, not_applicable};
use super::{Check, Look, Stage, quantity};
use crate::host::Host;

const REPORTS: &[&str] = &["memory"];

/// So many of the largest processes are named.
const TOP: usize = 5;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "memory",
    about: "memory that the kubelet takes as available, its eviction threshold, and stalls",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    let meminfo = look.host.read_text("/proc/meminfo").map_err(Missing::from);
    let total = meminfo.clone().and_then(|text| kilobytes(&text, "MemTotal"));
    let available = total.clone().and_then(|total| available(&look.host, meminfo, total));
    let threshold = total.clone().and_then(|total| threshold(look, total));
    let pressed = both(available.clone(), threshold.clone()).map(|(available, threshold)| available < threshold);
    facts.put(fact::MEMORY_TOTAL_BYTES, at, total);
    facts.put(fact::MEMORY_AVAILABLE_BYTES, at, available.clone());
    facts.put(fact::MEMORY_UNDER_PRESSURE, at, pressed);
    facts.put(fact::MEMORY_PSI_FULL_AVG60, at, stalls(&look.host));
    facts.put(
        fact::MEMORY_TOP,
        at,
        both(available, threshold.clone()).and_then(|(available, threshold)| {
            if available < threshold.saturating_mul(2) { top() } else { Err(not_applicable("read only while memory is short")) }
        }),
    );
    facts.put(fact::MEMORY_THRESHOLD_BYTES, at, threshold);
}

fn both<A, B>(a: Result<A, Missing>, b: Result<B, Missing>) -> Result<(A, B), Missing> {
    Ok((a?, b?))
}

fn kilobytes(meminfo: &str, name: &str) -> Result<i64, Missing> {
    node::kilobytes(meminfo, name).ok_or_else(|| failed(format!("/proc/meminfo has no usable {name} line")))
}

/// Capacity less the working set of the root cgroup (pkg/kubelet/eviction, cAdvisor). On cgroup v1 the root has its own counters; on v2 its usage is
/// MemTotal - MemFree (runc libcontainer fs2), which leaves what is free and what lies in inactive file pages.
fn available(host: &Host, meminfo: Result<String, Missing>, total: i64) -> Result<i64, Missing> {
    let usage = "/sys/fs/cgroup/memory/memory.usage_in_bytes";
    if host.exists(usage)? {
        let used: i64 = host.read_line(usage)?.parse().map_err(|_| failed(format!("{usage} is not a number")))?;
        let stat = host.read_text("/sys/fs/cgroup/memory/memory.stat")?;
        let inactive = stat.lines().find_map(|line| line.strip_prefix("total_inactive_file ")?.trim().parse::<i64>().ok());
        let inactive = inactive.ok_or_else(|| failed("memory.stat of the root cgroup has no usable total_inactive_file line"))?;
        return Ok(total - (used - inactive).max(0));
    }
    let meminfo = meminfo?;
    let left = kilobytes(&meminfo, "MemFree")? + kilobytes(&meminfo, "Inactive(file)")?;
    Ok(left.min(total))
}

fn threshold(look: &Look, total: i64) -> Result<i64, Missing> {
    let thresholds = eviction_hard(look)?;
    let value = thresholds.get("memory.available").and_then(|text| quantity::threshold(text, total));
    value.ok_or_else(|| not_applicable("the kubelet has no eviction threshold for memory"))
}

/// `full avg10=0.00 avg60=0.00 avg300=0.00 total=0`
fn stalls(host: &Host) -> Result<f64, Missing> {
    let path = "/proc/pressure/memory";
    match host.read_text(path) {
        Ok(text) => full_avg60(&text).ok_or_else(|| failed(format!("{path} has no usable full line"))),
        Err(error) if error.is_absence() => Err(not_applicable("this kernel does not account stalls (psi=0)")),
        // Where it is compiled in but switched off, opening works and reading does not.
        Err(error) if error.source.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => Err(not_applicable("stall accounting is off (psi=0)")),
        Err(error) => Err(error.into()),
    }
}

fn full_avg60(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("full "))?;
    line.split(' ').find_map(|field| field.strip_prefix("avg60="))?.parse().ok()
}

/// The largest processes by resident memory.
fn top() -> Result<Vec<Record>, Missing> {
    let mut system = sysinfo::System::new().map_err(|error| failed(format!("processes: {error}")))?;
    let wanted = sysinfo::ProcessRefreshKind::nothing().with_memory().without_tasks();
    system.refresh_processes_specifics(sysinfo::ProcessesToUpdate::All, true, wanted);
    let mut processes: Vec<_> = system.processes().values().collect();
    processes.sort_by_key(|process| std::cmp::Reverse(process.memory()));
    let records = processes.into_iter().take(TOP).map(|process| {
        Record::new()
            .with("name", process.name().to_string_lossy().into_owned())
            .with("pid", i64::from(process.pid().as_u32()))
            .with("rss_bytes", i64::try_from(process.memory()).unwrap_or(i64::MAX))
    });
    Ok(records.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nodewhy_diagnosis::MissingKind;

    use super::*;
    use crate::checks::testing::Node;

    const MEMINFO: &str = "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     900 kB\nInactive(file):    50 kB\n";

    fn node(meminfo: &str, threshold: &str) -> Node {
        let thresholds = BTreeMap::from([("memory.available".to_owned(), threshold.to_owned())]);
        Node::new()
            .file("/proc/meminfo", meminfo)
            .file(
                "/proc/pressure/memory",
                "some avg10=1.00 avg60=2.00 avg300=0.00 total=9\nfull avg10=0.50 avg60=1.25 avg300=0.00 total=9\n",
            )
            .known(fact::KUBELET_CONFIG_EVICTION_HARD, thresholds)
    }

    #[test]
    fn available_is_what_the_kubelet_takes_for_it() {
        let facts = node(MEMINFO, "100Ki").look(&CHECK);
        assert_eq!(facts.known(fact::MEMORY_AVAILABLE_BYTES), Some(150 * 1024), "not MemAvailable");
        assert_eq!(facts.known(fact::MEMORY_UNDER_PRESSURE), Some(false));
        assert_eq!(facts.known(fact::MEMORY_PSI_FULL_AVG60), Some(1.25));
    }

    #[test]
    fn on_cgroup_v1_the_root_cgroup_is_asked() {
        let node = node(MEMINFO, "10%")
            .file("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000\n")
            .file("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 30000\n");
        let facts = node.look(&CHECK);
        assert_eq!(facts.known(fact::MEMORY_AVAILABLE_BYTES), Some(1_024_000 - 970_000));
        assert_eq!(facts.known(fact::MEMORY_THRESHOLD_BYTES), Some(102_400));
        assert_eq!(facts.known(fact::MEMORY_UNDER_PRESSURE), Some(true));
    }

    #[test]
    fn the_largest_processes_are_named_only_while_memory_is_short() {
        assert_eq!(node(MEMINFO, "70Ki").look(&CHECK).value("memory.top").unwrap_err().kind, MissingKind::NotApplicable);
        let top = node(MEMINFO, "80Ki").look(&CHECK).known(fact::MEMORY_TOP).unwrap();
        assert!(!top.is_empty() && top.len() <= TOP);
    }

    #[test]
    fn garbled_and_unreadable_files_are_unknown() {
        let garbled = node("MemTotal: lots kB\n", "1Ki").look(&CHECK);
        assert_eq!(garbled.value("memory.under_pressure").unwrap_err().kind, MissingKind::Failed);
        let nothing = Node::new().look(&CHECK);
        assert_eq!(nothing.value("memory.total_bytes").unwrap_err().why, "open /proc/meminfo: No such file or directory");
        assert_eq!(nothing.value("memory.psi_full_avg60").unwrap_err().kind, MissingKind::NotApplicable);
    }

    #[test]
    fn a_kubelet_without_threshold_is_never_under_pressure() {
        let facts = node(MEMINFO, "0%").look(&CHECK);
        assert_eq!(facts.value("memory.under_pressure").unwrap_err().kind, MissingKind::NotApplicable);
    }

    #[test]
    fn without_a_kubelet_the_defaults_of_one_are_the_measure() {
        let meminfo = MEMINFO.replace("1000 kB", "1000000 kB").replace("100 kB", "50000 kB");
        let facts = Node::new().file("/proc/meminfo", meminfo).known(fact::NODE_IS_KUBERNETES, false).look(&CHECK);
        assert_eq!(facts.known(fact::MEMORY_UNDER_PRESSURE), Some(true));
        assert_eq!(facts.known(fact::MEMORY_THRESHOLD_BYTES), Some(100 << 20));
    }

    #[test]
    fn this_machine_has_memory() {
        let facts = Node::this_machine().look(&CHECK);
        assert!(facts.known(fact::MEMORY_AVAILABLE_BYTES).unwrap() < facts.known(fact::MEMORY_TOTAL_BYTES).unwrap());
    }
}
