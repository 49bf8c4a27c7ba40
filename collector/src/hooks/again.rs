//! What an Alertmanager is told again: it takes an alert as resolved at its `endsAt`, and one that was away did not hear of an end.

use std::time::Duration;

use jiff::Timestamp;

use super::alertmanager::{Alert, Labels, alerts as of_message};
use crate::message::Message;
use crate::store::StandingAlert;

/// Alerts in one request.
const AT_ONCE: usize = 200;

/// The labels by which an incident is known.
pub(super) fn labels(standing: &StandingAlert) -> Option<Labels> {
    serde_json::from_str(&standing.labels).ok()
}

/// The alerts of all that stands, as requests are made of them.
pub(super) fn alerts(standing: &[StandingAlert], now: Timestamp, ahead: Duration) -> Vec<Vec<Alert>> {
    let one = |standing: &StandingAlert| {
        let message: Message = serde_json::from_str(&standing.message).ok()?;
        of_message(&super::text::shorten(&message, 20_000), labels(standing).as_ref(), now, ahead).pop()
    };
    let all: Vec<Alert> = standing.iter().filter_map(one).collect();
    all.chunks(AT_ONCE).map(<[Alert]>::to_vec).collect()
}
