//! Policies of the resource managers and what they depend on (pkg/kubelet/cm).

use super::amount;
use super::reserved::{CPUS, KUBE, SYSTEM};
use super::said::{Fault, Name, Settings};
use super::words::either;

const CPU_POLICY: Name<'_> = (&["cpuManagerPolicy"], "cpu-manager-policy");
const CPU_OPTIONS: Name<'_> = (&["cpuManagerPolicyOptions"], "cpu-manager-policy-options");
const TOPOLOGY_POLICY: Name<'_> = (&["topologyManagerPolicy"], "topology-manager-policy");
const TOPOLOGY_OPTIONS: Name<'_> = (&["topologyManagerPolicyOptions"], "topology-manager-policy-options");
const MEMORY_POLICY: Name<'_> = (&["memoryManagerPolicy"], "memory-manager-policy");

/// cpumanager/policy_options.go: all there have been from 1.22 to 1.36.
const OF_CPU: [&str; 6] = [
    "align-by-socket",
    "distribute-cpus-across-cores",
    "distribute-cpus-across-numa",
    "full-pcpus-only",
    "prefer-align-cpus-by-uncorecache",
    "strict-cpu-reservation",
];
/// topologymanager/policy_options.go.
const OF_TOPOLOGY: [&str; 2] = ["max-allowable-numa-nodes", "prefer-closest-numa-nodes"];

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    cpu(settings).or_else(|| topology(settings)).or_else(|| memory(settings))
}

/// The static policy keeps at least a CPU's share out of the hands of containers (cpumanager/cpu_manager.go NewManager).
fn cpu(settings: &Settings<'_>) -> Option<Fault> {
    // The gate was the manager's switch until 1.25.
    if settings.gates().get("CPUManager").is_some_and(|gate| !gate.value) {
        return None;
    }
    let policy = settings.text(CPU_POLICY);
    let options = settings.entries(CPU_OPTIONS, '=');
    if policy.as_ref().is_none_or(|policy| policy.value != "static") {
        let (name, said) = options.first()?;
        return said.fault(format_args!("({name}) goes only with cpuManagerPolicy static"));
    }
    if let Some((name, said)) = options.iter().find(|(name, _)| !OF_CPU.contains(&name.as_str()) && !settings.is_of_the_future()) {
        return said.fault(format_args!("names no option of the CPU manager ({}): {name:?}", either(&OF_CPU)));
    }
    let listed = settings.text(CPUS).is_some_and(|said| !said.value.is_empty());
    let given = |name| {
        settings.entries(name, '=').iter().any(|(name, said)| name == "cpu" && amount::parse(&said.value).is_none_or(|cpu| !cpu.is_zero()))
    };
    if listed || given(KUBE) || given(SYSTEM) {
        return None;
    }
    policy?.fault("is static, which needs CPUs kept back: kubeReserved.cpu, systemReserved.cpu or reservedSystemCPUs")
}

/// Without a policy the options are not looked at.
fn topology(settings: &Settings<'_>) -> Option<Fault> {
    settings.text(TOPOLOGY_POLICY).filter(|policy| !matches!(policy.value.as_str(), "" | "none"))?;
    let options = settings.entries(TOPOLOGY_OPTIONS, '=');
    let (name, said) = options.iter().find(|(name, _)| !OF_TOPOLOGY.contains(&name.as_str()) && !settings.is_of_the_future())?;
    said.fault(format_args!("names no option of the topology manager ({}): {name:?}", either(&OF_TOPOLOGY)))
}

/// What is reserved by NUMA node has to be what is reserved in all (memorymanager/memory_manager.go validateReservedMemory). Where a share of the
/// machine's memory or a default plays a part, this does not count.
fn memory(settings: &Settings<'_>) -> Option<Fault> {
    let policy = settings.text(MEMORY_POLICY).filter(|policy| policy.value == "Static")?;
    // The gate was the manager's switch until 1.31.
    if settings.gates().get("MemoryManager").is_some_and(|gate| !gate.value) {
        return None;
    }
    let by_node = settings.objects(&["reservedMemory"]);
    let limits = by_node.iter().flat_map(|said| &said.value).filter_map(|entry| entry.get("limits")?.get("memory"));
    let mut by_nodes = 0_i128;
    for limit in limits {
        let text = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
        by_nodes = by_nodes.checked_add(amount::parse(&text)?.nano?)?;
    }
    let hard = settings.entries((&["evictionHard"], "eviction-hard"), '<');
    // Merged with the defaults, or not given at all: then it is 100Mi by default, on a plain kubelet.
    let threshold = hard.iter().find(|(signal, _)| signal == "memory.available").map(|(_, said)| said.value.clone())?;
    let reserved = [KUBE, SYSTEM].map(|name| settings.entries(name, '='));
    let reserved = reserved.iter().flatten().filter(|(name, _)| name == "memory").map(|(_, said)| said.value.clone());
    let mut in_all = 0_i128;
    for text in reserved.chain([threshold]) {
        in_all = in_all.checked_add(amount::parse(&text)?.nano?)?;
    }
    if by_nodes == in_all {
        return None;
    }
    let bytes = |nano: i128| nano / 1_000_000_000;
    policy.fault(format_args!(
        "is Static, which needs reservedMemory ({} bytes of memory on all NUMA nodes) to be kubeReserved, systemReserved and evictionHard together ({} bytes)",
        bytes(by_nodes),
        bytes(in_all)
    ))
}
