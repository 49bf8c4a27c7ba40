//! Words that have to be one of a few.

use super::said::{Fault, Settings};

/// Field, flag, what it may be; empty means the default.
const CHOICES: &[(&[&str], &str, &[&str])] = &[
    (&["authorization", "mode"], "authorization-mode", &["AlwaysAllow", "Webhook"]),
    (&["configMapAndSecretChangeDetectionStrategy"], "", &["Get", "Cache", "Watch"]),
    (&["cpuManagerPolicy"], "cpu-manager-policy", &["none", "static"]),
    (&["hairpinMode"], "hairpin-mode", &["promiscuous-bridge", "hairpin-veth", "none"]),
    (&["logging", "format"], "logging-format", &["text", "json"]),
    (&["memoryManagerPolicy"], "memory-manager-policy", &["None", "Static"]),
    // UnlimitedSwap was taken away in 1.30; NoSwap came in 1.28.
    (&["memorySwap", "swapBehavior"], "", &["NoSwap", "LimitedSwap", "UnlimitedSwap"]),
    (&["tlsMinVersion"], "tls-min-version", &["VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"]),
    (&["topologyManagerPolicy"], "topology-manager-policy", &["none", "best-effort", "restricted", "single-numa-node"]),
    (&["topologyManagerScope"], "topology-manager-scope", &["container", "pod"]),
];

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    if settings.is_of_the_future() {
        return None;
    }
    CHOICES.iter().find_map(|(field, flag, choices)| {
        let said = settings.text((field, flag))?;
        if said.value.is_empty() || choices.contains(&said.value.as_str()) {
            return None;
        }
        said.fault(format_args!("has to be {}, not {:?}", either(choices), said.value))
    })
}

/// `a, b or c`
pub(super) fn either(choices: &[&str]) -> String {
    match choices.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => choices.join(""),
    }
}
