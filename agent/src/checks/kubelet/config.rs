//! KubeletConfiguration from its file and its drop-in directory.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fields;
use crate::host::{Host, ReadError};

/// The configuration as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// All files in the order in which they are merged, with their text and what they say.
    files: Vec<File>,
    /// The files merged.
    merged: Value,
    /// Fields that do not exist, as `file:line: name`.
    pub(crate) unknown_fields: Vec<String>,
    /// SHA-256 over the files, first 16 hex digits.
    pub(crate) digest: String,
}

#[derive(Debug)]
struct File {
    path: String,
    text: String,
    value: Value,
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
    let mut config = Config { merged: Value::Object(serde_json::Map::new()), ..Config::default() };
    let mut hash = Sha256::new();
    for path in paths(host, main, drop_in_dir)? {
        let text = host.read_text(&path).map_err(unreadable)?;
        hash.update(path.as_bytes());
        hash.update(text.as_bytes());
        let value = decode(&path, &text, &mut config.unknown_fields).map_err(ConfigError::Invalid)?;
        merge(&mut config.merged, &value);
        config.files.push(File { path, text, value });
    }
    config.digest = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(config)
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

/// Drop-ins are merged over the main file field by field; lists and scalars are replaced (KEP-3983).
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn decode(path: &str, text: &str, unknown: &mut Vec<String>) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err(format!("{path}: the file is empty"));
    }
    let value = parse_yaml(text).map_err(|error| yaml_complaint(path, &error))?;
    let findings = fields::examine(&value);
    if let Some((field, complaint)) = findings.error {
        let field: Vec<&str> = field.iter().map(String::as_str).collect();
        let place = place(path, text, &field);
        return Err(if field.is_empty() {
            format!("{path}: the file {complaint}")
        } else {
            format!("{place}: {} {complaint}", field.join("."))
        });
    }
    is_kubelet_configuration(path, &value)?;
    unknown.extend(findings.unknown.iter().map(|field| {
        let field: Vec<&str> = field.iter().map(String::as_str).collect();
        format!("{}: {}", place(path, text, &field), field.join("."))
    }));
    Ok(value)
}

/// Like the kubelet: only the first document counts, and the last of two equal keys.
pub(crate) fn parse_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! { duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins };
    serde_saphyr::from_str_with_options(first_document(text), options)
}

fn first_document(text: &str) -> &str {
    let mut at = 0;
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        let marker = line.trim_end() == "---" || line.starts_with("--- ");
        if marker && begun {
            return &text[..at];
        }
        begun |= !marker && !line.trim().is_empty() && !line.starts_with(['#', '%']);
        at += line.len();
    }
    text
}

/// `file:line:column: words`, without the excerpt of the file that the parser would add.
pub(crate) fn yaml_complaint(path: &str, error: &serde_saphyr::Error) -> String {
    let plain = error.without_snippet();
    let words = plain.to_string();
    let words = words.lines().next().unwrap_or_default();
    match plain.location() {
        Some(at) => format!("{path}:{}:{}: {}", at.line(), at.column(), strip_location(words)),
        None => format!("{path}: {words}"),
    }
}

/// The parser names the place in its own words too; once is enough.
fn strip_location(words: &str) -> &str {
    let end = words.find(" at line ").or_else(|| words.find(" (line ")).unwrap_or(words.len());
    words[..end].trim_end_matches([':', ' '])
}

fn is_kubelet_configuration(path: &str, value: &Value) -> Result<(), String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("", _) => Err(format!("{path}: apiVersion is not set (kubelet.config.k8s.io/v1beta1)")),
        (_, "") => Err(format!("{path}: kind is not set (KubeletConfiguration)")),
        ("kubelet.config.k8s.io/v1beta1" | "kubelet.config.k8s.io/v1", "KubeletConfiguration") => Ok(()),
        (version, kind) => Err(format!("{path}: is a {kind} of {version} and not a KubeletConfiguration of kubelet.config.k8s.io/v1beta1")),
    }
}

fn place(path: &str, text: &str, field: &[&str]) -> String {
    match line_of(text, field) {
        Some(line) => format!("{path}:{line}"),
        None => path.to_owned(),
    }
}

/// The line on which a field is set, by its path from the top. Block YAML and JSON alike; `None` where it cannot be told.
pub(crate) fn line_of(text: &str, field: &[&str]) -> Option<usize> {
    let mut lines = (1_usize..).zip(text.lines());
    let mut found = None;
    for (depth, name) in field.iter().enumerate() {
        let json = text.trim_start().starts_with('{');
        found = lines.by_ref().find(|(_, line)| is_key(line, name, depth == 0 && !json)).map(|(number, _)| number);
        found?;
    }
    found
}

fn is_key(line: &str, name: &str, outermost: bool) -> bool {
    let line = if outermost { line } else { line.trim_start_matches([' ', '\t', '{', ',', '-']) };
    let unquoted = line.strip_prefix(['"', '\'']).unwrap_or(line);
    unquoted.strip_prefix(name).is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
}

impl Config {
    /// A field in force, by its path, and where it was said; `None` if no file sets it.
    pub(crate) fn get(&self, field: &[&str]) -> Option<(&Value, String)> {
        let value = dig(&self.merged, field)?;
        let file = self.files.iter().rev().find(|file| dig(&file.value, field).is_some())?;
        Some((value, place(&file.path, &file.text, field)))
    }
}

fn dig<'a>(value: &'a Value, field: &[&str]) -> Option<&'a Value> {
    field.iter().try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
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
        assert_eq!(config.digest.len(), 16);
        assert!(modified_at(&node.host(), Some("/c.yaml"), None).is_some());
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
