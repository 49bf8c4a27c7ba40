//! Tests over the built-in catalogue as a whole.

mod claims;
mod kubelet_logs;
mod loads;
mod stories;
mod support;
