//! The store with the alerts' engine in it.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::model::{Layer, PresentCause, Transition, TransitionKind};
use nodewhy_proto::v1 as pb;
use rusqlite::Connection;
use tokio::sync::watch;

use super::cases::Cases as _;
use super::*;
use crate::hooks::example;
use crate::message::Message;
use crate::policy::Policy;

const HOOKS: &str = "hooks: [{name: a, webhook: {url: 'http://h/a'}}]\n";

fn loaded(text: &str) -> Loaded {
    Loaded { policy: Policy::parse(Path::new("p"), text).expect("a policy").into(), problem: None, since: Timestamp::now() }
}

/// A store that tells by this policy, in which the first incident is `inc-1`; the sender and the directory have to be kept.
fn store(policy: &str) -> (Store, watch::Sender<Loaded>, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let connection = Connection::open(dir.path().join("nodewhy.db")).expect("made");
    schema::prepare(&connection).and_then(|()| connection.execute_batch("UPDATE store SET id = ''")).expect("made");
    drop(connection);
    let (sender, policy) = watch::channel(loaded(policy));
    (Store::open(dir.path(), policy).expect("opened").store, sender, dir)
}

fn change(kind: TransitionKind, node: &str, case_id: &str) -> Transition {
    let (node, now) = (node.into(), Timestamp::now());
    let cause = PresentCause {
        case_id: case_id.to_owned(),
        code: "swap-enabled".to_owned(),
        layer: Layer::Kubelet,
        ..crate::silence::cause(&node, now, now)
    };
    Transition { kind, case_id: case_id.to_owned(), code: cause.code.clone(), at: now, since: now, reason: "seen".to_owned(), cause }
}

async fn changed(store: &Store, kind: TransitionKind, node: &str, case_id: &str) {
    let hello = pb::Hello { node: node.to_owned(), ..pb::Hello::default() };
    let heartbeat = std::time::Duration::from_secs(10);
    store.hello(Seen { hello, heartbeat, at: Timestamp::now() }).await.expect("stored");
    let (name, change): (Arc<str>, _) = (node.into(), change(kind, node, case_id));
    let written = store.write(Touches::node(&name), move |connection| connection.transition(&name, &change, change.at));
    written.await.expect("written");
}

/// A case opens.
pub(crate) async fn open(store: &Store, node: &str, case_id: &str) {
    changed(store, TransitionKind::Opened, node, case_id).await;
}

/// It closes.
async fn close(store: &Store, node: &str, case_id: &str) {
    changed(store, TransitionKind::Closed, node, case_id).await;
}

/// A change with which no transaction can be committed.
pub(crate) fn cannot_be_committed(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA defer_foreign_keys = ON;
         INSERT INTO members (incident, node, case_id, code, severity, opened_us) VALUES (999, 'n', 'c', 'x', 1, 0);",
    )
}

/// Keys and whether they are dead, in their order.
async fn letters(store: &Store) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for dead in [false, true] {
        let mut some = store.letters(Which::default(), dead, 100).await.expect("read");
        some.sort_by_key(|letter| letter.id);
        all.extend(some.into_iter().map(|letter| (letter.key, dead)));
    }
    all
}

async fn id_of(store: &Store, key: &str) -> i64 {
    let which = Which { key: Some(key.to_owned()), hook: None };
    store.letters(which, false, 1).await.expect("read").remove(0).id
}

async fn bury(store: &Store, key: &str) {
    store.bury_letter(id_of(store, key).await, "410 Gone".to_owned(), Timestamp::now()).await.expect("written");
}

async fn deliver(store: &Store, key: &str) {
    store.letter_taken(id_of(store, key).await, None).await.expect("written");
}

async fn count(store: &Store, query: &'static str) -> i64 {
    store.read(move |connection| connection.query_row(query, [], |row| row.get(0))).await.expect("read")
}

#[tokio::test]
async fn an_opening_whose_end_was_told_is_not_sent_again_and_goes_with_its_end_if_that_was_given_up_too() {
    let (store, _policy, _dir) = store(HOOKS);
    for node in ["n1", "n2"] {
        open(&store, node, "c").await;
        close(&store, node, "c").await;
    }
    bury(&store, "inc-1/1").await;
    deliver(&store, "inc-1/2").await;
    bury(&store, "inc-2/1").await;
    bury(&store, "inc-2/2").await;
    assert_eq!(store.resend_letters(Which { key: Some("inc-2/1".to_owned()), hook: None }).await.expect("done").resent, 2);
    assert_eq!(store.resend_letters(Which::default()).await, Ok(Resent { resent: 0, over: 1, open_again: 0 }));
    let wanted = [("inc-2/1", false), ("inc-2/2", false), ("inc-1/1", true)];
    assert_eq!(letters(&store).await, wanted.map(|(key, dead)| (key.to_owned(), dead)));
}

#[tokio::test]
async fn what_is_open_is_sent_again_and_an_end_that_is_none_any_more_is_not() {
    let (store, _policy, _dir) = store(HOOKS);
    open(&store, "n1", "c1").await;
    close(&store, "n1", "c1").await;
    open(&store, "n1", "c2").await;
    bury(&store, "inc-1/1").await;
    bury(&store, "inc-1/2").await;
    deliver(&store, "inc-1/3").await;
    assert_eq!(store.resend_letters(Which::default()).await, Ok(Resent { resent: 1, over: 0, open_again: 1 }));
    assert_eq!(letters(&store).await, [("inc-1/1".to_owned(), false), ("inc-1/2".to_owned(), true)]);
}

#[tokio::test]
async fn how_an_incident_stands_with_a_hook_never_goes_back() {
    let (store, _policy, _dir) = store(HOOKS);
    let stands = |number, resolved_at| StandingAlert {
        hook: "a".into(),
        incident: "inc-1".to_owned(),
        number,
        labels: "{}".to_owned(),
        message: "{}".to_owned(),
        resolved_at,
    };
    let over = stands(2, Some(Timestamp::UNIX_EPOCH));
    store.letter_taken(0, Some(over.clone())).await.expect("kept");
    store.letter_taken(0, Some(stands(1, None))).await.expect("kept");
    assert_eq!(store.standing_alert("a".into(), "inc-1".to_owned()).await, Ok(Some(over)));
    store.letter_taken(0, Some(stands(3, None))).await.expect("kept");
    assert_eq!(store.standing_alert("a".into(), "inc-1".to_owned()).await, Ok(Some(stands(3, None))), "it is open again");
}

#[tokio::test]
async fn what_a_hook_was_told_is_forgotten_when_it_has_been_gone_for_long_and_not_before() {
    let (store, policy, _dir) = store(HOOKS);
    open(&store, "n1", "c").await;
    let standing = StandingAlert {
        hook: "a".into(),
        incident: "inc-1".to_owned(),
        number: 1,
        labels: "{}".to_owned(),
        message: "{}".to_owned(),
        resolved_at: None,
    };
    store.letter_taken(id_of(&store, "inc-1/1").await, Some(standing)).await.expect("kept");
    policy.send_replace(loaded("hooks: [{name: b, webhook: {url: 'http://h/b'}}]\n"));
    close(&store, "n1", "c").await;
    let names: Arc<[Arc<str>]> = ["b".into()].into();
    let telling = "SELECT count(*) FROM incidents WHERE telling = 1";
    for others in [Others::Unknown, Others::Gone] {
        store.tidy_letters(names.clone(), others, Timestamp::now()).await.expect("tidied");
        assert_eq!((count(&store, telling).await, count(&store, "SELECT count(*) FROM standing").await), (1, 1), "{others:?}");
    }
    store.tidy_letters(names, Others::Forgotten, Timestamp::now()).await.expect("tidied");
    assert_eq!((count(&store, telling).await, count(&store, "SELECT count(*) FROM standing").await), (0, 0));
}

#[tokio::test]
async fn a_node_that_comes_and_goes_is_a_single_row_of_its_incident() {
    let (store, _policy, _dir) = store(HOOKS);
    for n in 0..5 {
        open(&store, "n1", &format!("c{n}")).await;
        close(&store, "n1", &format!("c{n}")).await;
    }
    assert_eq!(count(&store, "SELECT count(*) FROM incidents").await, 1);
    assert_eq!(count(&store, "SELECT count(*) FROM members").await, 1);
    open(&store, "n1", "c9").await;
    assert_eq!(count(&store, "SELECT count(*) FROM members WHERE left_us IS NULL").await, 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_message_from_being_sent() {
    let (store, _policy, _dir) = store("");
    let now = Timestamp::now();
    let before = now + SignedDuration::from_hours(1);
    let message = Message { incident: "i".to_owned(), key: "i/1".to_owned(), number: 1, ..example::node(before) };
    store.post(vec![("a".into(), message)]).await.expect("posted");
    let due = store.due_letter("a".into(), now).await.expect("read").expect("it is due at once");
    let pause = std::time::Duration::from_secs(600);
    store.letter_refused(due.id, "no".to_owned(), true, pause, before).await.expect("written");
    assert!(store.due_letter("a".into(), now).await.expect("read").is_some());
    assert!(store.next_letter_at("a".into(), now).await.expect("read").is_some_and(|at| at <= now));
    store.letter_refused(due.id, "no".to_owned(), true, pause, now).await.expect("written");
    assert!(store.due_letter("a".into(), now).await.expect("read").is_none(), "the pause of this clock holds");
}

#[tokio::test]
async fn what_was_not_committed_is_told_once_the_store_can_be_read_again() {
    let (store, _policy, _dir) = store(HOOKS);
    let rename = |from: &str, to: &str| {
        let change = format!("ALTER TABLE {from} RENAME TO {to}");
        store.write(Touches::Nothing, move |connection| connection.execute_batch(&change))
    };
    open(&store, "n1", "c1").await;
    close(&store, "n1", "c1").await;
    rename("silences", "away").await.expect("renamed");
    let opening = change(TransitionKind::Opened, "n1", "c2");
    let (again, node): (_, Arc<str>) = (opening.clone(), "n1".into());
    let lost = store.write(Touches::node(&node), move |connection| {
        connection.transition("n1", &opening, opening.at)?;
        cannot_be_committed(connection)
    });
    lost.await.expect_err("not committed");
    let kept = store.write(Touches::node(&node), move |connection| connection.transition("n1", &again, again.at));
    kept.await.expect("what agents say is kept all the same");
    let told = || async { letters(&store).await.into_iter().map(|(key, _)| key).collect::<Vec<_>>() };
    assert_eq!(told().await, ["inc-1/1", "inc-1/2"], "nobody knows what was told");
    rename("away", "silences").await.expect("renamed");
    assert_eq!(told().await, ["inc-1/1", "inc-1/2", "inc-1/3"]);
}
