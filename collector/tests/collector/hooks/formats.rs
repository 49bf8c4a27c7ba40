//! What is sent is what the receivers' public formats say, field by field, for every event and whatever the texts are.

use std::sync::Arc;

use nodewhy_collector::hooks::Hook;
use nodewhy_collector::hooks::template::Templates;
use nodewhy_collector::message::{Event, Kind, Message};
use serde_json::{Value, json};

use super::messages::{self, NASTY};
use super::receiver::{Got, Receiver};
use super::schema::Schema;
use super::{hook, install_provider};
use crate::support::write;

/// A key as PagerDuty's: 32 letters and digits.
const KEY: &str = "0123456789abcdef0123456789ABCDEF";

/// Sends all messages through a hook and gives what arrived for each.
async fn send(kind: impl Fn(&Receiver, &std::path::Path) -> String) -> Vec<(String, Message, Got)> {
    send_with(Templates::default(), kind).await
}

async fn send_with(templates: Templates, kind: impl Fn(&Receiver, &std::path::Path) -> String) -> Vec<(String, Message, Got)> {
    install_provider();
    let receiver = Receiver::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let hook: Arc<Hook> = Hook::new(&hook(&kind(&receiver, dir.path())), templates);
    assert_eq!(hook.check(), Ok(()));
    let mut sent = Vec::new();
    for (name, message) in messages::all() {
        hook.try_out(&message).await.unwrap_or_else(|words| panic!("{name}: {words}"));
        let got = receiver.taken().pop().expect("it came");
        sent.push((name, message, got));
    }
    sent
}

fn bodies(sent: &[(String, Message, Got)], schema: &Schema) -> Vec<Value> {
    sent.iter().map(|(name, _, got)| schema.check(name, &got.body)).collect()
}

fn of<'a>(sent: &'a [(String, Message, Got)], bodies: &'a [Value], name: &str) -> (&'a Message, &'a Got, &'a Value) {
    let place = sent.iter().position(|(known, ..)| known == name).expect(name);
    (&sent[place].1, &sent[place].2, &bodies[place])
}

#[tokio::test]
async fn a_webhook_gets_the_message_as_its_schema_says() {
    let sent = send(|to, dir| {
        let headers = write(dir, "headers", "Authorization: Bearer token\n");
        format!("webhook: {{url: '{}/x?y=z', headersFile: {}}}", to.url(), headers.display())
    })
    .await;
    bodies(&sent, &Schema::read("../docs/alert.schema.json").strict());
    for (name, message, got) in &sent {
        let said = got.message();
        assert_eq!((got.uri.to_string(), got.header("content-type")), ("/x?y=z".to_owned(), "application/json"));
        assert_eq!((got.header("authorization"), got.header("idempotency-key")), ("Bearer token", &*message.key));
        if name.ends_with("huge") {
            assert!(got.body.len() <= 64 * 1024, "{name}: {}", got.body.len());
            assert!(said.cause.message.ends_with(&format!("… ({})", message.command)), "{name}");
        } else {
            assert_eq!(said, *message, "{name}");
        }
    }
}

#[tokio::test]
async fn cloud_events_are_events_of_the_standard() {
    let sent = send(|to, _| format!("webhook: {{url: '{}', format: cloudevents}}", to.url())).await;
    let all = bodies(&sent, &Schema::format("cloudevents-1.0"));
    let (message, got, event) = of(&sent, &all, "fleet opened");
    assert_eq!(got.header("content-type"), "application/cloudevents+json; charset=utf-8");
    let wanted = json!({
        "specversion": "1.0", "id": "example-fleet-1", "source": "https://nodewhy.example.org", "type": "io.nodewhy.incident.opened",
        "subject": "example-fleet", "time": "2025-01-02T03:00:01.5Z", "datacontenttype": "application/json", "severity": "critical",
        "data": serde_json::to_value(message).expect("JSON"),
    });
    assert_eq!(*event, wanted);
    let (.., over) = of(&sent, &all, "fleet resolved");
    assert_eq!((&over["type"], &over["subject"]), (&json!("io.nodewhy.incident.resolved"), &event["subject"]));
    assert_eq!(of(&sent, &all, "node opened").2["source"], "urn:nodewhy:collector");
    assert_eq!(of(&sent, &all, "test").2["test"], true);
}

#[tokio::test]
async fn alertmanagers_api_gets_alerts_with_labels_that_stay() {
    let sent = send(|to, _| format!("alertmanager: {{url: '{}/prefix/'}}", to.url())).await;
    let all = bodies(&sent, &Schema::format("alertmanager-v2-alerts"));
    let (_, got, alerts) = of(&sent, &all, "node opened");
    assert_eq!(got.uri, "/prefix/api/v2/alerts");
    let labels = json!({
        "alertname": "NodeSwapEnabled", "incident": "example-node", "cause": "swap-enabled", "severity": "critical", "layer": "kubelet",
        "kind": "node", "node": "worker-1", "source": "nodewhy",
    });
    assert_eq!(alerts[0]["labels"], labels);
    assert_eq!(of(&sent, &all, "node resolved").2[0]["labels"], labels);
    let says = &alerts[0]["annotations"];
    assert_eq!(says["summary"], "worker-1: Swap is on and the kubelet refuses to run with it");
    assert_eq!(says["remedy"], "1. Turn swap off now: swapoff -a\n2. Take the swap line out of /etc/fstab, so that it stays off");
    assert_eq!(
        (&says["command"], &says["explains"]),
        (&json!("kubectl nodewhy why worker-1"), &json!("kubelet-crash-looping, kubelet-down"))
    );
    let (.., fleet) = of(&sent, &all, "fleet opened");
    assert!(fleet[0]["labels"].get("node").is_none(), "a fleet is no node");
    let says = &fleet[0]["annotations"];
    assert!(says["nodes"].as_str().expect("text").starts_with("498 of 500 nodes: "), "{says}");
    assert_eq!(says["shared"], "apiServer https://10.0.0.1:6443, 498 of the 500 nodes that have it");
    assert_eq!(says["apart"], "worker-499: The disk is full (critical); 1 more");
    assert_eq!(fleet[0]["generatorURL"], "https://nodewhy.example.org/incidents/example-fleet");
    let time = |alert: &Value, name: &str| alert[name].as_str().expect("text").parse::<jiff::Timestamp>().expect("a time");
    for ((name, message, _), alerts) in sent.iter().zip(&all) {
        let over = time(&alerts[0], "endsAt") <= jiff::Timestamp::now();
        assert_eq!(over, message.event == Event::Resolved, "{name}");
    }
}

#[tokio::test]
async fn alertmanagers_webhook_payload_is_what_receivers_know() {
    let sent = send(|to, _| format!("webhook: {{url: '{}', format: alertmanager}}", to.url())).await;
    let all = bodies(&sent, &Schema::format("alertmanager-webhook-v4"));
    let (.., open) = of(&sent, &all, "fleet opened");
    let (.., over) = of(&sent, &all, "fleet resolved");
    assert_eq!((&open["status"], &over["status"]), (&json!("firing"), &json!("resolved")));
    assert_eq!(open["groupKey"], "{}:{incident=\"example-fleet\"}");
    assert_eq!((&open["receiver"], &open["groupLabels"]), (&json!("the\\.hook"), &json!({"incident": "example-fleet"})));
    for same in ["groupKey", "groupLabels", "commonLabels"] {
        assert_eq!(open[same], over[same], "{same}");
    }
    assert_eq!(open["alerts"][0]["fingerprint"], over["alerts"][0]["fingerprint"]);
    assert_eq!(over["alerts"][0]["endsAt"], "2025-01-02T03:00:01.5Z");
    assert_eq!(open["commonLabels"], open["alerts"][0]["labels"]);
}

#[tokio::test]
async fn slack_gets_blocks_in_which_foreign_text_means_nothing() {
    let sent = send(|to, dir| format!("slack: {{urlFile: {}}}", write(dir, "url", &to.url()).display())).await;
    let all = bodies(&sent, &Schema::format("slack-incoming-webhook"));
    for ((name, ..), body) in sent.iter().zip(&all) {
        assert!(body.to_string().len() < 12_000, "{name}: {}", body.to_string().len());
        let text = body.to_string();
        assert!(!text.contains("<!channel>") && !text.contains("<@U1>"), "{name}: {text}");
    }
    let (.., open) = of(&sent, &all, "fleet opened");
    assert_eq!(open["text"], "Control plane https://10.0.0.1:6443 unreachable from 498 of 500 nodes");
    assert_eq!((&open["attachments"][0]["color"], &open["mrkdwn"]), (&json!("danger"), &json!(false)));
    let text = open["attachments"].to_string();
    for words in [
        "Where\\n498 of 500 nodes",
        "```crictl ps -a --name kube-apiserver```",
        "```kubectl nodewhy incidents example-fleet```",
        "worker-499",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("<https://nodewhy.example.org/incidents/example-fleet|Open the page>"), "{text}");
    let (.., over) = of(&sent, &all, "node resolved");
    assert_eq!((&over["attachments"][0]["color"], over["text"].as_str().expect("text").starts_with("Over: ")), (&json!("good"), true));
    assert!(over.to_string().contains("Lasted\\n1h 3m 2s"), "{over}");
    let (.., nasty) = of(&sent, &all, "node opened, nasty");
    assert!(!nasty.to_string().contains("```\"quoted\""), "a command with a backquote stands in no code block: {nasty}");
}

#[tokio::test]
async fn teams_gets_a_card_in_which_foreign_text_means_nothing() {
    let sent = send(|to, dir| format!("teams: {{urlFile: {}}}", write(dir, "url", &to.url()).display())).await;
    let all = bodies(&sent, &Schema::format("teams-workflow"));
    for ((name, ..), body) in sent.iter().zip(&all) {
        let text = body.to_string();
        assert!(!text.contains("TextBlock\",\"") && !text.contains("FactSet"), "{name}: foreign text would be read as Markdown: {text}");
    }
    let (.., open) = of(&sent, &all, "fleet opened");
    let card = &open["attachments"][0]["content"];
    assert_eq!(card["body"][0]["style"], "attention");
    assert_eq!(card["body"][0]["items"][0]["inlines"][0]["text"], "Control plane https://10.0.0.1:6443 unreachable from 498 of 500 nodes");
    assert_eq!(card["actions"][0]["url"], "https://nodewhy.example.org/incidents/example-fleet");
    let text = card.to_string();
    for words in [
        "498 of 500 nodes: worker-1",
        "apiServer",
        "worker-499: The disk is full",
        "crictl ps -a",
        "kubectl nodewhy incidents example-fleet",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(of(&sent, &all, "node resolved").2["attachments"][0]["content"]["body"][0]["style"], "good");
}

#[tokio::test]
async fn pagerduty_gets_trigger_acknowledge_and_resolve_with_one_key() {
    let sent =
        send(|to, dir| format!("pagerduty: {{routingKeyFile: {}, url: '{}/v2/enqueue'}}", write(dir, "key", KEY).display(), to.url()))
            .await;
    let all = bodies(&sent, &Schema::format("pagerduty-events-v2"));
    for ((name, message, _), event) in sent.iter().zip(&all) {
        let action = match message.event {
            Event::Resolved | Event::Replaced => "resolve",
            Event::Acknowledged => "acknowledge",
            _ => "trigger",
        };
        assert_eq!((&event["event_action"], &event["dedup_key"]), (&json!(action), &json!(message.incident)), "{name}");
    }
    let (_, got, event) = of(&sent, &all, "fleet opened");
    assert_eq!((got.uri.path(), &event["routing_key"]), ("/v2/enqueue", &json!(KEY)));
    let payload = &event["payload"];
    for (name, value) in [
        ("summary", "Control plane https://10.0.0.1:6443 unreachable from 498 of 500 nodes"),
        ("source", "worker-1"),
        ("severity", "critical"),
        ("timestamp", "2025-01-02T03:00:00Z"),
        ("component", "apiserver-unreachable"),
        ("group", "control-plane"),
        ("class", "control-plane"),
    ] {
        assert_eq!(payload[name], value, "{name}");
    }
    let details = &payload["custom_details"];
    assert_eq!(details["apart"], "worker-499: The disk is full (critical); 1 more");
    assert_eq!(details["remedy"], "1. Look at the API server on its machine: crictl ps -a --name kube-apiserver");
    assert_eq!(event["links"][0]["href"], "https://nodewhy.example.org/incidents/example-fleet");
    assert!(of(&sent, &all, "fleet repeated").2["payload"]["summary"].as_str().expect("text").starts_with("Still: "));
}

#[tokio::test]
async fn opsgenie_gets_an_alert_its_acknowledgement_and_its_close_by_alias() {
    let kind = |to: &Receiver, dir: &std::path::Path| {
        let key = write(dir, "key", "genie-key\n");
        format!("opsgenie: {{apiKeyFile: {}, url: '{}', responders: [{{team: ops}}, {{user: a@example.org}}]}}", key.display(), to.url())
    };
    let sent = send(kind).await;
    let (create, close) = (Schema::format("opsgenie-alerts"), Schema::format("opsgenie-close"));
    for (name, message, got) in &sent {
        assert_eq!(got.header("authorization"), "GenieKey genie-key");
        let action = match message.event {
            Event::Resolved | Event::Replaced => Some("close"),
            Event::Acknowledged => Some("acknowledge"),
            _ => None,
        };
        if let Some(action) = action {
            close.check(name, &got.body);
            assert_eq!(got.uri, *format!("/v2/alerts/{}/{action}?identifierType=alias", message.incident));
            continue;
        }
        let alert = create.check(name, &got.body);
        assert_eq!((got.uri.to_string(), &alert["alias"]), ("/v2/alerts".to_owned(), &json!(message.incident)), "{name}");
        assert!(!alert.to_string().contains(['<', '>']), "{name}: {alert}");
        assert_eq!(alert.get("note").is_some(), message.event != Event::Opened, "{name}");
    }
    let alert = create.check("fleet", &of(&sent, &vec![Value::Null; sent.len()], "fleet opened").1.body);
    assert_eq!(alert["message"], "Control plane https://10.0.0.1:6443 unreachable from 498 of 500 nodes");
    assert_eq!((&alert["priority"], &alert["entity"]), (&json!("P1"), &json!("worker-1")));
    assert_eq!(alert["responders"], json!([{"type": "team", "name": "ops"}, {"type": "user", "username": "a@example.org"}]));
    assert_eq!(alert["tags"], json!(["nodewhy", "apiserver-unreachable", "control-plane", "control-plane"]));
    assert_eq!(alert["details"]["command"], "kubectl nodewhy incidents example-fleet");
}

#[tokio::test]
async fn the_users_templates_are_the_words_of_chats_and_pagers() {
    let templates = || Templates::new(Some("{{ severity }}: {{ title }}"), Some("{{ cause.message }}")).expect("templates");
    let sent = send_with(templates(), |to, dir| format!("slack: {{urlFile: {}}}", write(dir, "url", &to.url()).display())).await;
    let all = bodies(&sent, &Schema::format("slack-incoming-webhook"));
    let (.., body) = of(&sent, &all, "node opened");
    assert_eq!(body["text"], "critical: worker-1: Swap is on and the kubelet refuses to run with it");
    assert_eq!(body["attachments"][0]["blocks"][0]["text"]["text"], "/dev/sda2 (partition, 2.0 GiB) in use; failSwapOn is true (default)");
    let sent = send_with(templates(), |to, dir| format!("teams: {{urlFile: {}}}", write(dir, "url", &to.url()).display())).await;
    let all = bodies(&sent, &Schema::format("teams-workflow"));
    assert!(of(&sent, &all, "node opened").2.to_string().contains("critical: worker-1"));
    assert!(NASTY.contains("<!channel>"), "the nasty text is nasty");
}

#[test]
fn every_message_is_as_the_published_schema_says() {
    let schema = Schema::read("../docs/alert.schema.json").strict();
    for (name, message) in messages::all() {
        let body = serde_json::to_vec(&message).expect("JSON");
        schema.check(&name, &body);
        assert_eq!(serde_json::from_slice::<Message>(&body).expect("read again"), message, "{name}");
    }
    let [(_, message), ..] = &messages::all()[..] else { panic!("messages") };
    for kind in
        [Kind::Node, Kind::ControlPlane, Kind::Change, Kind::Label, Kind::Issuer, Kind::Clock, Kind::Fleet, Kind::Cause, Kind::Collector]
    {
        schema.check("a kind", &serde_json::to_vec(&Message { kind, ..message.clone() }).expect("JSON"));
    }
}
