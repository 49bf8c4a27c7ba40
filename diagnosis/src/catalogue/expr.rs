//! CEL expressions over the facts, in three-valued logic.

use crate::facts::Missing;

/// A compiled expression whose paths are all in the schema.
#[derive(Debug)]
pub struct Expr {
    /// As written.
    pub source: String,
    /// Fact paths it reads.
    pub paths: Vec<&'static str>,
}

/// The value of a predicate.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be told, because these facts are missing.
    Unknown(Vec<(&'static str, Missing)>),
}
