//! What agents say is looked at before anything is done with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Diagnosis, Transition};
use nodewhy_proto::v1 as pb;
use tonic::Status;

use crate::alerts::COLLECTOR;
use crate::silence;
use crate::store::{NewReport, Refused};

/// Longest name of a node: a DNS subdomain (Kubernetes, "Object Names and IDs").
const NAME_BYTES: usize = 253;
/// Longest of the other words of a Hello.
const WORD_BYTES: usize = 256;
/// What an agent may take as its heartbeat, and what it has if it does not say.
const HEARTBEAT: (Duration, Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10), Duration::from_secs(3600));
/// Labels, or traits, of one node.
const MAX_LABELS: usize = 64;
/// Transitions of one report.
const MAX_TRANSITIONS: usize = nodewhy_wire::LIST_MAX;

/// A Hello with a name and a spool, its other words bounded, and its heartbeat.
pub(super) fn hello(mut hello: pb::Hello) -> Result<(pb::Hello, Duration), Status> {
    let wrong = |problem: String| Err(Status::invalid_argument(problem));
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let name = hello.node.as_bytes();
    if name.len() > NAME_BYTES || !name.iter().copied().all(good) || !ends(name.first().copied()) || !ends(name.last().copied()) {
        let shown: String = hello.node.chars().take(64).collect();
        return wrong(format!(
            "`{}` is no name of a node: lower case letters, digits, `-` and `.`, at most {NAME_BYTES}",
            shown.escape_debug()
        ));
    }
    if hello.node == COLLECTOR {
        return wrong(format!(
            "`{COLLECTOR}` is what the collector calls itself in its alerts: give the node another name (`nodeName` in agent.yaml)"
        ));
    }
    if hello.spool_id.is_empty() || hello.spool_id.len() > WORD_BYTES {
        return wrong(format!("spool_id has to have 1 to {WORD_BYTES} bytes"));
    }
    let words =
        [&mut hello.machine_id, &mut hello.boot_id, &mut hello.agent_version, &mut hello.kubelet_version, &mut hello.kernel, &mut hello.os];
    for word in words {
        word.truncate(word.floor_char_boundary(WORD_BYTES));
    }
    let (least, usual, most) = HEARTBEAT;
    let heartbeat = hello.heartbeat_interval.and_then(|interval| Duration::try_from(interval).ok());
    Ok((hello, heartbeat.unwrap_or(usual).clamp(least, most)))
}

/// What a node is, bounded: so many labels and traits, each name and value so long.
pub(super) fn about(about: pb::About) -> pb::About {
    let bounded = |pairs: HashMap<String, String>| {
        let mut pairs: Vec<_> = pairs.into_iter().filter(|(name, _)| !name.is_empty() && name.len() <= NAME_BYTES * 2).collect();
        // Of too many always the same ones.
        pairs.sort_unstable();
        pairs.truncate(MAX_LABELS);
        pairs.iter_mut().for_each(|(_, value)| value.truncate(value.floor_char_boundary(WORD_BYTES)));
        pairs.into_iter().collect()
    };
    pb::About { labels: bounded(about.labels), traits: bounded(about.traits) }
}

/// A report for the store. Content that cannot be read is stored as refused: the agent would send the same for ever.
pub(super) fn report(report: pb::Report, node: &Arc<str>, spool_id: &Arc<str>, at: Timestamp) -> NewReport {
    let pb::Report { sequence, mut boot_id, dropped, diagnosis, transitions, at: _ } = report;
    boot_id.truncate(boot_id.floor_char_boundary(WORD_BYTES));
    let content = content(node, diagnosis, transitions).map_err(Refused);
    NewReport { node: node.clone(), spool_id: spool_id.clone(), sequence, dropped, boot_id, content, at }
}

fn content(node: &str, diagnosis: Option<pb::Diagnosis>, transitions: Vec<pb::Transition>) -> Result<(Diagnosis, Vec<Transition>), String> {
    let diagnosis = diagnosis.ok_or("diagnosis is missing")?;
    let diagnosis = nodewhy_wire::diagnosis_from_wire(diagnosis).map_err(|error| format!("diagnosis: {error}"))?;
    if diagnosis.node != node {
        return Err(format!("diagnosis: it is of node `{}`, not of {node}", diagnosis.node.escape_debug()));
    }
    if transitions.len() > MAX_TRANSITIONS {
        return Err(format!("{} transitions, at most {MAX_TRANSITIONS}", transitions.len()));
    }
    let transitions = transitions.into_iter().map(nodewhy_wire::transition_from_wire).collect::<Result<Vec<_>, _>>();
    let transitions = transitions.map_err(|error| format!("transitions: {error}"))?;
    let codes = transitions.iter().map(|transition| &transition.cause).chain(&diagnosis.causes).map(|cause| &*cause.code);
    if codes.into_iter().any(|code| code == silence::CODE) || transitions.iter().any(|transition| transition.code == silence::CODE) {
        return Err(format!("{} is found by the collector alone", silence::CODE));
    }
    if let Some(other) = transitions.iter().find(|transition| transition.cause.case_id != transition.case_id) {
        return Err(format!("transitions: case {} with the cause of another", other.case_id.escape_debug()));
    }
    Ok((diagnosis, transitions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(node: &str) -> Result<(pb::Hello, Duration), Status> {
        hello(pb::Hello { node: node.into(), spool_id: "s".into(), ..pb::Hello::default() })
    }

    #[test]
    fn names_of_nodes_are_dns_names() {
        for good in ["a", "worker-1", "ip-10-0-0-1.eu-west-1.compute.internal", "9"] {
            named(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "a\n", "ä", "../x", &"a".repeat(254)] {
            assert!(named(bad).is_err(), "{bad:?}");
        }
        assert!(named(COLLECTOR).expect_err("refused").message().contains("what the collector calls itself"));
        assert!(hello(pb::Hello { node: "a".into(), ..pb::Hello::default() }).expect_err("refused").message().contains("spool_id"));
    }

    #[test]
    fn words_are_cut_and_heartbeats_bounded() {
        let said = pb::Hello {
            node: "a".into(),
            spool_id: "s".into(),
            kernel: "ä".repeat(1000),
            heartbeat_interval: Some(prost_types::Duration { seconds: 1_000_000_000, nanos: 0 }),
            ..pb::Hello::default()
        };
        let (said, heartbeat) = hello(said).expect("good");
        assert_eq!((said.kernel.len(), heartbeat), (256, Duration::from_secs(3600)));
        assert_eq!(named("a").expect("good").1, Duration::from_secs(10));
    }

    #[test]
    fn a_report_about_another_node_or_of_the_collectors_own_cause_is_refused() {
        let of = |node: &str, code: &str| {
            let time = Some(prost_types::Timestamp::default());
            let cause = pb::PresentCause {
                case_id: "n/x/1".into(),
                code: code.into(),
                severity: 3,
                layer: 7,
                since: time,
                ..pb::PresentCause::default()
            };
            let diagnosis = pb::Diagnosis { node: node.into(), at: time, verdict: 1, causes: vec![cause], unknown: vec![] };
            let said = pb::Report { sequence: 1, diagnosis: Some(diagnosis), ..pb::Report::default() };
            report(said, &"n".into(), &"s".into(), Timestamp::UNIX_EPOCH).content.map(drop).map_err(|refused| refused.0)
        };
        assert_eq!(of("n", "swap-enabled"), Ok(()));
        assert_eq!(of("other", "swap-enabled"), Err("diagnosis: it is of node `other`, not of n".into()));
        assert_eq!(of("n", "agent-silent"), Err("agent-silent is found by the collector alone".into()));
    }
}
