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
