//! What the fuzzer calls, and what the tests call with everything the fuzzer ever found: every parser of this crate that reads what others
//! wrote. See fuzz/README.md.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use nodewhy_proto::v1 as pb;
use prost::Message as _;
use serde_json::{Value as Json, json};

use crate::config::{CheckConfig, Collector, Config};
use crate::host::cri::{ImageFsInfoResponse, RuntimeConfigResponse, StatusResponse, VersionResponse};
use crate::{checks, host, npd};

/// A parser under the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All there are. What reads other tools' configurations belongs here too.
pub const TARGETS: &[Target] = &[
    ("spool_segment", crate::spool::fuzz_segment),
    ("kubelet_command", checks::fuzz::command),
    ("kubeconfig", checks::fuzz::kubeconfig),
    ("static_pod", checks::fuzz::static_pod),
    ("no_proxy", checks::fuzz::no_proxy),
    ("dns_answer", host::dns::fuzz_answer),
    ("proxy_answer", host::tunnel::fuzz_answer),
    ("kmsg", host::kmsg::fuzz_record),
    ("cri_answer", cri_answer),
    ("cri_lists", checks::fuzz::cri_lists),
    ("npd_config", npd::fuzz::config),
    ("npd_pattern", npd::fuzz::pattern),
    ("npd_time", npd::fuzz::time),
    ("agent_yaml", agent_yaml),
    ("runtime_files", checks::fuzz::runtime_files),
    ("wire", wire),
];

/// What a runtime answers.
pub fn cri_answer(bytes: &[u8]) {
    let _ = VersionResponse::decode(bytes);
    let _ = StatusResponse::decode(bytes);
    let _ = RuntimeConfigResponse::decode(bytes);
    let _ = ImageFsInfoResponse::decode(bytes);
    let _ = crate::host::cri::socket_path(&String::from_utf8_lossy(bytes));
}

/// The agent's own configuration: what is not used is told with its place, what is used is within its bounds, and comes back as it was
/// when it is written down.
pub fn agent_yaml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let path = Path::new("/etc/nodewhy/agent.yaml");
    let (config, problems) = Config::parse(path, &text);
    let lines = 1 + text.matches(['\n', '\r']).count() as u64;
    assert!(problems.len() <= text.len());
    for problem in &problems {
        assert!(problem.path == path && !problem.problem.trim().is_empty() && problem.line <= lines, "{problem}");
    }
    assert!((Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&config.heartbeat), "{:?}", config.heartbeat);
    assert!(config.node_name.as_ref().is_none_or(|name| (1..=253).contains(&name.len())));
    let times = config.checks.values().flat_map(|check| [check.period, check.deadline]).flatten();
    assert!(times.min().is_none_or(|time| time >= Duration::from_millis(100)));
    assert_eq!(Config::parse(path, &crate::yaml::of_json(&written(&config))), (config, Vec::new()));
}

/// A configuration as a file.
fn written(config: &Config) -> Json {
    let time = |time: Duration| SignedDuration::try_from(time).map(|time| format!("{time:#}")).unwrap_or_default();
    let check =
        |check: &CheckConfig| json!({"enabled": check.enabled, "period": check.period.map(time), "deadline": check.deadline.map(time)});
    let collector = |to: &Collector| json!({"address": to.address, "caFile": to.ca_file, "certFile": to.cert_file, "keyFile": to.key_file, "serverName": to.server_name});
    let checks = config.checks.iter().map(|(name, changes)| (name.clone(), check(changes)));
    json!({
        "nodeName": config.node_name,
        "stateDir": config.state_dir,
        "causesDir": config.causes_dir,
        "collector": config.collector.as_ref().map(collector),
        "labels": config.labels,
        "heartbeat": time(config.heartbeat),
        "checks": checks.collect::<serde_json::Map<_, _>>(),
        "npdConfigs": config.npd_configs,
    })
}

/// Diagnoses and transitions as a stranger sends them to the collector: refused in words, or the same after another journey.
pub fn wire(bytes: &[u8]) {
    if let Ok(diagnosis) = pb::Diagnosis::decode(bytes) {
        match nodewhy_wire::diagnosis_from_wire(diagnosis) {
            Err(error) => assert!((1..300).contains(&error.to_string().len())),
            Ok(read) => assert_eq!(nodewhy_wire::diagnosis_from_wire(nodewhy_wire::diagnosis_to_wire(&read)), Ok(read)),
        }
    }
    if let Ok(transition) = pb::Transition::decode(bytes) {
        match nodewhy_wire::transition_from_wire(transition) {
            Err(error) => assert!((1..300).contains(&error.to_string().len())),
            Ok(read) => assert_eq!(nodewhy_wire::transition_from_wire(nodewhy_wire::transition_to_wire(&read)), Ok(read)),
        }
    }
}
