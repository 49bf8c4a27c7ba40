//! Which checks to ask again, and how often: those whose facts an open case, or a cause just sighted, reads. And what a judgement waits
//! for: looks that began after the sighting, since no others can refute it or tell that it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::Catalogue;
use nodewhy_diagnosis::catalogue::{Cause, Sighting, Sign};
use tokio::time::Instant;

use crate::checks;

/// A unit that changes all the time does not make every check look all the time.
const UNIT_COOLDOWN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Hurry {
    /// Checks that report what a cause reads.
    checks_of: BTreeMap<String, BTreeSet<&'static str>>,
    /// Causes present now.
    open: BTreeSet<String>,
    /// Checks ordered to look since a sighting at that time, not yet back.
    awaited: BTreeMap<&'static str, Timestamp>,
    /// Checks that have not looked since a sighting at that time: even the same facts again will be news.
    stale: BTreeMap<&'static str, Timestamp>,
    told: BTreeSet<&'static str>,
    unit_changed: Option<Instant>,
}

impl Hurry {
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let checks_of = catalogue.causes().iter().map(|cause| (cause.code.clone(), checks_of(cause))).collect();
        Self {
            checks_of,
            open: BTreeSet::new(),
            awaited: BTreeMap::new(),
            stale: BTreeMap::new(),
            told: BTreeSet::new(),
            unit_changed: None,
        }
    }

    /// Goes by another catalogue from now on.
    pub(super) fn learn(&mut self, catalogue: &Catalogue) {
        self.checks_of = Self::new(catalogue).checks_of;
    }

    /// Checks to look at once because of these sightings of causes that are not open yet.
    pub(super) fn for_sightings(&mut self, sightings: &[Sighting]) -> Vec<&'static str> {
        let mut newest: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for sighting in sightings {
            newest.entry(&sighting.code).and_modify(|at| *at = sighting.at.max(*at)).or_insert(sighting.at);
        }
        let mut wanted = BTreeSet::new();
        for (code, at) in newest {
            let open = self.open.contains(code);
            for check in self.checks_of.get(code).into_iter().flatten() {
                later(&mut self.stale, check, at);
                if !open {
                    later(&mut self.awaited, check, at);
                    wanted.insert(*check);
                }
            }
        }
        wanted.into_iter().collect()
    }

    /// Checks to look at once because a unit changed: what it ran on may have changed as well.
    pub(super) fn after_unit_change(&mut self) -> Vec<&'static str> {
        let now = Instant::now();
        if self.unit_changed.is_some_and(|at| now < at + UNIT_COOLDOWN) {
            return Vec::new();
        }
        self.unit_changed = Some(now);
        checks::ALL
            .iter()
            .filter(|check| ![checks::UNITS.name, checks::RUNTIME_UNIT.name].contains(&check.name))
            .map(|check| check.name)
            .collect()
    }

    /// A look that began then is back. Whether it is the first since a sighting that it may refute or end.
    pub(super) fn came_back(&mut self, check: &str, began_at: Timestamp) -> bool {
        let since = |at: Option<&Timestamp>| at.is_some_and(|at| *at < began_at);
        if since(self.awaited.get(check)) {
            self.awaited.remove(check);
        }
        since(self.stale.get(check)) && self.stale.remove(check).is_some()
    }

    /// The sightings that were waited for lie ahead now.
    pub(super) fn clock_set_back(&mut self) {
        self.awaited.clear();
        self.stale.clear();
    }

    pub(super) fn all_came_back(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Takes note of the causes present; gives the checks that have to hurry, if they are others than told last.
    pub(super) fn open(&mut self, open: BTreeSet<String>) -> Option<BTreeSet<&'static str>> {
        let wanted: BTreeSet<&'static str> = open.iter().filter_map(|code| self.checks_of.get(code)).flatten().copied().collect();
        self.open = open;
        self.awaited.clear();
        (wanted != self.told).then(|| {
            self.told.clone_from(&wanted);
            wanted
        })
    }
}

fn later(times: &mut BTreeMap<&'static str, Timestamp>, check: &'static str, at: Timestamp) {
    times.entry(check).and_modify(|known| *known = at.max(*known)).or_insert(at);
}

/// Checks that report facts which the cause reads or quotes.
fn checks_of(cause: &Cause) -> BTreeSet<&'static str> {
    let mut paths: BTreeSet<&str> = cause.evidence.iter().map(String::as_str).collect();
    for sign in &cause.signs {
        match sign {
            Sign::Fact(sign) => paths.extend(&sign.expr.paths),
            Sign::Log(sign) => paths.extend(sign.ends.iter().chain(sign.only_if.as_deref()).flat_map(|expr| &expr.paths)),
        }
    }
    paths.extend(cause.absent.iter().flat_map(|expr| &expr.paths));
    let beneath = |path: &str, prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let reports = |check: &&checks::Check| paths.iter().any(|path| check.reports.iter().any(|prefix| beneath(path, prefix)));
    checks::ALL.iter().filter(reports).map(|check| check.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn sighting(code: &str) -> Sighting {
        Sighting {
            code: code.to_owned(),
            sign: 0,
            at: at(10),
            unit: "kubelet.service".to_owned(),
            text: String::new(),
            cursor: String::new(),
            captures: BTreeMap::new(),
        }
    }

    #[test]
    fn a_new_sighting_asks_for_what_its_cause_quotes_and_waits_for_all_of_it() {
        let mut hurry = Hurry::new(nodewhy_causes::catalogue());
        let wanted = hurry.for_sightings(&[sighting("swap-enabled")]);
        assert!(wanted.contains(&"swap") && wanted.contains(&"units"), "{wanted:?}");
        assert!(!hurry.all_came_back());
        wanted.iter().for_each(|check| assert!(hurry.came_back(check, at(11)), "{check}"));
        assert!(hurry.all_came_back());
    }

    #[test]
    fn a_look_that_began_before_the_sighting_is_not_the_one_that_is_waited_for() {
        let mut hurry = Hurry::new(nodewhy_causes::catalogue());
        let wanted = hurry.for_sightings(&[sighting("swap-enabled")]);
        wanted.iter().for_each(|check| assert!(!hurry.came_back(check, at(10)), "{check}"));
        assert!(!hurry.all_came_back());
    }

    #[test]
    fn the_first_look_since_a_sighting_is_news_also_for_a_cause_that_is_open_and_the_next_is_not() {
        let mut hurry = Hurry::new(nodewhy_causes::catalogue());
        hurry.open(BTreeSet::from(["swap-enabled".to_owned()]));
        assert_eq!(hurry.for_sightings(&[sighting("swap-enabled")]), Vec::<&str>::new());
        assert!(!hurry.came_back("swap", at(10)));
        assert!(hurry.came_back("swap", at(11)));
        assert!(!hurry.came_back("swap", at(12)));
        assert!(hurry.all_came_back(), "nothing is held for it");
    }

    #[test]
    fn a_cause_that_is_open_is_not_waited_for_again() {
        let mut hurry = Hurry::new(nodewhy_causes::catalogue());
        let hurried = hurry.open(BTreeSet::from(["swap-enabled".to_owned()])).expect("others than before");
        assert!(hurried.contains("swap"));
        assert_eq!(hurry.for_sightings(&[sighting("swap-enabled")]), Vec::<&str>::new());
        assert_eq!(hurry.open(BTreeSet::from(["swap-enabled".to_owned()])), None);
        assert_eq!(hurry.open(BTreeSet::new()), Some(BTreeSet::new()));
    }

    #[test]
    fn a_unit_that_changes_all_the_time_does_not_make_the_checks_look_all_the_time() {
        let mut hurry = Hurry::new(nodewhy_causes::catalogue());
        assert!(hurry.after_unit_change().contains(&"swap"));
        assert_eq!(hurry.after_unit_change(), Vec::<&str>::new());
    }

    #[test]
    fn a_sighting_of_a_cause_nobody_knows_asks_for_nothing() {
        let mut hurry = Hurry::new(nodewhy_causes::catalogue());
        assert_eq!(hurry.for_sightings(&[sighting("no-such-cause")]), Vec::<&str>::new());
    }
}
