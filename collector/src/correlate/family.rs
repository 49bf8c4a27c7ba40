//! Which causes are looked at together, and how long what may be part of something greater waits.

use std::time::Duration;

use nodewhy_diagnosis::model::{Layer, PresentCause};

use crate::silence;

/// Nothing has been added for so long: told as it is.
pub(super) const CALM: Duration = Duration::from_millis(300);
/// And at last after this.
pub(super) const LONGEST: Duration = Duration::from_millis(1200);
/// Agents of one rack fall silent within a heartbeat of each other; and a look of the collector.
pub(super) const SILENCE_LATE: Duration = Duration::from_secs(1);

/// The family of nodes that cannot use the control plane.
pub(super) const CONTROL_PLANE: &str = "control-plane";

/// The family of a cause. Codes that say the same of the control plane are one; any other is its own.
pub(crate) fn family(code: &str) -> &str {
    match code {
        "apiserver-unreachable" | "apiserver-overloaded" => CONTROL_PLANE,
        other => other,
    }
}

/// Whether the API server that nodes share may be what a cause of this family is about.
pub(super) fn of_api_server(family: &str) -> bool {
    matches!(
        family,
        CONTROL_PLANE | "dns-failure" | "certificate-untrusted" | "clock-skew" | "node-unauthorized" | "bootstrap-token-invalid"
    )
}

/// Whether it is about certificates, which have an issuer.
pub(super) fn of_issuer(family: &str) -> bool {
    family.starts_with("certificate")
}

/// Whether it may be of the whole fleet: then whoever looks at it is the suspect.
pub(super) fn of_fleet(family: &str) -> bool {
    matches!(family, silence::CODE | "clock-skew")
}

/// How a case waits before it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// Until nothing is added for [`CALM`], at most [`LONGEST`].
    Calm,
    /// So long.
    For(Duration),
}

/// How a case of this cause waits by itself.
pub(super) fn wait(cause: &PresentCause, heartbeat: Duration) -> Wait {
    if cause.code == silence::CODE {
        return Wait::For(heartbeat + SILENCE_LATE);
    }
    let shared = family(&cause.code) == CONTROL_PLANE || matches!(cause.layer, Layer::Network | Layer::Time | Layer::ControlPlane);
    if shared { Wait::Calm } else { Wait::No }
}
