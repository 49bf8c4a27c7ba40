//! Ciphers, sysctls of pods, log sizes: lists of which each word is looked up.

use super::amount;
use super::said::{Fault, Settings};

/// crypto/tls CipherSuites and InsecureCipherSuites up to Go 1.25, and the two older names that component-base keeps.
const CIPHERS: [&str; 27] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    ciphers(settings).or_else(|| sysctls(settings)).or_else(|| log_size(settings))
}

fn ciphers(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.texts((&["tlsCipherSuites"], "tls-cipher-suites")).filter(|_| !settings.is_of_the_future())?;
    let unknown = said.value.iter().find(|name| !CIPHERS.contains(&name.as_str()))?;
    said.fault(format_args!("names a cipher suite that Go does not have: {unknown:?}"))
}

/// pkg/kubelet/sysctl/allowlist.go: only what the kernel keeps apart by namespace can be a pod's own.
fn sysctls(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.texts((&["allowedUnsafeSysctls"], "allowed-unsafe-sysctls"))?;
    let unknown = said.value.iter().find(|pattern| {
        let name = pattern.replace('/', ".");
        let name = name.split('*').next().unwrap_or_default();
        !(name == "kernel.sem"
            || ["kernel.shm", "kernel.msg", "fs.mqueue.", "net."].iter().any(|known| name.starts_with(known))
            || name == "fs.mqueue")
    })?;
    said.fault(format_args!(
        "has {unknown:?}, which the kernel does not keep apart by namespace (kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*, net.*)"
    ))
}

/// pkg/kubelet/logs/container_log_manager.go NewContainerLogManager.
fn log_size(settings: &Settings<'_>) -> Option<Fault> {
    let said = settings.text((&["containerLogMaxSize"], "container-log-max-size")).filter(|said| !said.value.is_empty())?;
    if amount::parse(&said.value).is_some() { None } else { said.fault(format_args!("is no quantity such as 10Mi: {:?}", said.value)) }
}
