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
