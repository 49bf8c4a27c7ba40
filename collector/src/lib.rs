//! nodewhy-collector: takes in what agents report, keeps state and history, finds silent nodes, calls alert hooks, answers questions. See
//! ARCHITECTURE.md.

pub mod alerts;
pub mod config;
pub mod connection;
pub mod identity;
pub mod ingest;
pub mod query;
pub mod server;
pub mod silence;
pub mod store;
