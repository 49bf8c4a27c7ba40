//! The collector's finding about itself: a hook that takes nothing. It is told to the other hooks.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Evidence, Layer, PresentCause, Remedy, Severity};

use crate::hooks::{HookCounts, HookState};
use crate::store::Store;

/// The code of the finding.
pub(crate) const CODE: &str = "hook-failing";
/// Who has it.
pub(crate) const COLLECTOR: &str = "nodewhy-collector";
/// A hook that is away for a shorter time is nothing to speak of.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What was found last.
#[derive(Debug, Default)]
pub(super) struct Failing(BTreeSet<String>);

impl Failing {
    /// Looks at the hooks; what changed is written down and told.
    pub(super) async fn look(&mut self, store: &Store, states: &[Arc<HookState>], now: Timestamp) {
        let failing = |state: &Arc<HookState>| {
            let counts = state.counts();
            let since = counts.failing_since.filter(|since| now.duration_since(*since) >= PATIENCE)?;
            Some(cause(&state.name, state.kind, since, &counts, now))
        };
        let causes: Vec<PresentCause> = states.iter().filter_map(failing).collect();
        let now_failing: BTreeSet<String> = causes.iter().map(|cause| cause.case_id.clone()).collect();
        if now_failing == self.0 {
            return;
        }
        for cause in causes.iter().filter(|cause| !self.0.contains(&cause.case_id)) {
            tracing::error!("{}", cause.message);
        }
        match store.own(causes).await {
            Ok(()) => self.0 = now_failing,
            Err(error) => tracing::error!("that a hook takes nothing cannot be written down, tried again: {error}"),
        }
    }
}

/// The hook that a finding is about.
pub(super) fn hook_of(cause: &PresentCause) -> Option<&str> {
    cause.case_id.strip_prefix(CODE)?.strip_prefix('/')?.rsplit_once('/').map(|(hook, _)| hook)
}

fn cause(hook: &str, kind: &str, since: Timestamp, counts: &HookCounts, now: Timestamp) -> PresentCause {
    let said = counts.last_error.clone().unwrap_or_default();
    let waiting = counts.waiting;
    PresentCause {
        case_id: format!("{CODE}/{hook}/{}", since.as_microsecond()),
        code: CODE.to_owned(),
        title: format!("The alert hook {hook} ({kind}) takes nothing"),
        severity: Severity::Critical,
        layer: Layer::Network,
        root: true,
        latent: false,
        since,
        message: format!(
            "The alert hook {hook} ({kind}) has taken nothing since {since:.0}; {waiting} messages wait for it. Its last words: {said}"
        ),
        evidence: vec![Evidence { source: format!("hook:{hook}"), at: Some(now), quote: said, count: counts.failed }],
        explains: Vec::new(),
        explained_by: Vec::new(),
        remedy: vec![
            Remedy { say: "Try the hook, on the collector's host".to_owned(), run: Some(format!("nodewhy-collector hooks test {hook}")) },
            Remedy {
                say: "See what waits for it; nothing is lost, it is sent when the hook takes messages again".to_owned(),
                run: Some("kubectl nodewhy alerts list".to_owned()),
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_which_hook_it_is_about() {
        let cause = cause("ops/eu", "webhook", Timestamp::UNIX_EPOCH, &HookCounts::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(hook_of(&cause), Some("ops/eu"));
    }
}
