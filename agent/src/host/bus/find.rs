//! Which unit runs the kubelet, and which the container runtime.

use super::running::Process;
use super::{BusError, Host, UNIT, malformed, unit};

/// Units of interest on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundUnits {
    /// Unit that runs the kubelet (a masked or disabled one counts).
    pub kubelet: Option<String>,
    /// The process that the kubelet was found by, where no unit of a known name runs one. With no unit above it runs in none (a container, a
    /// shell).
    pub process: Option<Process>,
    /// Units that may run the container runtime, the most alive first.
    pub runtimes: Vec<String>,
    /// The kubelet's unit carries its runtime in itself (k3s, rke2, k0s).
    pub bundled: bool,
    /// Names and places looked at.
    pub looked_in: Vec<String>,
}

impl FoundUnits {
    /// Unit that runs the container runtime which the kubelet speaks to at this endpoint; `None` also where the kubelet's unit carries it.
    pub fn runtime(&self, endpoint: Option<&str>) -> Option<&str> {
        let kind = endpoint.map(serving).unwrap_or_default();
        let serves = |name: &&String| kind.iter().any(|pattern| glob(pattern, name));
        let by_endpoint = self.runtimes.iter().find(serves);
        let any = if self.bundled { None } else { self.runtimes.first() };
        by_endpoint.or(any).map(String::as_str)
    }
}

/// Units that serve a socket with this path: CRI-O's crio.service, cri-dockerd's packaging/systemd/cri-docker.socket, moby's
/// /run/docker/containerd below docker.service, containerd's and the snaps'. k3s and k0s serve theirs themselves.
fn serving(endpoint: &str) -> &'static [&'static str] {
    let has = |part| endpoint.contains(part);
    match () {
        () if has("/k3s/") || has("/k0s/") => &[],
        () if has("crio") => &["crio.service", "cri-o.service"],
        () if has("cri-dockerd") => &["cri-docker.service"],
        () if has("docker") => &["docker.service"],
        () if has("/snap/") => &["snap.*.containerd.service", "snap.*daemon-containerd.service"],
        () if has("containerd") => &["containerd.service"],
        () => &[],
    }
}

/// Names under which distributions run the kubelet; earlier ones are preferred among equals. Patterns as systemd globs them.
const KUBELET: &[&str] = &[
    "kubelet.service",
    "k3s.service",
    "k3s-agent.service",
    // get.k3s.io, install.sh with INSTALL_K3S_NAME.
    "k3s-*.service",
    "rke2-server.service",
    "rke2-agent.service",
    "snap.kubelet*.service",
    "snap.*.kubelet.service",
    "snap.*kubelite*.service",
    "k0scontroller.service",
    "k0sworker.service",
    "microshift.service",
    "atomic-openshift-node.service",
    "origin-node.service",
];
/// Kubelet units that carry their container runtime in themselves.
const BUNDLES: &[&str] = &["k3s.service", "k3s-", "rke2-", "k0s"];
const RUNTIME: &[&str] = &[
    "containerd.service",
    "crio.service",
    "cri-o.service",
    "snap.*.containerd.service",
    "snap.*daemon-containerd.service",
    "cri-docker.service",
    "docker.service",
];

/// A unit by name, as the lists of systemd tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listed {
    name: String,
    /// Empty if systemd has not loaded it.
    load_state: String,
    active_state: String,
    sub_state: String,
    /// Microseconds of this boot, asked for only where it decides.
    active_since: u64,
    /// D-Bus object.
    path: String,
    /// Empty if there is no unit file.
    file_state: String,
}

pub(super) async fn find(host: &Host) -> Result<FoundUnits, BusError> {
    let patterns: Vec<&str> = KUBELET.iter().chain(RUNTIME).copied().collect();
    let mut listed = loaded(host, &patterns).await?;
    for (path, state) in unit_files(host, &patterns).await? {
        let Some(name) = path.rsplit('/').next() else { continue };
        match listed.iter_mut().find(|unit| unit.name == name) {
            Some(unit) => unit.file_state = state,
            None => listed.push(Listed { name: name.to_owned(), file_state: state, ..Listed::default() }),
        }
    }
    since_when(host, &mut listed).await;
    let mut found = choose(&listed);
    if let Some(name) = found.kubelet.as_ref().filter(|name| name.starts_with("k0scontroller"))
        && !has_worker(&unit::definition(host, name).await?.exec_start)
    {
        found.kubelet = None;
    }
    let lives = listed.iter().any(|unit| found.kubelet.as_ref() == Some(&unit.name) && unit.active_state == "active");
    super::running::amend(host, &mut found, lives).await?;
    Ok(found)
}

/// `k0s controller` runs a kubelet only if it is told so (k0s cmd/controller).
fn has_worker(argv: &[String]) -> bool {
    let told = |flag: &str| argv.iter().any(|word| word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest == "=true"));
    told("--enable-worker") || told("--single")
}

/// A kubelet that a leftover unit starts again and again is active too, for a moment each time; the one that has been so for longest is the
/// node's.
async fn since_when(host: &Host, listed: &mut [Listed]) {
    let of_kubelet = |unit: &&mut Listed| unit.active_state == "active" && KUBELET.iter().any(|pattern| glob(pattern, &unit.name));
    let mut active: Vec<&mut Listed> = listed.iter_mut().filter(of_kubelet).collect();
    if active.len() < 2 {
        return;
    }
    for one in &mut active {
        let since = unit::get::<u64>(host, &one.path, &one.name, UNIT, "ActiveEnterTimestampMonotonic").await;
        one.active_since = since.unwrap_or(u64::MAX);
    }
}

type UnitRow = (String, String, String, String, String, String, zbus::OwnedObjectPath, u32, String, zbus::OwnedObjectPath);

async fn loaded(host: &Host, patterns: &[&str]) -> Result<Vec<Listed>, BusError> {
    let states: &[&str] = &[];
    let reply = host.manager_call("ListUnitsByPatterns", "kubelet and runtime", &(states, patterns)).await?;
    let rows: Vec<UnitRow> = reply.body().deserialize().map_err(|error| malformed("ListUnitsByPatterns", error))?;
    let listed = |row: UnitRow| Listed {
        name: row.0,
        load_state: row.2,
        active_state: row.3,
        sub_state: row.4,
        path: row.6.as_str().to_owned(),
        ..Listed::default()
    };
    Ok(rows.into_iter().map(listed).collect())
}

async fn unit_files(host: &Host, patterns: &[&str]) -> Result<Vec<(String, String)>, BusError> {
    let states: &[&str] = &[];
    let reply = host.manager_call("ListUnitFilesByPatterns", "kubelet and runtime", &(states, patterns)).await?;
    reply.body().deserialize().map_err(|error| malformed("ListUnitFilesByPatterns", error))
}

fn choose(listed: &[Listed]) -> FoundUnits {
    let kubelet = ranked(listed, KUBELET).into_iter().next();
    let bundled = kubelet.as_ref().is_some_and(|name| BUNDLES.iter().any(|bundle| name.starts_with(bundle)));
    let looked_in = KUBELET.iter().map(|name| format!("systemd unit {name}")).collect();
    FoundUnits { kubelet, process: None, runtimes: ranked(listed, RUNTIME), bundled, looked_in }
}

/// The units with these names, the most alive first; among equals the one that has been active for longest, then the first of the names.
fn ranked(listed: &[Listed], patterns: &[&str]) -> Vec<String> {
    let rank = |unit: &Listed| {
        let position = patterns.iter().position(|pattern| glob(pattern, &unit.name))?;
        Some((std::cmp::Reverse(aliveness(unit)?), unit.active_since, position))
    };
    let mut found: Vec<_> = listed.iter().filter_map(|unit| Some((rank(unit)?, &unit.name))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name.clone()).collect()
}

/// A leftover unit that fails and is started again for ever is less alive than one that runs, or that is still coming up.
fn aliveness(unit: &Listed) -> Option<u8> {
    let enabled = unit.file_state.starts_with("enabled");
    match (unit.active_state.as_str(), unit.load_state.as_str(), unit.file_state.as_str()) {
        ("active" | "reloading", _, _) => Some(7),
        ("activating", _, _) if unit.sub_state.starts_with("auto-restart") => Some(5),
        ("activating" | "deactivating", _, _) => Some(6),
        ("failed", _, _) => Some(4),
        _ if enabled => Some(3),
        (_, "masked", _) | (_, _, "masked" | "masked-runtime") => Some(2),
        // Another unit only mentions it (After=docker.service): there is no such unit here.
        (_, "not-found", "") => None,
        _ => Some(1),
    }
}

/// Whether a service is one that runs a container runtime.
pub(super) fn is_runtime(unit: &str) -> bool {
    RUNTIME.iter().any(|pattern| glob(pattern, unit))
}

/// `*` only, as the names above use it.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            let Some(rest) = name.strip_prefix(head) else { return false };
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| glob(tail, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, load: &str, active: &str, file: &str) -> Listed {
        let (active, sub) = active.split_once('/').unwrap_or((active, ""));
        let (load_state, file_state) = (load.into(), file.into());
        Listed { name: name.into(), load_state, active_state: active.into(), sub_state: sub.into(), file_state, ..Listed::default() }
    }

    #[test]
    fn a_kubeadm_node_has_kubelet_and_containerd() {
        let found = choose(&[
            unit("containerd.service", "loaded", "active", "enabled"),
            unit("docker.service", "not-found", "inactive", ""),
            unit("kubelet.service", "loaded", "activating", "enabled"),
        ]);
        assert_eq!((found.kubelet.as_deref(), found.runtime(None)), (Some("kubelet.service"), Some("containerd.service")));
    }

    #[test]
    fn a_masked_or_disabled_kubelet_is_found() {
        assert_eq!(choose(&[unit("kubelet.service", "masked", "inactive", "masked")]).kubelet.as_deref(), Some("kubelet.service"));
        assert_eq!(choose(&[unit("kubelet.service", "", "", "disabled")]).kubelet.as_deref(), Some("kubelet.service"));
    }

    #[test]
    fn the_one_that_lives_wins_over_a_leftover_unit_file() {
        let found = choose(&[unit("kubelet.service", "", "", "disabled"), unit("k3s-agent.service", "loaded", "active", "enabled")]);
        assert_eq!((found.kubelet.as_deref(), found.runtime(None)), (Some("k3s-agent.service"), None));
    }

    #[test]
    fn a_leftover_kubelet_that_fails_again_and_again_is_not_the_nodes() {
        let k3s = |active| unit("k3s.service", "loaded", active, "enabled");
        let left = |active| unit("kubelet.service", "loaded", active, "enabled");
        for (k3s, left) in [
            (k3s("active/running"), left("activating/auto-restart")),
            (k3s("activating/start"), left("activating/auto-restart")),
            (k3s("activating/auto-restart"), left("failed/failed")),
            // In the moment in which it is started.
            (Listed { active_since: 10, ..k3s("active/running") }, Listed { active_since: 9000, ..left("active/running") }),
        ] {
            let told = format!("{k3s:?} {left:?}");
            assert_eq!(choose(&[left, k3s]).kubelet.as_deref(), Some("k3s.service"), "{told}");
        }
    }

    #[test]
    fn the_runtime_is_the_one_that_serves_the_kubelets_endpoint() {
        let found = choose(&[
            unit("containerd.service", "loaded", "active/running", "enabled"),
            unit("crio.service", "loaded", "failed/failed", "enabled"),
            unit("cri-docker.service", "loaded", "inactive/dead", "disabled"),
            unit("docker.service", "loaded", "active/running", "enabled"),
            unit("snap.microk8s.daemon-containerd.service", "loaded", "failed/failed", "enabled"),
            unit("kubelet.service", "loaded", "active/running", "enabled"),
        ]);
        for (endpoint, runtime) in [
            ("unix:///var/run/crio/crio.sock", "crio.service"),
            ("unix:///run/containerd/containerd.sock", "containerd.service"),
            ("unix:///run/cri-dockerd.sock", "cri-docker.service"),
            ("unix:///var/run/dockershim.sock", "docker.service"),
            ("unix:///run/docker/containerd/containerd.sock", "docker.service"),
            ("unix:///var/snap/microk8s/common/run/containerd.sock", "snap.microk8s.daemon-containerd.service"),
            ("unix:///run/other.sock", "containerd.service"),
        ] {
            assert_eq!(found.runtime(Some(endpoint)), Some(runtime), "{endpoint}");
        }
        let alone = choose(&[unit("crio.service", "loaded", "active/running", "enabled")]);
        assert_eq!(alone.runtime(Some("unix:///run/containerd/containerd.sock")), Some("crio.service"), "the only one there is");
    }

    #[test]
    fn a_bundle_has_a_runtime_of_its_own_only_where_its_endpoint_says_so() {
        let found = choose(&[
            unit("k3s.service", "loaded", "active/running", "enabled"),
            unit("containerd.service", "loaded", "active/running", "enabled"),
        ]);
        assert_eq!(found.runtime(None), None);
        assert_eq!(found.runtime(Some("unix:///run/k3s/containerd/containerd.sock")), None);
        assert_eq!(found.runtime(Some("unix:///run/containerd/containerd.sock")), Some("containerd.service"));
    }

    #[test]
    fn a_k0s_controller_runs_a_kubelet_only_if_told_so() {
        let has = |words: &[&str]| has_worker(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(has(&["k0s", "controller", "--single=true"]) && has(&["k0s", "controller", "--enable-worker", "--no-taints"]));
        assert!(!has(&["k0s", "controller", "--config=/etc/k0s/k0s.yaml"]) && !has(&["k0s", "controller", "--single=false"]));
    }

    #[test]
    fn a_unit_only_mentioned_by_another_is_none() {
        let found = choose(&[unit("crio.service", "not-found", "inactive", ""), unit("kubelet.service", "not-found", "inactive", "")]);
        assert_eq!((found.kubelet.as_deref(), found.runtime(None)), (None, None));
        assert!(found.looked_in.iter().any(|place| place.contains("k3s-agent.service")));
    }

    #[test]
    fn snaps_are_found_by_pattern() {
        let snap = "snap.microk8s.daemon-kubelite.service";
        assert_eq!(choose(&[unit(snap, "loaded", "active", "enabled")]).kubelet.as_deref(), Some(snap));
        assert!(glob("snap.*kubelite*.service", snap));
        assert!(!glob("snap.*kubelite*.service", "snap.microk8s.daemon-containerd.service"));
        assert!(!glob("kubelet.service", "kubelet.servicex"));
    }
}
