//! Processes of the node, from /proc.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Host, ReadError};

impl Host {
    /// argv of a process; empty for a kernel thread or a zombie.
    pub fn command_line(&self, pid: i64) -> Result<Vec<String>, ReadError> {
        let bytes = self.read(format!("/proc/{pid}/cmdline"))?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\0').unwrap_or(&text);
        Ok(if text.is_empty() { Vec::new() } else { text.split('\0').map(str::to_owned).collect() })
    }

    /// Variables a process was started with.
    pub fn environment(&self, pid: i64) -> Result<BTreeMap<String, String>, ReadError> {
        let bytes = self.read(format!("/proc/{pid}/environ"))?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.split('\0').filter_map(|item| item.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Name of a process as the kernel has it (at most 15 bytes).
    pub fn process_name(&self, pid: i64) -> Result<String, ReadError> {
        self.read_line(format!("/proc/{pid}/comm"))
    }

    /// State letter of a process (proc(5)): R, S, D, T, Z, ...
    pub fn process_state(&self, pid: i64) -> Result<Option<char>, ReadError> {
        Ok(state_letter(&self.read_text(format!("/proc/{pid}/stat"))?))
    }

    /// Ids of all processes.
    pub fn process_ids(&self) -> Result<Vec<i64>, ReadError> {
        Ok(self.list("/proc")?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The first process of this name that is the node's own, and alive.
    pub fn find_process(&self, name: &str) -> Result<Option<i64>, ReadError> {
        Ok(self.find_process_of(&[name])?.map(|(pid, _)| pid))
    }

    /// The first process with one of these names that is the node's own, and alive; with its name.
    pub fn find_process_of(&self, names: &[&str]) -> Result<Option<(i64, String)>, ReadError> {
        // A process may end between the listing and the reading of its name: that one is not it.
        let named = |pid| self.process_name(pid).ok().filter(|name| names.contains(&name.as_str())).map(|name| (pid, name));
        let own = |pid| !self.is_contained(pid) && !matches!(self.process_state(pid), Ok(Some('Z')));
        Ok(self.process_ids()?.into_iter().filter_map(named).find(|(pid, _)| own(*pid)))
    }

    /// Whether a process lives in another PID namespace than this /proc: a container's, as the kubelet of a kind node is. `NSpid` (proc(5), Linux
    /// 4.1) has its id in each namespace from this one inwards; anybody may read it, which is not so of /proc/PID/ns.
    fn is_contained(&self, pid: i64) -> bool {
        let status = self.read_text(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("NSpid:")).is_some_and(|ids| ids.split_whitespace().count() > 1)
    }

    /// How long a process has run.
    pub fn process_age(&self, pid: i64) -> Option<Duration> {
        let stat = self.read_text(format!("/proc/{pid}/stat")).ok()?;
        let (_, after) = stat.rsplit_once(')')?;
        // starttime, the 22nd field (proc(5)), is counted in ticks of 1/100 s since the boot on every machine that runs Kubernetes.
        let started: f64 = after.split_whitespace().nth(19)?.parse().ok()?;
        let uptime: f64 = self.read_text("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
        Duration::try_from_secs_f64(uptime - started / 100.0).ok()
    }

    /// The service of the system that a process belongs to, from its cgroup.
    pub fn service_of(&self, pid: i64) -> Result<Option<String>, ReadError> {
        Ok(service_of_cgroup(&self.read_text(format!("/proc/{pid}/cgroup"))?))
    }
}

/// systemd src/basic/cgroup-util.c, cg_path_get_unit: below the slices the first name is the unit; in its own hierarchy on version 1.
fn service_of_cgroup(text: &str) -> Option<String> {
    let path = |controllers| text.lines().find_map(|line| line.split_once(':')?.1.strip_prefix(controllers));
    let path = path("name=systemd:").or_else(|| path(":"))?;
    let unit = path.split('/').find(|name| !name.is_empty() && *name != ".." && !name.ends_with(".slice"))?;
    // A user's manager has units of its own.
    (unit.ends_with(".service") && !unit.starts_with("user@")).then(|| unit.to_owned())
}

/// The name in `stat` stands in brackets and may hold spaces and brackets itself: the state follows the last one.
fn state_letter(stat: &str) -> Option<char> {
    let (_, after) = stat.rsplit_once(')')?;
    after.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn the_state_follows_the_last_bracket() {
        assert_eq!(state_letter("14029 (kube) let) T 1 14029"), Some('T'));
        assert_eq!(state_letter("14029 (kubelet)"), None);
        assert_eq!(state_letter("garbage"), None);
    }

    #[test]
    fn a_process_in_a_containers_namespace_is_not_the_nodes() {
        let node = Node::new().file("/proc/7/comm", "kubelet\n").file("/proc/7/status", "Name:\tkubelet\nNSpid:\t7\t1\n");
        assert_eq!(node.host().find_process("kubelet").unwrap(), None, "a kubelet of kind");
        let node = node.file("/proc/8/comm", "kubelet\n").file("/proc/8/stat", "8 (kubelet) Z 1 8");
        assert_eq!(node.host().find_process("kubelet").unwrap(), None, "one that has ended");
        let node = node.file("/proc/9/comm", "kubelet\n").file("/proc/9/status", "Name:\tkubelet\nNSpid:\t9\n");
        assert_eq!(node.host().find_process("kubelet").unwrap(), Some(9));
    }

    #[test]
    fn a_process_names_the_service_it_belongs_to() {
        for (cgroup, unit) in [
            ("0::/system.slice/my-kubelet.service\n", Some("my-kubelet.service")),
            ("0::/runtime.slice/kubelet.service/sub\n", Some("kubelet.service")),
            ("12:cpu:/x\n1:name=systemd:/system.slice/node-agent.service\n0::/\n", Some("node-agent.service")),
            ("0::/../../system.slice/my.service\n", Some("my.service")),
            ("0::/system.slice/docker-0a1b.scope\n", None),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/k.service\n", None),
            ("0::/user.slice/user-0.slice/session-3.scope\n", None),
            ("11:memory:/docker/0a1b\n1:name=systemd:/docker/0a1b\n", None),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(service_of_cgroup(cgroup).as_deref(), unit, "{cgroup}");
        }
    }

    #[test]
    fn a_process_has_an_age() {
        let stat = format!("7 (kube) let) S {} 12300 0", "1 ".repeat(18).trim_end());
        let node = Node::new().file("/proc/7/stat", stat).file("/proc/uptime", "133.00 99.0\n");
        assert_eq!(node.host().process_age(7), Some(Duration::from_secs(10)));
        assert_eq!(node.host().process_age(8), None);
    }

    #[test]
    fn this_process_is_found_in_the_real_proc() {
        let host = Host::new("/");
        let pid = i64::from(std::process::id());
        let name = host.process_name(pid).unwrap();
        assert!(host.process_ids().unwrap().contains(&pid));
        assert!(!host.command_line(pid).unwrap().is_empty());
        assert!(host.find_process(&name).unwrap().is_some());
        assert!(matches!(host.process_state(pid).unwrap(), Some('R' | 'S' | 'D')));
    }
}
