//! Alerts: what is to be told follows from the incidents, is written into the outbox in the transaction that changed them, and is delivered
//! until the hook has taken it.

mod clock;
mod engine;
mod failing;
mod gone;
mod look;
mod order;
mod run;

pub(crate) use engine::{Engine, News};
pub(crate) use failing::{COLLECTOR, about_hook, hook_of};
pub use run::{Alerts, Board};
