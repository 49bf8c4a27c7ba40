//! Numbers out of range.

use super::said::{Fault, Name, Settings};

const ANY: i64 = i64::MAX;

/// Field, flag, least, most.
type Range = (&'static str, &'static str, i64, i64);

/// In every version from 1.22 to 1.36. Where 0 means the default (a field without pointer in v1beta1), 0 is allowed.
const RANGES: &[Range] = &[
    ("containerLogMaxFiles", "container-log-max-files", 2, ANY),
    ("eventBurst", "event-burst", 0, ANY),
    ("eventRecordQPS", "event-qps", 0, ANY),
    ("healthzPort", "healthz-port", 0, 65535),
    ("imageGCHighThresholdPercent", "image-gc-high-threshold", 0, 100),
    ("imageGCLowThresholdPercent", "image-gc-low-threshold", 0, 100),
    ("iptablesDropBit", "iptables-drop-bit", 0, 31),
    ("iptablesMasqueradeBit", "iptables-masquerade-bit", 0, 31),
    ("kubeAPIBurst", "kube-api-burst", 0, ANY),
    ("kubeAPIQPS", "kube-api-qps", 0, ANY),
    ("maxOpenFiles", "max-open-files", 0, ANY),
    ("maxPods", "max-pods", 0, ANY),
    ("nodeLeaseDurationSeconds", "", 0, ANY),
    ("nodeStatusMaxImages", "node-status-max-images", -1, ANY),
    ("oomScoreAdj", "oom-score-adj", -1000, 1000),
    ("podsPerCore", "pods-per-core", 0, ANY),
    ("port", "port", 0, 65535),
    ("readOnlyPort", "read-only-port", 0, 65535),
    ("registryBurst", "registry-burst", 0, ANY),
    ("registryPullQPS", "registry-qps", 0, ANY),
];

/// Since which minor version.
const LATER: &[(u32, Range)] = &[(27, ("maxParallelImagePulls", "", 1, ANY)), (30, ("containerLogMaxWorkers", "", 1, ANY))];

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    let later = LATER.iter().filter(|(since, _)| settings.version.is_some_and(|version| version >= *since)).map(|(_, range)| range);
    RANGES
        .iter()
        .chain(later)
        .find_map(|range| out_of_range(settings, range))
        .or_else(|| image_gc(settings))
        .or_else(|| throttling(settings))
}

fn out_of_range(settings: &Settings<'_>, (field, flag, least, most): &Range) -> Option<Fault> {
    let said = settings.int((&[field], flag))?;
    match said.value {
        value if value < *least && *most == ANY => said.fault(format_args!("has to be at least {least}, not {value}")),
        value if value < *least || value > *most => said.fault(format_args!("has to be between {least} and {most}, not {value}")),
        _ => None,
    }
}

/// The low threshold has to be below the high one, given or by default (80 and 85).
fn image_gc(settings: &Settings<'_>) -> Option<Fault> {
    const HIGH: Name<'_> = (&["imageGCHighThresholdPercent"], "image-gc-high-threshold");
    const LOW: Name<'_> = (&["imageGCLowThresholdPercent"], "image-gc-low-threshold");
    let (high, low) = (settings.int(HIGH), settings.int(LOW));
    let high_value = high.as_ref().map_or(85, |said| said.value);
    let low_value = low.as_ref().map_or(80, |said| said.value);
    if low_value < high_value {
        return None;
    }
    match (&low, &high) {
        (Some(low), _) => low.fault(format_args!("({low_value}) has to be less than imageGCHighThresholdPercent ({high_value})")),
        (None, Some(high)) => {
            high.fault(format_args!("({high_value}) has to be more than imageGCLowThresholdPercent ({low_value}, the default)"))
        }
        (None, None) => None,
    }
}

fn throttling(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.float(&["memoryThrottlingFactor"])?;
    if said.value > 0.0 && said.value <= 1.0 {
        return None;
    }
    said.fault(format_args!("has to be more than 0 and at most 1, not {}", said.value))
}
