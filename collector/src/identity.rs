//! Who is at the other end, and what it may do.
//!
//! On plain loopback everybody is trusted: whoever is on the machine. With TLS the client certificate says who it is. A certificate speaks
//! for the nodes that it names: `system:node:NAME` (the kubelet's own, RFC-less but fixed by Kubernetes' node authorizer) or NAME as common
//! name, or NAME as a DNS name.

use std::collections::BTreeSet;

use tonic::{Extensions, Status};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Prefix of a kubelet's common name (k8s.io/kubernetes pkg/auth/nodeidentifier).
const NODE: &str = "system:node:";

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Plain, on loopback.
    Local,
    /// Shown by a client certificate.
    Certified {
        /// The node whose kubelet it is, if it is a kubelet's.
        kubelet_of: Option<String>,
        /// All names in it.
        names: BTreeSet<String>,
    },
}

impl Peer {
    /// The peer that shows this certificate (DER).
    pub fn of_certificate(der: &[u8]) -> Self {
        let (mut kubelet_of, mut names) = (None, BTreeSet::new());
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            for name in certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()) {
                match name.strip_prefix(NODE) {
                    Some(node) => {
                        kubelet_of = Some(node.to_owned());
                        names.insert(node.to_owned());
                    }
                    None => drop(names.insert(name.to_owned())),
                }
            }
            let alternatives = certificate.subject_alternative_name().ok().flatten();
            let general = alternatives.iter().flat_map(|names| &names.value.general_names);
            names.extend(general.filter_map(|name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }));
        }
        Self::Certified { kubelet_of, names }
    }

    /// The peer of a request. A request without one came by a way that nobody has looked at, and is refused.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn of_request(extensions: &Extensions) -> Result<Self, Status> {
        extensions.get::<Self>().cloned().ok_or_else(|| Status::unauthenticated("the connection shows no identity"))
    }

    /// May it speak for this node?
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, in words for the agent's log.
    pub fn speaks_for(&self, node: &str) -> Result<(), Status> {
        match self {
            Self::Local => Ok(()),
            Self::Certified { kubelet_of: Some(of), .. } if of == node => Ok(()),
            Self::Certified { kubelet_of: None, names } if names.contains(node) => Ok(()),
            Self::Certified { names, .. } => Err(Status::permission_denied(format!(
                "the certificate names {}, so it does not speak for node {node}",
                if names.is_empty() { "nobody".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
            ))),
        }
    }

    /// The nodes it may ask about: `None` for all. `known` says whether a name is that of a node.
    pub fn asks_about(&self, known: impl Fn(&str) -> bool) -> Option<BTreeSet<String>> {
        match self {
            Self::Local => None,
            Self::Certified { kubelet_of: Some(node), .. } => Some([node.clone()].into()),
            Self::Certified { kubelet_of: None, names } => {
                let nodes: BTreeSet<String> = names.iter().filter(|name| known(name)).cloned().collect();
                (!nodes.is_empty()).then_some(nodes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(common_name: &str, dns: &[&str]) -> Peer {
        let mut params = rcgen::CertificateParams::new(dns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let key = rcgen::KeyPair::generate().expect("a key");
        Peer::of_certificate(params.self_signed(&key).expect("signed").der())
    }

    #[test]
    fn a_kubelets_certificate_speaks_for_its_node_alone() {
        let kubelet = certificate("system:node:worker-1", &["worker-2"]);
        assert!(kubelet.speaks_for("worker-1").is_ok());
        for other in ["worker-2", "worker-10", "system:node:worker-1", ""] {
            let refused = kubelet.speaks_for(other).expect_err(other);
            assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        }
        assert_eq!(kubelet.asks_about(|_| false), Some(["worker-1".to_owned()].into()));
    }

    #[test]
    fn another_certificate_speaks_for_what_it_names() {
        let agent = certificate("worker-1", &["worker-1.example"]);
        assert!(agent.speaks_for("worker-1").is_ok() && agent.speaks_for("worker-1.example").is_ok());
        assert!(agent.speaks_for("worker-2").is_err());
        assert_eq!(agent.asks_about(|name| name == "worker-1"), Some(["worker-1".to_owned()].into()));
        assert_eq!(certificate("alice", &[]).asks_about(|name| name == "worker-1"), None);
    }

    #[test]
    fn what_is_no_certificate_speaks_for_nobody() {
        let nobody = Peer::of_certificate(b"garbage");
        assert!(nobody.speaks_for("worker-1").expect_err("refused").message().contains("nobody"));
    }
}
