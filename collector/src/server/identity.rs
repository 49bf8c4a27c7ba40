//! Who is on the other side, by the certificate that the TLS handshake has proved.

use std::collections::BTreeSet;

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// How a kubelet's client certificate names its node (Kubernetes, "Using Node Authorization": user name `system:node:<nodeName>`).
const NODE_PREFIX: &str = "system:node:";
/// Names of a certificate that are looked at.
const NAMES: usize = 64;

/// Who is on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Somebody on this machine, without TLS: trusted as the machine is.
    Local,
    /// The collector itself, asking for its health.
    Own,
    /// A kubelet's certificate: this node.
    Node(String),
    /// Another certificate of the client CA, with its names.
    Named(BTreeSet<String>),
}

/// About which nodes somebody may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether this node is in it.
    pub fn holds(&self, node: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(nodes) => nodes.contains(node),
        }
    }
}

impl Identity {
    /// By a certificate; `None` if it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let common: Vec<&str> = common.take(NAMES).collect();
        if let Some(node) = common.iter().find_map(|name| name.strip_prefix(NODE_PREFIX)) {
            return Some(Self::Node(node.to_owned()));
        }
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let alternative = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
        Some(Self::Named(common.iter().copied().chain(alternative.take(NAMES)).map(str::to_owned).collect()))
    }

    /// Whether an agent with this identity may speak for a node.
    pub fn may_speak_for(&self, node: &str) -> bool {
        match self {
            Self::Local => true,
            Self::Own => false,
            Self::Node(name) => name == node,
            Self::Named(names) => names.contains(node),
        }
    }

    /// About which nodes it may ask. A certificate that bears the name of a node is that node's; `is_node` knows. Where `readers` are
    /// named, they alone may ask about all, and any other certificate only about nodes of its own names.
    pub fn may_ask_about(&self, readers: Option<&BTreeSet<String>>, is_node: impl Fn(&str) -> bool) -> Scope {
        match self {
            Self::Local => Scope::All,
            Self::Own => Scope::Only(BTreeSet::new()),
            Self::Node(node) => Scope::Only(BTreeSet::from([node.clone()])),
            Self::Named(names) if readers.is_some_and(|readers| !readers.is_disjoint(names)) => Scope::All,
            Self::Named(names) if readers.is_some() => Scope::Only(names.clone()),
            Self::Named(names) => {
                let nodes: BTreeSet<String> = names.iter().filter(|name| is_node(name)).cloned().collect();
                if nodes.is_empty() { Scope::All } else { Scope::Only(nodes) }
            }
        }
    }

    /// In words, for messages.
    pub fn words(&self) -> String {
        match self {
            Self::Local => "a program on the collector's machine".to_owned(),
            Self::Own => "the collector itself".to_owned(),
            Self::Node(node) => format!("a certificate of {NODE_PREFIX}{node}"),
            Self::Named(names) => {
                format!("a certificate of {}", names.iter().map(String::as_str).take(4).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn identity(common: &str, alternative: &[&str]) -> Identity {
        let names: Vec<String> = alternative.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        params.distinguished_name.push(DnType::CommonName, common);
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        Identity::of(certificate.der()).expect("readable")
    }

    #[test]
    fn a_kubelets_certificate_is_its_node_whatever_other_names_it_bears() {
        let kubelet = identity("system:node:worker-1", &["worker-2"]);
        assert_eq!(kubelet, Identity::Node("worker-1".into()));
        assert!(kubelet.may_speak_for("worker-1") && !kubelet.may_speak_for("worker-2"));
        let scope = kubelet.may_ask_about(None, |_| true);
        assert!(scope.holds("worker-1") && !scope.holds("worker-2"));
    }

    #[test]
    fn a_certificate_may_name_its_node_by_common_name_or_alternative_name() {
        let own = identity("worker-1", &["worker-1.example.org"]);
        assert!(own.may_speak_for("worker-1") && own.may_speak_for("worker-1.example.org") && !own.may_speak_for("worker-2"));
        assert_eq!(own.may_ask_about(None, |name| name == "worker-1"), Scope::Only(["worker-1".to_owned()].into()));
    }

    #[test]
    fn a_certificate_that_names_no_node_may_ask_about_all_and_speak_for_none_of_them() {
        let admin = identity("alice", &[]);
        assert_eq!(admin.may_ask_about(None, |name| name == "worker-1"), Scope::All);
        assert!(!admin.may_speak_for("worker-1"));
        assert!(!identity("", &[]).may_speak_for("worker-1"));
    }

    #[test]
    fn where_readers_are_named_nobody_else_may_ask_about_all() {
        let readers = BTreeSet::from(["alice".to_owned()]);
        let ask = |who: &Identity| who.may_ask_about(Some(&readers), |_| false);
        assert_eq!(ask(&identity("alice", &[])), Scope::All);
        assert_eq!(ask(&identity("worker-9", &[])), Scope::Only(["worker-9".to_owned()].into()), "a node that was not heard of yet");
        assert_eq!(ask(&Identity::Node("alice".into())), Scope::Only(["alice".to_owned()].into()), "a kubelet is no reader");
        assert_eq!(ask(&Identity::Local), Scope::All);
    }

    #[test]
    fn what_is_no_certificate_is_nobody() {
        assert_eq!(Identity::of(&CertificateDer::from(b"\x30\x82\xff\xffnonsense".as_slice())), None);
        assert_eq!(Identity::of(&CertificateDer::from([].as_slice())), None);
    }
}
