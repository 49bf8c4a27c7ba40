//! The collector: takes in what the agents report, keeps the state and history of every node, finds silent ones, calls alert hooks and
//! answers `kubectl-nodewhy`. One binary, one data directory. See ARCHITECTURE.md, Collector.

pub mod alerts;
pub mod cli;
pub mod config;
pub mod correlate;
pub mod fleet;
pub mod fuzz;
pub mod hooks;
pub mod ingest;
pub mod message;
pub mod metrics;
mod own_file;
pub mod policy;
pub mod presence;
pub mod query;
pub mod server;
pub mod silence;
pub mod store;
pub mod tell;
