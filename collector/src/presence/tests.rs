use super::*;

const BEAT: Duration = Duration::from_secs(10);

fn agent(machine: &str, boot: &str, spool: &str) -> Agent {
    Agent { machine_id: machine.into(), boot_id: boot.into(), spool_id: spool.into() }
}

fn attach(presence: &Presence, agent: Agent) -> Result<Attachment, Agent> {
    presence.attach(&"n".into(), agent, BEAT, Timestamp::UNIX_EPOCH)
}

#[tokio::test(start_paused = true)]
async fn a_second_agent_of_one_name_is_refused_while_the_first_lives() {
    let presence = Presence::default();
    let first = attach(&presence, agent("m1", "b1", "s1")).expect("nobody else");
    assert_eq!(attach(&presence, agent("m2", "b2", "s2")).expect_err("the first lives"), agent("m1", "b1", "s1"));
    assert!(attach(&presence, agent("m1", "b1", "s9")).is_err(), "two agents on one machine");
    tokio::time::advance(BEAT * 3).await;
    let _second = attach(&presence, agent("m2", "b2", "s2")).expect("the first has not been heard for three heartbeats");
    drop(first);
    assert!(attach(&presence, agent("m3", "b3", "s3")).is_err(), "the end of the first stream is not the end of the second");
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_of_the_same_agent_takes_the_place_of_the_old_one() {
    let presence = Presence::default();
    let mut old = attach(&presence, agent("m1", "b1", "s1")).expect("nobody else");
    let mut new = attach(&presence, agent("m1", "b1", "s1")).expect("the same");
    assert_eq!(old.replaced.try_recv(), Ok(()));
    drop(old);
    attach(&presence, agent("m1", "b2", "s2")).expect("the machine booted anew and lost its state");
    assert_eq!(new.replaced.try_recv(), Ok(()));
    drop(new);
}

#[tokio::test(start_paused = true)]
async fn silence_begins_after_three_heartbeats_and_ends_when_the_agent_has_caught_up() {
    let presence = Presence::default();
    let _attached = attach(&presence, agent("m1", "b1", "s1")).expect("nobody else");
    tokio::time::advance(BEAT * 3 - Duration::from_millis(1)).await;
    assert_eq!(presence.changes(), []);
    tokio::time::advance(Duration::from_millis(1)).await;
    let change = Change { node: "n".into(), seen: Timestamp::UNIX_EPOCH, heartbeat: BEAT, silent: true };
    assert_eq!(presence.changes(), std::slice::from_ref(&change));
    presence.stored("n", true);
    assert_eq!(presence.changes(), []);
    presence.heard("n", false, Timestamp::UNIX_EPOCH);
    assert_eq!(presence.changes(), [], "what it kept is still on the way: nobody knows yet how the node is now");
    presence.heard("n", true, Timestamp::UNIX_EPOCH);
    assert_eq!(presence.changes(), [Change { silent: false, ..change }]);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_stood_still_blames_nobody() {
    let presence = Presence::default();
    let _attached = attach(&presence, agent("m1", "b1", "s1")).expect("nobody else");
    tokio::time::advance(BEAT * 30).await;
    presence.stood_still(BEAT * 30);
    assert_eq!(presence.changes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_short_heartbeat_does_not_make_the_patience_shorter_than_five_seconds() {
    assert_eq!(patience(Duration::from_millis(100)), LEAST);
}
