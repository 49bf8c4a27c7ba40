//! Real systemd nodes with real faults, and what a node sees of its cluster: the harness of the live tests.
//!
//! What is real: systemd, journald, D-Bus, containerd and runc of the nodes, their networks, file systems and swap, the kernel and what it says; the
//! agent, the collector, kubectl-nodewhy, Alertmanager. What is a **stand-in**: the kubelet (`kubelet-standin`: replays a real kubelet's output, and runs
//! static pods of one container on the real runtime), the API server ([`apiserver`]) and the cluster's name server ([`dns`]).
//!
//! What is not as in the field: the agent runs without its unit's bounds of CPU and memory, as it is built for tests; kernel messages reach a node through a
//! pipe in the place of /dev/kmsg; a container's memory limit is set by this machine, where nodes have no memory controller of their own; a clock that is off
//! is the API server's, not the node's; the damaged ext4 is one whose kernel was told to count an error (`trigger_fs_error`).

pub mod apiserver;
pub mod cgroup;
pub mod clean;
pub mod command;
pub mod dns;
pub mod fleet;
pub mod machine;
pub mod node;
pub mod pki;
pub mod programs;
pub mod skip;
pub mod slot;
pub mod wait;
pub mod world;
