//! Messages to show what a hook sends: of one node, of a fleet, and of an end.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Evidence, Layer, PresentCause, Remedy, Severity};

use crate::message::{Apart, Event, Kind, Message, Nodes, Shared, VERSION};

/// Swap on one node.
pub fn node(now: Timestamp) -> Message {
    let since = now.checked_sub(SignedDuration::from_millis(1500)).unwrap_or(now);
    Message {
        version: VERSION,
        key: "example-node/1".to_owned(),
        number: 1,
        event: Event::Opened,
        at: now,
        incident: "example-node".to_owned(),
        kind: Kind::Node,
        title: "worker-1: Swap is on and the kubelet refuses to run with it".to_owned(),
        severity: Severity::Critical,
        layer: Layer::Kubelet,
        shared: None,
        nodes: Nodes {
            count: 1,
            fleet: 500,
            names: vec!["worker-1".to_owned()],
            labels: BTreeMap::from([("zone".to_owned(), "eu-1a".to_owned())]),
        },
        apart: Vec::new(),
        apart_count: 0,
        since,
        resolved_at: None,
        ended_by: String::new(),
        flapping: false,
        node: "worker-1".to_owned(),
        cause: PresentCause {
            case_id: "worker-1/swap-enabled/example".to_owned(),
            code: "swap-enabled".to_owned(),
            title: "Swap is on and the kubelet refuses to run with it".to_owned(),
            severity: Severity::Critical,
            layer: Layer::Kubelet,
            root: true,
            latent: false,
            since,
            message: "/dev/sda2 (partition, 2.0 GiB) in use; failSwapOn is true (default)".to_owned(),
            evidence: vec![Evidence {
                source: "log:kubelet.service".to_owned(),
                at: Some(since),
                quote: "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false".to_owned(),
                count: 11,
            }],
            explains: vec!["kubelet-crash-looping".to_owned(), "kubelet-down".to_owned()],
            explained_by: Vec::new(),
            remedy: vec![
                Remedy { say: "Turn swap off now".to_owned(), run: Some("swapoff -a".to_owned()) },
                Remedy { say: "Take the swap line out of /etc/fstab, so that it stays off".to_owned(), run: None },
            ],
        },
        command: "kubectl nodewhy why worker-1".to_owned(),
        page: None,
    }
}

/// The end of it.
pub fn resolved(now: Timestamp) -> Message {
    let since = now.checked_sub(SignedDuration::from_secs(3782)).unwrap_or(now);
    Message {
        key: "example-node/2".to_owned(),
        number: 2,
        event: Event::Resolved,
        since,
        resolved_at: Some(now),
        ended_by: "absent: swap is off and the kubelet runs".to_owned(),
        ..node(now)
    }
}

/// A control plane that most of a fleet cannot reach.
pub fn fleet(now: Timestamp) -> Message {
    let one = node(now);
    let server = "https://10.0.0.1:6443";
    Message {
        key: "example-fleet/1".to_owned(),
        incident: "example-fleet".to_owned(),
        kind: Kind::ControlPlane,
        title: format!("Control plane {server} unreachable from 498 of 500 nodes"),
        layer: Layer::ControlPlane,
        shared: Some(Shared { name: "apiServer".to_owned(), value: server.to_owned(), before: None, affected: 498, having: 500 }),
        nodes: Nodes { count: 498, fleet: 500, names: (1..=20).map(|n| format!("worker-{n}")).collect(), labels: BTreeMap::new() },
        apart: vec![Apart {
            node: "worker-499".to_owned(),
            cause: "disk-full".to_owned(),
            title: "The disk is full".to_owned(),
            severity: Severity::Critical,
        }],
        apart_count: 2,
        cause: PresentCause {
            case_id: "worker-1/apiserver-unreachable/example".to_owned(),
            code: "apiserver-unreachable".to_owned(),
            title: "The API server cannot be reached".to_owned(),
            layer: Layer::ControlPlane,
            message: format!("{server}: connection refused"),
            evidence: vec![Evidence {
                quote: "dial tcp 10.0.0.1:6443: connect: connection refused".to_owned(),
                ..one.cause.evidence[0].clone()
            }],
            explains: vec!["node-lease-stale".to_owned()],
            remedy: vec![Remedy {
                say: "Look at the API server on its machine".to_owned(),
                run: Some("crictl ps -a --name kube-apiserver".to_owned()),
            }],
            ..one.cause.clone()
        },
        command: "kubectl nodewhy incidents example-fleet".to_owned(),
        page: Some("https://nodewhy.example.org/incidents/example-fleet".to_owned()),
        ..one
    }
}
