//! Log records: one journal entry or one line of a saved log, parsed but not judged.

mod klog;
mod text;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use klog::{Klog, KlogSeverity};
pub use text::{LineParser, ParsedLine};

/// Which program a record comes from, as far as it can be told. Signs name the sources they listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The kubelet, or a program that has it inside (k3s, rke2, kubelite).
    Kubelet,
    /// containerd, CRI-O, dockerd, cri-dockerd and their shims.
    Runtime,
    /// The kernel.
    Kernel,
    /// systemd itself (PID 1) speaking about a unit.
    Systemd,
    /// kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy.
    ControlPlane,
    /// etcd.
    Etcd,
    /// Another program, known by name.
    Other,
    /// Nothing in the line says; every sign may match it.
    Unknown,
}

/// One record. Borrows from the line or the journal's buffer: nothing is copied unless a sign matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogRecord<'a> {
    /// Wall-clock time; `None` if the line carries none.
    pub at: Option<Timestamp>,
    /// Who said it.
    pub source: Source,
    /// systemd unit or syslog identifier, empty if unknown. For records of systemd itself: the unit spoken about.
    pub unit: &'a str,
    /// syslog priority 0 (emergency) to 7 (debug), where the carrier has one. The kubelet's output is 6 whatever it says.
    pub priority: Option<u8>,
    /// The klog header, if the message began with one.
    pub klog: Option<Klog<'a>>,
    /// The message: without the carrier's prefix, with the klog header if there is one.
    pub message: &'a str,
    /// Position in the journal, for evidence; empty elsewhere.
    pub cursor: &'a str,
}
