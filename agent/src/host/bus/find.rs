//! Which unit runs the kubelet, and which the container runtime.

use super::{BusError, Host, malformed};

/// Units of interest on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundUnits {
    /// Unit that runs the kubelet (a masked or disabled one counts).
    pub kubelet: Option<String>,
    /// Unit that runs the container runtime; `None` also where the kubelet's unit carries it (k3s, rke2).
    pub runtime: Option<String>,
    /// Names and places looked at.
    pub looked_in: Vec<String>,
}

/// Names under which distributions run the kubelet; earlier ones are preferred among equals. Patterns as systemd globs them.
const KUBELET: &[&str] = &[
    "kubelet.service",
    "k3s.service",
    "k3s-agent.service",
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
const BUNDLES: &[&str] = &["k3s.service", "k3s-agent.service", "rke2-", "k0s"];
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
    Ok(choose(&listed))
}

type UnitRow = (String, String, String, String, String, String, zbus::OwnedObjectPath, u32, String, zbus::OwnedObjectPath);

async fn loaded(host: &Host, patterns: &[&str]) -> Result<Vec<Listed>, BusError> {
    let states: &[&str] = &[];
    let reply = host.manager_call("ListUnitsByPatterns", "kubelet and runtime", &(states, patterns)).await?;
    let rows: Vec<UnitRow> = reply.body().deserialize().map_err(|error| malformed("ListUnitsByPatterns", error))?;
    Ok(rows.into_iter().map(|row| Listed { name: row.0, load_state: row.2, active_state: row.3, file_state: String::new() }).collect())
}

async fn unit_files(host: &Host, patterns: &[&str]) -> Result<Vec<(String, String)>, BusError> {
    let states: &[&str] = &[];
    let reply = host.manager_call("ListUnitFilesByPatterns", "kubelet and runtime", &(states, patterns)).await?;
    reply.body().deserialize().map_err(|error| malformed("ListUnitFilesByPatterns", error))
}

fn choose(listed: &[Listed]) -> FoundUnits {
    let kubelet = best(listed, KUBELET);
    let bundled = kubelet.as_ref().is_some_and(|name| BUNDLES.iter().any(|bundle| name.starts_with(bundle)));
    let runtime = if bundled { None } else { best(listed, RUNTIME) };
    let looked_in = KUBELET.iter().map(|name| format!("systemd unit {name}")).collect();
    FoundUnits { kubelet, runtime, looked_in }
}

/// The unit that is most alive; among equals the first of the list of names.
fn best(listed: &[Listed], patterns: &[&str]) -> Option<String> {
    let rank = |unit: &Listed| {
        let position = patterns.iter().position(|pattern| glob(pattern, &unit.name))?;
        Some((aliveness(unit)?, std::cmp::Reverse(position)))
    };
    let best = listed.iter().filter_map(|unit| Some((rank(unit)?, unit))).max_by_key(|(rank, _)| *rank)?;
    Some(best.1.name.clone())
}

fn aliveness(unit: &Listed) -> Option<u8> {
    let enabled = unit.file_state.starts_with("enabled");
    match (unit.active_state.as_str(), unit.load_state.as_str(), unit.file_state.as_str()) {
        ("active" | "activating" | "reloading" | "deactivating", _, _) => Some(5),
        ("failed", _, _) => Some(4),
        _ if enabled => Some(3),
        (_, "masked", _) | (_, _, "masked" | "masked-runtime") => Some(2),
        // Another unit only mentions it (After=docker.service): there is no such unit here.
        (_, "not-found", "") => None,
        _ => Some(1),
    }
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
        Listed { name: name.into(), load_state: load.into(), active_state: active.into(), file_state: file.into() }
    }

    #[test]
    fn a_kubeadm_node_has_kubelet_and_containerd() {
        let found = choose(&[
            unit("containerd.service", "loaded", "active", "enabled"),
            unit("docker.service", "not-found", "inactive", ""),
            unit("kubelet.service", "loaded", "activating", "enabled"),
        ]);
        assert_eq!((found.kubelet.as_deref(), found.runtime.as_deref()), (Some("kubelet.service"), Some("containerd.service")));
    }

    #[test]
    fn a_masked_or_disabled_kubelet_is_found() {
        assert_eq!(choose(&[unit("kubelet.service", "masked", "inactive", "masked")]).kubelet.as_deref(), Some("kubelet.service"));
        assert_eq!(choose(&[unit("kubelet.service", "", "", "disabled")]).kubelet.as_deref(), Some("kubelet.service"));
    }

    #[test]
    fn the_one_that_lives_wins_over_a_leftover_unit_file() {
        let found = choose(&[unit("kubelet.service", "", "", "disabled"), unit("k3s-agent.service", "loaded", "active", "enabled")]);
        assert_eq!((found.kubelet.as_deref(), found.runtime), (Some("k3s-agent.service"), None));
    }

    #[test]
    fn a_unit_only_mentioned_by_another_is_none() {
        let found = choose(&[unit("crio.service", "not-found", "inactive", ""), unit("kubelet.service", "not-found", "inactive", "")]);
        assert_eq!((found.kubelet, found.runtime), (None, None));
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
