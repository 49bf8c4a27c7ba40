//! What the node is, for the collector to find what nodes have in common: labels and traits.

use std::collections::BTreeMap;

use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::{Key, Record, Value, schema as s};
use nodewhy_proto::v1::About;

use crate::host::api::is_loopback;

/// What the kubelet's own role is called among the certificates.
const CLIENT: &str = "kubelet-client";

/// From what is known now and, where a trait cannot be read for the moment, from what was known before: an API server that is away has not
/// taken the labels with it. Labels of the agent's configuration win over those of the Node object.
pub fn about(facts: &Facts, configured: &BTreeMap<String, String>, before: &About) -> About {
    let mut labels: BTreeMap<String, String> = match facts.known(s::CLUSTER_NODE_LABELS) {
        Some(labels) => labels.into_iter().collect(),
        None => before.labels.clone().into_iter().collect(),
    };
    // The node's own name in another form: nothing that nodes have in common.
    labels.remove("kubernetes.io/hostname");
    labels.extend(configured.clone());
    let traits = [
        ("apiServer", known(facts, s::APISERVER_ADDRESS)),
        ("kubeletConfig", known(facts, s::KUBELET_CONFIG_DIGEST)),
        ("kubeletVersion", known(facts, s::CLUSTER_NODE_KUBELET_VERSION)),
        ("kernel", known(facts, s::NODE_KERNEL)),
        ("os", known(facts, s::NODE_OS)),
        ("runtimeVersion", runtime(facts)),
        ("agentVersion", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("certificateIssuer", issuer(facts)),
    ];
    let traits = traits.into_iter().filter_map(|(name, value)| {
        let value = value.or_else(|| before.traits.get(name).cloned()).filter(|value| !is_of_each_node(value))?;
        Some((name.to_owned(), value.chars().take(253).collect()))
    });
    About { traits: traits.collect(), labels: labels.into_iter().collect() }
}

/// A loopback address (the load balancer that each k3s and rke2 node has of its own): many nodes have the same and share nothing.
fn is_of_each_node(value: &str) -> bool {
    value.rsplit_once(':').is_some_and(|(host, port)| port.parse::<u16>().is_ok() && is_loopback(host))
}

fn known(facts: &Facts, key: Key<String>) -> Option<String> {
    facts.known(key).filter(|value| !value.is_empty())
}

fn runtime(facts: &Facts) -> Option<String> {
    Some(format!("{} {}", known(facts, s::RUNTIME_NAME)?, known(facts, s::RUNTIME_VERSION)?))
}

fn issuer(facts: &Facts) -> Option<String> {
    let certificates = facts.known(s::CERTIFICATES)?;
    let client = certificates.iter().find(|one| text(one, "role") == Some(CLIENT))?;
    text(client, "issuer").map(str::to_owned)
}

fn text<'a>(record: &'a Record, field: &str) -> Option<&'a str> {
    match record.get(field) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn the_configurations_labels_win_and_a_host_name_is_none() {
        let mut facts = Facts::new();
        let labels = [("rack", "r1"), ("zone", "a"), ("kubernetes.io/hostname", "n1")];
        facts.set(s::CLUSTER_NODE_LABELS, NOW, labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let configured = BTreeMap::from([("rack".to_owned(), "r2".to_owned())]);
        let about = about(&facts, &configured, &About::default());
        assert_eq!((about.labels["rack"].as_str(), about.labels["zone"].as_str(), about.labels.len()), ("r2", "a", 2));
    }

    #[test]
    fn a_load_balancer_on_the_node_itself_is_nothing_that_nodes_have_in_common() {
        let mut facts = Facts::new();
        let mut before = About::default();
        before.traits.insert("apiServer".to_owned(), "127.0.0.1:6444".to_owned());
        for address in ["127.0.0.1:6444", "[::1]:7443", "localhost:6443"] {
            facts.set(s::APISERVER_ADDRESS, NOW, address.to_owned());
            assert_eq!(about(&facts, &BTreeMap::new(), &before).traits.get("apiServer"), None, "{address}");
        }
        assert_eq!(about(&Facts::new(), &BTreeMap::new(), &before).traits.get("apiServer"), None, "of an agent before");
        facts.set(s::APISERVER_ADDRESS, NOW, "10.0.0.1:6443".to_owned());
        assert_eq!(about(&facts, &BTreeMap::new(), &before).traits["apiServer"], "10.0.0.1:6443");
    }

    #[test]
    fn what_cannot_be_read_for_the_moment_is_as_it_was() {
        let mut facts = Facts::new();
        facts.set(s::NODE_KERNEL, NOW, "6.1".to_owned());
        facts.set(s::CLUSTER_NODE_LABELS, NOW, BTreeMap::from([("zone".to_owned(), "a".to_owned())]));
        let before = about(&facts, &BTreeMap::new(), &About::default());
        assert_eq!(about(&Facts::new(), &BTreeMap::new(), &before), before);
        facts.set(s::NODE_KERNEL, NOW, "6.2".to_owned());
        assert_eq!(about(&facts, &BTreeMap::new(), &before).traits["kernel"], "6.2");
    }
}
