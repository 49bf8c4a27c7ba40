//! When it is put together.

use super::*;

impl World {
    /// What a step gives: when it has to be looked again.
    fn wake(&mut self, nodes: impl IntoIterator<Item = usize>) -> Option<Timestamp> {
        let now = self.now;
        let nodes = nodes.into_iter().map(name).collect();
        self.book.correlate(&self.fleet, &nodes, &mut |_| Ending { at: now, reason: String::new() }, self.flap, now)
    }
}

#[test]
fn what_comes_within_a_moment_is_put_together_a_moment_later_and_before_it_is_told() {
    let mut world = World::new(100);
    world.open([70, 71, 72, 73, 74], "apiserver-unreachable");
    let grouped = world.now;
    world.pass(MILLI * 10);
    world.open([5], "apiserver-unreachable");
    assert_eq!(world.open_now().len(), 2, "not yet: {:?}", world.told);
    assert_eq!(world.wake([]), Some(grouped + MILLI * 50));
    world.open(75..80, "apiserver-unreachable");
    world.pass(MILLI * 40);
    let titles: Vec<String> = world.open_now().iter().map(|one| world.title_of(&one.id)).collect();
    assert!(titles.contains(&"Title of apiserver-unreachable on 10 of 10 nodes with rack=r7".to_owned()), "{titles:?}");
    assert_eq!(world.opened(), [""; 0]);
}

#[test]
fn what_was_put_off_is_put_together_before_it_is_told_though_the_step_comes_late() {
    let mut world = World::new(500);
    world.open(0..10, "apiserver-unreachable");
    world.pass(MILLI * 20);
    world.open(10..498, "apiserver-unreachable");
    world.pass(SECOND * 5);
    assert_eq!(world.opened().len(), 1, "{:?}", world.told);
    assert_eq!(world.title_of(world.opened()[0]), "Control plane 10.0.0.1:6443 unreachable from 498 of 500 nodes");
}

#[test]
fn a_node_that_joins_by_what_is_shared_is_counted_with_those_that_have_it_and_are_well() {
    let mut world = World::new(500);
    world.configure([3, 27, 64], "new");
    world.open([3, 27, 64], "kubelet-config-invalid");
    world.pass(SECOND * 30);
    world.configure([80, 90, 120], "new");
    world.pass(SECOND);
    world.open([80], "kubelet-config-invalid");
    assert_eq!(world.opened().len(), 1, "{:?}", world.told);
    let title = world.title_of(world.opened()[0]);
    assert!(title.contains("on 4 of 6 nodes whose kubelet configuration changed to new"), "{title}");
}
