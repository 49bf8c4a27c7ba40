//! Values of the catalogue in words.

use jiff::SignedDuration;

use crate::catalogue::Cause;
use crate::model::{Layer, Severity};
use crate::record::Source;

pub(super) fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Hardware => "hardware",
        Layer::Kernel => "kernel",
        Layer::Storage => "storage",
        Layer::Network => "network",
        Layer::Time => "time",
        Layer::Runtime => "runtime",
        Layer::Kubelet => "kubelet",
        Layer::ControlPlane => "control plane",
        Layer::Workload => "workload",
    }
}

pub(super) fn severity(cause: &Cause) -> &'static str {
    match cause.severity {
        _ if cause.latent => "will break: nothing is wrong yet, and the node breaks at its next start or boot, or at the time named",
        Severity::Critical => "critical: the node cannot be Ready, or will not stay so",
        Severity::Warning => "warning: the node is degraded, or will break",
        Severity::Info => "info",
    }
}

pub(super) fn sources(sources: &[Source]) -> String {
    sources
        .iter()
        .map(|source| format!("{source:?}").to_lowercase())
        .collect::<Vec<_>>()
        .join(", ")
        .replace("controlplane", "control plane")
        .replace("monitor", "a node-problem-detector monitor")
}

pub(super) fn duration(duration: SignedDuration) -> String {
    format!("{duration:#}")
}

/// Code in Markdown, also if it holds backticks.
pub(super) fn code(text: &str) -> String {
    match text.contains('`') {
        false => format!("`{text}`"),
        true => format!("`` {text} ``"),
    }
}
