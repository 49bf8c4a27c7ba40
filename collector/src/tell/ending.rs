//! What is to be said of an incident that is over, or has become part of another. Only who was told of it hears that.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::quiet::about;
use super::{Due, Event, Say, Standing, Told, View};
use crate::message::Kind;
use crate::policy::Policy;

/// Incidents of several nodes (a hook that takes nothing is none) may be back in a moment: nodes of one event come and go one by one.
const SEVERAL: Duration = Duration::from_secs(60);

/// Neither silences nor routes keep this back: who was told that something is wrong is told when it is not. But a hook has to be there still.
pub(super) fn tell(say: &mut Say<'_>, standing: &Standing<'_>) {
    let open = |told: &Told| told.event != Event::Resolved;
    let owed: Vec<(Arc<str>, Told)> =
        say.told.iter().filter(|(_, told)| open(told)).map(|(hook, told)| (hook.clone(), told.clone())).collect();
    for (hook, told) in owed {
        if say.policy.hook(&hook).is_none() {
            continue;
        }
        let due = resolved(say.policy, standing, &hook, &told, say.now);
        say.due(&hook, due, &View::from(&told));
    }
}

fn resolved(policy: &Policy, standing: &Standing<'_>, hook: &Arc<str>, told: &Told, now: Timestamp) -> Due {
    let Some(closed_at) = standing.closed_at.filter(|_| standing.merged_into.is_none()) else { return Due::Now(Event::Resolved) };
    // One that comes and goes was watched for long enough before it was called over.
    if standing.flapping {
        return Due::Now(Event::Resolved);
    }
    // The route by which it was told: with the severity that was told, and of all members, as they may be silenced by now.
    let taken = policy.taken(|matches| about(matches, standing, &standing.members, told.severity));
    let said = taken.into_iter().find(|route| route.hooks.contains(hook)).map_or(Duration::ZERO, |route| route.resolve_after);
    let several = !matches!(standing.kind, Kind::Node | Kind::Collector) || told.nodes > 1;
    Due::once(closed_at, if several { said.max(SEVERAL) } else { said }, Event::Resolved, now)
}
