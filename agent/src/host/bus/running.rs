//! The kubelet as a process, where no unit of a known name runs one: in a unit of another name, in a container, by hand.

use std::time::Duration;

use super::find::{FoundUnits, is_runtime};
use super::{BusError, Host, unit};

/// What the kernel calls a kubelet, and k3s, which is one too (k3s cmd/k3s: it starts itself again as k3s-server or k3s-agent).
const NAMES: &[&str] = &["kubelet", "k3s-server", "k3s-agent"];
/// `kubelet --version` is a kubelet as well, for a moment.
const STAYS: Duration = Duration::from_secs(10);

/// A kubelet that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i64,
    /// Its name: kubelet, k3s-server or k3s-agent.
    pub name: String,
    /// The service it belongs to, if any.
    pub service: Option<String>,
}

/// Puts the process that runs in the place of a unit that does not, and remembers it for when it has ended.
pub(super) async fn amend(host: &Host, found: &mut FoundUnits, lives: bool) -> Result<(), BusError> {
    if lives {
        host.bus.last_process.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        return Ok(());
    }
    let looking = host.clone();
    let seen = tokio::task::spawn_blocking(move || running(&looking)).await.ok().flatten();
    let Some(process) = remembered(host, seen, found) else { return Ok(()) };
    // Its unit may have been removed since.
    let there = match &process.service {
        Some(service) => unit::status(host, service).await?.load_state != "not-found",
        None => true,
    };
    if there {
        take(found, process);
    }
    Ok(())
}

/// What runs now, or what ran last. One without a service that has ended stands for nothing where there is a unit: somebody had run it by
/// hand beside the unit that is down.
fn remembered(host: &Host, now: Option<Process>, found: &FoundUnits) -> Option<Process> {
    let mut last = host.bus.last_process.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match now {
        Some(now) => *last = Some(now),
        None if found.kubelet.is_some() && last.as_ref().is_some_and(|last| last.service.is_none()) => *last = None,
        None => {}
    }
    last.clone()
}

fn running(host: &Host) -> Option<Process> {
    let (pid, name) = host.find_process_of(NAMES).ok()??;
    // k0s puts its kubelet into /system.slice/containerd.service (pkg/component/worker/kubelet.go, KubeletCgroups), Docker a container's below its own.
    let service = host.service_of(pid).ok()?.filter(|service| !is_runtime(service));
    let stays = service.is_some() || host.process_age(pid).is_none_or(|age| age >= STAYS);
    stays.then_some(Process { pid, name, service })
}

fn take(found: &mut FoundUnits, process: Process) {
    if found.kubelet.is_some() && found.kubelet == process.service {
        return;
    }
    found.kubelet.clone_from(&process.service);
    found.bundled = process.name.starts_with("k3s");
    found.process = Some(process);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    fn kubelet(cgroup: &str) -> Node {
        Node::new().file("/proc/7/comm", "kubelet\n").file("/proc/7/cgroup", cgroup)
    }

    fn seen(node: &Node) -> FoundUnits {
        let mut found = FoundUnits { kubelet: Some("kubelet.service".to_owned()), ..FoundUnits::default() };
        if let Some(process) = running(&node.host()) {
            take(&mut found, process);
        }
        found
    }

    #[test]
    fn a_kubelet_that_was_run_by_hand_and_has_ended_hides_no_unit_that_is_down() {
        let host = Node::new().host();
        let by_hand = Process { pid: 7, name: "kubelet".to_owned(), service: None };
        let unit = FoundUnits { kubelet: Some("kubelet.service".to_owned()), ..FoundUnits::default() };
        assert_eq!(remembered(&host, Some(by_hand.clone()), &unit), Some(by_hand.clone()), "while it runs it is the kubelet");
        assert_eq!(remembered(&host, None, &unit), None);
        let none = FoundUnits::default();
        assert_eq!(remembered(&host, Some(by_hand.clone()), &none), Some(by_hand.clone()));
        assert_eq!(remembered(&host, None, &none), Some(by_hand), "where there is no unit it is the one that is missed");
    }

    #[test]
    fn a_kubelet_in_a_unit_of_another_name_stands_for_a_unit_that_is_down() {
        let found = seen(&kubelet("0::/system.slice/node-agent.service\n"));
        assert_eq!(found.kubelet.as_deref(), Some("node-agent.service"));
        let own = seen(&kubelet("0::/system.slice/kubelet.service\n"));
        assert_eq!((own.kubelet.as_deref(), own.process), (Some("kubelet.service"), None));
    }

    #[test]
    fn a_kubelet_in_no_unit_has_none() {
        for cgroup in ["0::/docker/0a1b\n", "0::/system.slice/docker.service/0a1b\n", "0::/system.slice/containerd.service\n"] {
            let found = seen(&kubelet(cgroup));
            assert_eq!((found.kubelet, found.process.map(|process| process.pid)), (None, Some(7)), "{cgroup}");
        }
    }

    #[test]
    fn a_kubelet_that_only_tells_its_version_stands_for_nothing() {
        let stat = format!("7 (kubelet) S {} 100 0", "1 ".repeat(18).trim_end());
        let node = kubelet("0::/user.slice/session-1.scope\n").file("/proc/7/stat", stat).file("/proc/uptime", "2.00 1.0\n");
        assert_eq!(seen(&node).kubelet.as_deref(), Some("kubelet.service"));
    }

    #[test]
    fn k3s_under_another_name_carries_its_runtime() {
        let node = Node::new().file("/proc/7/comm", "k3s-agent\n").file("/proc/7/cgroup", "0::/system.slice/edge.service\n");
        let found = seen(&node);
        assert_eq!((found.kubelet.as_deref(), found.bundled), (Some("edge.service"), true));
    }
}
