//! The collector's finding about itself: a hook that takes nothing. It is told to the other hooks.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Evidence, Layer, PresentCause, Remedy, Severity};

use crate::correlate::Incident;
use crate::hooks::{HookCounts, HookState};
use crate::message::Kind;
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

/// The hook that an incident is about. Only what the collector found itself is about one, whatever an agent calls its cases.
pub(crate) fn about_hook(incident: &Incident) -> Option<&str> {
    (incident.kind == Kind::Collector).then(|| hook_of(&incident.first.1))?
}

/// The hook that a finding of the collector is about.
pub(crate) fn hook_of(cause: &PresentCause) -> Option<&str> {
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
    use std::path::Path;

    use tokio::sync::watch;

    use super::*;
    use crate::message::Message;
    use crate::policy::{Loaded, Policy};
    use crate::store::{Letter, Which};

    #[test]
    fn a_finding_says_which_hook_it_is_about() {
        let cause = cause("ops/eu", "webhook", Timestamp::UNIX_EPOCH, &HookCounts::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(hook_of(&cause), Some("ops/eu"));
    }

    /// A store with the hooks `a` and `b`; the sender has to be kept.
    fn store(dir: &Path) -> (Store, watch::Sender<Loaded>) {
        let text = "hooks:\n  - {name: a, webhook: {url: 'http://h/a'}}\n  - {name: b, webhook: {url: 'http://h/b'}}\n";
        let policy = Policy::parse(Path::new("alerts.yaml"), text).expect("good").into();
        let (sender, policy) = watch::channel(Loaded { policy, problem: None, since: Timestamp::now() });
        (Store::open(dir, policy).expect("opened").store, sender)
    }

    /// What waits for hooks: hook and event.
    async fn told(store: &Store) -> Vec<String> {
        let letters = store.letters(Which::default(), false, 100).await.expect("read");
        let words = |letter: Letter| {
            let message: Message = serde_json::from_str(&letter.message).expect("a message");
            assert_eq!((message.kind, &*message.cause.code), (Kind::Collector, CODE));
            format!("{} {}", letter.hook, message.event.word())
        };
        letters.into_iter().map(words).collect()
    }

    #[tokio::test]
    async fn a_hook_that_takes_nothing_for_a_minute_is_told_to_the_others_once_and_is_over_when_it_takes_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _policy) = store(dir.path());
        let states = ["a", "b"].map(|name| HookState::new(name.into(), "webhook"));
        let (mut failing, since) = (Failing::default(), Timestamp::now());
        let after = |seconds| since + SignedDuration::from_secs(seconds);
        states[0].failed("connection refused", false, since);
        failing.look(&store, &states, after(59)).await;
        assert_eq!(told(&store).await, [""; 0]);
        failing.look(&store, &states, after(60)).await;
        failing.look(&store, &states, after(65)).await;
        assert_eq!(told(&store).await, ["b opened"], "and not to the hook that takes nothing");
        let found = store.incidents(true, None, 10).await.expect("read");
        assert!(found.len() == 1 && found[0].title == "The alert hook a (webhook) takes nothing", "{found:?}");
        states[0].delivered(after(70));
        failing.look(&store, &states, after(70)).await;
        assert_eq!(told(&store).await, ["b opened", "b resolved"]);
        assert_eq!(store.incidents(true, None, 10).await.expect("read"), []);
    }

    #[tokio::test]
    async fn when_all_hooks_fail_each_is_told_of_the_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _policy) = store(dir.path());
        let states = ["a", "b"].map(|name| HookState::new(name.into(), "webhook"));
        let since = Timestamp::now();
        for state in &states {
            state.failed("connection refused", false, since);
        }
        Failing::default().look(&store, &states, since + PATIENCE).await;
        let mut told = told(&store).await;
        told.sort();
        assert_eq!(told, ["a opened", "b opened"]);
    }

    #[tokio::test]
    async fn a_hook_that_was_taken_out_of_the_policy_does_not_take_messages_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, policy) = store(dir.path());
        let (states, since) = (["a", "b"].map(|name| HookState::new(name.into(), "webhook")), Timestamp::now());
        let mut failing = Failing::default();
        states[0].failed("connection refused", false, since);
        failing.look(&store, &states, since + PATIENCE).await;
        let text = "hooks: [{name: b, webhook: {url: 'http://h/b'}}]\n";
        let without = Policy::parse(Path::new("alerts.yaml"), text).expect("good").into();
        policy.send_replace(Loaded { policy: without, problem: None, since });
        failing.look(&store, &states[1..], since + PATIENCE).await;
        assert_eq!(told(&store).await, ["b opened", "b resolved"]);
        let letters = store.letters(Which::default(), false, 10).await.expect("read");
        assert!(letters[1].message.contains("the hook a is not in the alert policy any more"), "{}", letters[1].message);
    }

    #[tokio::test]
    async fn what_was_found_stands_when_the_store_had_to_be_read_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _policy) = store(dir.path());
        let (states, since) = (["a", "b"].map(|name| HookState::new(name.into(), "webhook")), Timestamp::now());
        let mut failing = Failing::default();
        states[0].failed("connection refused", false, since);
        failing.look(&store, &states, since + PATIENCE).await;
        store.write(crate::store::Touches::Nothing, crate::store::tests::cannot_be_committed).await.expect_err("not committed");
        store.alert_step().await.expect("a step");
        failing.look(&store, &states, since + PATIENCE * 2).await;
        assert_eq!(told(&store).await, ["b opened"]);
        assert_eq!(store.incidents(true, None, 10).await.expect("read").len(), 1);
    }

    #[tokio::test]
    async fn a_case_that_an_agent_calls_like_a_finding_is_told_to_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _policy) = store(dir.path());
        crate::store::tests::open(&store, "worker-1", "hook-failing/b/1").await;
        let letters = store.letters(Which::default(), false, 10).await.expect("read");
        assert_eq!(letters.iter().map(|letter| &*letter.hook).collect::<Vec<_>>(), ["a", "b"]);
    }
}
