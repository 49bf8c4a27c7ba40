//! Hooks that are not in the policy any more.

use std::sync::Arc;

use jiff::Timestamp;

use super::about_hook;
use crate::correlate::{Book, Incident};
use crate::message::Kind;
use crate::policy::Policy;

/// That a hook takes nothing is over when it is in the policy no more; but that is not to say that it takes messages.
pub(super) fn word_endings(book: &mut Book, policy: &Policy, now: Timestamp) {
    let just = |one: &&Incident| one.kind == Kind::Collector && one.ended.as_ref().is_some_and(|(at, _)| *at == now);
    let over = book.incidents().filter(just);
    let gone = over.filter(|one| about_hook(one).is_some_and(|hook| policy.hook(hook).is_none()));
    let gone: Vec<(String, String)> = gone.filter_map(|one| Some((one.id.clone(), about_hook(one)?.to_owned()))).collect();
    for (id, hook) in gone {
        let reason = format!("the hook {hook} is not in the alert policy any more");
        if let Some((_, said)) = book.get_mut(&id).and_then(|one| one.ended.as_mut()) {
            *said = reason;
        }
    }
}

/// What was told to hooks that have not been there for long: their incidents would wait for ever for somebody to tell the end to.
pub(super) fn forget(book: &mut Book, known: &[Arc<str>], policy: &Policy) {
    let is_gone = |hook: &Arc<str>| !known.contains(hook) && policy.hook(hook).is_none();
    let told: Vec<String> = book.incidents().filter(|one| one.told.keys().any(is_gone)).map(|one| one.id.clone()).collect();
    for id in told {
        if let Some(one) = book.get_mut(&id) {
            one.told.retain(|hook, _| !is_gone(hook));
        }
    }
}
