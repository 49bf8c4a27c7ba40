//! Alertmanager hooks: a real one, and what it is sent.

use std::time::Duration;

use jiff::Timestamp;
use nodewhy_collector::hooks::Timing;
use nodewhy_collector::message::{Event, Message};
use nodewhy_diagnosis::model::Severity;
use serde_json::Value;

use super::delivery::{QUICK, Room};
use super::install_provider;
use super::messages::{self, about, end_of};
use super::receiver::{Receiver, status};
use crate::alertmanager::Alertmanager;
use crate::support::until;

fn kind(url: &str) -> String {
    format!("alertmanager: {{url: '{url}'}}")
}

#[tokio::test]
async fn a_real_alertmanager_shows_an_incident_for_as_long_as_it_lasts_and_resolves_it() {
    install_provider();
    let Some(mut alertmanager) = Alertmanager::start().await else { return };
    let mut room = Room::new(Timing { ahead: Duration::from_secs(2), ..QUICK });
    room.set(&[("am", &kind(&alertmanager.url()))]);
    room.tell("am", &[about("i-1", 1)]).await;
    let alert = alertmanager.one().await;
    assert_eq!((&alert["labels"]["alertname"], &alert["labels"]["incident"]), (&"NodeSwapEnabled".into(), &"i-1".into()));
    assert!(alert["annotations"]["remedy"].as_str().expect("text").contains("swapoff -a"), "{alert}");
    let ends = |alert: &Value| alert["endsAt"].as_str().expect("a time").parse::<Timestamp>().expect("a time");
    let first = ends(&alert);
    until("the first end is past and the alert is still there", async || {
        let alerts = alertmanager.alerts().await;
        assert_eq!(alerts.len(), 1, "it resolved by itself");
        (Timestamp::now() > first && ends(&alerts[0]) > first).then_some(())
    })
    .await;
    alertmanager.forget().await;
    alertmanager.one().await;
    room.tell("am", &[end_of("i-1", 2)]).await;
    alertmanager.none().await;
}

#[tokio::test]
async fn a_real_alertmanager_takes_every_message_whatever_is_in_it() {
    install_provider();
    let Some(alertmanager) = Alertmanager::start().await else { return };
    let mut room = Room::new(QUICK);
    room.set(&[("am", &kind(&alertmanager.url()))]);
    let all = messages::all();
    for (n, (_, message)) in all.iter().enumerate() {
        let incident = format!("i-{n}");
        room.tell("am", &[Message { key: format!("{incident}/1"), incident, number: 1, ..message.clone() }]).await;
    }
    let wanted = all.len() as u64;
    until("all are taken", async || {
        let counts = room.counts("am");
        assert_eq!(counts.failed, 0, "{:?}", counts.last_error);
        (counts.delivered == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn labels_stay_whatever_is_learnt_and_a_worse_incident_is_another_alert() {
    let mut room = Room::new(Timing { again: Duration::from_secs(3600), ..QUICK });
    let receiver = Receiver::start().await;
    room.set(&[("am", &kind(&receiver.url()))]);
    let told = |number, severity, event| {
        let mut message = Message { severity, event, ..about("i-1", number) };
        if number > 1 {
            message.kind = nodewhy_collector::message::Kind::Label;
            message.cause.code = "agent-silent".to_owned();
        }
        message
    };
    room.tell("am", &[told(1, Severity::Warning, Event::Opened), told(2, Severity::Warning, Event::Updated)]).await;
    room.tell("am", &[told(3, Severity::Critical, Event::Updated), end_of("i-1", 4)]).await;
    let posts: Vec<Value> = receiver.wait(4).await.iter().map(|got| serde_json::from_slice(&got.body).expect("JSON")).collect();
    let labels = |post: usize, alert: usize| &posts[post][alert]["labels"];
    let open = |post: usize, alert: usize| {
        posts[post][alert]["endsAt"].as_str().expect("text").parse::<Timestamp>().expect("a time") > Timestamp::now()
    };
    assert_eq!(labels(0, 0)["severity"], "warning");
    assert_eq!(labels(0, 0), labels(1, 0), "it is the same alert");
    assert_eq!((labels(2, 0), open(2, 0)), (labels(0, 0), false), "the old one is over");
    assert_eq!((&labels(2, 1)["severity"], open(2, 1)), (&"critical".into(), true));
    assert_eq!((labels(3, 0), open(3, 0)), (labels(2, 1), false), "the new one is resolved by its own labels");
}

#[tokio::test]
async fn what_is_open_is_told_again_and_an_end_that_was_given_up_is_not_told_as_open() {
    let mut room = Room::new(Timing { give_up: jiff::SignedDuration::ZERO, ..QUICK });
    let receiver = Receiver::start().await;
    room.set(&[("am", &kind(&receiver.url()))]);
    room.tell("am", &[about("i-1", 1)]).await;
    receiver.wait(3).await;
    let over = |got: &super::receiver::Got| {
        let alerts: Value = serde_json::from_slice(&got.body).expect("JSON");
        alerts[0]["annotations"].get("ended_by").is_some()
    };
    receiver.answer(move |got| if over(got) { status(400) } else { status(200) });
    room.tell("am", &[end_of("i-1", 2)]).await;
    until("the end is given up", async || (room.counts("am").dead == 1).then_some(())).await;
    let posted = receiver.all().len();
    room.tell("am", &[about("i-2", 1)]).await;
    until("only the other one is told again", async || {
        let later = receiver.all().into_iter().skip(posted + 2).collect::<Vec<_>>();
        let about = |got: &super::receiver::Got, what: &str| String::from_utf8_lossy(&got.body).contains(what);
        assert!(!later.iter().any(|(got, _)| about(got, "i-1")), "it is over, and nobody knows");
        (later.iter().filter(|(got, _)| about(got, "i-2")).count() >= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_alertmanager_that_is_away_fails_although_nothing_new_waits_for_it() {
    let mut room = Room::new(QUICK);
    let receiver = Receiver::start().await;
    room.set(&[("am", &kind(&receiver.url()))]);
    room.tell("am", &[about("i-1", 1)]).await;
    until("it is taken", async || (room.counts("am").delivered == 1).then_some(())).await;
    receiver.answer(|_| status(503));
    let since = until("it fails", async || room.counts("am").failing_since).await;
    let failed = room.counts("am").failed;
    until("open alerts were tried again and again", async || (room.counts("am").failed > failed + 3).then_some(())).await;
    let counts = room.counts("am");
    assert_eq!((counts.failing_since, counts.waiting), (Some(since), 0));
    receiver.answer(|_| status(200));
    until("all is well", async || room.counts("am").failing_since.is_none().then_some(())).await;
}
