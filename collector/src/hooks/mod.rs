//! Alert hooks: how a message is said to each kind of them, and brought there. See docs/alerts.md.

mod again;
mod alertmanager;
mod deliver;
mod email;
pub mod example;
mod exec;
mod files;
mod hook;
mod http;
mod opsgenie;
mod pagerduty;
mod parcel;
mod preview;
mod receivers;
mod set;
mod sign;
mod slack;
mod state;
mod teams;
pub mod template;
mod text;
mod webhook;
mod words;

pub use deliver::{Deliverer, Timing};
pub use hook::Hook;
pub use set::Deliveries;
pub use state::{HookCounts, HookState};
