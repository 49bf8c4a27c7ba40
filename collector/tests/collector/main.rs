//! The real program: started, asked, killed.

mod alertmanager;
mod alerts;
mod daemon;
mod hooks;
mod hostile;
mod incidents;
mod ingest;
mod metrics;
mod query;
mod silence;
mod store;
mod support;
mod tls;
