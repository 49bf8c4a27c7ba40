use std::collections::BTreeMap;
use std::time::Duration;

use nodewhy_diagnosis::model::{Layer, PresentCause};

mod again;
mod groups;
mod own;
mod regroup;

use super::*;
use crate::fleet::{About, Changed, Node, Trait};
use crate::message::{Event, Message};
use crate::tell::{Member, Told};

/// A fleet, its incidents and the time; what is told is told to one hook, when it may be.
struct World {
    fleet: Fleet,
    book: Book,
    now: Timestamp,
    flap: Flap,
    /// Opened and resolved, by incident.
    told: Vec<(Event, String)>,
}

const MILLI: SignedDuration = SignedDuration::from_millis(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

impl World {
    /// So many nodes, ten a rack, in one zone with one API server.
    fn new(nodes: usize) -> Self {
        let mut fleet = Fleet::default();
        for n in 0..nodes {
            fleet.set(name(n), node(n));
        }
        let now = Timestamp::from_second(1_000_000).expect("a time");
        Self { fleet, book: Book::default(), now, flap: Flap::default(), told: Vec::new() }
    }

    fn change(&mut self, nodes: impl IntoIterator<Item = usize>, change: impl Fn(&mut Node, Timestamp)) {
        let mut changed = BTreeSet::new();
        for n in nodes {
            let mut node = self.fleet.node(&name(n)).expect("of the fleet").clone();
            change(&mut node, self.now);
            self.fleet.set(name(n), node);
            changed.insert(name(n));
        }
        self.step(&changed);
    }

    fn open(&mut self, nodes: impl IntoIterator<Item = usize>, code: &str) {
        self.change(nodes, |node, now| {
            let cause = Arc::new(cause(code, now));
            let case_id = cause.case_id.as_str().into();
            node.cases.push(OpenCase { case_id, severity: Severity::Critical, opened_at: now, cause });
        });
    }

    fn close(&mut self, nodes: impl IntoIterator<Item = usize>, code: &str) {
        self.change(nodes, |node, _| node.cases.retain(|case| case.cause.code != code));
    }

    fn configure(&mut self, nodes: impl IntoIterator<Item = usize>, value: &str) {
        self.change(nodes, |node, now| {
            let changed = Some(Changed { from: "old".into(), at: now });
            node.about.traits.insert("kubeletConfig".into(), Trait { value: value.into(), changed });
        });
    }

    fn pass(&mut self, time: SignedDuration) {
        self.now += time;
        self.step(&BTreeSet::new());
    }

    fn step(&mut self, nodes: &BTreeSet<Arc<str>>) {
        let now = self.now;
        let mut ending = |_: &CaseKey| Ending { at: now, reason: "absent: it is mended".into() };
        self.book.correlate(&self.fleet, nodes, &mut ending, self.flap, now);
        for id in self.book.take_changed() {
            let one = self.book.get_mut(&id).expect("kept");
            let waits = one.held_by.is_some() || one.wait_until.is_some_and(|until| until > now);
            let told = one.told.get("h").map(|told| told.event);
            let event = match (one.is_open() && !one.members.is_empty(), told) {
                (true, None | Some(Event::Resolved)) if !waits => Event::Opened,
                (false, Some(Event::Opened)) if !one.is_open() => Event::Resolved,
                _ => continue,
            };
            let told = Told {
                event,
                at: now,
                severity: one.worst,
                nodes: one.node_count(),
                explained: one.mark.is_some(),
                apart: BTreeSet::new(),
                covered: false,
                number: 1,
            };
            one.told.insert("h".into(), told);
            self.told.push((event, id));
        }
        self.book.take_changed();
    }

    fn opened(&self) -> Vec<&str> {
        self.told.iter().filter(|(event, _)| *event == Event::Opened).map(|(_, id)| &**id).collect()
    }

    fn title_of(&self, id: &str) -> String {
        let one = self.book.get(id).expect("there");
        title(one, one.node_count(), self.fleet.len())
    }

    fn message(&self, id: &str) -> Message {
        self.message_of(self.book.get(id).expect("there"))
    }

    /// As with no silence and no maintenance.
    fn message_of(&self, one: &Incident) -> Message {
        let nodes = if one.members.is_empty() { one.ever.iter().collect() } else { one.nodes() };
        let members = nodes.into_iter().map(|node| Member {
            node,
            labels: &self.fleet.node(node).expect("of the fleet").about.labels,
            code: &one.first.1.code,
            severity: one.worst,
        });
        let apart = self.book.incidents().filter(|other| !other.is_group() && other.is_open() && !other.members.is_empty());
        let scene = Scene { fleet: &self.fleet, members: members.collect(), apart: apart.collect(), now: self.now, external_url: None };
        message(one, &scene, (Event::Opened, 1, one.worst))
    }

    fn open_now(&self) -> Vec<&Incident> {
        self.book.incidents().filter(|one| one.is_open()).collect()
    }
}

fn name(n: usize) -> Arc<str> {
    format!("n{n:04}").into()
}

fn node(n: usize) -> Node {
    let labels = BTreeMap::from([("rack".into(), format!("r{}", n / 10)), ("zone".into(), "a".into())]);
    let traits = [("apiServer", "10.0.0.1:6443"), ("kubeletConfig", "old"), ("kernel", "6.1")]
        .map(|(name, value)| (name.to_owned(), Trait { value: value.into(), changed: None }));
    Node { about: About { labels, traits: traits.into() }, heartbeat: Duration::from_secs(10), cases: Vec::new() }
}

fn cause(code: &str, since: Timestamp) -> PresentCause {
    PresentCause {
        case_id: format!("{code}/{}", since.as_millisecond()),
        code: code.to_owned(),
        title: format!("Title of {code}"),
        severity: Severity::Critical,
        layer: if code == "agent-silent" { Layer::Network } else { Layer::Kubelet },
        root: true,
        latent: false,
        since,
        message: String::new(),
        evidence: Vec::new(),
        explains: Vec::new(),
        explained_by: Vec::new(),
        remedy: Vec::new(),
    }
}

#[test]
fn a_fault_of_one_node_is_told_at_once_and_is_over_at_once() {
    let mut world = World::new(100);
    world.open([7], "swap-enabled");
    assert_eq!(world.opened(), ["inc-1"]);
    assert_eq!(world.title_of("inc-1"), "n0007: Title of swap-enabled");
    world.pass(SECOND);
    world.close([7], "swap-enabled");
    assert_eq!(world.told.last(), Some(&(Event::Resolved, "inc-1".into())));
    assert_eq!(
        world.book.get("inc-1").and_then(|one| one.ended.clone()).map(|(_, reason)| reason).as_deref(),
        Some("absent: it is mended")
    );
}

#[test]
fn a_dead_control_plane_is_one_page_that_names_it_and_the_nodes_with_faults_of_their_own() {
    let mut world = World::new(500);
    world.open([3, 400], "swap-enabled");
    world.pass(SECOND * 600);
    let before = world.opened().len();
    let nodes: Vec<usize> = (0..500).filter(|n| ![3, 400].contains(n)).collect();
    let died = world.now;
    // In the order of their racks, which looks at first as if it were the racks.
    for some in nodes.chunks(17) {
        world.open(some.iter().copied(), "apiserver-unreachable");
        world.pass(MILLI * 25);
    }
    while world.opened().len() == before {
        world.pass(MILLI * 50);
    }
    assert!(world.now.duration_since(died) < SECOND * 2, "{}", world.now.duration_since(died));
    world.pass(SECOND * 60);
    assert_eq!(world.opened().len(), before + 1, "{:?}", world.told);
    let id = world.opened()[before].to_owned();
    assert_eq!(world.title_of(&id), "Control plane 10.0.0.1:6443 unreachable from 498 of 500 nodes");
    let message = world.message(&id);
    let apart: Vec<_> = message.apart.iter().map(|apart| (&*apart.node, &*apart.cause)).collect();
    assert_eq!((apart, message.apart_count), (vec![("n0003", "swap-enabled"), ("n0400", "swap-enabled")], 2));
    for some in nodes.chunks(50) {
        world.close(some.iter().copied(), "apiserver-unreachable");
        world.pass(SECOND);
    }
    assert_eq!(world.told.last(), Some(&(Event::Resolved, id)), "and nothing else on the way");
    assert_eq!(world.told.len(), before + 2, "{:?}", world.told);
}

#[test]
fn a_rack_that_falls_silent_within_a_heartbeat_is_one_incident_that_names_it() {
    let mut world = World::new(500);
    for n in 70..80 {
        world.open([n], "agent-silent");
        world.pass(SECOND);
    }
    world.pass(SECOND * 12);
    assert_eq!(world.opened().len(), 1, "{:?}", world.told);
    let id = world.opened()[0].to_owned();
    assert_eq!(world.title_of(&id), "10 of 10 nodes with rack=r7 fell silent together");
    world.close(70..80, "agent-silent");
    assert_eq!(world.told.len(), 2);
}

#[test]
fn a_fleet_that_falls_silent_makes_the_collectors_own_network_a_suspect() {
    let mut world = World::new(100);
    world.open(0..90, "agent-silent");
    world.pass(SECOND * 12);
    assert_eq!(world.opened().len(), 1);
    assert_eq!(world.title_of(world.opened()[0]), "90 of 100 nodes are silent at once: the collector's own network is a suspect");
}

#[test]
fn a_bad_configuration_rolled_out_over_minutes_is_one_incident_that_names_the_change() {
    let mut world = World::new(500);
    for n in (0..500).step_by(10) {
        // The cause is heard of a moment before the change.
        world.open([n], "kubelet-config-invalid");
        world.pass(MILLI * 200);
        world.configure([n], "bad");
        world.pass(SECOND * 6);
    }
    assert_eq!(world.opened(), ["inc-1"], "{:?}", world.told);
    assert_eq!(world.open_now().len(), 1);
    assert_eq!(world.title_of("inc-1"), "Title of kubelet-config-invalid on 50 of 50 nodes whose kubelet configuration changed to bad");
    assert_eq!(world.book.get("inc-1").and_then(|one| one.shared.clone()).and_then(|shared| shared.before).as_deref(), Some("old"));
    for n in (0..500).step_by(10) {
        world.configure([n], "old");
        world.close([n], "kubelet-config-invalid");
        world.pass(SECOND);
    }
    assert_eq!(world.told.len(), 2, "{:?}", world.told);
}

#[test]
fn many_nodes_that_come_and_go_are_one_incident() {
    let mut world = World::new(5000);
    let nodes: Vec<usize> = (0..50).map(|n| n * 97).collect();
    for round in 0..20 {
        for (place, n) in nodes.iter().enumerate() {
            if (place + round) % 2 == 0 {
                world.open([*n], "kubelet-hung");
            } else {
                world.close([*n], "kubelet-hung");
            }
            world.pass(MILLI * 100);
        }
    }
    world.close(nodes.iter().copied(), "kubelet-hung");
    assert_eq!(world.opened(), ["inc-1"], "{:?}", world.told);
    world.pass(SECOND * 400);
    assert_eq!(world.told.len(), 2, "{:?}", world.told);
    assert!(world.open_now().is_empty());
}

#[test]
fn a_node_that_comes_and_goes_is_told_as_flapping_and_not_each_time() {
    let mut world = World::new(10);
    for _ in 0..20 {
        world.open([1], "kubelet-hung");
        world.pass(SECOND * 5);
        world.close([1], "kubelet-hung");
        world.pass(SECOND * 5);
    }
    assert_eq!(world.told.len(), 5, "opened, resolved, again, and then it flaps: {:?}", world.told);
    world.pass(SECOND * 301);
    assert_eq!(world.told.last().map(|(event, _)| *event), Some(Event::Resolved));
    assert_eq!(world.told.len(), 6);
    world.pass(SECOND * 1000);
    world.open([1], "kubelet-hung");
    assert_eq!(world.opened().last(), Some(&"inc-2"), "long after it is another one");
}

#[test]
fn with_no_damping_all_that_comes_and_goes_is_told_each_time() {
    let mut world = World::new(10);
    world.flap.openings = 0;
    for _ in 0..20 {
        world.open([1], "kubelet-hung");
        world.pass(SECOND * 5);
        world.close([1], "kubelet-hung");
        world.pass(SECOND * 5);
    }
    assert_eq!(world.told.len(), 40);
    assert!(world.told.iter().all(|(_, id)| id == "inc-1"), "it is one incident all the same");
    world.pass(SECOND * 601);
    world.open([1], "kubelet-hung");
    assert_eq!(world.opened().last(), Some(&"inc-2"));
}

#[test]
fn what_is_flapping_by_the_policy_is_over_after_the_policys_quiet() {
    let mut world = World::new(10);
    world.flap = Flap { openings: 2, within: std::time::Duration::from_secs(60), quiet: std::time::Duration::from_secs(20) };
    let comes_and_goes = |world: &mut World| {
        world.open([1], "kubelet-hung");
        world.pass(SECOND * 5);
        world.close([1], "kubelet-hung");
    };
    comes_and_goes(&mut world);
    world.pass(SECOND * 50);
    comes_and_goes(&mut world);
    assert_eq!(world.told.len(), 3, "{:?}", world.told);
    world.pass(SECOND * 19);
    assert_eq!(world.told.len(), 3);
    world.pass(SECOND);
    assert_eq!(world.told.len(), 4);
    world.pass(SECOND * 61);
    comes_and_goes(&mut world);
    assert_eq!((world.told.len(), world.opened().last()), (6, Some(&"inc-2")), "too long after it is another one");
}

#[test]
fn a_fault_that_opens_in_the_storm_is_listed_and_told_when_the_storm_is_over() {
    let mut world = World::new(100);
    world.open(0..99, "apiserver-unreachable");
    world.pass(SECOND * 2);
    world.open([99], "disk-pressure");
    world.pass(SECOND * 60);
    assert_eq!(world.opened().len(), 1);
    assert_eq!(world.message(world.opened()[0]).apart_count, 1);
    world.close(0..99, "apiserver-unreachable");
    assert_eq!(world.opened().len(), 2, "{:?}", world.told);
    assert_eq!(world.title_of(world.opened()[1]), "n0099: Title of disk-pressure");
}

#[test]
fn the_same_fault_on_a_few_nodes_that_share_nothing_is_one_incident_that_says_so() {
    let mut world = World::new(100);
    for n in [5, 31, 77, 93] {
        world.open([n], "disk-pressure");
        world.pass(SECOND * 30);
    }
    let open = world.open_now();
    assert_eq!(open.len(), 1);
    assert_eq!(world.title_of(&open[0].id.clone()), "Title of disk-pressure on 4 nodes; nothing was found that only they share");
}

#[test]
fn two_nodes_with_one_cause_are_two_incidents() {
    let mut world = World::new(100);
    world.open([5], "disk-pressure");
    world.pass(SECOND * 30);
    world.open([31], "disk-pressure");
    world.pass(SECOND * 5);
    assert_eq!(world.opened().len(), 2);
}

#[test]
fn every_open_case_is_of_exactly_one_incident_whatever_comes() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let codes = ["apiserver-unreachable", "apiserver-overloaded", "agent-silent", "swap-enabled", "kubelet-config-invalid"];
    let mut world = World::new(60);
    for _ in 0..1500 {
        let (n, code) = (usize::try_from(random(60)).expect("small"), codes[usize::try_from(random(5)).expect("small")]);
        match random(4) {
            0 => world.close([n], code),
            1 => world.configure([n], if random(2) == 0 { "a" } else { "b" }),
            _ if world.fleet.node(&name(n)).is_some_and(|node| node.cases.iter().all(|case| case.cause.code != code)) => {
                world.open([n], code);
            }
            _ => {}
        }
        world.pass(MILLI * i32::try_from(random(3000)).expect("small"));
        let mut held: Vec<CaseKey> = world.book.incidents().flat_map(|one| one.members.keys().cloned()).collect();
        held.sort();
        let open = world.fleet.nodes().flat_map(|(name, node)| node.cases.iter().map(|case| (name.clone(), case.case_id.clone())));
        let mut open: Vec<CaseKey> = open.collect();
        open.sort();
        assert_eq!(held, open);
        assert!(world.book.incidents().all(|one| one.members.is_empty() || one.is_open()));
        assert!(world.book.of_case.iter().all(|(key, id)| world.book.get(id).is_some_and(|one| one.members.contains_key(key))));
    }
    let nodes: Vec<usize> = (0..60).collect();
    codes.iter().for_each(|code| world.close(nodes.iter().copied(), code));
    world.pass(SECOND * 1000);
    assert!(world.open_now().is_empty());
    let (mut opened, mut resolved): (Vec<_>, Vec<_>) = world.told.iter().partition(|(event, _)| *event == Event::Opened);
    opened.sort_by(|a, b| a.1.cmp(&b.1));
    resolved.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(opened.iter().map(|(_, id)| id).collect::<Vec<_>>(), resolved.iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[test]
fn no_more_nodes_are_affected_than_have_what_is_shared() {
    let mut world = World::new(100);
    world.configure([3, 27, 64], "new");
    world.open([3, 27, 64], "kubelet-config-invalid");
    let mut one = world.book.incidents().next().expect("an incident").clone();
    one.shared.as_mut().expect("the change").having = 2;
    let title = title(&one, 3, 100);
    assert!(title.contains("on 3 of 3 nodes"), "{title}");
    // What was told as one thing moves as a whole.
    one.outside = [name(64)].into();
    assert!(super::title(&one, 3, 100).contains("on 2 of 2 nodes whose kubelet configuration changed to new, and 1 other"), "{title}");
    one.outside.clear();
    let message = world.message_of(&one);
    assert_eq!(message.shared.map(|shared| (shared.affected, shared.having)), Some((3, 3)));
}
