//! Feature gates that can no longer be set otherwise.

use super::said::{Fault, Settings};

/// Gate, the minor version that locked it, and to what (pkg/features/kube_features.go of 1.36, LockToDefault). Setting it otherwise is refused from
/// then on for ever: once the gate is gone it is refused as unknown.
const LOCKED: &[(&str, u32, bool)] = &[
    ("AllowOverwriteTerminationGracePeriodSeconds", 35, false),
    ("AnyVolumeDataSource", 33, true),
    ("AuthorizeNodeWithSelectors", 34, true),
    ("CPUManagerPolicyOptions", 33, true),
    ("DisableAllocatorDualWrite", 35, true),
    ("DynamicResourceAllocation", 35, true),
    ("ExecProbeTimeout", 35, true),
    ("ImageMaximumGCAge", 35, true),
    ("InPlacePodVerticalScaling", 35, true),
    ("KubeletCgroupDriverFromCRI", 34, true),
    ("KubeletFineGrainedAuthz", 36, true),
    ("KubeletTracing", 34, true),
    ("MultiCIDRServiceAllocator", 34, true),
    ("NFTablesProxyMode", 33, true),
    ("NodeSwap", 34, true),
    ("PodLifecycleSleepAction", 34, true),
    ("PodSchedulingReadiness", 30, true),
    ("RecoverVolumeExpansionFailure", 34, true),
    ("RecursiveReadOnlyMounts", 33, true),
    ("RelaxedEnvironmentVariableValidation", 34, true),
    ("SchedulerQueueingHints", 34, true),
    ("ServiceAccountTokenJTI", 32, true),
    ("ServiceAccountTokenNodeBinding", 33, true),
    ("ServiceAccountTokenPodNodeInfo", 32, true),
    ("SidecarContainers", 33, true),
    ("SupplementalGroupsPolicy", 35, true),
    ("SystemdWatchdog", 35, true),
    ("TopologyManagerPolicyOptions", 32, true),
];

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    let version = settings.version?;
    settings.gates().iter().find_map(|(name, said)| {
        let (_, since, locked) = LOCKED.iter().find(|(gate, _, _)| gate == name)?;
        if said.value == *locked || version < *since {
            return None;
        }
        said.fault(format_args!("cannot be {} ({name}): Kubernetes 1.{since} and later lock it to {locked}", said.value))
    })
}
