//! The nodes of the fleet as they are now.

mod about;

pub use about::{About, Changed, Trait};
