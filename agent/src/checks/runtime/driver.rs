//! The runtime's cgroup driver: from itself, else from its configuration file.

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use crate::checks::Look;
use crate::checks::support::failed;
use crate::host::cri::{CriError, RuntimeConfigResponse};
use crate::host::{Host, ReadError};

/// Driver and where it was said.
type Said = Result<(String, String), Missing>;

/// Files imported by containerd's configuration that are looked at, at most.
const IMPORT_LIMIT: usize = 32;

/// Writes the driver and where it was said. `config` is `None` where the runtime does not answer at all: then it has no driver in force, and
/// whether it would tell the kubelet of it (KubeletCgroupDriverFromCRI) is not known either.
pub(super) fn report(look: &Look, endpoint: &str, config: Option<Result<RuntimeConfigResponse, CriError>>, facts: &mut Facts) {
    let said = match config.map(|answer| answer.ok().and_then(|answer| answer.linux)) {
        Some(Some(linux)) => of_cri(linux.cgroup_driver),
        Some(None) => of_file(&look.host, endpoint),
        None => Err(failed(format!("the runtime does not answer at {endpoint}"))),
    };
    facts.put(fact::RUNTIME_CGROUP_DRIVER, look.began_at, said.clone().map(|(driver, _)| driver));
    facts.put(fact::RUNTIME_CGROUP_DRIVER_FROM, look.began_at, said.map(|(_, from)| from));
}

fn of_cri(driver: i32) -> Said {
    let name = match driver {
        0 => "systemd",
        1 => "cgroupfs",
        other => return Err(failed(format!("CRI RuntimeConfig names an unknown cgroup driver: {other}"))),
    };
    Ok((name.to_owned(), "CRI RuntimeConfig".to_owned()))
}

fn of_file(host: &Host, endpoint: &str) -> Said {
    if endpoint.contains("crio") {
        of_crio(host)
    } else if endpoint.contains("dockerd") || endpoint.contains("dockershim") {
        of_docker(host)
    } else if endpoint.contains("/k3s/") {
        // k3s and RKE2 write this file at each start, below their data directory.
        let files = ["/var/lib/rancher/k3s/agent/etc/containerd/config.toml", "/var/lib/rancher/rke2/agent/etc/containerd/config.toml"];
        of_containerd(host, files.into_iter().find(|file| host.exists(file).unwrap_or_default()).unwrap_or(files[0]))
    } else if endpoint.contains("/k0s/") {
        of_containerd(host, "/etc/k0s/containerd.toml")
    } else if endpoint.contains("microk8s") {
        of_containerd(host, "/var/snap/microk8s/current/args/containerd.toml")
    } else if endpoint.contains("containerd") {
        of_containerd(host, "/etc/containerd/config.toml")
    } else {
        Err(failed(format!("the runtime at {endpoint} does not tell its cgroup driver, and its configuration file is not known")))
    }
}

/// `None` where the file is not there.
fn optional(text: Result<String, ReadError>) -> Result<Option<String>, Missing> {
    match text {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(in crate::checks) fn toml(path: &str, text: &str) -> Result<toml::Table, Missing> {
    let complaint = |error: toml::de::Error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        failed(format!("{path}:{}: {}", line.map_or("?".to_owned(), |line| line.to_string()), error.message()))
    };
    toml::from_str(text).map_err(complaint)
}

/// containerd: `SystemdCgroup` of the default runtime's options; cgroupfs unless it is set (until 2.0 at least).
fn of_containerd(host: &Host, path: &str) -> Said {
    let mut said = None;
    let mut left = vec![path.to_owned()];
    let mut read = 0;
    while let Some(file) = left.pop() {
        read += 1;
        let Some(text) = optional(host.read_text(&file))? else { continue };
        let table = toml(&file, &text)?;
        if let Some(systemd) = systemd_cgroup(&table) {
            let driver = if systemd { "systemd" } else { "cgroupfs" };
            said = Some((driver.to_owned(), file));
        }
        if read == 1 {
            left = imports(host, &table);
        }
    }
    Ok(said.unwrap_or_else(|| ("cgroupfs".to_owned(), "default".to_owned())))
}

/// Imported files are merged over the importing one in their order, so the last of them is popped last.
fn imports(host: &Host, table: &toml::Table) -> Vec<String> {
    let listed = table.get("imports").and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str);
    let mut files: Vec<String> = listed.flat_map(|pattern| expand(host, pattern)).take(IMPORT_LIMIT).collect();
    files.reverse();
    files
}

fn expand(host: &Host, pattern: &str) -> Vec<String> {
    match pattern.rsplit_once('/') {
        Some((dir, name)) => match name.split_once('*') {
            Some((start, end)) => {
                let names = host.list(dir).unwrap_or_default();
                names
                    .into_iter()
                    .filter(|name| name.starts_with(start) && name.ends_with(end))
                    .map(|name| format!("{dir}/{name}"))
                    .collect()
            }
            None => vec![pattern.to_owned()],
        },
        None => Vec::new(),
    }
}

pub(in crate::checks) fn systemd_cgroup(table: &toml::Table) -> Option<bool> {
    let plugins = table.get("plugins")?.as_table()?;
    let cri = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri"].iter().find_map(|name| plugins.get(*name))?;
    let containerd = cri.get("containerd")?;
    let runtime = containerd.get("default_runtime_name").and_then(toml::Value::as_str).unwrap_or("runc");
    containerd.get("runtimes")?.get(runtime)?.get("options")?.get("SystemdCgroup")?.as_bool()
}

/// CRI-O: `cgroup_manager`, drop-ins over the main file; systemd by default.
fn of_crio(host: &Host) -> Said {
    let mut files = vec!["/etc/crio/crio.conf".to_owned()];
    files.extend(expand(host, "/etc/crio/crio.conf.d/*"));
    let mut said = ("systemd".to_owned(), "default".to_owned());
    for file in files {
        let Some(text) = optional(host.read_text(&file))? else { continue };
        let table = toml(&file, &text)?;
        let manager = table.get("crio").and_then(|crio| crio.get("runtime")?.get("cgroup_manager")?.as_str());
        if let Some(manager) = manager {
            said = (manager.to_owned(), file);
        }
    }
    Ok(said)
}

/// Docker: `native.cgroupdriver`; its default depends on the cgroup version (20.10: systemd on v2).
fn of_docker(host: &Host) -> Said {
    let path = "/etc/docker/daemon.json";
    if let Some(text) = optional(host.read_text(path))? {
        let config: serde_json::Value = serde_json::from_str(&text).map_err(|error| failed(format!("{path}:{}: {error}", error.line())))?;
        let options = config.get("exec-opts").and_then(serde_json::Value::as_array).into_iter().flatten();
        if let Some(driver) = options.filter_map(|option| option.as_str()?.strip_prefix("native.cgroupdriver=")).next_back() {
            return Ok((driver.to_owned(), path.to_owned()));
        }
    }
    let unified = host.exists("/sys/fs/cgroup/cgroup.controllers")?;
    Ok((if unified { "systemd" } else { "cgroupfs" }.to_owned(), "default".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const CONTAINERD: &str = "unix:///run/containerd/containerd.sock";

    fn driver(node: &Node, endpoint: &str) -> (String, String) {
        of_file(&node.host(), endpoint).unwrap()
    }

    #[test]
    fn containerd_says_it_in_two_generations_of_files() {
        let v2 = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n  SystemdCgroup = true\n";
        let v3 = "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n  SystemdCgroup = false\n";
        let path = "/etc/containerd/config.toml";
        assert_eq!(driver(&Node::new().file(path, v2), CONTAINERD), ("systemd".into(), path.into()));
        assert_eq!(driver(&Node::new().file(path, v3), CONTAINERD), ("cgroupfs".into(), path.into()));
        assert_eq!(driver(&Node::new().file(path, "disabled_plugins = []\n"), CONTAINERD), ("cgroupfs".into(), "default".into()));
        assert_eq!(driver(&Node::new(), CONTAINERD), ("cgroupfs".into(), "default".into()));
    }

    #[test]
    fn an_imported_file_has_the_last_word() {
        let main = "imports = [\"/etc/containerd/conf.d/*.toml\"]\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = false\n";
        let more = "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
        let node = Node::new()
            .file("/etc/containerd/config.toml", main)
            .file("/etc/containerd/conf.d/10.toml", more)
            .file("/etc/containerd/conf.d/x", "[");
        assert_eq!(driver(&node, CONTAINERD), ("systemd".into(), "/etc/containerd/conf.d/10.toml".into()));
    }

    #[test]
    fn a_garbled_file_is_unknown_and_not_the_default() {
        let node = Node::new().file("/etc/containerd/config.toml", "version = 2\n[plugins\n");
        let missing = of_file(&node.host(), CONTAINERD).unwrap_err();
        assert!(missing.why.starts_with("/etc/containerd/config.toml:2: "), "{}", missing.why);
    }

    #[test]
    fn crio_and_docker_have_their_own() {
        let crio = Node::new().file("/etc/crio/crio.conf.d/10.conf", "[crio.runtime]\ncgroup_manager = \"cgroupfs\"\n");
        assert_eq!(driver(&crio, "unix:///run/crio/crio.sock"), ("cgroupfs".into(), "/etc/crio/crio.conf.d/10.conf".into()));
        assert_eq!(driver(&Node::new(), "unix:///run/crio/crio.sock"), ("systemd".into(), "default".into()));
        let docker = Node::new().file("/etc/docker/daemon.json", r#"{"exec-opts": ["native.cgroupdriver=systemd"]}"#);
        assert_eq!(driver(&docker, "unix:///run/cri-dockerd.sock"), ("systemd".into(), "/etc/docker/daemon.json".into()));
        assert!(of_file(&Node::new().host(), "unix:///run/other.sock").is_err());
    }

    #[test]
    fn an_unknown_driver_number_is_not_guessed() {
        assert_eq!(of_cri(0).unwrap().0, "systemd");
        assert!(of_cri(7).is_err());
    }
}
