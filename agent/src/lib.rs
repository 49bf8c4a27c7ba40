//! nodewhy-agent: looks at the node, diagnoses, reports. See ARCHITECTURE.md.

pub mod checks;
pub mod host;
