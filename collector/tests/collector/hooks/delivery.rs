//! From the outbox to the receiver: every message, in order, and none in the way of another.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_collector::hooks::template::Templates;
use nodewhy_collector::hooks::{Deliveries, Timing};
use nodewhy_collector::message::Message;
use nodewhy_collector::store::{MAX_LETTERS, Others, Resent, Store, Which};
use tempfile::TempDir;

use super::messages::{about, end_of};
use super::receiver::{Answer, Receiver, status};
use super::{hooks, install_provider};
use crate::support::{until, write};

/// Short pauses.
pub(super) const QUICK: Timing = Timing {
    back_off: (Duration::from_millis(5), Duration::from_millis(50)),
    refused: (Duration::from_millis(5), Duration::from_millis(20)),
    give_up: SignedDuration::from_hours(1),
    again: Duration::from_millis(100),
    ahead: Duration::from_secs(600),
};

/// A store, and deliveries to hooks from it.
pub(super) struct Room {
    pub(super) dir: TempDir,
    pub(super) store: Store,
    pub(super) deliveries: Deliveries,
}

impl Room {
    pub(super) fn new(timing: Timing) -> Self {
        install_provider();
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), crate::support::quiet()).expect("opened").store;
        Self { deliveries: Deliveries::new(store.clone(), timing), dir, store }
    }

    /// Delivers to these hooks from now on.
    pub(super) fn set(&mut self, all: &[(&str, &str)]) {
        self.deliveries.set(&hooks(all), &Templates::default());
    }

    pub(super) async fn tell(&self, hook: &str, messages: &[Message]) {
        let hook: Arc<str> = hook.into();
        self.store.post(messages.iter().map(|message| (hook.clone(), message.clone())).collect()).await.expect("stored");
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn counts(&self, hook: &str) -> nodewhy_collector::hooks::HookCounts {
        self.deliveries.states().iter().find(|state| &*state.name == hook).expect("it is there").counts()
    }

    async fn dead(&self) -> Vec<(String, String)> {
        let dead = self.store.letters(Which::default(), true, 100).await.expect("read");
        dead.into_iter().map(|letter| (letter.key, letter.error.unwrap_or_default())).collect()
    }
}

pub(super) fn webhook(to: &Receiver) -> String {
    format!("webhook: {{url: '{}'}}", to.url())
}

/// Each incident's numbers, in the order in which they were taken first.
pub(super) fn order(keys: &[String]) -> BTreeMap<String, Vec<u32>> {
    let mut order: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for key in keys {
        let (incident, number) = key.rsplit_once('/').expect("a key");
        let numbers = order.entry(incident.to_owned()).or_default();
        let number = number.parse().expect("a number");
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    order
}

#[tokio::test]
async fn a_refused_message_becomes_a_dead_letter_and_is_brought_back() {
    let mut room = Room::new(Timing { give_up: SignedDuration::ZERO, ..QUICK });
    let receiver = Receiver::start().await;
    receiver.answer(|got| if got.message().key == "a/1" { Answer { body: "no such user", ..status(422) } } else { status(200) });
    room.set(&[("ops", &webhook(&receiver))]);
    room.tell("ops", &[about("a", 1), about("b", 1), about("a", 2)]).await;
    assert_eq!(order(&receiver.keys(2).await), BTreeMap::from([("a".to_owned(), vec![2]), ("b".to_owned(), vec![1])]));
    let dead = until("a dead letter", async || Some(room.dead().await).filter(|dead| !dead.is_empty())).await;
    assert!(dead.len() == 1 && dead[0].0 == "a/1" && dead[0].1.contains("HTTP 422") && dead[0].1.contains("no such user"), "{dead:?}");
    let counts = room.counts("ops");
    assert_eq!((counts.dead, counts.delivered), (1, 2));
    receiver.answer(|_| status(200));
    let which = Which { hook: Some("ops".to_owned()), key: Some("a/1".to_owned()) };
    assert_eq!(room.store.resend_letters(which).await, Ok(Resent { resent: 1, ..Resent::default() }));
    assert_eq!(receiver.keys(3).await[2], "a/1");
    until("nothing is dead", async || room.dead().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_hook_that_asks_for_a_pause_gets_it() {
    let mut room = Room::new(QUICK);
    let receiver = Receiver::start().await;
    let mut asked = false;
    receiver
        .answer(move |_| if std::mem::replace(&mut asked, true) { status(200) } else { Answer { retry_after: Some("1"), ..status(429) } });
    room.set(&[("ops", &webhook(&receiver))]);
    room.tell("ops", &[about("a", 1), about("b", 1)]).await;
    receiver.wait(2).await;
    let all = receiver.all();
    let statuses: Vec<u16> = all.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [429, 200, 200], "another message would fare no better");
    assert!(all[1].0.at.duration_since(all[0].0.at) >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_hook_that_is_away_or_mute_holds_up_no_other_and_hears_all_when_it_is_back() {
    let mut room = Room::new(QUICK);
    let up = Receiver::start().await;
    let away = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    // Takes connections, and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = |address| format!("webhook: {{url: 'http://{address}'}}");
    room.set(&[("up", &webhook(&up)), ("away", &to(away)), ("mute", &to(mute.local_addr().expect("bound")))]);
    let all: Vec<Message> = (1..=5).map(|number| about("a", number)).collect();
    for hook in ["mute", "away", "up"] {
        room.tell(hook, &all).await;
    }
    let wanted: Vec<String> = (1..=5).map(|number| format!("a/{number}")).collect();
    assert_eq!(up.keys(5).await, wanted);
    let failing = async || Some(room.counts("away")).filter(|counts| counts.failing_since.is_some() && counts.waiting == 5);
    let counts = until("it is known to fail, and what waits", failing).await;
    assert!(counts.oldest.is_some() && counts.last_error.as_deref().is_some_and(|words| words.contains("refused")), "{counts:?}");
    assert_eq!(room.counts("up").failing_since, None);
    let back = Receiver::start_at(away).await;
    assert_eq!(back.keys(5).await, wanted);
    until("all is well", async || (room.counts("away").failing_since.is_none() && room.counts("away").waiting == 0).then_some(())).await;
    // After ten seconds of silence it is tried anew.
    until("the mute one is given up", async || room.counts("mute").last_error.filter(|words| words.contains("timed out"))).await;
}

#[tokio::test]
async fn a_hook_that_changes_is_called_anew_and_one_that_went_is_called_no_more() {
    let mut room = Room::new(QUICK);
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    old.answer(|_| status(503));
    room.set(&[("ops", &webhook(&old)), ("gone", &webhook(&old))]);
    room.tell("ops", &[about("a", 1)]).await;
    until("it was tried", async || (!old.all().is_empty()).then_some(())).await;
    room.set(&[("ops", &webhook(&new))]);
    assert_eq!(new.keys(1).await, ["a/1"]);
    assert!(room.counts("ops").failed > 0, "what was counted goes on");
    room.tell("gone", &[about("b", 1)]).await;
    let hooks: Arc<[Arc<str>]> = ["ops".into()].into();
    let tidy = async |others| room.store.tidy_letters(hooks.clone(), others, Timestamp::now()).await.expect("tidied");
    assert_eq!(tidy(Others::Unknown).await, (Vec::new(), 0), "without a policy nobody knows");
    assert_eq!(tidy(Others::Gone).await, (vec![("gone".to_owned(), 1)], 0));
    assert_eq!(room.dead().await, [("b/1".to_owned(), "the hook is not configured any more".to_owned())]);
}

#[tokio::test]
async fn what_is_too_much_is_dead_and_counted_the_oldest_first() {
    let room = Room::new(QUICK);
    let many: Vec<Message> = (0..MAX_LETTERS + 3).map(|n| about(&format!("i{n}"), 1)).collect();
    room.tell("ops", &many).await;
    let hooks: Arc<[Arc<str>]> = ["ops".into()].into();
    let (died, _) = room.store.tidy_letters(hooks.clone(), Others::Gone, Timestamp::now()).await.expect("tidied");
    assert_eq!(died, [("ops".to_owned(), 3)]);
    let mut keys: Vec<String> = room.dead().await.into_iter().map(|(key, _)| key).collect();
    keys.sort();
    assert_eq!(keys, ["i0/1", "i1/1", "i2/1"]);
    let backlog = room.store.letter_backlog().await.expect("read").remove(0);
    assert_eq!((backlog.waiting, backlog.dead), (u64::from(MAX_LETTERS), 3));
    let later = Timestamp::now().checked_add(SignedDuration::from_hours(31 * 24)).expect("a time");
    assert_eq!(room.store.tidy_letters(hooks, Others::Gone, later).await, Ok((Vec::new(), 3)), "dead letters are kept for a month");
}

#[tokio::test]
async fn a_secret_that_is_missing_is_told_and_taken_once_it_is_there() {
    let mut room = Room::new(QUICK);
    let receiver = Receiver::start().await;
    let path = room.path().join("url");
    room.set(&[("chat", &format!("slack: {{urlFile: {}}}", path.display()))]);
    room.tell("chat", &[about("a", 1), end_of("a", 2)]).await;
    let failing = async || room.counts("chat").last_error;
    let error = until("it fails", failing).await;
    assert!(error.contains("cannot read urlFile"), "{error}");
    // Slack says `ok`, and something else means no.
    receiver.answer(|_| Answer { body: "invalid_token", ..status(200) });
    write(room.path(), "url", &format!("{}/services/T0/secret\n", receiver.url()));
    let refused = async || room.counts("chat").last_error.filter(|error| error.contains("invalid_token"));
    let error = until("it is refused", refused).await;
    assert!(!error.contains("secret"), "{error}");
    receiver.answer(|_| Answer { body: "ok", ..status(200) });
    until("both are delivered", async || (room.counts("chat").delivered == 2).then_some(())).await;
}

#[tokio::test]
async fn what_a_hook_took_is_not_sent_again_while_that_cannot_be_written_down() {
    let mut room = Room::new(QUICK);
    let receiver = Receiver::start().await;
    let disk = rusqlite::Connection::open(room.path().join("nodewhy.db")).expect("opened");
    disk.execute_batch("CREATE TRIGGER full BEFORE DELETE ON letters BEGIN SELECT RAISE(ABORT, 'the disk is full'); END").expect("made");
    room.set(&[("ops", &webhook(&receiver))]);
    room.tell("ops", &[about("a", 1), about("b", 1)]).await;
    let failing = async || Some(room.counts("ops")).filter(|counts| counts.failed >= 4);
    let counts = until("it was tried again and again", failing).await;
    let words = counts.last_error.expect("told");
    assert!(words.contains("cannot be written down") && words.contains("the disk is full"), "{words}");
    assert_eq!(receiver.all().len(), 1);
    disk.execute_batch("DROP TRIGGER full").expect("dropped");
    until("all is written down", async || (room.store.letters(Which::default(), false, 10).await.expect("read").is_empty()).then_some(()))
        .await;
    assert_eq!(receiver.keys(2).await, ["a/1", "b/1"]);
    assert_eq!(room.counts("ops").failing_since, None);
}
