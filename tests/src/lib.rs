//! Real systemd nodes with real faults, and what a node sees of its cluster: the harness of the live tests.
//!
//! What is real: systemd, journald, D-Bus and containerd of the nodes, their networks, file systems and swap; the agent, the collector,
//! kubectl-nodewhy, Alertmanager. What is a **stand-in**: the kubelet (`kubelet-standin`: replays a real kubelet's output), the API server
//! ([`apiserver`]) and the cluster's name server ([`dns`]).

pub mod apiserver;
pub mod cgroup;
pub mod clean;
pub mod command;
pub mod dns;
pub mod machine;
pub mod node;
pub mod pki;
pub mod programs;
pub mod skip;
pub mod slot;
pub mod wait;
pub mod world;
