//! What the fuzzer calls, and what the tests call with everything the fuzzer ever found: every parser of this crate that reads what others
//! wrote. See fuzz/README.md.

use prost::Message as _;

use crate::host::cri::{ImageFsInfoResponse, RuntimeConfigResponse, StatusResponse, VersionResponse};

/// A parser under the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All there are. What reads other tools' configurations belongs here too.
pub const TARGETS: &[Target] = &[
    ("spool_segment", crate::spool::fuzz_segment),
    ("kubelet_command", crate::checks::fuzz_command),
    ("kubeconfig", crate::checks::fuzz_kubeconfig),
    ("dns_answer", crate::host::dns::fuzz_answer),
    ("cri_answer", cri_answer),
];

/// What a runtime answers.
pub fn cri_answer(bytes: &[u8]) {
    let _ = VersionResponse::decode(bytes);
    let _ = StatusResponse::decode(bytes);
    let _ = RuntimeConfigResponse::decode(bytes);
    let _ = ImageFsInfoResponse::decode(bytes);
    let _ = crate::host::cri::socket_path(&String::from_utf8_lossy(bytes));
}
