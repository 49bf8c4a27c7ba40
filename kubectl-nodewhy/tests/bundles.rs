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

#[test]
fn what_was_decoded_before_a_compressed_log_breaks_off_is_judged() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/kubelet-logs/swap-on.log");
    let text = std::fs::read_to_string(log).expect("a fixture");
    // The cause, and after it more than a small decoder's block of lines that say nothing.
    let cause = text.lines().find(|line| line.contains("running with swap on")).expect("the line is there");
    let noise: String =
        (0..40_000).map(|n| format!("I1122 00:54:50.{n:06}   14029 x.go:{n}] \"Noise\" n=\"{}\"\n", n * 7919 % 65_521)).collect();
    let small = format!("{cause}\n{}", &noise[..800]);
    let large = format!("{cause}\n{noise}");
    // Of a block that is not whole nothing can be decoded but in gzip: 128 KiB of Zstandard, 2 MiB of xz, 100 kB of bzip2.
    for (packer, args, content) in [
        ("gzip", &["-c"][..], &small),
        ("gzip", &["-c"], &large),
        ("xz", &["-c"], &large),
        ("zstd", &["-q", "-c"], &large),
        ("bzip2", &["-c", "-1"], &large),
    ] {
        let Some(packed) = packed(packer, args, content.as_bytes()) else { continue };
        let path = dir.path().join(format!("kubelet.log.{packer}"));
        std::fs::write(&path, &packed[..packed.len() / 2]).expect("written");
        let (code, json, errors) = analyze(&[path.to_str().expect("UTF-8")]);
        assert_eq!((code, first(&json)), (3, "swap-enabled"), "{packer} of {} bytes: {errors}", content.len());
        assert!(errors.contains("cannot be read to its end"), "{packer}: {errors}");
        assert!(json["unknown"][0]["why"].as_str().is_some_and(|why| why.contains("cannot be read to its end")), "{packer}: {json}");
    }
}

#[test]
fn a_log_that_breaks_off_before_a_cause_is_not_called_healthy() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("kubelet.log.gz");
    let line = "I1122 00:54:50.000001   14029 x.go:1] \"Noise\"\n".repeat(100);
    let Some(packed) = packed("gzip", &["-c"], line.as_bytes()) else { return };
    std::fs::write(&path, &packed[..packed.len() - 8]).expect("written");
    let (code, json, errors) = analyze(&[path.to_str().expect("UTF-8")]);
    assert_eq!((code, json["verdict"].as_str()), (3, Some("unknown")), "{errors}");
}

/// What a packer of this machine makes of it; none if it is not there.
fn packed(packer: &str, args: &[&str], content: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(packer).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let (mut stdin, content) = (child.stdin.take()?, content.to_owned());
    let writer = std::thread::spawn(move || stdin.write_all(&content).is_ok());
    let output = child.wait_with_output().ok()?;
    writer.join().ok()?;
    Some(output.stdout)
}
