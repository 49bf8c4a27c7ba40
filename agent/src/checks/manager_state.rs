//! The checkpoints of the kubelet's CPU and memory managers against the policies configured now.

use std::time::Duration;

use nodewhy_diagnosis::facts::{Key, Record, schema as fact};
use nodewhy_diagnosis::{Facts, Missing, MissingKind};
use serde_json::Value;

use super::support::{blocking, failed, miss_all, needs, no_kubelet, not_applicable};
use super::{Check, Look, Stage};

const REPORTS: &[&str] = &["kubelet.state"];

/// Files beneath the kubelet's directory, with the facts they are held against (pkg/kubelet/cm/{cpumanager,memorymanager}; 1.8 and 1.21 on).
const CHECKPOINTS: [(&str, Key<String>, Key<String>); 2] = [
    ("cpu_manager_state", fact::KUBELET_STATE_CPU_POLICY, fact::KUBELET_CONFIG_CPU_MANAGER_POLICY),
    ("memory_manager_state", fact::KUBELET_STATE_MEMORY_POLICY, fact::KUBELET_CONFIG_MEMORY_MANAGER_POLICY),
];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "manager-state",
    about: "the checkpoints of the CPU and memory managers against the configured policies",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(1),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    if let Some(why) = no_kubelet(look) {
        miss_all(facts, REPORTS, look.began_at, &why);
        return;
    }
    let mut mismatches = Ok(Vec::new());
    for (file, kept, configured) in CHECKPOINTS {
        let policy = policy(look, file);
        match mismatch(look, file, policy.clone(), configured) {
            Ok(found) => {
                if let Ok(list) = mismatches.as_mut() {
                    list.extend(found);
                }
            }
            Err(why) => mismatches = Err(why),
        }
        facts.put(kept, look.began_at, policy);
    }
    facts.put(fact::KUBELET_STATE_MISMATCHES, look.began_at, mismatches);
}

fn policy(look: &Look, file: &str) -> Result<String, Missing> {
    let path = path(look, file)?;
    let text = match look.host.read_text(&path) {
        Err(error) if error.is_absence() => return Err(not_applicable("there is no checkpoint")),
        other => other?,
    };
    let value: Value =
        serde_json::from_str(&text).map_err(|error| failed(format!("{path}:{}:{}: {error}", error.line(), error.column())))?;
    let name = value.get("policyName").and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(|| failed(format!("{path} names no policy")))
}

fn path(look: &Look, file: &str) -> Result<String, Missing> {
    Ok(format!("{}/{file}", needs(look, fact::KUBELET_CONFIG_ROOT_DIR)?.trim_end_matches('/')))
}

fn mismatch(look: &Look, file: &str, kept: Result<String, Missing>, configured: Key<String>) -> Result<Option<Record>, Missing> {
    let kept = match kept {
        Err(why) if why.kind == MissingKind::NotApplicable => return Ok(None),
        other => other?,
    };
    let configured = needs(look, configured)?;
    let differs = kept != configured;
    let record = Record::new().with("path", path(look, file)?).with("kept", kept).with("configured", configured);
    Ok(differs.then_some(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    fn node(state: &str) -> Node {
        Node::new()
            .file("/var/lib/kubelet/cpu_manager_state", state)
            .known(fact::KUBELET_CONFIG_ROOT_DIR, "/var/lib/kubelet".to_owned())
            .known(fact::KUBELET_CONFIG_CPU_MANAGER_POLICY, "static".to_owned())
    }

    #[test]
    fn a_checkpoint_of_another_policy_is_told() {
        let facts = node(r#"{"policyName":"none","defaultCpuSet":"","checksum":1353318690}"#).look(&CHECK);
        assert_eq!(facts.known(fact::KUBELET_STATE_CPU_POLICY).unwrap(), "none");
        let found = facts.known(fact::KUBELET_STATE_MISMATCHES).unwrap();
        assert_eq!(found[0].get("path"), Some(&nodewhy_diagnosis::facts::Value::Text("/var/lib/kubelet/cpu_manager_state".into())));
    }

    #[test]
    fn the_same_policy_and_no_checkpoint_at_all_are_no_mismatch() {
        let facts = node(r#"{"policyName":"static","defaultCpuSet":"0-3","checksum":1}"#).look(&CHECK);
        assert!(facts.known(fact::KUBELET_STATE_MISMATCHES).unwrap().is_empty());
        let none = Node::new().known(fact::KUBELET_CONFIG_ROOT_DIR, "/var/lib/kubelet".to_owned()).look(&CHECK);
        assert!(none.known(fact::KUBELET_STATE_MISMATCHES).unwrap().is_empty());
    }

    #[test]
    fn garbage_and_an_unknown_directory_are_unknown() {
        for state in ["", "{", "[]", r#"{"checksum":1}"#, r#"{"policyName":7}"#] {
            assert!(node(state).look(&CHECK).value("kubelet.state.mismatches").is_err(), "{state}");
        }
        assert!(Node::new().look(&CHECK).value("kubelet.state.mismatches").is_err());
    }
}
