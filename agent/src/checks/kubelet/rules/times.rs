//! Durations.

use super::said::{Fault, Name, Settings};

const SECOND: i128 = 1_000_000_000;
const GRACE: Name<'_> = (&["shutdownGracePeriod"], "");
const CRITICAL: Name<'_> = (&["shutdownGracePeriodCriticalPods"], "");

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    shutdown(settings).or_else(|| sync(settings)).or_else(|| cfs_quota(settings)).or_else(|| log_monitor(settings))
}

/// With the gate GracefulNodeShutdown off, anything above 0 is refused as well.
fn shutdown(settings: &Settings<'_>) -> Option<Fault> {
    let (grace, critical) = (settings.nanoseconds(GRACE), settings.nanoseconds(CRITICAL));
    for said in [&grace, &critical].into_iter().flatten() {
        if said.value > 0 && said.value < SECOND {
            return said.fault("has to be 0 or at least 1s");
        }
    }
    let critical = critical?;
    let of_all = grace.map_or(0, |said| said.value);
    if critical.value > 0 && critical.value > of_all {
        return critical.fault("has to be at most shutdownGracePeriod, of which it is a part");
    }
    None
}

/// pkg/kubelet/kubelet.go NewMainKubelet; 0 is the default.
fn sync(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.nanoseconds((&["syncFrequency"], "sync-frequency"))?;
    if said.value < 0 { said.fault("has to be more than 0") } else { None }
}

/// Other than 100ms it takes a feature gate, and 1s at most even then.
fn cfs_quota(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.nanoseconds((&["cpuCFSQuotaPeriod"], "cpu-cfs-quota-period"))?;
    if (1_000..=SECOND).contains(&said.value) { None } else { said.fault("has to be between 1ms and 1s") }
}

fn log_monitor(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.nanoseconds((&["containerLogMonitorInterval"], ""))?;
    if said.value >= 3 * SECOND || settings.version.is_none_or(|version| version < 30) { None } else { said.fault("has to be at least 3s") }
}
