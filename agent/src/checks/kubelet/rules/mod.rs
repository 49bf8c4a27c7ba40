//! What the kubelet demands of its configuration beyond its form (pkg/kubelet/apis/config/validation/validation.go, cmd/kubelet/app/server.go and what
//! they call), read in Kubernetes 1.21 and 1.36.
//!
//! Only what every kubelet from 1.22 to 1.36 refuses is refused here: where versions or feature gates differ, this is silent. Rules about fields
//! that came later, and about gates, ask for the version and are silent without it.

mod amount;
mod eviction;
mod gates;
mod numbers;
mod policies;
mod reserved;
mod said;
mod security;
mod times;
mod words;

pub(crate) use said::{Fault, Settings};

/// The first thing the kubelet would refuse.
pub(crate) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    let rules: [fn(&Settings<'_>) -> Option<Fault>; 8] = [
        gates::examine,
        numbers::examine,
        words::examine,
        times::examine,
        reserved::examine,
        eviction::examine,
        policies::examine,
        security::examine,
    ];
    rules.iter().find_map(|rule| rule(settings))
}

#[cfg(test)]
mod tests;
