//! Static pods: of a manifest what this kubelet needs of it.

use std::path::Path;

use serde::Deserialize;

/// A pod with one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) namespace: String,
    /// As the kubelet names static pods: with the node's name behind it.
    pub(super) name: String,
    /// pkg/kubelet/config applyDefaults: a digest of node and manifest.
    pub(super) uid: String,
    pub(super) container: String,
    pub(super) image: String,
    pub(super) command: Vec<String>,
}

#[derive(Deserialize)]
struct Raw {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
}

#[derive(Deserialize)]
struct Spec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    image: String,
    #[serde(default)]
    command: Vec<String>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

impl Pod {
    /// `name_namespace(uid)` (pkg/kubelet/util/format Pod).
    pub(super) fn described(&self) -> String {
        format!("{}_{}({})", self.name, self.namespace, self.uid)
    }

    /// `namespace/name` (klog.KObj).
    pub(super) fn object(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// All pods of a directory. What is hidden or no pod is passed over.
pub(super) fn read(directory: &Path, node: &str) -> Vec<Pod> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    visible.filter_map(|entry| parse(&std::fs::read_to_string(entry.path()).ok()?, node)).collect()
}

fn parse(text: &str, node: &str) -> Option<Pod> {
    let raw: Raw = serde_saphyr::from_str(text).ok()?;
    let container = raw.spec.containers.into_iter().next()?;
    Some(Pod {
        uid: digest(&format!("{node}{text}")),
        name: format!("{}-{node}", raw.metadata.name),
        namespace: raw.metadata.namespace,
        container: container.name,
        image: container.image,
        command: container.command,
    })
}

/// 32 hex digits, as the kubelet's MD5 has; which ones does not matter.
fn digest(text: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, text).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    half(0) + &half(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_a_pod_of_this_node() {
        let text = "kind: Pod\nmetadata: {name: app}\nspec: {containers: [{name: main, image: 'x:1', command: [sleep, '1']}]}\n";
        let pod = parse(text, "n1").unwrap();
        assert_eq!((pod.object().as_str(), pod.container.as_str(), pod.command.len()), ("default/app-n1", "main", 2));
        assert_eq!(pod.described(), format!("app-n1_default({})", pod.uid));
        assert_eq!((pod.uid.len(), parse(text, "n1").unwrap().uid), (32, pod.uid));
    }

    #[test]
    fn garbage_is_no_pod() {
        assert_eq!(parse("kind: [", "n1"), None);
        assert_eq!(parse("kind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n", "n1"), None);
    }
}
