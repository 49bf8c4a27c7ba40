//! What is kept back for the system: reservations, their cgroups and CPUs.

use serde_json::Value;

use super::amount;
use super::said::{Fault, Name, Said, Settings};

pub(super) const KUBE: Name<'_> = (&["kubeReserved"], "kube-reserved");
pub(super) const SYSTEM: Name<'_> = (&["systemReserved"], "system-reserved");
pub(super) const CPUS: Name<'_> = (&["reservedSystemCPUs"], "reserved-cpus");
const ENFORCE: Name<'_> = (&["enforceNodeAllocatable"], "enforce-node-allocatable");
const KUBE_CGROUP: Name<'_> = (&["kubeReservedCgroup"], "kube-reserved-cgroup");
const SYSTEM_CGROUP: Name<'_> = (&["systemReservedCgroup"], "system-reserved-cgroup");

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    let reserved = [KUBE, SYSTEM].map(|name| settings.entries(name, '='));
    let reserved = reserved.iter().flatten().find_map(|(name, said)| resource(name, said));
    reserved
        .or_else(|| settings.entries((&["qosReserved"], "qos-reserved"), '=').iter().find_map(|(name, said)| of_qos(name, said)))
        .or_else(|| enforcement(settings))
        .or_else(|| reserved_cpus(settings))
        .or_else(|| reserved_memory(settings))
        .or_else(|| cgroup_root(settings))
}

/// cmd/kubelet/app/server.go parseResourceList.
fn resource(name: &str, said: &Said<String>) -> Option<Fault> {
    if !["cpu", "memory", "ephemeral-storage", "pid"].contains(&name) {
        return said.fault(format_args!("cannot be reserved: {name:?} is not cpu, memory, ephemeral-storage or pid"));
    }
    match amount::parse(&said.value) {
        None => said.fault(format_args!("is no quantity such as 500m or 1Gi for {name}: {:?}", said.value)),
        Some(amount) if amount.negative => said.fault(format_args!("has to be 0 or more for {name}, not {}", said.value)),
        Some(_) => None,
    }
}

/// pkg/kubelet/cm/qos_container_manager_linux.go ParseQOSReserved.
fn of_qos(name: &str, said: &Said<String>) -> Option<Fault> {
    let share = said.value.strip_suffix('%').and_then(|number| number.parse::<i64>().ok());
    match share {
        _ if name != "memory" => said.fault(format_args!("can only reserve memory, not {name:?}")),
        Some(0..=100) => None,
        _ => said.fault(format_args!("has to be a whole percentage such as 50%, not {:?}", said.value)),
    }
}

/// What may be enforced needs its cgroup named, and cgroups of pods at all.
fn enforcement(settings: &Settings<'_>) -> Option<Fault> {
    let named = |name: Name<'_>| settings.text(name).is_some_and(|said| !said.value.is_empty());
    let said = settings.texts(ENFORCE);
    for word in said.iter().flat_map(|said| &said.value) {
        let said = said.as_ref()?;
        match word.as_str() {
            "pods" | "none" => {}
            "system-reserved" | "system-reserved-compressible" if named(SYSTEM_CGROUP) => {}
            "kube-reserved" | "kube-reserved-compressible" if named(KUBE_CGROUP) => {}
            "system-reserved" | "system-reserved-compressible" => {
                return said.fault(format_args!("has {word}, which needs systemReservedCgroup"));
            }
            "kube-reserved" | "kube-reserved-compressible" => {
                return said.fault(format_args!("has {word}, which needs kubeReservedCgroup"));
            }
            _ if settings.is_of_the_future() => {}
            _ => return said.fault(format_args!("can hold pods, system-reserved, kube-reserved or none, not {word:?}")),
        }
    }
    let words = said.as_ref().map_or(&[][..], |said| &said.value);
    if words.len() > 1 && words.iter().any(|word| word == "none") {
        return said?.fault("can hold nothing beside none");
    }
    // The default is [pods].
    let enforces = said.as_ref().is_none_or(|said| said.value.iter().any(|word| word != "none"));
    let without = settings.flag((&["cgroupsPerQOS"], "cgroups-per-qos")).filter(|said| !said.value)?;
    if enforces { without.fault("is false, which only goes with an empty enforceNodeAllocatable") } else { None }
}

fn reserved_cpus(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.text(CPUS).filter(|said| !said.value.is_empty())?;
    for name in [SYSTEM_CGROUP, KUBE_CGROUP] {
        if settings.text(name).is_some_and(|said| !said.value.is_empty()) {
            return said.fault(format_args!("cannot be set together with {}", name.0.join(".")));
        }
    }
    if is_cpu_set(&said.value) { None } else { said.fault(format_args!("is no list of CPUs such as 0-1,4: {:?}", said.value)) }
}

/// k8s.io/utils/cpuset Parse: numbers and ranges, the first of a range not above its last.
fn is_cpu_set(text: &str) -> bool {
    text.split(',').all(|part| match part.split_once('-') {
        None => part.parse::<u32>().is_ok(),
        Some((first, last)) => matches!((first.parse::<u32>(), last.parse::<u32>()), (Ok(first), Ok(last)) if first <= last),
    })
}

/// pkg/kubelet/apis/config/validation/validation_reserved_memory.go.
fn reserved_memory(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.objects(&["reservedMemory"])?;
    let mut seen = std::collections::BTreeSet::new();
    for entry in &said.value {
        let node = entry.get("numaNode").and_then(Value::as_i64).unwrap_or_default();
        for (name, limit) in entry.get("limits").and_then(Value::as_object).into_iter().flatten() {
            if name != "memory" && !name.starts_with("hugepages-") {
                return said.fault(format_args!("can reserve memory or hugepages-SIZE, not {name:?}"));
            }
            let text = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
            match amount::parse(&text) {
                None => return said.fault(format_args!("has no quantity such as 1Gi for {name} of NUMA node {node}: {text:?}")),
                Some(amount) if amount.is_zero() => return said.fault(format_args!("has 0 for {name} of NUMA node {node}")),
                Some(_) => {}
            }
            if !seen.insert((node, name.clone())) {
                return said.fault(format_args!("has {name} of NUMA node {node} twice"));
            }
        }
    }
    None
}

fn cgroup_root(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.text((&["systemCgroups"], "system-cgroups")).filter(|said| !said.value.is_empty())?;
    let root = settings.text((&["cgroupRoot"], "cgroup-root")).is_some_and(|root| !root.value.is_empty());
    if root { None } else { said.fault("needs cgroupRoot") }
}
