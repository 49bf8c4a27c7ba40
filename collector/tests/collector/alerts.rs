//! Messages to webhooks: none lost, none in the way of another.

use serde_json::Value;

use crate::support::agent::{Agent, cause, closes, hello, opens, report, transition};
use crate::support::hook::Hook;
use crate::support::{Collector, until, write};
use nodewhy_proto::v1 as pb;

fn webhooks(hooks: &[(&str, std::net::SocketAddr)]) -> String {
    let hook =
        |(name, address): &(&str, std::net::SocketAddr)| format!("  - {{name: {name}, webhook: {{url: 'http://{address}/hook'}}}}\n");
    format!("hooks:\n{}", hooks.iter().map(hook).collect::<String>())
}

#[tokio::test]
async fn a_webhook_gets_the_opening_and_the_closing_of_a_root_and_of_no_symptom() {
    let hook = Hook::default();
    let address = hook.start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let headers = write(dir.path(), "headers", "Authorization: Bearer secret\n");
    let policy = format!("hooks: [{{name: ops, webhook: {{url: 'http://{address}/hook', headersFile: {}}}}}]\n", headers.display());
    let collector = Collector::start_telling_in(dir, &policy);
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    let (swap, mut down) = (cause("worker-1", "swap-enabled"), cause("worker-1", "kubelet-down"));
    (down.root, down.explained_by) = (false, vec!["swap-enabled".into()]);
    let opened = [&swap, &down].map(|cause| transition(pb::TransitionKind::Opened, cause, 1, "seen"));
    agent.report(report("worker-1", 1, &[swap.clone(), down.clone()], opened.to_vec())).await;
    let closed = [&swap, &down].map(|cause| transition(pb::TransitionKind::Closed, cause, 2, "absent: swap is off"));
    agent.report(report("worker-1", 2, &[], closed.to_vec())).await;

    assert_eq!(hook.told(2).await, ["opened swap-enabled", "resolved swap-enabled"]);
    let [opened, closed] = &hook.taken()[..] else { panic!("two messages") };
    assert_eq!((&opened["version"], &opened["kind"], &opened["node"]), (&2.into(), &"node".into(), &"worker-1".into()));
    let incident = opened["incident"].as_str().expect("a text");
    let [key, end] = [1, 2].map(|number| format!("{incident}/{number}"));
    assert!(incident.starts_with("inc-") && incident.ends_with("-1"), "{incident}");
    assert_eq!((&closed["incident"], &opened["key"], &closed["key"]), (&opened["incident"], &key.into(), &end.as_str().into()));
    assert_eq!(opened["cause"]["code"], "swap-enabled");
    assert_eq!(opened["cause"]["remedy"][0]["run"], "swapoff -a");
    assert_eq!(opened["cause"]["evidence"][0]["quote"], "the kubelet's words");
    assert!(opened.get("resolvedAt").is_none() && closed["resolvedAt"].is_string());
    assert_eq!(closed["endedBy"], "absent: swap is off");
    assert_eq!(hook.headers()["authorization"], "Bearer secret");
    assert_eq!(hook.headers()["idempotency-key"], *end);
    assert!(!collector.log().contains("secret"));
}

#[tokio::test]
async fn what_was_committed_and_not_delivered_is_delivered_after_a_kill() {
    let hook = Hook::default();
    let address = hook.start().await;
    hook.answer(|_| 503);
    let mut collector = Collector::start_telling(&webhooks(&[("ops", address)]));
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    until("an attempt was made", async || (hook.refused() > 0).then_some(())).await;
    collector.kill();
    assert!(hook.taken().is_empty());
    hook.answer(|_| 200);
    collector.restart();
    assert_eq!(hook.told(2).await, ["opened swap-enabled", "resolved swap-enabled"], "once each, in order");
}

#[tokio::test]
async fn a_hook_that_is_down_holds_up_neither_reports_nor_another_hook() {
    let (up, down) = (Hook::default(), Hook::default());
    let (to_up, to_down) = (up.start().await, down.start().await);
    down.answer(|_| 500);
    // Takes connections, and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let to_mute = mute.local_addr().expect("bound");
    let collector = Collector::start_telling(&webhooks(&[("down", to_down), ("mute", to_mute), ("up", to_up)]));
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    for (sequence, code) in [(1, "a"), (3, "b"), (5, "c")] {
        agent.report(opens("worker-1", sequence, code)).await;
        agent.report(closes("worker-1", sequence + 1, code)).await;
    }
    let wanted: Vec<String> =
        ["a", "b", "c"].iter().flat_map(|code| ["opened", "resolved"].map(|event| format!("{event} {code}"))).collect();
    assert_eq!(up.told(6).await, wanted);
    down.answer(|_| 200);
    let heard = down.told(6).await;
    assert!(wanted.iter().all(|told| heard.contains(told)), "it hears all when it is back: {heard:?}");
    for pair in wanted.chunks(2) {
        let place = |told| heard.iter().position(|one| one == told);
        assert!(place(&pair[0]) < place(&pair[1]), "each incident in order: {heard:?}");
    }
}

#[tokio::test]
async fn a_message_that_the_hook_cannot_digest_holds_up_none_of_another_case() {
    let hook = Hook::default();
    let address = hook.start().await;
    hook.answer(move |message| if message["cause"]["code"] == "a" { 500 } else { 200 });
    let collector = Collector::start_telling(&webhooks(&[("ops", address)]));
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "a")).await;
    until("it has failed some times", async || (hook.refused() >= 4).then_some(())).await;
    agent.report(closes("worker-1", 2, "a")).await;
    agent.report(opens("worker-1", 3, "b")).await;
    assert_eq!(hook.told(1).await, ["opened b"]);
    hook.answer(|_| 200);
    assert_eq!(hook.told(3).await[1..], ["opened a", "resolved a"]);
}

#[tokio::test]
async fn a_hook_whose_secret_cannot_be_read_is_told_and_the_others_are_called() {
    let hook = Hook::default();
    let address = hook.start().await;
    let bad = "  - {name: bad, webhook: {url: 'http://127.0.0.1:9', headersFile: /none/h}}\n";
    let collector = Collector::start_telling(&format!("{}{bad}", webhooks(&[("ops", address)])));
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "a")).await;
    assert_eq!(hook.told(1).await, ["opened a"]);
    until("the log says why", async || collector.log().contains("/none/h").then_some(())).await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_used_stops_no_collector_and_a_good_one_is_taken_without_a_restart() {
    let hook = Hook::default();
    let address = hook.start().await;
    let collector = Collector::start_telling("hooks:\n  - {name: ops, webhok: {url: 'http://127.0.0.1:9'}}\n");
    assert!(collector.log().contains("alerts.yaml:2:"), "{}", collector.log());
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "a")).await;
    write(collector.dir.path(), "alerts.yaml", &webhooks(&[("ops", address)]));
    assert_eq!(hook.told(1).await, ["opened a"], "what is open already is told");
    write(collector.dir.path(), "alerts.yaml", "hooks: [\n");
    until("the new mistake is told", async || (collector.log().matches("alerts.yaml:").count() > 1).then_some(())).await;
    agent.report(closes("worker-1", 2, "a")).await;
    assert_eq!(hook.told(2).await[1], "resolved a", "the old policy stays in force");
}

#[tokio::test]
async fn a_message_that_is_refused_waits_alone_and_its_case_stays_in_order() {
    let hook = Hook::default();
    let address = hook.start().await;
    // The end of a would be taken; it has to wait for the beginning.
    let begin_of_a = |message: &Value| message["cause"]["code"] == "a" && message["event"] == "opened";
    hook.answer(move |message| if begin_of_a(message) { 400 } else { 200 });
    let collector = Collector::start_telling(&webhooks(&[("ops", address)]));
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "a")).await;
    agent.report(closes("worker-1", 2, "a")).await;
    agent.report(opens("worker-1", 3, "b")).await;
    assert_eq!(hook.told(1).await, ["opened b"]);
    hook.answer(|_| 200);
    assert_eq!(hook.told(3).await[1..], ["opened a", "resolved a"]);
}

#[tokio::test]
async fn a_root_that_turns_out_to_be_a_symptom_is_told_as_over() {
    let hook = Hook::default();
    let address = hook.start().await;
    let collector = Collector::start_telling(&webhooks(&[("ops", address)]));
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "kubelet-down")).await;
    let (swap, mut down) = (cause("worker-1", "swap-enabled"), cause("worker-1", "kubelet-down"));
    (down.root, down.explained_by) = (false, vec!["swap-enabled".into()]);
    let opened = transition(pb::TransitionKind::Opened, &swap, 2, "seen");
    let folded = transition(pb::TransitionKind::Confirmed, &down, 2, "explained by swap-enabled");
    agent.report(report("worker-1", 2, &[swap, down], vec![opened, folded])).await;
    let mut told = hook.told(3).await;
    told[1..].sort();
    assert_eq!(told, ["opened kubelet-down", "opened swap-enabled", "resolved kubelet-down"]);
    let over = hook.taken().into_iter().find(|message| message["event"] == "resolved").expect("there");
    assert_eq!(over["endedBy"], "explained by swap-enabled");
}

#[tokio::test]
async fn a_warning_pages_as_critical_when_something_critical_follows_from_it() {
    let hook = Hook::default();
    let address = hook.start().await;
    let routes = "routes: [{match: {severity: [critical, warning]}, hooks: [ops]}]\n";
    let collector = Collector::start_telling(&format!("{}{routes}", webhooks(&[("ops", address)])));
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    let mut disk = cause("worker-1", "disk-pressure");
    disk.severity = pb::Severity::Warning.into();
    let opened = transition(pb::TransitionKind::Opened, &disk, 1, "seen");
    agent.report(report("worker-1", 1, std::slice::from_ref(&disk), vec![opened])).await;
    let mut down = cause("worker-1", "kubelet-down");
    (down.root, down.explained_by) = (false, vec!["disk-pressure".into()]);
    let opened = transition(pb::TransitionKind::Opened, &down, 2, "seen");
    agent.report(report("worker-1", 2, &[disk.clone(), down.clone()], vec![opened])).await;
    let closed = transition(pb::TransitionKind::Closed, &down, 3, "over");
    agent.report(report("worker-1", 3, std::slice::from_ref(&disk), vec![closed])).await;
    let closed = transition(pb::TransitionKind::Closed, &disk, 4, "over");
    agent.report(report("worker-1", 4, &[], vec![closed])).await;
    hook.told(3).await;
    let told: Vec<_> =
        hook.taken().iter().map(|message| format!("{} {}", message["event"], message["severity"]).replace('"', "")).collect();
    assert_eq!(told, ["opened warning", "updated critical", "resolved critical"]);
}

#[tokio::test]
async fn a_hook_can_be_tried_out() {
    let hook = Hook::default();
    let address = hook.start().await;
    let collector = Collector::start_telling(&webhooks(&[("ops", address)]));
    let run = async |name: &'static str, environment: &'static [(&str, &str)]| {
        let mut command = collector.command();
        command.args(["hooks", "test", name]).envs(environment.iter().copied());
        // The hook answers meanwhile.
        tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
    };
    let test = async |name| run(name, &[]).await;
    assert_eq!(test("ops").await.status.code(), Some(0));
    assert_eq!(hook.taken()[0]["event"], "test");
    hook.answer(|_| 403);
    let refused = test("ops").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("403"), "{refused:?}");
    let bare = run("ops", &[("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")]).await;
    assert!(String::from_utf8_lossy(&bare.stdout).contains("403"), "a plain hook needs no CA certificates: {bare:?}");
    let unknown = test("nobody").await;
    assert_eq!(unknown.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there are: ops"), "{unknown:?}");
}

#[tokio::test]
async fn what_waits_outlives_a_restart_with_a_policy_that_cannot_be_read() {
    let hook = Hook::default();
    let address = hook.start().await;
    hook.answer(|_| 503);
    let good = webhooks(&[("ops", address)]);
    let mut collector = Collector::start_telling(&good);
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    until("an attempt was made", async || (hook.refused() > 0).then_some(())).await;
    collector.kill();
    write(collector.dir.path(), "alerts.yaml", "hooks: [\n");
    collector.restart();
    hook.answer(|_| 200);
    write(collector.dir.path(), "alerts.yaml", &good);
    assert_eq!(hook.told(1).await, ["opened swap-enabled"]);
}
