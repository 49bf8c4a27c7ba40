//! nodewhy-agent: looks at the node, diagnoses, reports. See ARCHITECTURE.md.

pub mod checks;
pub mod config;
pub mod host;
pub mod schedule;
pub mod ship;
pub mod spool;
pub mod watch;
