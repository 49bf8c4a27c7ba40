//! Which pod a record speaks of, in all the ways in which kubelets and runtimes have named pods: so that a sign need not know them.
//!
//! kubelet: `pod="ns/name"` (klog.KObj, 1.19 and later), `name_ns(uid)` (pkg/kubelet/util/format Pod, all versions), `podUID=`, `containerName=`,
//! `failed to "StartContainer" for "name"`, events (`object="ns/name" kind="Pod"`, before that `v1.ObjectReference{Kind:"Pod", Namespace:"ns", Name:"name", UID:"uid"`).
//! containerd: `&PodSandboxMetadata{Name:,Uid:,Namespace:,}`, `&ContainerMetadata{Name:,}`. CRI-O and dockershim: `k8s_name_ns_uid_attempt`.
//! CNI arguments: `K8S_POD_NAMESPACE=ns;K8S_POD_NAME=name`. Cgroups: `kubepods...pod5c2a_..` and the container's scope.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::clip;

/// Captures that every sighting has whose record names a pod.
pub(crate) const POD: &str = "pod";
/// The container's name in it.
pub(crate) const CONTAINER: &str = "container";
/// The pod's UID, with dashes.
pub(crate) const POD_UID: &str = "pod_uid";
/// The runtime's name of the container.
pub(crate) const CONTAINER_ID: &str = "container_id";

/// All of them: what belongs together and is never put together from two records.
pub(crate) const NAMES: [&str; 4] = [POD, CONTAINER, POD_UID, CONTAINER_ID];

/// Names are DNS labels and subdomains (at most 253 characters); what is longer is none.
const MAX_NAME: usize = 320;

/// A way of naming, and a literal that is in every text it can be found in.
struct Form {
    literal: &'static str,
    regex: Regex,
}

/// In the order in which they are believed: the first that names a thing names it.
static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    [
        ("pod=", r#"\bpod=\\*"(?P<ns>[a-z0-9][-a-z0-9]*)/(?P<name>[a-z0-9][-a-z0-9.]*)"#),
        ("_", r"(?:^|[^-.\w])(?P<name>[a-z0-9][-a-z0-9.]*)_(?P<ns>[a-z0-9][-a-z0-9]*)\((?P<uid>[0-9a-f][-0-9a-f]*)\)"),
        ("PodSandboxMetadata{", r"PodSandboxMetadata\{Name:(?P<name>[^,]+),Uid:(?P<uid>[^,]+),Namespace:(?P<ns>[^,]+),"),
        ("K8S_POD_NAME=", r"K8S_POD_NAMESPACE=(?P<ns>[-a-z0-9]+);K8S_POD_NAME=(?P<name>[-a-z0-9.]+)"),
        ("k8s_", r"k8s_(?:POD_)?(?P<name>[a-z0-9][-a-z0-9.]*)_(?P<ns>[a-z0-9][-a-z0-9]*)_(?P<uid>[0-9a-f][-0-9a-f]{7,})_\d"),
        ("k8s_", r"k8s_(?P<container>[a-z0-9][-a-z0-9]*)_(?P<name>[a-z0-9][-a-z0-9.]*)_(?P<ns>[a-z0-9][-a-z0-9]*)_(?P<uid>[0-9a-f][-0-9a-f]{7,})_\d"),
        ("pod \"", r#"(?:set up|tear ?down|teardown) pod "(?P<name>[a-z0-9][-a-z0-9.]*)_(?P<ns>[a-z0-9][-a-z0-9]*)" network"#),
        ("object=", r#"object="(?P<ns>[a-z0-9][-a-z0-9]*)/(?P<name>[a-z0-9][-a-z0-9.]*)" .*kind="Pod""#),
        ("ObjectReference{Kind:", r#"ObjectReference\{Kind:"Pod", Namespace:"(?P<ns>[^"]+)", Name:"(?P<name>[^"]+)", UID:"(?P<uid>[^"]+)""#),
        ("error adding pod ", r"error adding pod (?P<ns>[a-z0-9][-a-z0-9]*)_(?P<name>[a-z0-9][-a-z0-9.]*) to CNI network"),
        ("[", r"(?:configuring|adding|add) pod \[(?P<ns>[a-z0-9][-a-z0-9]*)/(?P<name>[a-z0-9][-a-z0-9.]*)[\]/]"),
        ("(UID: ", r#"pod \\*"(?P<name>[a-z0-9][-a-z0-9.]*)\\*" \(UID: \\*"(?P<uid>[0-9a-f][-0-9a-f]*)"#),
        ("podUID", r#"podUID=\\*"?(?P<uid>[0-9a-f][-0-9a-f]*)"#),
        ("kubepods", r"kubepods.*?pod(?P<uid>[0-9a-f]{8}[-_0-9a-f]{24,28}|[0-9a-f]{4,12})\b"),
        ("containerName=", r#"containerName=\\*"?(?P<container>[a-z0-9][-a-z0-9]*)"#),
        ("failed to ", r#"failed to \\*"\w+\\*" for \\*"(?P<container>[a-z0-9][-a-z0-9]*)\\*""#),
        ("container=", r#"restarting failed container=(?P<container>[a-z0-9][-a-z0-9]*)"#),
        (":&ContainerMetadata", r":&ContainerMetadata\{Name:(?P<container>[^,]+),"),
        ("&ContainerMetadata", r"&ContainerMetadata\{Name:(?P<container>[^,]+),"),
        ("TaskOOM event", r#"[Cc]ontainer_?[Ii][Dd]: ?\\*"?(?P<id>[0-9a-f]{12,64})"#),
        ("kubepods", r"kubepods.*/(?:[a-z-]+-)?(?P<id>[0-9a-f]{64})(?:\.scope)?(?:/|,|\s|$)"),
    ]
    .into_iter()
    .map(|(literal, pattern)| {
        let regex = RegexBuilder::new(pattern).unicode(false).build().expect("a constant expression");
        Form { literal, regex }
    })
    .collect()
});

/// Adds what a record says of a pod to a sighting's captures. What the sign itself has captured stays.
pub(crate) fn name(message: &str, captures: &mut BTreeMap<String, String>) {
    for form in FORMS.iter().filter(|form| message.contains(form.literal)) {
        if let Some(found) = form.regex.captures(message.as_bytes()) {
            take(&found, captures);
        }
    }
}

fn take(found: &Captures<'_>, captures: &mut BTreeMap<String, String>) {
    let text = |group: &str| {
        let text = std::str::from_utf8(found.name(group)?.as_bytes()).ok()?;
        Some(clip(text, MAX_NAME))
    };
    let mut put = |name: &str, value: String| {
        captures.entry(name.to_owned()).or_insert(value);
    };
    match (text("ns"), text("name")) {
        (Some(namespace), Some(name)) => put(POD, format!("{namespace}/{name}")),
        (None, Some(name)) => put(POD, name.to_owned()),
        _ => {}
    }
    if let Some(container) = text("container") {
        put(CONTAINER, container.to_owned());
    }
    // systemd's slices have no dashes in their names' parts: pkg/kubelet/cm escapeSystemdCgroupName.
    if let Some(uid) = text("uid") {
        put(POD_UID, uid.replace('_', "-"));
    }
    if let Some(id) = text("id") {
        put(CONTAINER_ID, id.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(message: &str) -> Vec<(String, String)> {
        let mut captures = BTreeMap::new();
        name(message, &mut captures);
        captures.into_iter().collect()
    }

    fn want(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const UID: &str = "0f6d1c2e-1b1a-4c3d-9e8f-aabbccddeeff";
    const ID: &str = "2f1c0c3e8a5d4b6f7e9a1b2c3d4e5f60718293a4b5c6d7e8f9012345678900ab";

    #[test]
    fn every_way_of_naming_a_pod_gives_one_name() {
        let with_uid = want(&[("pod", "shop/web-0"), ("pod_uid", UID)]);
        for message in [
            format!(r#""Error syncing pod, skipping" err="x" pod="shop/web-0" podUID="{UID}""#),
            format!(r#"Error syncing pod {UID} ("web-0_shop({UID})"), skipping: x"#),
            format!(r#""Error syncing pod, skipping" pod="web-0_shop({UID})""#),
            format!(
                r#"level=error msg="RunPodSandbox for &PodSandboxMetadata{{Name:web-0,Uid:{UID},Namespace:shop,Attempt:3,}} failed, error""#
            ),
            format!("failed to create pod network sandbox k8s_web-0_shop_{UID}_0({ID}): x"),
            format!(r#"Event(v1.ObjectReference{{Kind:"Pod", Namespace:"shop", Name:"web-0", UID:"{UID}", APIVersion:"v1""#),
        ] {
            assert_eq!(named(&message), with_uid, "{message}");
        }
        let bare = want(&[("pod", "shop/web-0")]);
        for message in [
            r#"NetworkPlugin cni failed to set up pod "web-0_shop" network: x"#,
            r#""Event occurred" object="shop/web-0" fieldPath="" kind="Pod" reason="Failed""#,
            "CNI args: IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=x",
            "ERRORED: error configuring pod [shop/web-0] networking: x",
        ] {
            assert_eq!(named(message), bare, "{message}");
        }
    }

    #[test]
    fn a_container_is_named_beside_its_pod() {
        let both = want(&[("container", "app"), ("pod", "shop/web-0")]);
        for message in [
            r#""Error syncing pod, skipping" err="failed to \"StartContainer\" for \"app\" with CrashLoopBackOff: x" pod="shop/web-0""#,
            r#"container &Container{} start failed in pod pod="shop/web-0" containerName="app""#,
        ] {
            assert_eq!(named(message), both, "{message}");
        }
        let docker = format!("k8s_app_web-0_shop_{UID}_4");
        assert_eq!(named(&docker), want(&[("container", "app"), ("pod", "shop/web-0"), ("pod_uid", UID)]));
    }

    #[test]
    fn cgroups_of_both_drivers_give_the_pods_uid_and_the_containers_id() {
        let uid_and_id = want(&[("container_id", ID), ("pod_uid", UID)]);
        let slice = UID.replace('-', "_");
        for cgroup in [
            format!(
                "task_memcg=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{ID}.scope,task=java"
            ),
            format!("task_memcg=/kubepods/burstable/pod{UID}/{ID},task=java"),
            format!("task_memcg=/kubepods.slice/kubepods-pod{slice}.slice/crio-{ID}.scope/container,task=java"),
        ] {
            assert_eq!(named(&cgroup), uid_and_id, "{cgroup}");
        }
        assert_eq!(named(&format!("TaskOOM event &TaskOOM{{ContainerID:{ID},XXX_unrecognized:[],}}")), want(&[("container_id", ID)]));
        assert_eq!(named(&format!(r#"TaskOOM event container_id:"{ID}""#)), want(&[("container_id", ID)]));
    }

    #[test]
    fn what_a_sign_has_captured_itself_stays() {
        let mut captures = BTreeMap::from([("container".to_owned(), "mine".to_owned())]);
        name(r#"pod="shop/web-0" containerName="app""#, &mut captures);
        assert_eq!(captures["container"], "mine");
        assert_eq!(captures["pod"], "shop/web-0");
    }

    #[test]
    fn what_names_no_pod_gives_nothing_and_hostile_names_do_not_get_through() {
        assert_eq!(named("Started kubelet: The Kubernetes Node Agent."), []);
        assert_eq!(named(r#"pod="" podUID="" containerName="""#), []);
        assert_eq!(named(r#"pod="$(reboot)/x" podUID="`id`""#), []);
        assert_eq!(named("k8s_\u{fffd}_é_x_ (UID: kubepods pod= &ContainerMetadata{"), []);
    }
}
