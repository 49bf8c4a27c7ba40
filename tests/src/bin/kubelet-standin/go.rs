//! Errors as Go's net and crypto/x509 packages word them.

use std::io;

/// `dial tcp ADDRESS: connect: ...`.
pub(crate) fn dial(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("dial tcp {address}: connect: connection refused"),
        io::ErrorKind::HostUnreachable => format!("dial tcp {address}: connect: no route to host"),
        io::ErrorKind::NetworkUnreachable => format!("dial tcp {address}: connect: network is unreachable"),
        io::ErrorKind::TimedOut => format!("dial tcp {address}: i/o timeout"),
        _ => format!("dial tcp {address}: {error}"),
    }
}

/// A name that does not resolve, with the server that was asked.
pub(crate) fn lookup(name: &str) -> String {
    let resolv = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let server = resolv.lines().find_map(|line| line.strip_prefix("nameserver ")).map(str::trim).unwrap_or("127.0.0.1");
    format!("dial tcp: lookup {name} on {server}:53: no such host")
}

/// What went wrong after the connection was made.
pub(crate) fn request(error: &reqwest::Error) -> String {
    // rustls' own type lies beneath several layers; its name is stable in Debug.
    let told = format!("{error:?}");
    if told.contains("UnknownIssuer") || told.contains("BadSignature") {
        "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned()
    } else if error.is_timeout() {
        "context deadline exceeded".to_owned()
    } else {
        "EOF".to_owned()
    }
}
