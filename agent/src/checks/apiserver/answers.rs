//! What the API server's answers say.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};
use serde::Deserialize;

use crate::checks::support::{failed, not_applicable};
use crate::host::api::ApiAnswer;

/// Longest quotation of a body.
const QUOTE: usize = 300;
/// Labels of a Node object that are taken; real ones have ten to thirty.
const LABELS: usize = 64;

pub(super) fn report_health(at: Timestamp, answer: &ApiAnswer, facts: &mut Facts) {
    facts.set(fact::APISERVER_HTTP_STATUS, at, i64::from(answer.status));
    let body = String::from_utf8_lossy(&answer.body);
    let quoted = if answer.status == 200 { Err(not_applicable("it is ready")) } else { Ok(failing_lines(&body)) };
    facts.put(fact::APISERVER_HTTP_BODY, at, quoted);
    let skew = skew_seconds(answer);
    facts.put(fact::APISERVER_CLOCK_SKEW_SECONDS, at, skew.clone());
    facts.put(fact::CLOCK_SKEW_SECONDS, at, skew);
}

/// The header is cut to whole seconds: on average the server's clock is half a second on.
fn skew_seconds(answer: &ApiAnswer) -> Result<f64, Missing> {
    let date = answer.date.ok_or_else(|| failed("the API server's answer has no usable Date header"))?;
    let skew = answer.received_at.duration_since(date) - SignedDuration::from_millis(500);
    Ok((skew.as_secs_f64() * 10.0).round() / 10.0)
}

/// `[-]etcd failed: reason withheld`; or else how the body begins.
fn failing_lines(body: &str) -> String {
    let failing: Vec<&str> = body.lines().filter(|line| line.starts_with("[-]")).take(5).collect();
    let said = if failing.is_empty() {
        message_of(body).unwrap_or_else(|| body.lines().next().unwrap_or_default().to_owned())
    } else {
        failing.join("; ")
    };
    said.chars().take(QUOTE).collect()
}

/// The message of a Status object.
fn message_of(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    serde_json::from_str::<Status>(body).ok().map(|status| status.message).filter(|message| !message.is_empty())
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct NodeSpec {
    #[serde(default)]
    unschedulable: bool,
    #[serde(default)]
    taints: Vec<Taint>,
}

#[derive(Deserialize)]
struct Taint {
    key: String,
    #[serde(default)]
    value: String,
    effect: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NodeStatus {
    conditions: Vec<Condition>,
    node_info: NodeInfo,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: String,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Lease {
    spec: LeaseSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Timestamp,
}

type Asked = Option<Result<ApiAnswer, Missing>>;

pub(super) fn report_node(at: Timestamp, node: Asked, lease: Asked, not_asked: &Missing, facts: &mut Facts) {
    let answer = node.unwrap_or_else(|| Err(not_asked.clone()));
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            facts.miss(fact::APISERVER_AUTH_STATUS, at, why.clone());
            facts.miss(fact::APISERVER_AUTH_ERROR, at, why.clone());
            return facts.miss_under("cluster", at, &why);
        }
    };
    facts.set(fact::APISERVER_AUTH_STATUS, at, i64::from(answer.status));
    if answer.status != 200 {
        let body = String::from_utf8_lossy(&answer.body);
        let words = message_of(&body).unwrap_or_else(|| failing_lines(&body));
        let why = failed(format!("GET the Node object: HTTP status {}: {words}", answer.status));
        facts.set(fact::APISERVER_AUTH_ERROR, at, words);
        return facts.miss_under("cluster", at, &why);
    }
    facts.miss(fact::APISERVER_AUTH_ERROR, at, not_applicable("the API server takes this node for itself"));
    report_object(at, &answer.body, facts);
    facts.put(fact::CLUSTER_LEASE_RENEWED_AT, at, renewed_at(lease, not_asked));
}

fn report_object(at: Timestamp, body: &[u8], facts: &mut Facts) {
    let node: Node = match serde_json::from_slice(body) {
        Ok(node) => node,
        Err(error) => return facts.miss_under("cluster.node", at, &failed(format!("the Node object cannot be read: {error}"))),
    };
    facts.set(fact::CLUSTER_NODE_LABELS, at, node.metadata.labels.into_iter().take(LABELS).collect());
    facts.set(fact::CLUSTER_NODE_UNSCHEDULABLE, at, node.spec.unschedulable);
    let taints = node.spec.taints.into_iter().map(|taint| format!("{}={}:{}", taint.key, taint.value, taint.effect));
    facts.set(fact::CLUSTER_NODE_TAINTS, at, taints.collect());
    let version: String = node.status.node_info.kubelet_version.chars().take(64).collect();
    let untold = || failed("the Node object does not tell the kubelet's version: it has not posted its status yet");
    facts.put(fact::CLUSTER_NODE_KUBELET_VERSION, at, Some(version).filter(|version| !version.is_empty()).ok_or_else(untold));
    match node.status.conditions.into_iter().find(|condition| condition.r#type == "Ready") {
        Some(ready) => {
            facts.set(fact::CLUSTER_NODE_READY, at, ready.status);
            facts.set(fact::CLUSTER_NODE_READY_REASON, at, ready.reason);
            facts.set(fact::CLUSTER_NODE_READY_MESSAGE, at, ready.message);
        }
        None => {
            let why = failed("the Node object has no condition Ready");
            facts.miss(fact::CLUSTER_NODE_READY, at, why.clone());
            facts.miss(fact::CLUSTER_NODE_READY_REASON, at, why.clone());
            facts.miss(fact::CLUSTER_NODE_READY_MESSAGE, at, why);
        }
    }
}

/// How many minor versions the kubelet is ahead of the API server.
pub(super) fn report_skew(at: Timestamp, apiserver: Option<&str>, facts: &mut Facts) {
    let kubelet = facts.value(fact::CLUSTER_NODE_KUBELET_VERSION.path()).map(|_| facts.known(fact::CLUSTER_NODE_KUBELET_VERSION));
    let ahead = kubelet.and_then(|kubelet| {
        let untold = || failed("the API server did not tell its version");
        let (kubelet, apiserver) = (kubelet.unwrap_or_default(), apiserver.ok_or_else(untold)?);
        let both = release(&kubelet).zip(release(apiserver));
        let ahead = both.filter(|((a, _), (b, _))| a == b).map(|((_, kubelet), (_, apiserver))| kubelet - apiserver);
        ahead.ok_or_else(|| failed(format!("the versions {kubelet} (kubelet) and {apiserver} (API server) cannot be compared")))
    });
    facts.put(fact::CLUSTER_KUBELET_MINORS_AHEAD, at, ahead);
}

/// Major and minor of `v1.30.2+k3s1`.
fn release(version: &str) -> Option<(i64, i64)> {
    let mut parts = version.strip_prefix('v')?.split('.');
    let number = |part: Option<&str>| part?.parse::<i64>().ok();
    Some((number(parts.next())?, number(parts.next())?))
}

fn renewed_at(lease: Asked, not_asked: &Missing) -> Result<Timestamp, Missing> {
    let answer = lease.unwrap_or_else(|| Err(not_asked.clone()))?;
    if answer.status != 200 {
        return Err(failed(format!("GET the node's Lease: HTTP status {}", answer.status)));
    }
    let lease: Lease = serde_json::from_slice(&answer.body).map_err(|error| failed(format!("the node's Lease cannot be read: {error}")))?;
    Ok(lease.spec.renew_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> ApiAnswer {
        let at: Timestamp = "2025-11-22T00:00:10.5Z".parse().unwrap();
        ApiAnswer { status, date: "2025-11-22T00:00:00Z".parse().ok(), received_at: at, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn failing_checks_are_quoted_and_the_skew_is_told() {
        let mut facts = Facts::new();
        let body = "[+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/x failed\nreadyz check failed\n";
        report_health(Timestamp::UNIX_EPOCH, &answer(500, body), &mut facts);
        assert_eq!(facts.known(fact::APISERVER_HTTP_BODY).unwrap(), "[-]etcd failed: reason withheld; [-]poststarthook/x failed");
        assert_eq!(facts.known(fact::CLOCK_SKEW_SECONDS), Some(10.0));
        let undated = ApiAnswer { date: None, ..answer(200, "ok") };
        report_health(Timestamp::UNIX_EPOCH, &undated, &mut facts);
        assert!(facts.value("clock.skew_seconds").is_err());
    }

    #[test]
    fn the_labels_of_the_node_are_told() {
        let mut facts = Facts::new();
        let body = r#"{"metadata": {"labels": {"topology.kubernetes.io/zone": "eu-1a", "rack": "r7"}}, "spec": {}, "status": {}}"#;
        report_node(Timestamp::UNIX_EPOCH, Some(Ok(answer(200, body))), None, &Missing::not_yet(), &mut facts);
        assert_eq!(facts.known(fact::CLUSTER_NODE_LABELS).unwrap()["rack"], "r7");
    }

    #[test]
    fn an_answer_that_is_no_node_is_unknown() {
        for body in ["", "{}", "<html>", r#"{"status": {"conditions": [{"type": "Ready"}]}}"#, r#"{"status": []}"#] {
            let mut facts = Facts::new();
            report_node(Timestamp::UNIX_EPOCH, Some(Ok(answer(200, body))), Some(Ok(answer(200, body))), &Missing::not_yet(), &mut facts);
            assert!(facts.value("cluster.node.ready").is_err(), "{body}");
            assert!(facts.value("cluster.lease.renewed_at").is_err(), "{body}");
        }
    }
}
