//! The node's name, and where it was said.

use std::path::Path;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::flags::Flags;
use crate::checks::kubeconfig::{self, Credentials};
use crate::checks::{Look, node};
use crate::host::Host;

/// Where the kubelet keeps its client certificate if nothing says otherwise (pkg/kubelet/certificate/bootstrap, kubeadm).
const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// Reports the name. `flags` is `None` where nothing says how the kubelet is started, or there is no kubelet.
pub(super) fn report(look: &Look, flags: Option<&Flags>, is_kubelet: bool, facts: &mut Facts) {
    let at = look.began_at;
    // pkg/util/node GetHostname: trimmed and in lower case, like --hostname-override.
    let normal = |name: String| name.trim().to_lowercase();
    let told = flags.and_then(|flags| flags.get("hostname-override")).filter(|name| !name.is_empty()).cloned().map(normal);
    let host_name = node::hostname().map(normal);
    let certified = if is_kubelet { certified(&look.host, flags) } else { Ok(None) };
    let registered: Result<String, Missing> = told.clone().map_or_else(|| host_name.clone(), Ok);
    facts.put(
        fact::NODE_RENAMED,
        at,
        match (&certified, flags) {
            (Ok(None), _) => Ok(false),
            (Ok(Some(name)), Some(_)) => registered.map(|registered| registered != *name),
            (Ok(Some(_)), None) => Err(crate::checks::support::failed("nothing says under which name the kubelet registers")),
            (Err(why), _) => Err(why.clone()),
        },
    );
    let (name, from) = match (told, certified) {
        (Some(name), _) => (Ok(name), "flag"),
        (None, Ok(Some(name))) => (Ok(name), "certificate"),
        (None, _) => (host_name, "host name"),
    };
    facts.put(fact::NODE_NAME_FROM, at, name.as_ref().map(|_| from.to_owned()).map_err(Clone::clone));
    facts.put(fact::NODE_NAME, at, name);
}

/// The name that the API server knows the kubelet by; `None` if no certificate says one.
fn certified(host: &Host, flags: Option<&Flags>) -> Result<Option<String>, Missing> {
    let kubeconfig = flags.and_then(|flags| flags.get("kubeconfig")).filter(|path| !path.is_empty());
    let bytes = match kubeconfig.map(|path| kubeconfig::load(host, path)) {
        Some(Ok(config)) => match config.credentials {
            Credentials::Certificate { certificate, .. } => certificate.read(host),
            Credentials::Token(_) | Credentials::Exec(_) | Credentials::Anonymous => return Ok(None),
        },
        // Before it has joined, or with a kubeconfig that is damaged or not known.
        Some(Err(_)) | None => host.read(CURRENT),
    };
    match bytes {
        Ok(bytes) => Ok(common_name(&bytes).and_then(|name| node_of(&name))),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn common_name(pem: &[u8]) -> Option<String> {
    let der = CertificateDer::pem_slice_iter(pem).flatten().next()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

/// plugin/pkg/auth/authorizer/node, DefaultNodeIdentifier: the prefix says that a user is a node.
fn node_of(user: &str) -> Option<String> {
    let name = user.strip_prefix("system:node:")?;
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, '-' | '.');
    // It becomes a part of request paths.
    (!name.is_empty() && name.len() <= 253 && name.chars().all(plain) && Path::new(name).components().count() == 1 && name != "..")
        .then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;
    use crate::checks::kubelet::CHECK;
    use crate::checks::testing::Node;

    fn certificate(name: &str) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn named(node: Node) -> (String, String) {
        let facts = node.look(&CHECK);
        (facts.known(fact::NODE_NAME).unwrap(), facts.known(fact::NODE_NAME_FROM).unwrap())
    }

    fn words(name: &str, from: &str) -> (String, String) {
        (name.to_owned(), from.to_owned())
    }

    #[test]
    fn the_certificate_wins_over_the_host_name_and_the_flag_over_both() {
        let node = || Node::new().file("/etc/kubernetes/kubelet.conf", "");
        assert_eq!(named(node()).1, "host name");
        let certified = || node().file(CURRENT, certificate("system:node:worker-9"));
        assert_eq!(named(certified()), words("worker-9", "certificate"));
        let running = certified().file("/proc/7/comm", "kubelet\n").file("/proc/7/cmdline", "kubelet\0--hostname-override=W8\0");
        assert_eq!(named(running), words("w8", "flag"));
    }

    #[test]
    fn a_certificate_that_names_no_node_says_nothing() {
        for user in ["kubelet", "system:node:", "system:node:../x", "system:node:a b", "system:bootstrap:abcdef", "system:node:.."] {
            let node = Node::new().file("/etc/kubernetes/kubelet.conf", "").file(CURRENT, certificate(user));
            assert_eq!(named(node).1, "host name", "{user}");
        }
        let garbage = Node::new().file("/etc/kubernetes/kubelet.conf", "").file(CURRENT, "\u{0}-----BEGIN");
        assert_eq!(named(garbage).1, "host name");
    }

    #[test]
    fn a_kubelet_that_registers_under_another_name_than_its_certificates_is_renamed() {
        let node = Node::new().file(CURRENT, certificate("system:node:w7")).file("/proc/7/comm", "kubelet\n");
        let renamed = |node: Node| node.look(&CHECK).known(fact::NODE_RENAMED);
        assert_eq!(renamed(node.file("/proc/7/cmdline", "kubelet\0--hostname-override=w8\0")), Some(true));
        let node = Node::new().file(CURRENT, certificate("system:node:w7")).file("/proc/7/comm", "kubelet\n");
        assert_eq!(renamed(node.file("/proc/7/cmdline", "kubelet\0--hostname-override=w7\0")), Some(false));
        let unknown = Node::new().file("/etc/kubernetes/kubelet.conf", "").file(CURRENT, certificate("system:node:w7"));
        assert_eq!(unknown.look(&CHECK).known(fact::NODE_RENAMED), None, "flags unknown");
    }
}
