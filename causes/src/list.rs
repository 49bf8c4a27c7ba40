//! Every built-in cause file. A new cause is its YAML file and one line here.

macro_rules! cause_files {
    ($($code:literal),* $(,)?) => {
        &[$((concat!($code, ".yaml"), include_str!(concat!("../", $code, ".yaml")))),*]
    };
}

pub(crate) const FILES: &[(&str, &str)] = cause_files![
    "cgroup-driver-mismatch",
    "cni-not-ready",
    "kubelet-config-invalid",
    "kubelet-config-missing",
    "kubelet-crash-looping",
    "kubelet-down",
    "kubelet-hung",
    "kubelet-port-in-use",
    "kubelet-unit-missing-or-disabled",
    "kubelet-unknown-flag",
    "runtime-down",
    "swap-enabled",
];
