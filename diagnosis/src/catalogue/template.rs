//! Text with `{{CEL}}` in it.

/// A compiled text.
#[derive(Debug)]
pub struct Template {
    /// As written.
    pub source: String,
}
