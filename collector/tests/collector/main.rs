//! The real program: started, asked, killed.

mod alertmanager;
mod alerts;
mod hooks;
mod hostile;
mod ingest;
mod query;
mod silence;
mod store;
mod support;
mod tls;
