//! A node in one word.

use crate::model::{PresentCause, Severity, Verdict};

/// Healthy is said only if everything that could be critical was looked at.
pub(super) fn verdict(present: &[PresentCause], critical_unknown: bool) -> Verdict {
    match present.iter().map(|cause| cause.severity).max() {
        Some(Severity::Critical) => Verdict::NotReady,
        _ if critical_unknown => Verdict::Unknown,
        Some(Severity::Warning) => Verdict::Degraded,
        Some(Severity::Info) | None => Verdict::Healthy,
    }
}
