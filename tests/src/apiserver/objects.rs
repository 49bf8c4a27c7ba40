//! The Node and Lease objects that kubelets have made, and what the node controller would make of a kubelet's silence.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// kube-controller-manager's --node-monitor-grace-period (50s from 1.32 on).
const GRACE: Duration = Duration::from_secs(50);

/// The version of the recorded kubelets, and of this server.
pub(super) const VERSION: &str = "v1.36.2";

#[derive(Debug, Default)]
pub(super) struct Objects {
    nodes: BTreeMap<String, Registered>,
}

#[derive(Debug)]
struct Registered {
    heartbeat: Timestamp,
    renewed: Timestamp,
    renewals: u64,
}

impl Objects {
    pub(super) fn register(&mut self, name: &str) {
        let now = Timestamp::now();
        self.nodes.entry(name.to_owned()).or_insert(Registered { heartbeat: now, renewed: now, renewals: 0 });
    }

    pub(super) fn heard_of(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.heartbeat = Timestamp::now();
        }
    }

    pub(super) fn renew(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.renewed = Timestamp::now();
            node.renewals += 1;
        }
    }

    pub(super) fn renewals(&self, name: &str) -> u64 {
        self.nodes.get(name).map_or(0, |node| node.renewals)
    }

    pub(super) fn lease(&self, name: &str) -> Option<Value> {
        let node = self.nodes.get(name)?;
        Some(json!({
            "kind": "Lease",
            "apiVersion": "coordination.k8s.io/v1",
            "metadata": {"name": name, "namespace": "kube-node-lease", "uid": "6c2f9a10-6a3d-4a0e-8a52-9d0f5e0f0001", "resourceVersion": format!("{}", 1000 + node.renewals)},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format!("{:.6}", node.renewed)},
        }))
    }

    pub(super) fn node(&self, name: &str) -> Option<Value> {
        let node = self.nodes.get(name)?;
        let last = node.heartbeat.max(node.renewed);
        let silent = Timestamp::now().duration_since(last).unsigned_abs() > GRACE;
        let condition = |kind: &str, good: &str, reason: &str, message: &str| {
            let (status, reason, message) =
                if silent { ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.") } else { (good, reason, message) };
            let [heartbeat, transition] = [node.heartbeat, last].map(|at| format!("{at:.0}"));
            json!({"type": kind, "status": status, "lastHeartbeatTime": heartbeat, "lastTransitionTime": transition, "reason": reason, "message": message})
        };
        Some(json!({
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": name, "uid": "0b8e4a52-8a3e-4c7d-9f53-1f5b1f5b0001", "resourceVersion": "1000", "labels": {"kubernetes.io/hostname": name}},
            "spec": {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]},
            "status": {"conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ], "nodeInfo": {"kubeletVersion": VERSION, "operatingSystem": "linux", "architecture": "amd64"}},
        }))
    }
}
