//! AlertService: incidents, silences, hooks and what waits for them.

use std::net::SocketAddr;
use std::path::Path;

use jiff::{Timestamp, ToSpan as _};
use nodewhy_collector::policy::{Loaded, Policy};
use nodewhy_collector::store::{Store, Which};
use nodewhy_proto::v1 as pb;
use tokio::sync::watch;
use tonic::Code;

use crate::support::agent::{Agent, closes, hello, opens};
use crate::support::hook::Hook;
use crate::support::{Collector, until, write};

fn policy(address: SocketAddr) -> String {
    format!("hooks: [{{name: ops, webhook: {{url: 'http://{address}/hook'}}}}]\n")
}

async fn attach(collector: &Collector, node: &str) -> Agent {
    Agent::attach(collector.channel().await, hello(node)).await.expect("welcome")
}

async fn incidents(collector: &Collector, open_only: bool) -> Vec<pb::Incident> {
    let request = pb::ListIncidentsRequest { open_only, ..pb::ListIncidentsRequest::default() };
    collector.alerts().await.list_incidents(request).await.expect("an answer").into_inner().incidents
}

async fn silence(collector: &Collector, matchers: &[&str]) -> Result<pb::Silence, tonic::Status> {
    let matchers = matchers.iter().map(|matcher| (*matcher).to_owned()).collect();
    let silence = pb::Silence { matchers, comment: "works".into(), created_by: "me".into(), ..pb::Silence::default() };
    let answer = collector.alerts().await.add_silence(pb::AddSilenceRequest { silence: Some(silence) }).await?;
    Ok(answer.into_inner().silence.expect("there"))
}

#[tokio::test]
async fn incidents_are_listed_newest_first_page_by_page_and_had_one_by_one() {
    let hook = Hook::default();
    let collector = Collector::start_telling(&policy(hook.start().await));
    let mut agent = attach(&collector, "worker-1").await;
    agent.report(opens("worker-1", 1, "a")).await;
    hook.told(1).await;
    agent.report(closes("worker-1", 2, "a")).await;
    agent.report(opens("worker-1", 3, "b")).await;
    hook.told(3).await;

    // The hook has it a moment before it is written down that it has.
    let all = until("all is taken", async || {
        let all = incidents(&collector, false).await;
        all.iter().flat_map(|one| &one.told).all(|told| told.delivery == "taken").then_some(all)
    });
    let all = all.await;
    let numbers: Vec<&str> = all.iter().map(|one| one.id.rsplit('-').next().expect("a number")).collect();
    assert_eq!(numbers, ["2", "1"], "{all:?}");
    assert_eq!(incidents(&collector, true).await, all[..1]);
    let (open, over) = (&all[0], &all[1]);
    assert_eq!((&*open.kind, &*open.title, &open.nodes[..]), ("node", "worker-1: Title of b", &["worker-1".to_owned()][..]));
    assert_eq!((open.severity(), &*open.node, open.closed_at), (pb::Severity::Critical, "worker-1", None));
    let cause = open.cause.as_ref().expect("there");
    assert_eq!((&*cause.message, &*cause.remedy[0].run, &*cause.evidence[0].quote), ("message of b", "swapoff -a", "the kubelet's words"));
    assert_eq!(open.told.iter().map(|told| (&*told.hook, &*told.event, told.number)).collect::<Vec<_>>(), [("ops", "opened", 1)]);
    assert!(over.closed_at.is_some() && over.ended_by == "absent: swap is off", "{over:?}");
    assert_eq!((&*over.told[0].event, over.told[0].number, &over.nodes[..]), ("resolved", 2, &["worker-1".to_owned()][..]));

    let mut alerts = collector.alerts().await;
    let mut request = pb::ListIncidentsRequest { page_size: 1, ..pb::ListIncidentsRequest::default() };
    let first = alerts.list_incidents(request.clone()).await.expect("an answer").into_inner();
    request.page_token = first.next_page_token;
    let second = alerts.list_incidents(request).await.expect("an answer").into_inner();
    assert_eq!((&first.incidents[..], &second.incidents[..], &*second.next_page_token), (&all[..1], &all[1..], ""));
    let bad = pb::ListIncidentsRequest { page_token: "x".into(), ..pb::ListIncidentsRequest::default() };
    assert_eq!(alerts.list_incidents(bad).await.expect_err("refused").code(), Code::InvalidArgument);

    let one = alerts.get_incident(pb::GetIncidentRequest { id: over.id.clone() }).await.expect("an answer").into_inner().incident;
    assert_eq!(one.as_ref(), Some(over));
    let elsewhere = alerts.get_incident(pb::GetIncidentRequest { id: "inc-0123456-1".into() }).await.expect_err("refused");
    assert_eq!(elsewhere.code(), Code::NotFound, "of another store");
    let none = alerts.get_incident(pb::GetIncidentRequest { id: "inc-9\u{1b}".into() }).await.expect_err("refused");
    assert_eq!(none.code(), Code::NotFound);
    assert!(none.message().contains("kubectl nodewhy incidents") && !none.message().contains('\u{1b}'), "{none}");
}

#[tokio::test]
async fn what_is_silenced_is_not_told_and_is_when_the_silence_is_ended_while_it_is_open() {
    let hook = Hook::default();
    let collector = Collector::start_telling(&policy(hook.start().await));
    let made = silence(&collector, &["node=worker-1", "cause=a,b"]).await.expect("made");
    assert_eq!((&made.matchers[..], &*made.comment), (&["node=worker-1".to_owned(), "cause=a,b".to_owned()][..], "works"));
    let mut agent = attach(&collector, "worker-1").await;
    agent.report(opens("worker-1", 1, "a")).await;
    let mut other = attach(&collector, "worker-2").await;
    other.report(opens("worker-2", 1, "c")).await;
    assert_eq!(hook.told(1).await, ["opened c"]);
    let silent = incidents(&collector, true).await.into_iter().find(|one| one.node == "worker-1").expect("it is kept all the same");
    assert_eq!(silent.told, []);
    assert!(
        silent.quiet.starts_with("silenced until ") && silent.quiet.ends_with(&format!(" by me for works ({})", made.id)),
        "{}",
        silent.quiet
    );

    let mut alerts = collector.alerts().await;
    let ended = alerts.expire_silence(pb::ExpireSilenceRequest { id: made.id.clone() }).await.expect("an answer").into_inner().silence;
    assert!(ended.as_ref().is_some_and(|silence| silence.id == made.id && silence.ends_at != made.ends_at));
    let again = alerts.expire_silence(pb::ExpireSilenceRequest { id: made.id.clone() }).await.expect("an answer").into_inner();
    assert_eq!((again.was_over, again.silence), (true, ended), "ended once");
    assert_eq!(hook.told(2).await[1], "opened a");
    let list = async |all| {
        let answer = collector.alerts().await.list_silences(pb::ListSilencesRequest { all }).await.expect("an answer");
        answer.into_inner().silences.into_iter().map(|silence| silence.id).collect::<Vec<_>>()
    };
    assert_eq!((list(false).await, list(true).await), (vec![], vec![made.id]));
    let none = alerts.expire_silence(pb::ExpireSilenceRequest { id: "sil-0".into() }).await.expect_err("refused");
    assert!(none.code() == Code::NotFound && none.message().contains("silence list"), "{none}");
}

#[tokio::test]
async fn a_nodes_own_fault_is_told_although_the_greater_incident_that_it_opened_with_is_silenced() {
    let hook = Hook::default();
    let collector = Collector::start_telling(&policy(hook.start().await));
    silence(&collector, &["cause=a"]).await.expect("made");
    let mut agents = Vec::new();
    for node in ["worker-1", "worker-2", "worker-3"] {
        let mut agent = attach(&collector, node).await;
        agent.report(opens(node, 1, "a")).await;
        agents.push(agent);
    }
    let of_kind = async |kind: &str| incidents(&collector, true).await.into_iter().find(|one| one.kind == kind);
    let greater = until("they are one incident", async || of_kind("cause").await).await;
    let mut other = attach(&collector, "other").await;
    other.report(opens("other", 1, "c")).await;
    assert_eq!(hook.told(1).await, ["opened c"]);
    assert_eq!(of_kind("node").await.expect("it is open").held_by, greater.id);
}

#[tokio::test]
async fn a_nodes_own_fault_is_told_although_the_greater_incident_was_silenced_after_it_was_told() {
    let hook = Hook::default();
    let collector = Collector::start_telling(&policy(hook.start().await));
    let mut agents = Vec::new();
    for node in ["worker-1", "worker-2", "worker-3"] {
        let mut agent = attach(&collector, node).await;
        agent.report(opens(node, 1, "a")).await;
        agents.push(agent);
    }
    let group = async || incidents(&collector, true).await.into_iter().find(|one| one.kind == "cause" && !one.told.is_empty());
    until("the hook is told of one incident", group).await;
    let told = hook.told(1).await.len();
    silence(&collector, &["cause=a"]).await.expect("made");
    let mut other = attach(&collector, "other").await;
    other.report(opens("other", 1, "c")).await;
    assert!(hook.told(told + 1).await.contains(&"opened c".to_owned()));
}

#[tokio::test]
async fn a_message_counts_and_names_what_is_neither_silenced_nor_in_maintenance() {
    let hook = Hook::default();
    let (from, until_then) = (Timestamp::now() - 1.hour(), Timestamp::now() + 1.hour());
    let quiet = format!("maintenance: [{{match: {{node: [worker-1]}}, from: {from}, until: {until_then}}}]\n");
    let collector = Collector::start_telling(&format!("{}{quiet}", policy(hook.start().await)));
    let mut agents = Vec::new();
    for node in ["worker-1", "worker-2", "worker-3"] {
        let mut agent = attach(&collector, node).await;
        agent.report(opens(node, 1, "a")).await;
        agents.push(agent);
    }
    until("all are told", async || hook.taken().iter().any(|message| message["kind"] == "cause").then_some(())).await;
    for message in hook.taken() {
        let names = message["nodes"]["names"].as_array().expect("names").clone();
        assert!(message["node"] != "worker-1" && !names.contains(&"worker-1".into()), "{message}");
        assert_eq!(message["nodes"]["count"], names.len());
    }
}

#[tokio::test]
async fn what_a_hook_has_not_taken_is_shown_as_waiting_with_the_hooks_words() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let collector = Collector::start_telling(&policy(nobody));
    let mut agent = attach(&collector, "worker-1").await;
    agent.report(opens("worker-1", 1, "a")).await;
    let told = async || incidents(&collector, true).await.into_iter().flat_map(|one| one.told).next();
    assert_eq!(until("it is told", told).await.delivery, "waiting");
    let words = async || {
        let answer = collector.alerts().await.list_messages(pb::ListMessagesRequest::default()).await.expect("an answer");
        answer.into_inner().messages.into_iter().map(|message| message.last_error).find(|error| !error.is_empty())
    };
    assert!(until("the hook's words", words).await.contains("refused"));
    let unknown = pb::ResendMessagesRequest { hook: "nohook".into(), ..pb::ResendMessagesRequest::default() };
    let none = collector.alerts().await.resend_messages(unknown).await.expect_err("refused");
    assert!(none.code() == Code::NotFound && none.message().contains("kubectl nodewhy hooks"), "{none}");
}

#[tokio::test]
async fn a_silence_outlives_a_restart_and_an_end_is_told_through_it() {
    let hook = Hook::default();
    let mut collector = Collector::start_telling(&policy(hook.start().await));
    let mut agent = attach(&collector, "worker-1").await;
    agent.report(opens("worker-1", 1, "a")).await;
    hook.told(1).await;
    silence(&collector, &["node=worker-*"]).await.expect("made");
    collector.kill();
    collector.restart();
    let mut agent = attach(&collector, "worker-1").await;
    agent.report(closes("worker-1", 2, "a")).await;
    assert_eq!(hook.told(2).await[1], "resolved a", "who was told that something is wrong is told when it is not");
    agent.report(opens("worker-1", 3, "b")).await;
    let mut other = attach(&collector, "other").await;
    other.report(opens("other", 1, "c")).await;
    assert_eq!(hook.told(3).await[2], "opened c");
}

#[tokio::test]
async fn silences_that_cannot_be_meant_are_refused_with_what_would_be_right() {
    let collector = Collector::start("");
    for (matchers, says) in
        [(&[][..], "everything"), (&["node=*"], "everything"), (&["zone=a"], "label.NAME"), (&["severity=bad"], "critical")]
    {
        let status = silence(&collector, matchers).await.expect_err("refused");
        assert!(status.code() == Code::InvalidArgument && status.message().contains(says), "{matchers:?}: {status}");
    }
    let ends_at = Some(prost_types::Timestamp { seconds: 1000, nanos: 0 });
    let past = pb::Silence { matchers: vec!["node=a".into()], ends_at, ..pb::Silence::default() };
    let status = collector.alerts().await.add_silence(pb::AddSilenceRequest { silence: Some(past) }).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn hooks_tell_what_waits_since_when_they_fail_and_what_is_wrong_with_the_policy() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let collector = Collector::start_telling(&policy(nobody));
    let hooks = async || collector.alerts().await.list_hooks(pb::ListHooksRequest {}).await.expect("an answer").into_inner();
    let fine = hooks().await;
    assert_eq!((fine.policy_problems.len(), fine.policy_since.is_some()), (0, true));
    let [ops] = &fine.hooks[..] else { panic!("one hook: {fine:?}") };
    assert_eq!((&*ops.name, &*ops.kind, ops.waiting, ops.failing_since), ("ops", "webhook", 0, None));

    let mut agent = attach(&collector, "worker-1").await;
    agent.report(opens("worker-1", 1, "a")).await;
    let failing = until("it fails", async || Some(hooks().await).filter(|answer| answer.hooks[0].failing_since.is_some())).await;
    let ops = &failing.hooks[0];
    assert!(ops.waiting == 1 && ops.oldest_waiting.is_some() && !ops.last_error.is_empty(), "{ops:?}");
    let waiting = collector.alerts().await.list_messages(pb::ListMessagesRequest { hook: "ops".into(), ..Default::default() }).await;
    let [message] = &waiting.expect("an answer").into_inner().messages[..] else { panic!("one message") };
    assert_eq!((&*message.event, &*message.title, message.dead_at), ("opened", "worker-1: Title of a", None));
    assert!(message.key.starts_with("inc-") && message.key.ends_with("-1/1"), "{}", message.key);

    write(collector.dir.path(), "alerts.yaml", "hooks: [\n");
    let bad = until("the bad file is told", async || Some(hooks().await).filter(|answer| !answer.policy_problems.is_empty())).await;
    assert!(bad.policy_problems[0].contains("alerts.yaml:1:") && bad.hooks.len() == 1, "{bad:?}");
    assert_eq!(bad.policy_since, fine.policy_since, "the old one is in force");
}

/// Gives up all that waits, as is done with what was refused for a day.
async fn bury_all(collector: &Collector, policy: &str) {
    let loaded = Loaded { policy: Policy::parse(Path::new("p"), policy).expect("good").into(), problem: None, since: Timestamp::now() };
    let (_sender, policy) = watch::channel(loaded);
    let opened = Store::open(&collector.data(), policy).expect("opened");
    for letter in opened.store.letters(Which::default(), false, 100).await.expect("read") {
        opened.store.bury_letter(letter.id, "410 Gone".into(), Timestamp::now()).await.expect("written");
    }
    drop(opened.store);
    opened.ended.await.expect_err("it has ended");
}

#[tokio::test]
async fn what_was_given_up_is_shown_and_sent_again() {
    let hook = Hook::default();
    hook.answer(|_| 410);
    let policy = policy(hook.start().await);
    let mut collector = Collector::start_telling(&policy);
    let mut agents = [attach(&collector, "worker-1").await, attach(&collector, "worker-2").await];
    agents[0].report(opens("worker-1", 1, "a")).await;
    agents[1].report(opens("worker-2", 1, "b")).await;
    until("both were refused", async || (hook.refused() >= 2).then_some(())).await;
    collector.kill();
    bury_all(&collector, &policy).await;
    hook.answer(|_| 200);
    collector.restart();

    let mut alerts = collector.alerts().await;
    let dead = pb::ListMessagesRequest { dead: true, ..pb::ListMessagesRequest::default() };
    let mut found = alerts.list_messages(dead.clone()).await.expect("an answer").into_inner().messages;
    found.sort_by(|a, b| a.key.cmp(&b.key));
    let keys: Vec<&str> = found.iter().map(|message| &*message.key).collect();
    assert!(matches!(keys[..], [first, second] if first.ends_with("-1/1") && second.ends_with("-2/1")), "{keys:?}");
    assert!(found.iter().all(|message| message.last_error == "410 Gone" && message.dead_at.is_some()));
    let hooks = alerts.list_hooks(pb::ListHooksRequest {}).await.expect("an answer").into_inner().hooks;
    assert_eq!((hooks[0].dead, hooks[0].waiting), (2, 0));

    let mut resend = async |key: &str, hook: &str| {
        let request = pb::ResendMessagesRequest { key: key.into(), hook: hook.into() };
        alerts.resend_messages(request).await.expect("an answer").into_inner().resent
    };
    assert_eq!(resend("inc-9/1", "").await, 0);
    assert_eq!(resend(keys[1], "ops").await, 1);
    assert_eq!(hook.told(1).await, ["opened b"]);
    assert_eq!(resend("", "").await, 1);
    assert_eq!(hook.told(2).await, ["opened b", "opened a"]);
    assert_eq!(resend("", "").await, 0, "none is left");
}
