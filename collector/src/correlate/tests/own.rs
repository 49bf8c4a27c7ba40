//! What the collector finds about itself.

use super::*;

/// The hook `ops` has taken nothing since then.
fn failing(since: Timestamp) -> PresentCause {
    PresentCause { case_id: format!("hook-failing/ops/{}", since.as_microsecond()), ..cause("hook-failing", since) }
}

impl World {
    /// Gives when it has to be looked again.
    fn own(&mut self, causes: &[PresentCause]) -> Option<Timestamp> {
        let wake = self.book.own(causes, self.flap, self.now);
        for id in self.book.take_changed() {
            self.book.get_mut(&id).expect("kept");
        }
        self.step(&BTreeSet::new());
        wake
    }
}

#[test]
fn a_hook_that_takes_a_message_now_and_then_is_one_incident_that_flaps() {
    let mut world = World::new(1);
    for _ in 0..10 {
        world.own(&[failing(world.now)]);
        world.pass(SECOND * 60);
        let over_at = world.own(&[]);
        let flaps = world.book.incidents().any(|one| one.flapping);
        assert_eq!(over_at, flaps.then(|| world.now + SECOND * 300), "it is looked again when it may be over");
        world.pass(SECOND * 20);
    }
    assert_eq!(world.book.incidents().count(), 1);
    assert_eq!(world.opened().len(), 3, "the third time it flaps: {:?}", world.told);
    world.pass(SECOND * 301);
    assert_eq!(world.told.len(), 6, "{:?}", world.told);
    world.pass(SECOND * 1000);
    world.own(&[failing(world.now)]);
    assert_eq!(world.book.incidents().count(), 2, "long after it is another one");
}

#[test]
fn another_hook_is_another_incident() {
    let mut world = World::new(10);
    let other = PresentCause { case_id: "hook-failing/mail/7".to_owned(), ..failing(world.now) };
    world.own(&[failing(world.now), other]);
    world.own(&[]);
    world.own(&[failing(world.now)]);
    let own: Vec<_> = world.book.incidents().map(|one| (&*one.first.1.case_id, one.is_open())).collect();
    assert_eq!(own, [(&*failing(world.now).case_id, true), ("hook-failing/mail/7", false)]);
}
