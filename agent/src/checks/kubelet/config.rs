//! KubeletConfiguration from its file and its drop-in directory.

use jiff::Timestamp;
use nodewhy_diagnosis::node::KubeletConfig;
pub(crate) use nodewhy_diagnosis::node::{parse_yaml, yaml_complaint};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::host::{Host, ReadError};

/// The configuration as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct Config {
    said: KubeletConfig,
    /// Fields that do not exist, as `file:line: name`.
    pub(crate) unknown_fields: Vec<String>,
}

/// Why there is no configuration to be had.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// The main file, or the drop-in directory, is not there.
    Absent(ReadError),
    /// A file cannot be read.
    Unreadable(ReadError),
    /// A file is not a KubeletConfiguration: `file:line:column: words`.
    Invalid(String),
}

/// Reads the main file, if the kubelet is told of one, and the `*.conf` files of the drop-in directory in the order of their names.
pub(crate) fn load(host: &Host, main: Option<&str>, drop_in_dir: Option<&str>) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for path in paths(host, main, drop_in_dir)? {
        let text = host.read_text(&path).map_err(unreadable)?;
        config.said.add(&path, &text).map_err(ConfigError::Invalid)?;
    }
    config.unknown_fields = config.said.unknown_fields().to_vec();
    Ok(config)
}

/// SHA-256 over the main file and the drop-ins, valid or not, first 16 hex digits: nodes with the same have the same configuration.
pub(crate) fn digest(host: &Host, main: Option<&str>, drop_in_dir: Option<&str>) -> Result<String, ConfigError> {
    let mut hash = Sha256::new();
    for path in paths(host, main, drop_in_dir)? {
        hash.update(path.as_bytes());
        hash.update(host.read_text(&path).map_err(unreadable)?.as_bytes());
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Latest modification of the main file and the drop-ins, whatever is in them.
pub(crate) fn modified_at(host: &Host, main: Option<&str>, drop_in_dir: Option<&str>) -> Option<Timestamp> {
    latest(host, &paths(host, main, drop_in_dir).ok()?)
}

/// Latest modification of any of these files.
pub(crate) fn latest(host: &Host, paths: &[String]) -> Option<Timestamp> {
    let modified = |path: &String| Timestamp::try_from(host.stat(path).ok()?.modified().ok()?).ok();
    paths.iter().filter_map(modified).max()
}

fn unreadable(error: ReadError) -> ConfigError {
    if error.is_absence() { ConfigError::Absent(error) } else { ConfigError::Unreadable(error) }
}

fn paths(host: &Host, main: Option<&str>, drop_in_dir: Option<&str>) -> Result<Vec<String>, ConfigError> {
    let mut paths: Vec<String> = main.map(str::to_owned).into_iter().collect();
    if let Some(dir) = drop_in_dir {
        let names = host.list(dir).map_err(unreadable)?;
        paths.extend(names.into_iter().filter(|name| name.ends_with(".conf")).map(|name| format!("{}/{name}", dir.trim_end_matches('/'))));
    }
    Ok(paths)
}

impl Config {
    /// A field in force, by its path, and where it was said; `None` if no file sets it.
    pub(crate) fn get(&self, field: &[&str]) -> Option<(&Value, String)> {
        self.said.get(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

    fn error_of(text: &str) -> String {
        let node = Node::new().file("/c.yaml", text);
        match load(&node.host(), Some("/c.yaml"), None).unwrap_err() {
            ConfigError::Invalid(words) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn values_come_with_file_and_line() {
        let node = Node::new()
            .file("/c.yaml", format!("{HEAD}# failSwapOn: true\nfailSwapOn: false\nauthentication:\n  x509:\n    clientCAFile: /ca.crt\n"));
        let config = load(&node.host(), Some("/c.yaml"), None).unwrap();
        assert_eq!(config.get(&["failSwapOn"]), Some((&Value::Bool(false), "/c.yaml:4".into())));
        assert_eq!(config.get(&["authentication", "x509", "clientCAFile"]).unwrap().1, "/c.yaml:7");
        assert_eq!(config.get(&["port"]), None);
        assert_eq!(digest(&node.host(), Some("/c.yaml"), None).unwrap().len(), 16);
        assert!(modified_at(&node.host(), Some("/c.yaml"), None).is_some());
    }

    #[test]
    fn a_configuration_that_no_kubelet_takes_has_a_digest_too() {
        let of = |text: &str| digest(&Node::new().file("/c.yaml", text).host(), Some("/c.yaml"), None).unwrap();
        assert_eq!(of("a: [b\n"), of("a: [b\n"));
        assert_ne!(of("a: [b\n"), of("a: [c\n"));
        assert!(digest(&Node::new().host(), Some("/c.yaml"), None).is_err());
    }

    #[test]
    fn drop_ins_are_merged_over_the_file_in_the_order_of_their_names() {
        let node = Node::new()
            .file("/c.yaml", format!("{HEAD}failSwapOn: true\nevictionHard:\n  memory.available: 100Mi\n"))
            .file("/d/20.conf", format!("{HEAD}failSwapOn: false\n"))
            .file("/d/10.conf", format!("{HEAD}failSwapOn: true\nevictionHard:\n  nodefs.available: 10%\n"))
            .file("/d/30.yaml", "not read");
        let config = load(&node.host(), Some("/c.yaml"), Some("/d")).unwrap();
        assert_eq!(config.get(&["failSwapOn"]), Some((&Value::Bool(false), "/d/20.conf:3".into())));
        assert_eq!(config.get(&["evictionHard"]).unwrap().0, &serde_json::json!({"memory.available": "100Mi", "nodefs.available": "10%"}));
    }

    #[test]
    fn json_files_have_lines_too() {
        let node = Node::new().file(
            "/c.json",
            "{\n  \"kind\": \"KubeletConfiguration\",\n  \"apiVersion\": \"kubelet.config.k8s.io/v1beta1\",\n  \"failSwapOn\": false\n}\n",
        );
        let config = load(&node.host(), Some("/c.json"), None).unwrap();
        assert_eq!(config.get(&["failSwapOn"]), Some((&Value::Bool(false), "/c.json:4".into())));
    }

    #[test]
    fn what_the_kubelet_refuses_is_refused_with_its_place() {
        assert!(
            error_of(&format!("{HEAD}clusterDNS: [10.96.0.10\nport: 1\n")).starts_with("/c.yaml:"),
            "{}",
            error_of(&format!("{HEAD}a: [b\n"))
        );
        assert_eq!(error_of(&format!("{HEAD}port: \"10250\"\n")), "/c.yaml:3: port has to be a whole number, not the string \"10250\"");
        assert_eq!(error_of("kind: KubeletConfiguration\n"), "/c.yaml: apiVersion is not set (kubelet.config.k8s.io/v1beta1)");
        assert_eq!(
            error_of("apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\n"),
            "/c.yaml: is a ClusterConfiguration of kubeadm.k8s.io/v1beta3 and not a KubeletConfiguration of kubelet.config.k8s.io/v1beta1"
        );
        assert_eq!(error_of(" \n"), "/c.yaml: the file is empty");
        assert_eq!(error_of("just words\n"), "/c.yaml: the file has to be a mapping, not the string \"just words\"");
        for hostile in ["\u{0}\u{1}", "&a [*a, *a]", "[[[[[[[[", "%YAML 9.9\n---\n", "\t\tkind: x"] {
            assert!(error_of(hostile).starts_with("/c.yaml"), "{hostile:?}");
        }
    }

    #[test]
    fn what_the_kubelet_only_warns_of_is_kept_apart() {
        let text = format!("{HEAD}failSwapon: false\nport: 1\nport: 10250\n---\nkind: Other\n");
        let node = Node::new().file("/c.yaml", text);
        let config = load(&node.host(), Some("/c.yaml"), None).unwrap();
        assert_eq!(config.unknown_fields, ["/c.yaml:3: failSwapon"]);
        assert_eq!(config.get(&["port"]).unwrap().0, &Value::from(10250), "the last of two wins");
    }

    #[test]
    fn absence_is_not_invalidity() {
        let node = Node::new();
        assert!(matches!(load(&node.host(), Some("/c.yaml"), None), Err(ConfigError::Absent(_))));
        assert!(matches!(load(&node.host(), None, Some("/d")), Err(ConfigError::Absent(_))));
        assert!(load(&node.host(), None, None).is_ok());
    }
}
