//! The pure core of nodewhy: facts, log records, the catalogue of causes, and [`diagnose`].
//!
//! Nothing in this crate opens a file or a socket, reads a clock, or spawns anything: time, identity and everything seen on the node
//! arrive as arguments, and the same input gives the same output. See ARCHITECTURE.md for the rooms around it.

pub mod catalogue;
pub mod diagnose;
pub mod facts;
#[doc(hidden)]
pub mod fuzz;
pub mod model;
pub mod node;
pub mod page;
pub mod record;
pub mod render;
pub mod story;

pub use catalogue::{Catalogue, LoadError};
pub use diagnose::{Mode, Outcome, State, View, diagnose};
pub use facts::{Facts, Missing, MissingKind};
pub use model::{Diagnosis, Verdict};
pub use record::{LogRecord, Source};
