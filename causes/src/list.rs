//! Every built-in cause file. A new cause is its YAML file and one line here.

macro_rules! cause_files {
    ($($code:literal),* $(,)?) => {
        &[$((concat!($code, ".yaml"), include_str!(concat!("../", $code, ".yaml")))),*]
    };
}

pub(crate) const FILES: &[(&str, &str)] = cause_files![
    "agent-silent",
    "apiserver-unreachable",
    "certificate-expired",
    "certificate-untrusted",
    "cgroup-driver-mismatch",
    "cgroup-unsupported",
    "clock-skew",
    "cni-not-ready",
    "disk-pressure",
    "dns-failure",
    "image-pull-failed",
    "inode-exhaustion",
    "kernel-module-not-kept",
    "kubelet-config-invalid",
    "kubelet-config-missing",
    "kubelet-crash-looping",
    "kubelet-disabled-at-boot",
    "kubelet-down",
    "kubelet-hung",
    "kubelet-port-in-use",
    "kubelet-unit-missing-or-disabled",
    "kubelet-unknown-flag",
    "memory-pressure",
    "newer-kernel-installed",
    "node-unauthorized",
    "oom-kill",
    "pid-pressure",
    "readonly-filesystem",
    "reboot-pending",
    "runtime-disabled-at-boot",
    "runtime-down",
    "swap-at-boot",
    "swap-enabled",
];
