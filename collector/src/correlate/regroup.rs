//! When the incidents of a family are put together anew. To look at all of a family costs as much as the family is great, and in an outage of
//! a great fleet there is news of it many times a second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Book, Incident};
use crate::fleet::Fleet;
use crate::policy::Flap;
use crate::tell::after;

/// While something waits, a family is put together at most this often: several times before anything of it is told.
const LEAST: Duration = Duration::from_millis(50);
/// While nothing waits, at most so long for each of its cases: what is told already is explained a little later.
const OF_A_CASE: Duration = Duration::from_micros(100);
/// What was put together so long ago is as if it never was.
const FORGET: SignedDuration = SignedDuration::from_mins(1);

/// What a step brought.
#[derive(Debug, Default)]
pub(super) struct News {
    /// These families have to be put together anew.
    pub(super) families: BTreeSet<String>,
    /// These in this step, as something new of them waits for nothing.
    pub(super) at_once: BTreeSet<String>,
    /// These incidents have a further node that has what is shared, which needs no more than to be counted.
    pub(super) joined: BTreeSet<String>,
}

/// What was done, and what is to be done.
#[derive(Debug, Clone, Default)]
pub(super) struct Regroup {
    /// When families were put together last.
    done: BTreeMap<String, Timestamp>,
    /// When there was news last of those that are to be.
    put_off: BTreeMap<String, Timestamp>,
}

impl Book {
    /// Puts families together of which there is news, now or a little later. Gives when it is later.
    pub(super) fn regroup(&mut self, news: News, fleet: &Fleet, (flap, now): (Flap, Timestamp)) -> Option<Timestamp> {
        for id in &news.joined {
            self.count_again(id, fleet, now);
        }
        self.regroup.done.retain(|_, at| now.duration_since(*at).abs() < FORGET);
        let mut later = None;
        let put_off = self.regroup.put_off.keys();
        let families: BTreeSet<String> = news.families.iter().chain(&news.at_once).chain(put_off).cloned().collect();
        for family in families {
            let is_new = news.families.contains(&family) || news.at_once.contains(&family);
            let until = self.not_before(&family, now).filter(|_| !news.at_once.contains(&family));
            if let Some(until) = until {
                if is_new {
                    self.regroup.put_off.insert(family, now);
                }
                later = later.into_iter().chain([until]).min();
                continue;
            }
            // What waited is told now: first as it was put off, while it waited.
            let put_off = self.regroup.put_off.remove(&family);
            let as_of =
                put_off.filter(|at| self.open_of(&family).any(|one| one.wait_until.is_some_and(|until| *at < until && until <= now)));
            if let Some(at) = as_of {
                self.group(&family, fleet, (flap, at));
            }
            if as_of.is_none() || is_new {
                self.group(&family, fleet, (flap, now));
            }
            self.regroup.done.insert(family, now);
        }
        later
    }

    fn open_of(&self, family: &str) -> impl Iterator<Item = &Incident> {
        self.incidents.values().filter(move |one| one.family == family && one.is_open())
    }

    /// Until when a family need not be put together, if it was a moment ago, and nothing of it is told before.
    fn not_before(&self, family: &str, now: Timestamp) -> Option<Timestamp> {
        let done = self.regroup.done.get(family).filter(|done| **done <= now)?;
        let told_at = self.open_of(family).filter_map(|one| one.wait_until).min();
        let pause = match told_at {
            Some(_) => LEAST,
            None => {
                let cases = self.open_of(family).map(|one| one.members.len()).sum::<usize>();
                OF_A_CASE.saturating_mul(u32::try_from(cases).unwrap_or(u32::MAX)).max(LEAST)
            }
        };
        let until = after(*done, pause);
        (now < until && told_at.is_none_or(|at| until < at)).then_some(until)
    }

    /// A further node that has what is shared may come with others that have it and are well.
    fn count_again(&mut self, id: &str, fleet: &Fleet, now: Timestamp) {
        let Some(one) = self.incidents.get_mut(id) else { return };
        let since = super::predicate::changed_since(now);
        if let Some((mark, shared)) = one.mark.as_ref().zip(one.shared.as_mut()) {
            let before = |from: &str| {
                one.members
                    .keys()
                    .filter_map(|(node, _)| fleet.node(node)?.about.traits.get(&shared.name)?.changed.as_ref())
                    .all(|changed| *changed.from == *from)
            };
            shared.having = fleet.having(mark, since);
            shared.before = shared.before.take().filter(|from| before(from));
        }
    }
}
