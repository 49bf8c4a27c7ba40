//! The pods as the runtime has them: which have a sandbox, and which of those nothing runs in yet. What a log says of a pod is over when the pod
//! is gone or got further.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{all_missing, failed, needs, no_kubelet};
use super::{Check, Look, Looking, Stage};
use crate::host::cri::{ContainerList, CriError, SandboxList};

/// While a case is open that waits for it; warnings of pods may be open for days.
pub(super) const PERIOD_WHILE_WRONG: Duration = Duration::from_secs(15);
const REPORTS: &[&str] = &["sandboxes"];
/// More than any kubelet runs (its default is 110). Of more none is told: a pod that is left out would pass for one that is gone.
const MAX_PODS: usize = 1000;

/// The check. A list of everything is no small question, so it is asked seldom while nobody waits for the answer.
pub(super) const CHECK: Check = Check {
    name: "sandboxes",
    about: "which pods have a sandbox, and which a container",
    stage: Stage::Look,
    period: Duration::from_secs(60),
    deadline: Duration::from_secs(4),
    reports: REPORTS,
    look,
};

fn look(look: Look) -> Looking {
    Box::pin(async move {
        match ask(&look).await {
            Ok(facts) => facts,
            Err(why) => all_missing(REPORTS, look.began_at, &why),
        }
    })
}

async fn ask(look: &Look) -> Result<Facts, Missing> {
    if let Some(why) = no_kubelet(look) {
        return Err(why);
    }
    let endpoint = needs(look, fact::KUBELET_CONFIG_RUNTIME_ENDPOINT)?;
    let unanswered = |error: CriError| failed(error.sentence());
    let mut cri = look.host.cri(&endpoint, look.deadline.mul_f32(0.8)).await.map_err(unanswered)?;
    let sandboxes = cri.ready_sandboxes().await.map_err(unanswered)?;
    let containers = cri.containers().await.map_err(unanswered)?;
    let pods = told(sandboxes, &containers)?;
    let mut facts = Facts::new();
    facts.set(fact::SANDBOXES_PODS, look.began_at, pods.keys().cloned().collect());
    facts.set(fact::SANDBOXES_EMPTY, look.began_at, pods.into_iter().filter(|(_, has)| !has).map(|(pod, _)| pod).collect());
    Ok(facts)
}

/// Pods, and whether each has a container.
pub(super) fn told(sandboxes: SandboxList, containers: &ContainerList) -> Result<BTreeMap<String, bool>, Missing> {
    if sandboxes.items.len() > MAX_PODS {
        return Err(failed(format!("the runtime has more than {MAX_PODS} pods")));
    }
    let inhabited: BTreeSet<&str> = containers.containers.iter().map(|container| container.sandbox.as_str()).collect();
    let mut pods = BTreeMap::new();
    for sandbox in sandboxes.items {
        let Some(metadata) = sandbox.metadata else { continue };
        let has = inhabited.contains(sandbox.id.as_str());
        // A pod that is made anew has two sandboxes for a moment.
        *pods.entry(format!("{}/{}", metadata.namespace, metadata.name)).or_insert(false) |= has;
    }
    Ok(pods)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;
    use crate::host::cri::{ListedContainer, Sandbox, SandboxMetadata};

    fn sandbox(id: &str, namespace: &str, name: &str) -> Sandbox {
        let metadata = SandboxMetadata { name: name.to_owned(), namespace: namespace.to_owned() };
        Sandbox { id: id.to_owned(), metadata: Some(metadata) }
    }

    #[test]
    fn a_pod_is_empty_until_one_of_its_sandboxes_has_a_container() {
        let items = vec![sandbox("1", "shop", "web"), sandbox("2", "shop", "db"), sandbox("3", "shop", "db")];
        let containers = vec![ListedContainer { sandbox: "3".to_owned() }, ListedContainer { sandbox: "9".to_owned() }];
        let pods = told(SandboxList { items }, &ContainerList { containers });
        assert_eq!(pods.unwrap(), BTreeMap::from([("shop/db".to_owned(), true), ("shop/web".to_owned(), false)]));
    }

    #[test]
    fn more_pods_than_are_read_are_unknown_and_not_gone() {
        let items: Vec<_> = (0..=MAX_PODS).map(|index| sandbox(&index.to_string(), "shop", &format!("web-{index}"))).collect();
        let mut enough = items.clone();
        enough.pop();
        assert!(told(SandboxList { items }, &ContainerList::default()).is_err_and(|why| why.why.contains("more than 1000")));
        assert_eq!(told(SandboxList { items: enough }, &ContainerList::default()).map(|pods| pods.len()).ok(), Some(MAX_PODS));
    }

    #[test]
    fn a_runtime_that_cannot_be_asked_leaves_it_unknown() {
        let node = Node::new().known(fact::NODE_IS_KUBERNETES, true);
        let facts = node.known(fact::KUBELET_CONFIG_RUNTIME_ENDPOINT, "unix:///run/none.sock".to_owned()).look(&CHECK);
        assert_eq!(facts.known(fact::SANDBOXES_PODS), None);
        assert!(facts.value(fact::SANDBOXES_PODS.path()).is_err_and(|why| why.why.contains("/run/none.sock")));
    }
}
