//! `alerts.yaml`: whom to tell what.

pub mod hooks;
