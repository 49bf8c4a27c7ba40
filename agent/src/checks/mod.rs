//! Checks: each looks at one thing and reports facts. None judges.

pub mod units;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::Facts;

use crate::host::Host;

pub use units::UNITS;

/// What a look is given.
#[derive(Debug, Clone)]
pub struct Look {
    /// The door to the node.
    pub host: Arc<Host>,
    /// What is known already: where the kubelet's files are, its endpoints, the thresholds.
    pub known: Arc<Facts>,
    /// When this look began; `read_at` of all it reports.
    pub began_at: Timestamp,
    /// How long it may take; sockets and requests use less than this as their own timeouts, so that a failure has a name.
    pub deadline: Duration,
}

/// A look under way.
pub type Looking = Pin<Box<dyn Future<Output = Facts> + Send>>;

/// When a check can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Needs nothing known.
    Discover,
    /// Needs what Discover found (unit names).
    Configuration,
    /// Needs the kubelet's configuration.
    Look,
}

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Short name, kebab-case: what the config file calls it.
    pub name: &'static str,
    /// What it looks at, one sentence.
    pub about: &'static str,
    /// When it can run first.
    pub stage: Stage,
    /// Default time from the begin of one look to the begin of the next.
    pub period: Duration,
    /// Default longest time a look may take.
    pub deadline: Duration,
    /// Prefixes of the facts it reports; all of them become missing (`Hung`) if it does not come back.
    pub reports: &'static [&'static str],
    /// The look itself. Blocking reads go through `tokio::task::spawn_blocking` within it.
    pub look: fn(Look) -> Looking,
}

/// All checks.
pub const ALL: &[Check] = &[UNITS];
