//! The catalogue: what can be wrong with a node, one YAML file a cause, embedded here. No logic: the format is in ARCHITECTURE.md and is
//! read by `nodewhy-diagnosis`.

mod list;

use std::sync::LazyLock;

use nodewhy_diagnosis::Catalogue;

/// The built-in cause files: file name and text, in the order of their names.
pub fn files() -> &'static [(&'static str, &'static str)] {
    list::FILES
}

/// The facts of a healthy node, by path: where stories of causes begin (YAML).
pub fn healthy() -> &'static str {
    include_str!("../tests/stories/healthy.yaml")
}

/// The built-in catalogue, loaded at the first call. A test sees to it that every built-in file loads; one that did not would be left
/// out alone.
pub fn catalogue() -> &'static Catalogue {
    static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::load(files().iter().copied()).0);
    &BUILT_IN
}
