//! What is put together, and what is not.

use super::*;

#[test]
fn what_shared_nothing_yesterday_takes_in_no_node_of_today() {
    let mut world = World::new(100);
    world.open([5, 31, 77, 93], "disk-pressure");
    world.pass(SECOND * 2);
    let old = world.opened()[0].to_owned();
    world.pass(SECOND * 86_400);
    world.open([50], "disk-pressure");
    world.pass(SECOND * 2);
    assert_eq!(world.opened().len(), 2, "{:?}", world.told);
    assert_eq!(world.title_of(world.opened()[1]), "n0050: Title of disk-pressure");
    assert_eq!(world.book.get(&old).map(Incident::node_count), Some(4));
    world.open([62, 18], "disk-pressure");
    world.pass(SECOND * 2);
    assert_eq!(world.open_now().len(), 2, "three of today are one event, and not that of yesterday: {:?}", world.told);
}

#[test]
fn what_shares_nothing_takes_in_more_as_long_as_more_come() {
    let mut world = World::new(100);
    for n in [5, 31, 77, 93, 18, 62] {
        world.open([n], "disk-pressure");
        world.pass(SECOND * 290);
    }
    assert_eq!(world.open_now().len(), 1, "{:?}", world.told);
}

#[test]
fn of_what_moves_as_a_whole_only_those_are_counted_that_have_what_is_shared() {
    let mut world = World::new(100);
    world.open([5, 31, 70, 71], "disk-pressure");
    world.pass(SECOND * 2);
    let id = world.opened()[0].to_owned();
    assert!(world.title_of(&id).contains("on 4 nodes; nothing was found"), "{}", world.title_of(&id));
    world.open(72..80, "disk-pressure");
    world.pass(SECOND * 2);
    assert_eq!(world.title_of(&id), "Title of disk-pressure on 10 of 10 nodes with rack=r7, and 2 others");
    let shared = world.message(&id).shared.expect("the rack");
    assert_eq!((shared.affected, shared.having), (10, 10));
    world.close([5, 31], "disk-pressure");
    assert_eq!(world.title_of(&id), "Title of disk-pressure on 10 of 10 nodes with rack=r7");
    world.close(70..80, "disk-pressure");
    let over = world.message(&id);
    assert_eq!(over.title, "Title of disk-pressure on 10 of 10 nodes with rack=r7, and 2 others");
}

#[test]
fn what_looked_like_one_and_turns_out_to_be_two_loses_no_node() {
    let mut world = World::new(100);
    // Four of two racks: nothing is to be seen yet.
    world.open([10, 11, 20, 21], "agent-silent");
    for n in 2..10 {
        world.pass(SECOND);
        world.open([10 + n, 20 + n], "agent-silent");
    }
    world.pass(SECOND * 13);
    let mut titles: Vec<String> = world.opened().iter().map(|id| world.title_of(id)).collect();
    titles.sort();
    assert_eq!(titles, ["10 of 10 nodes with rack=r1 fell silent together", "10 of 10 nodes with rack=r2 fell silent together"]);
    let first = |one: &&Incident| one.members.keys().any(|(node, _)| **node == *one.first.0);
    assert_eq!(world.open_now().into_iter().filter(first).count(), 2, "each speaks of a node of its own");
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
    assert!(
        crate::correlate::title(&one, 3, 100).contains("on 2 of 2 nodes whose kubelet configuration changed to new, and 1 other"),
        "{title}"
    );
    one.outside.clear();
    let message = world.message_of(&one);
    assert_eq!(message.shared.map(|shared| (shared.affected, shared.having)), Some((3, 3)));
}
