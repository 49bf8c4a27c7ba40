//! What is to be said of an incident that is open.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::quiet::{Quiet, about};
use super::{Due, Event, Member, Say, Standing, Told, View};
use crate::policy::{Route, Silences};

/// What is shared is told so long after the last message, at the soonest.
const EXPLAIN: Duration = Duration::from_secs(10);

pub(super) fn tell(say: &mut Say<'_>, silences: &Silences, standing: &Standing<'_>) {
    let now = say.now;
    if let Some(until) = standing.wait_until.filter(|until| *until > now) {
        say.tell.wake(Some(until));
        return;
    }
    let quiet = Quiet::at(say.policy, silences, now);
    say.tell.wake(quiet.next_change(standing));
    let members = quiet.effective(standing);
    let Some(severity) = members.iter().map(|member| member.severity).max() else { return cover(say) };
    let view = View { severity, nodes: nodes(&members), explained: standing.explained, apart: standing.apart.clone() };
    let policy = say.policy;
    let mut asked = BTreeSet::new();
    for route in policy.taken(|matches| about(matches, standing, &members, severity)) {
        for hook in &route.hooks {
            // Of several routes to a hook, the first says how it is told.
            let told = say.told.get(hook).is_some_and(|told| told.event != Event::Resolved);
            if !asked.insert(hook) || (!told && standing.heard_by.contains(&&**hook)) {
                continue;
            }
            let next = |say: &Say<'_>| due(say.told.get(hook), route, standing.opened_at, &view, now);
            let first = next(say);
            if say.due(hook, first, &view)
                && let Due::At(again) = next(say)
            {
                say.tell.wake(Some(again));
            }
        }
    }
}

/// All of it is covered. Who was told of it and can keep that somebody has it in hand is told so once.
fn cover(say: &mut Say<'_>) {
    let open = say.told.iter().filter(|(_, told)| told.event != Event::Resolved && !told.covered);
    let hooks: Vec<(Arc<str>, View)> = open.map(|(hook, told)| (hook.clone(), View::from(told))).collect();
    for (hook, view) in hooks {
        if say.policy.hook(&hook).is_some_and(|hook| hook.kind.acknowledges()) {
            say.due(&hook, Due::Now(Event::Acknowledged), &view);
        } else if let Some(told) = say.told.get_mut(&hook) {
            told.covered = true;
        }
    }
}

fn nodes(members: &[Member<'_>]) -> u32 {
    let names: BTreeSet<&str> = members.iter().map(|member| member.node).collect();
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

fn due(told: Option<&Told>, route: &Route, opened_at: Timestamp, view: &View, now: Timestamp) -> Due {
    let Some(told) = told.filter(|told| told.event != Event::Resolved) else {
        return Due::once(opened_at, route.held_for, Event::Opened, now);
    };
    if told.covered || view.severity > told.severity {
        return Due::Now(Event::Updated);
    }
    let explained = (view.explained && !told.explained).then_some(EXPLAIN);
    let grew = view.nodes >= told.nodes.saturating_mul(2) || !view.apart.is_subset(&told.apart);
    let update =
        explained.into_iter().chain(grew.then_some(route.update)).min().map(|delay| Due::once(told.at, delay, Event::Updated, now));
    let repeat = route.repeat.map(|delay| Due::once(told.at, delay, Event::Repeated, now));
    match (update, repeat) {
        // What is new goes before what is not, once both are due.
        (Some(Due::At(update)), Some(Due::At(repeat))) => Due::At(update.min(repeat)),
        (Some(Due::At(_)), Some(repeat)) => repeat,
        (Some(update), _) => update,
        (None, repeat) => repeat.unwrap_or(Due::Never),
    }
}
