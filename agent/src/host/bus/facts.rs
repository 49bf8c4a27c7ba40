//! A unit's state as facts.

use jiff::Timestamp;
use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Facts, Missing, MissingKind};

use super::child::child_facts;
use super::{Child, UnitStatus};

/// Why there is no unit of the kubelet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUnit {
    /// There is no kubelet on this host.
    NoKubelet,
    /// The node has a kubelet's configuration, so that a unit should be there.
    Gone,
    /// This process is a kubelet that no unit runs.
    Unneeded(i64),
}

/// The facts of the kubelet's unit, where it runs the kubelet as a child with that kubelet's own.
pub fn kubelet_unit_facts(
    unit: Result<&UnitStatus, NoUnit>,
    child: Option<&Child>,
    booted_at: Option<Timestamp>,
    read_at: Timestamp,
) -> Facts {
    let mut facts = Facts::new();
    match unit {
        Ok(unit) => {
            kubelet_facts(&mut facts, unit, booted_at, read_at);
            if let Some(child) = child.filter(|_| unit.is_running()) {
                child_facts(&mut facts, child, read_at);
            }
        }
        Err(NoUnit::Gone) => no_kubelet_unit(&mut facts, read_at),
        Err(NoUnit::NoKubelet) => facts.miss_under("kubelet.unit", read_at, &not_here("no kubelet unit on this node")),
        Err(NoUnit::Unneeded(pid)) => {
            let why = format!("the kubelet is not run by a unit of systemd: it is, or was when it was seen last, process {pid}");
            facts.miss_under("kubelet.unit", read_at, &not_here(&why));
        }
    }
    facts
}

/// The facts of the runtime's unit, if it has one of its own.
pub fn runtime_unit_facts(unit: Option<&UnitStatus>, booted_at: Option<Timestamp>, read_at: Timestamp) -> Facts {
    let mut facts = Facts::new();
    match unit {
        Some(unit) => runtime_facts(&mut facts, unit, booted_at, read_at),
        None => facts.miss_under("runtime.unit", read_at, &not_here("no unit of its own runs a container runtime here")),
    }
    facts
}

fn not_here(why: &str) -> Missing {
    Missing::new(MissingKind::NotApplicable, why)
}

fn no_kubelet_unit(facts: &mut Facts, read_at: Timestamp) {
    facts.miss_under("kubelet.unit", read_at, &not_here("this node has a kubelet's configuration and no unit that runs a kubelet"));
    facts.set(s::KUBELET_UNIT_NAME, read_at, "kubelet.service".to_owned());
    facts.set(s::KUBELET_UNIT_LOAD_STATE, read_at, "not-found".to_owned());
    facts.set(s::KUBELET_UNIT_FILE_STATE, read_at, String::new());
    facts.set(s::KUBELET_UNIT_ACTIVE_STATE, read_at, "inactive".to_owned());
    facts.set(s::KUBELET_UNIT_SUB_STATE, read_at, "dead".to_owned());
    facts.set(s::KUBELET_UNIT_RUNNING, read_at, false);
}

fn kubelet_facts(facts: &mut Facts, unit: &UnitStatus, booted_at: Option<Timestamp>, read_at: Timestamp) {
    facts.set(s::KUBELET_UNIT_NAME, read_at, unit.name.clone());
    facts.set(s::KUBELET_UNIT_LOAD_STATE, read_at, unit.load_state.clone());
    facts.set(s::KUBELET_UNIT_FILE_STATE, read_at, unit.file_state.clone());
    facts.set(s::KUBELET_UNIT_PULLED_IN_BY, read_at, unit.pulled_in_by.iter().cloned().collect());
    facts.set(s::KUBELET_UNIT_ACTIVE_STATE, read_at, unit.active_state.clone());
    facts.set(s::KUBELET_UNIT_SUB_STATE, read_at, unit.sub_state.clone());
    facts.set(s::KUBELET_UNIT_RUNNING, read_at, unit.is_running());
    facts.set(s::KUBELET_UNIT_RESULT, read_at, unit.result.clone());
    facts.set(s::KUBELET_UNIT_RESTARTS, read_at, i64::from(unit.restarts));
    facts.set(s::KUBELET_UNIT_MAIN_PID, read_at, i64::from(unit.main_pid));
    facts.put(s::KUBELET_UNIT_STATE_SINCE, read_at, state_since(unit, booted_at));
    let started = unit.started_at.filter(|_| unit.main_pid != 0);
    facts.put(s::KUBELET_UNIT_STARTED_AT, read_at, started.ok_or_else(|| not_here("no main process runs")));
    let none_ended = || not_here("no main process of this unit has ended while systemd or the agent could see it");
    facts.set(s::KUBELET_UNIT_EXIT_KIND, read_at, unit.exit.as_ref().map_or("", |exit| exit.kind).to_owned());
    facts.put(s::KUBELET_UNIT_EXIT_STATUS, read_at, unit.exit.as_ref().map(|exit| i64::from(exit.status)).ok_or_else(none_ended));
    facts.put(s::KUBELET_UNIT_RAN_FOR, read_at, unit.exit.as_ref().and_then(|exit| exit.ran_for).ok_or_else(none_ended));
    facts.put(s::KUBELET_UNIT_EXITED_AT, read_at, unit.exit.as_ref().and_then(|exit| exit.at).ok_or_else(none_ended));
}

fn runtime_facts(facts: &mut Facts, unit: &UnitStatus, booted_at: Option<Timestamp>, read_at: Timestamp) {
    facts.set(s::RUNTIME_UNIT_NAME, read_at, unit.name.clone());
    facts.set(s::RUNTIME_UNIT_LOAD_STATE, read_at, unit.load_state.clone());
    facts.set(s::RUNTIME_UNIT_FILE_STATE, read_at, unit.file_state.clone());
    facts.set(s::RUNTIME_UNIT_PULLED_IN_BY, read_at, unit.pulled_in_by.iter().cloned().collect());
    facts.set(s::RUNTIME_UNIT_ACTIVE_STATE, read_at, unit.active_state.clone());
    facts.set(s::RUNTIME_UNIT_SUB_STATE, read_at, unit.sub_state.clone());
    facts.set(s::RUNTIME_UNIT_RUNNING, read_at, unit.is_running());
    facts.set(s::RUNTIME_UNIT_RESULT, read_at, unit.result.clone());
    facts.set(s::RUNTIME_UNIT_RESTARTS, read_at, i64::from(unit.restarts));
    facts.put(s::RUNTIME_UNIT_STATE_SINCE, read_at, state_since(unit, booted_at));
    let status = unit.exit.as_ref().map(|exit| i64::from(exit.status));
    facts.put(s::RUNTIME_UNIT_EXIT_STATUS, read_at, status.ok_or_else(|| not_here("no main process of this unit has ended")));
}

/// systemd has no time of a unit that never changed state. One that is enabled stays loaded, so it has been so since the boot; of
/// others nobody knows (systemd forgets a stopped unit that nothing refers to).
fn state_since(unit: &UnitStatus, booted_at: Option<Timestamp>) -> Result<Timestamp, Missing> {
    let since_boot = booted_at.filter(|_| unit.file_state.starts_with("enabled"));
    unit.state_since.or(since_boot).ok_or_else(|| not_here("systemd has seen no change of this unit's state"))
}

#[cfg(test)]
mod tests {
    use super::super::Exit;
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn every_fact_of_both_units_is_reported_whatever_is_found() {
        let unit = UnitStatus { name: "kubelet.service".into(), ..UnitStatus::default() };
        for kubelet in [Ok(&unit), Err(NoUnit::NoKubelet), Err(NoUnit::Gone), Err(NoUnit::Unneeded(7))] {
            let mut facts = kubelet_unit_facts(kubelet, None, None, NOW);
            facts.absorb(runtime_unit_facts(kubelet.ok(), None, NOW));
            for entry in s::under("kubelet.unit").chain(s::under("runtime.unit")).filter(|entry| !entry.derived) {
                assert!(facts.get(entry.path).is_some(), "{} is not reported", entry.path);
            }
        }
    }

    #[test]
    fn a_node_without_kubernetes_misses_nothing() {
        let mut facts = kubelet_unit_facts(Err(NoUnit::NoKubelet), None, None, NOW);
        facts.absorb(runtime_unit_facts(None, None, NOW));
        assert!(facts.iter().all(|(_, fact)| fact.value.as_ref().is_err_and(|why| why.kind == MissingKind::NotApplicable)));
    }

    #[test]
    fn a_configured_node_without_a_unit_has_a_unit_that_is_not_found() {
        let facts = kubelet_unit_facts(Err(NoUnit::Gone), None, None, NOW);
        assert_eq!(facts.known(s::KUBELET_UNIT_LOAD_STATE).as_deref(), Some("not-found"));
        assert_eq!(facts.known(s::KUBELET_UNIT_RUNNING), Some(false));
    }

    #[test]
    fn a_kubelet_that_needs_no_unit_misses_none() {
        let facts = kubelet_unit_facts(Err(NoUnit::Unneeded(7)), None, None, NOW);
        assert!(facts.iter().all(|(_, fact)| fact.value.as_ref().is_err_and(|why| why.kind == MissingKind::NotApplicable)));
    }

    #[test]
    fn an_enabled_unit_that_never_started_is_down_since_the_boot() {
        let booted = Timestamp::from_second(1000).expect("a time");
        let unit = UnitStatus { file_state: "enabled".into(), ..UnitStatus::default() };
        assert_eq!(kubelet_unit_facts(Ok(&unit), None, Some(booted), NOW).known(s::KUBELET_UNIT_STATE_SINCE), Some(booted));
        let unit = UnitStatus { file_state: "disabled".into(), ..UnitStatus::default() };
        assert_eq!(kubelet_unit_facts(Ok(&unit), None, Some(booted), NOW).known(s::KUBELET_UNIT_STATE_SINCE), None);
    }

    #[test]
    fn an_exit_is_told_with_code_and_time() {
        let exit = Exit { kind: "exited", status: 1, at: Some(NOW), ran_for: None };
        let unit = UnitStatus { exit: Some(exit), ..UnitStatus::default() };
        let facts = kubelet_unit_facts(Ok(&unit), None, None, NOW);
        assert_eq!(facts.known(s::KUBELET_UNIT_EXIT_STATUS), Some(1));
        assert_eq!(facts.known(s::KUBELET_UNIT_EXITED_AT), Some(NOW));
        assert_eq!(facts.known(s::KUBELET_UNIT_EXIT_KIND).as_deref(), Some("exited"));
    }
}
