//! Certificates the kubelet lives by: whose, by whom, from when and until when.

mod ending;

use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::facts::{Record, schema as fact};
use nodewhy_diagnosis::{Facts, Missing};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::kubeconfig::{self, Credentials, Kubeconfig, Material};
use super::support::{blocking, failed, miss_all, needs, no_kubelet, not_applicable};
use super::{Check, Look, Stage};
use crate::host::{Host, ReadError};

const REPORTS: &[&str] = &["certificates", "certificates_ending", "certificate_errors", "kubelet_client_certificate"];

/// A bundle may hold a whole system's authorities; so many are told.
const PER_FILE: usize = 8;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "certificates",
    about: "the kubelet's client and serving certificates and the authorities, with their times",
    stage: Stage::Look,
    period: Duration::from_secs(30),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

/// What one certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    subject: String,
    issuer: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

#[derive(Default)]
struct Found {
    certificates: Vec<Record>,
    errors: Vec<Record>,
}

impl Found {
    fn add(&mut self, role: &str, path: &str, certificates: Result<Vec<Told>, String>) {
        match certificates {
            Ok(all) => self.certificates.extend(all.into_iter().map(|told| record(role, path, told))),
            Err(error) => self.fault(role, path, error),
        }
    }

    fn fault(&mut self, role: &str, path: &str, error: String) {
        self.errors.push(Record::new().with("role", role.to_owned()).with("path", path.to_owned()).with("error", error));
    }

    fn add_file(&mut self, host: &Host, role: &str, path: &str) {
        self.add(role, path, host.read(path).map_err(|error| error.sentence()).and_then(|bytes| certificates(&bytes)));
    }
}

fn record(role: &str, path: &str, told: Told) -> Record {
    Record::new()
        .with("role", role.to_owned())
        .with("path", path.to_owned())
        .with("subject", told.subject)
        .with("issuer", told.issuer)
        .with("not_before", told.not_before)
        .with("not_after", told.not_after)
}

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    if let Some(why) = no_kubelet(look) {
        return miss_all(facts, REPORTS, at, &why);
    }
    let mut found = Found::default();
    let config =
        needs(look, fact::KUBELET_KUBECONFIG_PATH).and_then(|path| kubeconfig::load(&look.host, &path).map_err(|error| error.missing()));
    match config {
        Ok(config) => {
            report_client(look, &config, &mut found, facts);
            if let Some(authority) = &config.authority {
                let path = authority.path(&config.path).display().to_string();
                let bytes = authority.read(&look.host).map_err(|error| error.sentence());
                found.add("cluster-ca", &path, bytes.and_then(|bytes| certificates(&bytes)));
            }
        }
        Err(why) => facts.miss_under("kubelet_client_certificate", at, &why),
    }
    add_serving(look, &mut found);
    if let Some(path) = look.known.known(fact::KUBELET_CONFIG_CLIENT_CA) {
        found.add_file(&look.host, "client-ca", &path);
    }
    if let Some(presented) = look.host.presented_certificate() {
        found.add("apiserver", &presented.by, tell(&presented.der).map(|told| vec![told]));
    }
    facts.put(fact::CERTIFICATES_ENDING, at, ending::ending(&look.host, &found, at).map_err(Missing::from));
    facts.set(fact::CERTIFICATES, at, found.certificates);
    facts.set(fact::CERTIFICATES_ERRORS, at, found.errors);
}

/// The kubelet's client certificate, and whether its key is there and belongs to it.
fn report_client(look: &Look, config: &Kubeconfig, found: &mut Found, facts: &mut Facts) {
    let at = look.began_at;
    let Credentials::Certificate { certificate, key } = &config.credentials else {
        let why = not_applicable("the kubelet's kubeconfig holds no client certificate");
        return facts.miss_under("kubelet_client_certificate", at, &why);
    };
    let path = certificate.path(&config.path).display().to_string();
    match read_pair(&look.host, certificate, key) {
        Ok((mut all, fault)) => {
            all.truncate(1);
            if let Some(own) = all.first() {
                facts.set(fact::CERTIFICATES_CLIENT_NOT_AFTER, at, own.not_after);
                facts.set(fact::CERTIFICATES_CLIENT_NOT_BEFORE, at, own.not_before);
            }
            facts.set(fact::CERTIFICATES_CLIENT_PATH, at, path.clone());
            found.add("kubelet-client", &path, Ok(all));
            if let Some(fault) = fault {
                found.fault("kubelet-client", &path, fault);
            }
        }
        Err((why, words)) => {
            facts.miss_under("kubelet_client_certificate", at, &why);
            facts.set(fact::CERTIFICATES_CLIENT_PATH, at, path.clone());
            found.fault("kubelet-client", &path, words);
        }
    }
}

/// The certificates of a file, and what is wrong with the key that goes with them.
type Pair = Result<(Vec<Told>, Option<String>), (Missing, String)>;

fn read_pair(host: &Host, certificate: &Material, key: &Material) -> Pair {
    let unreadable = |error: ReadError| (Missing::from(&error), error.sentence());
    let bytes = certificate.read(host).map_err(unreadable)?;
    let all = certificates(&bytes).map_err(|words| (failed(words.clone()), words))?;
    let fault = match key.read(host) {
        Ok(key) => crate::host::api::key_fault(&bytes, &key),
        Err(error) => Some(error.sentence()),
    };
    Ok((all, fault))
}

/// tlsCertFile, else what the kubelet keeps in its own directory: rotated or self-signed. One that was not made yet is no fault.
fn add_serving(look: &Look, found: &mut Found) {
    if let Some(path) = look.known.known(fact::KUBELET_CONFIG_SERVING_CERT) {
        return found.add_file(&look.host, "kubelet-serving", &path);
    }
    let Some(dir) = look.known.known(fact::KUBELET_CONFIG_CERT_DIR) else { return };
    for name in ["kubelet-server-current.pem", "kubelet.crt"] {
        let path = format!("{dir}/{name}");
        match look.host.read(&path) {
            Ok(bytes) => return found.add("kubelet-serving", &path, certificates(&bytes)),
            Err(error) if error.is_absence() => {}
            Err(error) => return found.fault("kubelet-serving", &path, error.sentence()),
        }
    }
}

/// The certificates of a PEM file, the file's own first.
fn certificates(pem: &[u8]) -> Result<Vec<Told>, String> {
    let mut all = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem).take(PER_FILE) {
        let der = der.map_err(|error| format!("is not PEM: {error}"))?;
        all.push(tell(&der)?);
    }
    if all.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    Ok(all)
}

fn tell(der: &[u8]) -> Result<Told, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| format!("holds a certificate that cannot be parsed: {error}"))?;
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|error| format!("holds an impossible time: {error}"))
    };
    Ok(Told {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        not_before: time(certificate.validity().not_before)?,
        not_after: time(certificate.validity().not_after)?,
    })
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;
    use nodewhy_diagnosis::facts::Value;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;
    use crate::checks::testing::Node;

    const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";
    const CLIENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

    /// A self-signed certificate and its key.
    fn pair(name: &str, until: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn node() -> Node {
        let config = format!(
            "clusters: [{{name: c, cluster: {{server: 'https://10.0.0.1:6443', certificate-authority: /etc/kubernetes/pki/ca.crt}}}}]\n\
             contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n\
             users: [{{name: u, user: {{client-certificate: {CLIENT}, client-key: {CLIENT}}}}}]\n"
        );
        Node::new().file(KUBECONFIG, config).known(fact::KUBELET_KUBECONFIG_PATH, KUBECONFIG.to_owned())
    }

    fn roles(facts: &Facts) -> Vec<String> {
        let all = facts.known(fact::CERTIFICATES).unwrap();
        all.iter().map(|record| record.get("role").map(|role| format!("{role:?}")).unwrap_or_default()).collect()
    }

    fn errors(facts: &Facts) -> Vec<String> {
        let all = facts.known(fact::CERTIFICATES_ERRORS).unwrap();
        let text = |record: &Record| match record.get("error") {
            Some(Value::Text(text)) => text.clone(),
            other => panic!("{other:?}"),
        };
        all.iter().map(text).collect()
    }

    #[test]
    fn all_certificates_are_told_with_their_times() {
        let (client, key) = pair("system:node:w1", 2025);
        let (ca, _) = pair("kubernetes", 2034);
        let node = node()
            .file("/var/lib/kubelet/pki/kubelet-client-2024.pem", format!("{client}{key}"))
            .link(CLIENT, "/var/lib/kubelet/pki/kubelet-client-2024.pem")
            .file("/etc/kubernetes/pki/ca.crt", &ca)
            .file("/var/lib/kubelet/pki/kubelet.crt", &ca)
            .known(fact::KUBELET_CONFIG_CERT_DIR, "/var/lib/kubelet/pki".to_owned())
            .known(fact::KUBELET_CONFIG_CLIENT_CA, "/etc/kubernetes/pki/ca.crt".to_owned());
        let facts = node.look(&CHECK);
        assert_eq!(roles(&facts).len(), 4, "{:?}", roles(&facts));
        assert_eq!(errors(&facts), Vec::<String>::new());
        assert_eq!(facts.known(fact::CERTIFICATES_CLIENT_NOT_AFTER).unwrap(), "2025-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(facts.known(fact::CERTIFICATES_CLIENT_PATH).unwrap(), CLIENT);
        let own = &facts.known(fact::CERTIFICATES).unwrap()[0];
        assert_eq!(own.get("subject"), Some(&Value::Text("CN=system:node:w1".into())));
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_a_fault() {
        let (client, _) = pair("system:node:w1", 2034);
        let (ca, other_key) = pair("kubernetes", 2034);
        let node = node().file(CLIENT, format!("{client}{other_key}")).file("/etc/kubernetes/pki/ca.crt", &ca);
        assert_eq!(errors(&node.look(&CHECK)), ["the key does not belong to the certificate"]);
        node.write(CLIENT, &client);
        assert_eq!(errors(&node.look(&CHECK)), ["holds no private key in PEM form"]);
    }

    #[test]
    fn files_that_cannot_be_used_are_told_with_the_reason() {
        let node = node().file("/etc/kubernetes/pki/ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let facts = node.look(&CHECK);
        let told = errors(&facts);
        assert_eq!(told[0], format!("open {CLIENT}: No such file or directory"));
        assert!(told[1].starts_with("holds a certificate that cannot be parsed"), "{}", told[1]);
        assert_eq!(facts.value("kubelet_client_certificate.not_after").unwrap_err().kind, MissingKind::Failed);
        for garbage in
            ["", "garbage", "-----BEGIN CERTIFICATE-----\nAA", "-----BEGIN CERTIFICATE-----\n\u{0}!\n-----END CERTIFICATE-----\n"]
        {
            node.write("/etc/kubernetes/pki/ca.crt", garbage);
            assert_eq!(errors(&node.look(&CHECK)).len(), 2, "{garbage:?}");
        }
    }

    #[test]
    fn a_kubelet_without_client_certificate_has_none_to_expire() {
        let config = "clusters: [{name: c, cluster: {server: 'https://10.0.0.1'}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\nusers: [{name: u, user: {exec: {command: aws}}}]\n";
        let facts = Node::new().file(KUBECONFIG, config).known(fact::KUBELET_KUBECONFIG_PATH, KUBECONFIG.to_owned()).look(&CHECK);
        assert_eq!(facts.value("kubelet_client_certificate.not_after").unwrap_err().kind, MissingKind::NotApplicable);
        assert_eq!(errors(&facts), Vec::<String>::new());
    }
}
