//! What a node's files and commands say, as facts: the pure half of the agent's checks, shared with those who have only saved copies
//! (support bundles).

pub mod fields;
mod kubelet_config;
mod memory;
mod mounts;
pub mod quantity;
mod saved;
mod space;
mod swap;
mod units;

pub use kubelet_config::{KubeletConfig, parse_yaml, yaml_complaint};
pub use memory::kilobytes;
pub use mounts::{Mount, mount_of, mountinfo, mounts, unescape};
pub use saved::{FileKind, SavedFile, facts, recognise};
pub use space::{Space, df};
pub use swap::{fstab_swaps, swaps_in_use};
pub use units::{Unit, unit_list, unit_status};
