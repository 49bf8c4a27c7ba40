use nodewhy_diagnosis::MissingKind;

use super::*;
use crate::checks::testing::Node;

const MOUNTS: &str = "22 1 254:1 / / ro - ext4 /dev/vda1 ro\n30 22 254:17 / /var rw - ext4 /dev/vdb1 rw\n";

fn node(mounts: &str) -> Node {
    Node::new()
        .file("/proc/1/mountinfo", mounts)
        .file("/var/log/.keep", "")
        .file("/var/lib/kubelet/.keep", "")
        .known(fact::KUBELET_CONFIG_ROOT_DIR, "/var/lib/kubelet".to_owned())
        .known(fact::RUNTIME_IMAGE_FS, "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs".to_owned())
}

fn with_thresholds(node: Node, bytes: &str, inodes: &str) -> Node {
    let thresholds = [("nodefs.available", bytes), ("nodefs.inodesFree", inodes)];
    node.known(
        fact::KUBELET_CONFIG_EVICTION_HARD,
        thresholds.iter().map(|(signal, value)| ((*signal).to_owned(), (*value).to_owned())).collect(),
    )
}

fn field(facts: &Facts, role: &str, name: &str) -> Option<Value> {
    let all = facts.known(fact::DISK_FILESYSTEMS).unwrap();
    all.iter().find(|record| record.get("role") == Some(&Value::Text(role.into()))).unwrap().get(name).cloned()
}

#[test]
fn space_is_measured_against_the_kubelets_thresholds() {
    let facts = with_thresholds(node(MOUNTS), "1", "1").look(&CHECK);
    assert_eq!(facts.known(fact::DISK_BELOW_BYTES), Some(false));
    assert_eq!(field(&facts, "nodefs", "threshold_bytes"), Some(Value::Int(1)));
    assert_eq!(field(&facts, "nodefs", "mount_point"), Some(Value::Text("/var".into())));
    assert_eq!(field(&facts, "imagefs", "path"), Some(Value::Text("/var/lib".into())), "the store is not made yet");
    assert_eq!(field(&facts, "logs", "threshold_bytes"), None);
    let full = with_thresholds(node(MOUNTS), "8Ei", "0%").look(&CHECK);
    assert!(full.value("disk.below_bytes").is_ok() || quantity::parse("8Ei").is_none());
    let full = with_thresholds(node(MOUNTS), "7Ei", "0%").look(&CHECK);
    assert_eq!(full.known(fact::DISK_BELOW_BYTES), Some(true));
    assert_eq!(full.value("disk.below_inodes").unwrap_err().kind, MissingKind::NotApplicable);
}

#[test]
fn a_read_only_root_is_no_fault_where_var_can_be_written() {
    let facts = node(MOUNTS).look(&CHECK);
    assert_eq!(facts.known(fact::DISK_READ_ONLY), Some(false));
    assert_eq!(field(&facts, "root", "read_only"), Some(Value::Bool(true)));
    let remounted = node(&MOUNTS.replace("/dev/vdb1 rw", "/dev/vdb1 ro,errors=remount-ro")).look(&CHECK);
    assert_eq!(remounted.known(fact::DISK_READ_ONLY), Some(true));
}

#[test]
fn without_mountinfo_read_only_is_unknown_and_space_is_not() {
    let node = Node::new().known(fact::KUBELET_CONFIG_ROOT_DIR, "/var/lib/kubelet".to_owned());
    let facts = with_thresholds(node, "1", "1").look(&CHECK);
    assert_eq!(facts.value("disk.read_only").unwrap_err().kind, MissingKind::Failed);
    assert_eq!(facts.known(fact::DISK_BELOW_BYTES), Some(false));
    assert_eq!(field(&facts, "nodefs", "read_only"), None);
}

#[test]
fn unknown_thresholds_leave_the_verdict_unknown() {
    let facts = node(MOUNTS).look(&CHECK);
    assert_eq!(facts.value("disk.below_bytes").unwrap_err().kind, MissingKind::NotYet);
    assert!(field(&facts, "nodefs", "available_bytes").is_some());
}

#[test]
fn a_host_without_kubelet_is_measured_by_a_kubelets_defaults() {
    let node = || Node::new().file("/proc/1/mountinfo", MOUNTS).file("/var/log/x", "").known(fact::NODE_IS_KUBERNETES, false);
    let facts = node().look(&CHECK);
    assert!(facts.known(fact::DISK_BELOW_BYTES).is_some());
    assert!(field(&facts, "logs", "threshold_bytes").is_some());
    assert_eq!(field(&facts, "root", "threshold_bytes"), None, "a read-only image is full by nature");
    assert_eq!(facts.known(fact::DISK_READ_ONLY), Some(false));
    let writable = node().file("/proc/1/mountinfo", MOUNTS.replace("ro -", "rw -").replace("vda1 ro", "vda1 rw")).look(&CHECK);
    assert!(field(&writable, "root", "threshold_bytes").is_some());
}

#[test]
fn an_unknown_one_does_not_hide_one_that_is_full() {
    let mut verdict = Verdict::default();
    verdict.unknown(&Missing::not_yet());
    verdict.say(true);
    assert_eq!(verdict.any(), Ok(true));
}
