//! Which pods are here, by the names of their log files: a cgroup in the kernel's words names a pod by its UID and a container by its id.

use std::collections::BTreeMap;
use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, miss_all, no_kubelet};
use super::{Check, Look, Stage};

const REPORTS: &[&str] = &["pods"];

/// pkg/kubelet/kuberuntime/helpers.go BuildPodLogsDirectory (1.14 and later): NAMESPACE_NAME_UID.
const PODS: &str = "/var/log/pods";
/// pkg/kubelet/kuberuntime/legacy.go logSymlink: NAME_NAMESPACE_CONTAINER-ID.log, one a container, the last dead one included.
const CONTAINERS: &str = "/var/log/containers";
/// Ten times what a node runs by default (maxPods 110).
const AT_MOST: usize = 1100;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "pods",
    about: "names of pods and containers by their UIDs and ids, from the names of log files",
    stage: Stage::Look,
    period: Duration::from_secs(30),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    if let Some(why) = no_kubelet(look) {
        miss_all(facts, REPORTS, look.began_at, &why);
        return;
    }
    facts.put(fact::PODS_NAMES, look.began_at, names(look, PODS, pod));
    facts.put(fact::PODS_CONTAINERS, look.began_at, names(look, CONTAINERS, container));
}

fn names(look: &Look, directory: &str, named: fn(&str) -> Option<(String, String)>) -> Result<BTreeMap<String, String>, Missing> {
    match look.host.list(directory) {
        Ok(entries) => Ok(entries.iter().filter_map(|entry| named(entry)).take(AT_MOST).collect()),
        // The kubelet makes it with its first pod.
        Err(error) if error.is_absence() => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

fn pod(entry: &str) -> Option<(String, String)> {
    let mut parts = entry.splitn(3, '_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
    Some((uid.to_owned(), format!("{namespace}/{name}")))
}

fn container(entry: &str) -> Option<(String, String)> {
    let mut parts = entry.strip_suffix(".log")?.splitn(3, '_');
    let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
    let (container, id) = container.rsplit_once('-')?;
    Some((id.to_owned(), format!("{namespace}/{pod}/{container}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    fn node() -> Node {
        Node::new().known(fact::NODE_IS_KUBERNETES, true)
    }

    #[test]
    fn pods_and_containers_are_known_by_their_log_files_names() {
        let node = node()
            .file("/var/log/pods/shop_web-0_5c2a7e10-9b1d/app/0.log", "")
            .file("/var/log/containers/web-0_shop_app-side-2f1c0c3e.log", "")
            .file("/var/log/containers/README", "");
        let facts = node.look(&CHECK);
        let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(facts.known(fact::PODS_NAMES), Some(one("5c2a7e10-9b1d", "shop/web-0")));
        assert_eq!(facts.known(fact::PODS_CONTAINERS), Some(one("2f1c0c3e", "shop/web-0/app-side")));
    }

    #[test]
    fn a_node_without_pods_has_none_and_a_file_in_the_directorys_place_is_no_pod() {
        assert_eq!(node().look(&CHECK).known(fact::PODS_NAMES), Some(BTreeMap::new()));
        let hostile = node().file("/var/log/pods/_/x", "").file("/var/log/pods/é", "").file("/var/log/containers/-.log", "");
        assert_eq!(hostile.look(&CHECK).known(fact::PODS_CONTAINERS), Some(BTreeMap::new()));
    }
}
