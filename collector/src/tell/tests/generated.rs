//! Histories made by chance, from fixed seeds: what is said may not depend on how often one asks.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Length of a history, in ms. Policies in it are as short.
const LENGTH: i64 = 40 * SECOND;
/// Everything happens at a multiple of it.
const TICK: i64 = 50;

/// What happens to the incidents and when: all of it is known beforehand, so that it can be told in two ways.
struct History {
    rest: String,
    silences: Silences,
    /// When, which incident, and how it stands from then on.
    changes: Vec<(i64, usize, Incident)>,
}

/// A time between these.
fn time(chance: &mut StdRng, from: i64, until: i64) -> i64 {
    chance.random_range(from / TICK..until / TICK) * TICK
}

fn severity(chance: &mut StdRng) -> Severity {
    [Severity::Info, Severity::Warning, Severity::Critical][chance.random_range(0..3)]
}

fn history(chance: &mut StdRng) -> History {
    let mut rest = "routes:\n".to_owned();
    let first = chance.random_range(0..3);
    for which in [first, (first + chance.random_range(1..3)) % 3] {
        let delay = |chance: &mut StdRng, most: i64| {
            ["0s".to_owned(), format!("{}ms", time(chance, TICK, most))][chance.random_range(0..2)].clone()
        };
        let (held, resolve) = (delay(chance, 9000), delay(chance, 9000));
        let matches = ["severity: [critical]", "node: ['n1*']", "severity: [warning, critical], node: [n0, n2]"][which];
        let hooks = ["[a]", "[b]", "[a, b]"][chance.random_range(0..3)];
        let update = time(chance, 1000, 9000);
        rest += &format!(
            "  - {{match: {{{matches}}}, hooks: {hooks}, for: {held}, resolveAfter: {resolve}, update: {update}ms, repeat: 1m, continue: {}}}\n",
            chance.random_bool(0.5)
        );
    }
    rest += &format!("rateCap: {{messages: {}, within: {}ms}}\n", chance.random_range(1..4), time(chance, 1000, 9000));
    if chance.random_bool(0.5) {
        let from = time(chance, 0, LENGTH / 2);
        let until = time(chance, from + TICK, LENGTH);
        rest += &format!("maintenance: [{{match: {{node: [n0]}}, from: {}, until: {}}}]\n", at(from), at(until));
    }
    let from = time(chance, 0, LENGTH / 2);
    let silences = silence(&[["node=n1", "severity=critical"][chance.random_range(0..2)]], from, time(chance, from + TICK, LENGTH));
    let mut changes = Vec::new();
    for which in 0..3 {
        changes.extend(life(chance).into_iter().map(|(when, incident)| (when, which, incident)));
    }
    changes.sort_by_key(|(when, which, _)| (*when, *which));
    History { rest, silences, changes }
}

/// One incident: it opens, changes, closes, comes again, or becomes part of another.
fn life(chance: &mut StdRng) -> Vec<(i64, Incident)> {
    let mut now = time(chance, 0, LENGTH / 4);
    let mut incident = Incident::on(&["n0"], severity(chance));
    incident.opened = now;
    incident.wait = chance.random_bool(0.3).then(|| now + time(chance, TICK, 1200));
    let mut life = vec![(now, incident.clone())];
    while now < LENGTH {
        now += time(chance, TICK, 4000);
        match (chance.random_range(0..8), incident.closed) {
            (0, _) if chance.random_bool(0.2) => incident.merged = true,
            (0..=3, None) => {
                incident.nodes = (0..chance.random_range(1..9)).map(|n| (format!("n{n}"), severity(chance))).collect();
                incident.kind = if incident.nodes.len() > 1 { Kind::Label } else { incident.kind };
            }
            (4, None) => incident.explained = true,
            (_, None) => incident.closed = Some(now),
            (0..=5, Some(_)) => {
                (incident.opened, incident.closed) = (now, None);
                incident.flapping |= chance.random_bool(0.5);
            }
            _ => {}
        }
        life.push((now, incident.clone()));
        if incident.merged {
            break;
        }
    }
    life
}

/// Tells a history. `always` asks at every tick; else only when something changed, and at the times that were asked for.
fn tell_it(history: &History, always: bool) -> Vec<String> {
    let mut world = World::new(&history.rest).with(history.silences.clone());
    let (mut told, mut wakes, mut states) = (vec![BTreeMap::new(); 3], [None; 3], [None, None, None]);
    let mut changes = history.changes.iter().peekable();
    let mut said = Vec::new();
    for now in (0..LENGTH + 2 * MINUTE).step_by(TICK as usize) {
        let mut changed = [false; 3];
        while let Some((_, which, incident)) = changes.next_if(|(when, ..)| *when <= now) {
            (states[*which], changed[*which]) = (Some(incident), true);
        }
        for which in 0..3 {
            let Some(incident) = states[which] else { continue };
            if always || changed[which] || wakes[which].is_some_and(|wake| wake <= now) {
                world.told = std::mem::take(&mut told[which]);
                said.extend(world.tell(incident, now).into_iter().map(|words| format!("{now} {which} {words}")));
                (told[which], wakes[which]) = (std::mem::take(&mut world.told), world.wake);
            }
        }
    }
    said
}

#[test]
fn what_is_said_does_not_depend_on_how_often_one_asks() {
    let mut said = 0;
    for seed in 0..150 {
        let history = history(&mut StdRng::seed_from_u64(seed));
        let (always, when_asked_to) = (tell_it(&history, true), tell_it(&history, false));
        assert_eq!(always, when_asked_to, "seed {seed}\n{}", history.rest);
        said += always.len();
    }
    assert!(said > 800, "only {said} messages: the histories have become too quiet");
}

/// What has to hold of every history, however it goes.
#[test]
fn every_hook_hears_a_story_that_can_be_followed() {
    for seed in 100..400 {
        let history = history(&mut StdRng::seed_from_u64(seed));
        let mut open = std::collections::BTreeSet::new();
        for line in tell_it(&history, false) {
            let [_, which, hook, event] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let about = (which.to_owned(), hook.to_owned());
            let good = match event {
                "opened" => open.insert(about),
                "resolved" => open.remove(&about),
                _ => open.contains(&about),
            };
            assert!(good, "seed {seed}: {line}");
        }
        for (which, hook) in open {
            let last = history.changes.iter().rev().find(|(_, of, _)| of.to_string() == which).expect("it was told");
            assert!(last.2.closed.is_none() && !last.2.merged, "seed {seed}: the end of {which} was never told to {hook}");
        }
    }
}
