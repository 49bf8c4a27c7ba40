//! `analyze` on support bundles, compressed logs and directories, through the real program.

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::kubectl;

fn bundle(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/bundles").join(name).to_str().expect("UTF-8").to_owned()
}

fn analyze(paths: &[&str]) -> (i32, Value, String) {
    let run = kubectl(&[&["analyze", "--output", "json"], paths].concat(), b"");
    let json = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
    (run.code, json, run.stderr)
}

fn first(analysis: &Value) -> &str {
    analysis["causes"][0]["code"].as_str().unwrap_or("nothing")
}

#[test]
fn compressed_logs_are_read_as_they_are() {
    for name in ["kubelet.log.zst", "kubelet.log.bz2"] {
        let (code, json, errors) = analyze(&[&bundle(name)]);
        assert_eq!((code, first(&json), errors.as_str()), (2, "swap-enabled", ""), "{name}");
    }
}

#[test]
fn every_node_of_a_bundle_has_its_own_diagnosis() {
    let (code, json, errors) = analyze(&[&bundle("kind.tar.gz")]);
    let nodes = json["nodes"].as_array().expect("several nodes");
    let told: Vec<_> = nodes.iter().map(|node| (node["node"].as_str().unwrap_or(""), node["verdict"].as_str().unwrap_or(""))).collect();
    assert_eq!(told, [("kind-control-plane", "healthy"), ("kind-worker", "not-ready")], "{errors}");
    assert_eq!(first(&nodes[1]), "swap-enabled");
    assert_eq!(code, 2);
    let text = kubectl(&["analyze", &bundle("kind.tar.gz")], b"").stdout;
    assert!(text.contains("kind-control-plane: nothing found") && text.contains("kind-worker: not-ready"), "{text}");
}

#[test]
fn a_pods_own_words_say_nothing_of_the_node() {
    let (_, json, _) = analyze(&[&bundle("kind.tar.gz")]);
    assert!(!json.to_string().contains("disk"), "{json}");
}

#[test]
fn files_of_the_node_are_facts() {
    let (code, json, errors) = analyze(&[&bundle("sos.tar.xz")]);
    assert_eq!((code, first(&json), errors.as_str()), (2, "swap-enabled", ""), "{json}");
    assert_eq!(json["node"], "worker-7");
    assert_eq!(json["input"]["files"], 3, "messages, one compressed, and the status' lines: {}", json["input"]);
    let message = json["causes"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("/dev/sda2"), "{message}");
}

#[test]
fn a_zip_is_read_and_named_by_its_directories_and_hosts() {
    let (_, json, errors) = analyze(&[&bundle("nodes.zip")]);
    let told: Vec<_> =
        json["nodes"].as_array().expect("several").iter().map(|node| (node["node"].as_str().unwrap_or(""), first(node))).collect();
    assert_eq!(told, [("a", "kubelet-port-in-use"), ("b", "swap-enabled")], "{errors}");
}

#[test]
fn a_bundle_comes_through_a_pipe_too() {
    let run = kubectl(&["analyze", "-o", "json", "-"], &std::fs::read(bundle("nodes.zip")).expect("a fixture"));
    assert_eq!(run.json()["nodes"].as_array().map(Vec::len), Some(2), "{}", run.stderr);
}

/// An unpacked bundle.
fn unpacked(dir: &Path) -> PathBuf {
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/kubelet-logs");
    let worker = dir.join("bundle/worker-1");
    std::fs::create_dir_all(worker.join("var/log")).expect("made");
    std::fs::copy(logs.join("swap-on.log"), worker.join("kubelet.log")).expect("copied");
    std::fs::write(worker.join("notes.txt"), "no space left on device\n").expect("written");
    dir.join("bundle")
}

#[test]
fn a_directory_is_read_as_a_bundle() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, json, errors) = analyze(&[unpacked(dir.path()).to_str().expect("UTF-8")]);
    assert_eq!((code, first(&json), errors.as_str()), (2, "swap-enabled", ""), "{json}");
    assert_eq!(json["input"]["files"], 1);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = std::fs::read(bundle("kind.tar.gz")).expect("a fixture");
    let cut = dir.path().join("cut.tar.gz");
    std::fs::write(&cut, &whole[..whole.len() / 3]).expect("written");
    let (code, json, errors) = analyze(&[cut.to_str().expect("UTF-8"), &bundle("kubelet.log.zst")]);
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("cut") && json.to_string().contains("swap-enabled"), "{errors}");
    let (code, json, errors) = analyze(&["/nonexistent.log", &bundle("kubelet.log.zst")]);
    assert_eq!((code, first(&json)), (3, "swap-enabled"));
    assert!(errors.contains("/nonexistent.log"), "{errors}");
}

#[test]
fn a_journal_in_its_binary_form_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("system.journal");
    std::fs::write(&path, b"LPKSHHRH\0\0\0\0").expect("written");
    let (code, _, errors) = analyze(&[path.to_str().expect("UTF-8")]);
    assert!(code == 3 && errors.contains("journalctl --file"), "{errors}");
}
