//! A memory limit for one of the node's processes, in a control group with the name that the kubelet gives to a container's (cgroupfs driver). Where the
//! machine has the memory controller in cgroup v1, nodes have none of their own, and it is this machine that sets the limit.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Node;
use crate::cgroup;

/// A container's process and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// As the node counts.
    pub pid: u32,
    /// As the runtime has it.
    pub id: String,
    /// Its pod's UID.
    pub pod_uid: String,
}

/// Of what `ctr containers info` prints.
#[derive(Deserialize)]
struct Info {
    #[serde(rename = "Labels", default)]
    labels: BTreeMap<String, String>,
}

impl Node {
    /// The containers that run with this name (`io.kubernetes.container.name`).
    ///
    /// # Errors
    /// containerd cannot be asked.
    pub fn containers(&self, name: &str) -> Result<Vec<Container>> {
        let tasks = self.run(&["ctr", "-n", "k8s.io", "tasks", "ls"])?;
        let running = tasks.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (id, pid, status) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
            (status == "RUNNING").then(|| (id.to_owned(), pid))
        });
        let mut found = Vec::new();
        for (id, pid) in running {
            let info: Info = serde_json::from_str(&self.run(&["ctr", "-n", "k8s.io", "containers", "info", &id])?)?;
            let label = |name: &str| info.labels.get(name).map(String::as_str).unwrap_or_default();
            if label("io.cri-containerd.kind") == "container" && label("io.kubernetes.container.name") == name {
                found.push(Container { pid, id, pod_uid: label("io.kubernetes.pod.uid").to_owned() });
            }
        }
        Ok(found)
    }

    /// Limits the memory of a container.
    ///
    /// # Errors
    /// The machine has no memory controller, or refuses.
    pub fn limit_memory(&self, container: &Container, bytes: u64) -> Result<()> {
        let group = format!("{}/kubepods/burstable/pod{}/{}", self.slot().group(), container.pod_uid, container.id);
        let (dir, limit) = cgroup::make_memory(&group)?;
        fs::write(dir.join(limit), bytes.to_string()).with_context(|| format!("cannot limit {}", dir.display()))?;
        // Who writes it decides whose counting of processes it is: a shell in the node's.
        let procs = File::options().write(true).open(dir.join("cgroup.procs"))?;
        let said = Command::new("nsenter")
            .args(["-t", &self.init().to_string(), "-p", "--", "sh", "-c", &format!("echo {}", container.pid)])
            .stdin(Stdio::null())
            .stdout(procs)
            .output()?;
        ensure!(said.status.success(), "cannot put {container:?} into {}: {}", dir.display(), String::from_utf8_lossy(&said.stderr));
        Ok(())
    }
}
