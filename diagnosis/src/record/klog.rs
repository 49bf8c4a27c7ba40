//! The klog header (k8s.io/klog v2 and glog before it).

/// How a klog line begins: `E1122 00:54:49.103848   14029 run.go:72] `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Klog<'a> {
    /// I, W, E or F.
    pub severity: KlogSeverity,
    /// `run.go:72`.
    pub origin: &'a str,
    /// What follows `] `.
    pub body: &'a str,
}

/// klog's severity letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KlogSeverity {
    /// I
    Info,
    /// W
    Warning,
    /// E
    Error,
    /// F
    Fatal,
}

impl<'a> Klog<'a> {
    /// The header at the beginning of a message, if there is one.
    pub fn parse(_message: &'a str) -> Option<Self> {
        None
    }
}
