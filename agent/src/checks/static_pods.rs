//! Manifests of static pods: whether the kubelet can take each file for a pod.

use std::time::Duration;

use nodewhy_diagnosis::facts::Value::Bool;
use nodewhy_diagnosis::facts::{Record, schema as fact};
use nodewhy_diagnosis::{Facts, Missing};
use serde_json::Value;

use super::kubelet::config::{parse_yaml, yaml_complaint};
use super::support::{blocking, miss_all, named_file, needs, no_kubelet};
use super::{Check, Look, Stage};
use crate::host::Host;

const REPORTS: &[&str] = &["static_pods"];

/// More files than any node has; what is beyond is not looked at.
const FILES: usize = 64;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "static-pods",
    about: "manifests of static pods, and whether each can be taken for a pod",
    stage: Stage::Look,
    period: Duration::from_secs(20),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    if let Some(why) = no_kubelet(look) {
        miss_all(facts, REPORTS, look.began_at, &why);
        return;
    }
    match needs(look, fact::KUBELET_CONFIG_STATIC_POD_PATH).and_then(|path| manifests(&look.host, &path)) {
        Ok(manifests) => {
            let invalid = manifests.iter().filter(|manifest| manifest.get("valid") == Some(&Bool(false))).count();
            facts.set(fact::STATIC_PODS_INVALID, look.began_at, i64::try_from(invalid).unwrap_or(i64::MAX));
            facts.set(fact::STATIC_PODS_MANIFESTS, look.began_at, manifests);
        }
        Err(why) => miss_all(facts, REPORTS, look.began_at, &why),
    }
}

/// As the kubelet lists them (pkg/kubelet/config/file.go): the files of a directory but not of those beneath, without names that begin
/// with a dot; or one file. A directory that is not there holds none.
fn manifests(host: &Host, path: &str) -> Result<Vec<Record>, Missing> {
    let path = path.trim_end_matches('/');
    match host.stat(path) {
        Err(error) if error.is_absence() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
        Ok(meta) if meta.is_file() => return Ok(vec![named_file(host, path.to_owned(), name_of)]),
        Ok(_) => {}
    }
    let names = host.list(path)?.into_iter().filter(|name| !name.starts_with('.')).map(|name| format!("{path}/{name}"));
    let files = names.filter(|file| host.stat(file).is_ok_and(|meta| meta.is_file()));
    Ok(files.take(FILES).map(|file| named_file(host, file, name_of)).collect())
}

/// The pod's name, if the kubelet would come as far as it (tryDecodeSinglePod in pkg/kubelet/config/common.go, ValidatePodCreate). Only what
/// every version since 1.14 refuses is refused here; fields it does not know it passes over.
pub(super) fn name_of(path: &str, text: &str) -> Result<String, String> {
    let value: Value = parse_yaml(text).map_err(|error| yaml_complaint(path, &error))?;
    let said = |at: &str| value.pointer(at).and_then(Value::as_str).unwrap_or_default();
    match (said("/apiVersion"), said("/kind")) {
        ("v1", "Pod") => {}
        (_, "") => return Err(format!("{path}: kind is not set (Pod)")),
        (version, kind) => {
            let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(63).collect::<String>();
            return Err(format!("{path}: is a {} of apiVersion {:?}; only a Pod of v1 is run from here", short(kind), short(version)));
        }
    }
    let name = said("/metadata/name");
    if name.is_empty() {
        return Err(format!("{path}: metadata.name is not set"));
    }
    // ValidatePodName; the node's name is put behind it before.
    let usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if name.len() > 253 || !name.bytes().all(usual) || name.starts_with(['-', '.']) {
        return Err(format!(
            "{path}: metadata.name is no name of a pod: a-z, 0-9, - and . make one, 253 characters at most, the first a letter or digit"
        ));
    }
    let Some(containers) = value.pointer("/spec/containers").and_then(Value::as_array).filter(|containers| !containers.is_empty()) else {
        return Err(format!("{path}: spec.containers names no container"));
    };
    for (index, container) in containers.iter().enumerate() {
        for field in ["name", "image"] {
            if container.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(format!("{path}: spec.containers[{index}].{field} is not set"));
            }
        }
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const GOOD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-proxy}\nspec: {containers: [{name: a, image: b}]}\n";

    fn look(files: &[(&str, &str)]) -> Facts {
        let node = Node::new().known(fact::KUBELET_CONFIG_STATIC_POD_PATH, "/etc/kubernetes/manifests/".to_owned());
        for (name, text) in files {
            node.write(&format!("/etc/kubernetes/manifests/{name}"), text);
        }
        node.look(&CHECK)
    }

    #[test]
    fn a_good_manifest_is_valid_and_hidden_files_and_directories_are_passed_over() {
        let facts = look(&[("a.yaml", GOOD), (".a.yaml.swp", "rubbish"), ("old/b.yaml", "rubbish")]);
        assert_eq!(facts.known(fact::STATIC_PODS_INVALID), Some(0));
        assert_eq!(facts.known(fact::STATIC_PODS_MANIFESTS).unwrap().len(), 1);
    }

    #[test]
    fn what_the_kubelet_refuses_is_told_with_its_place() {
        for (text, says) in [
            ("apiVersion: v1\nkind: Pod\n  metadata: {name: x}\n", "/etc/kubernetes/manifests/a.yaml:3"),
            ("", "kind is not set"),
            ("apiVersion: apps/v1\nkind: Deployment\n", "is a Deployment"),
            ("apiVersion: v1\nkind: Pod\nspec: {}\n", "metadata.name is not set"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: Web_1}\nspec: {}\n", "metadata.name is no name"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n", "names no container"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a}]}\n", "spec.containers[0].image is not set"),
        ] {
            let facts = look(&[("a.yaml", text)]);
            let error = format!("{:?}", facts.known(fact::STATIC_PODS_MANIFESTS).unwrap()[0].get("error"));
            assert!(error.contains(says), "{text:?}: {error}");
            assert_eq!(facts.known(fact::STATIC_PODS_INVALID), Some(1));
        }
    }

    #[test]
    fn without_the_directory_there_are_none_and_without_knowing_it_nothing_is_known() {
        assert_eq!(look(&[]).known(fact::STATIC_PODS_INVALID), Some(0));
        assert!(Node::new().look(&CHECK).value("static_pods.invalid").is_err());
    }
}
