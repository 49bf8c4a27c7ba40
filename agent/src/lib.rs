//! nodewhy-agent: looks at the node, diagnoses, reports. See ARCHITECTURE.md.

pub mod about;
pub mod brain;
#[allow(clippy::disallowed_methods, reason = "the agent's own configuration, in its own mount namespace")]
pub mod catalogue;
pub mod checks;
pub mod cli;
#[allow(clippy::disallowed_methods, reason = "the agent's own configuration, in its own mount namespace")]
pub mod config;
#[doc(hidden)]
pub mod fuzz;
#[allow(clippy::disallowed_methods, reason = "the door itself")]
pub mod host;
pub mod identity;
pub mod log_files;
pub mod mount_watch;
pub mod notify;
#[allow(clippy::disallowed_methods, reason = "the admin's own configuration and plugins, in the agent's own mount namespace")]
pub mod npd;
#[allow(clippy::disallowed_methods, reason = "the agent's own files, in its own mount namespace")]
mod own_file;
pub mod schedule;
#[allow(clippy::disallowed_methods, reason = "the agent's own certificates")]
pub mod ship;
#[allow(clippy::disallowed_methods, reason = "the agent's own state directory")]
pub mod spool;
pub mod trend;
pub mod watch;
pub mod yaml;
