//! What is over and comes back.

use super::*;

const OUTAGE: &str = "apiserver-unreachable";

/// They get it within a second and lose it after one.
fn outage(world: &mut World, nodes: std::ops::Range<usize>, code: &str) {
    world.open(nodes.clone(), code);
    world.pass(SECOND * 2);
    world.close(nodes, code);
}

#[test]
fn one_node_that_has_minutes_later_what_all_had_is_an_incident_of_its_own() {
    let mut world = World::new(500);
    outage(&mut world, 0..498, OUTAGE);
    let id = world.opened()[0].to_owned();
    world.pass(SECOND * 300);
    world.open([3], OUTAGE);
    world.pass(SECOND * 2);
    assert_eq!(world.opened().len(), 2, "{:?}", world.told);
    let alone = world.opened()[1].to_owned();
    assert_ne!(alone, id);
    assert_eq!(world.title_of(&alone), format!("n0003: Title of {OUTAGE}"));
    world.close([3], OUTAGE);
    world.pass(SECOND * 60);
    world.open([3], OUTAGE);
    world.pass(SECOND * 2);
    assert_eq!(world.opened()[2], alone, "of one node alone it is the same again");
}

#[test]
fn a_node_of_an_outage_that_goes_once_more_right_after_it_is_of_that_still() {
    let mut world = World::new(500);
    outage(&mut world, 0..498, OUTAGE);
    world.pass(SECOND * 59);
    world.open([3], OUTAGE);
    world.pass(SECOND * 2);
    assert_eq!(world.book.incidents().filter(|one| one.merged_into.is_none()).count(), 1, "{:?}", world.told);
}

#[test]
fn an_outage_that_comes_back_is_the_same_incident_and_says_what_it_is_on_now() {
    let mut world = World::new(500);
    outage(&mut world, 0..498, OUTAGE);
    let id = world.opened()[0].to_owned();
    assert_eq!(world.message(&id).nodes.count, 498);
    world.pass(SECOND * 300);
    for n in (100..400).step_by(10) {
        world.open(n..n + 10, OUTAGE);
        world.pass(MILLI * 20);
    }
    world.pass(SECOND * 2);
    assert_eq!(world.opened(), [&*id, &*id], "{:?}", world.told);
    assert_eq!(world.title_of(&id), "Control plane 10.0.0.1:6443 unreachable from 300 of 500 nodes");
    world.close(100..400, OUTAGE);
    let over = world.message(&id);
    assert_eq!((over.nodes.count, over.nodes.names[0].as_str()), (300, "n0100"), "and no node of the time before");
    assert_eq!(over.title, "Control plane 10.0.0.1:6443 unreachable from 300 of 500 nodes");
    world.pass(SECOND * 120);
    outage(&mut world, 0..498, OUTAGE);
    let told = world.told.len();
    assert!(world.book.get(&id).is_some_and(|one| one.flapping && one.is_open()), "the third time it flaps");
    world.pass(SECOND * 120);
    world.open([3], OUTAGE);
    world.pass(SECOND * 2);
    assert_eq!(world.told.len(), told, "and one node of it is of it: {:?}", world.told);
}

#[test]
fn nodes_that_share_nothing_and_come_and_go_together_flap_though_each_time_begins_with_one() {
    let mut world = World::new(5000);
    let nodes: Vec<usize> = (0..50).map(|n| n * 97).collect();
    for _ in 0..6 {
        for n in &nodes {
            world.open([*n], "kubelet-hung");
            world.pass(MILLI * 100);
        }
        world.close(nodes.iter().copied(), "kubelet-hung");
        world.pass(SECOND * 120);
    }
    assert_eq!(world.opened().len(), 3, "{:?}", world.told);
    world.pass(SECOND * 301);
    assert_eq!(world.told.len(), 6, "{:?}", world.told);
    assert!(world.open_now().is_empty());
}

#[test]
fn a_node_that_is_back_waits_like_a_new_one_for_what_it_may_be_part_of() {
    let mut world = World::new(500);
    world.open([3], OUTAGE);
    world.pass(SECOND * 2);
    world.close([3], OUTAGE);
    world.pass(SECOND * 60);
    world.open([3], OUTAGE);
    world.pass(MILLI * 50);
    assert_eq!(world.opened().len(), 1, "{:?}", world.told);
    world.open((0..498).filter(|n| *n != 3), OUTAGE);
    world.pass(SECOND * 2);
    assert_eq!(world.opened().len(), 2, "{:?}", world.told);
    assert_eq!(world.title_of(world.opened()[1]), "Control plane 10.0.0.1:6443 unreachable from 498 of 500 nodes");
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
