//! Certificates whose end is near though they should have been renewed by now; those of the control plane on this node too.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::facts::{Record, Value};

use super::{Found, certificates, record};
use crate::checks::kubeconfig::{self, Credentials};
use crate::host::{Host, ReadError};

const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Of a certificate's life, in percent. Who renews by himself has done so before: the kubelet at 70 to 90 % (client-go util/certificate
/// nextRotationDeadline), OpenShift at 80, cert-manager at 66.
const LATE_PERCENT: i128 = 92;

/// kubeadm's, and those of k3s and RKE2.
const DIRS: [&str; 6] = [
    "/etc/kubernetes/pki",
    "/etc/kubernetes/pki/etcd",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/k3s/server/tls",
    "/var/lib/rancher/rke2/agent",
    "/var/lib/rancher/rke2/server/tls",
];
const KUBECONFIGS: [&str; 4] = [
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/super-admin.conf",
];
/// More than any control plane has.
const MAX_FILES: usize = 64;

/// Those that are late and end within a week, the first to end first.
pub(super) fn ending(host: &Host, found: &Found, now: Timestamp) -> Result<Vec<Record>, ReadError> {
    let mut all = found.certificates.clone();
    let known: BTreeSet<String> = all.iter().filter_map(|record| text(record, "path")).collect();
    all.extend(of_control_plane(host)?.into_iter().filter(|record| text(record, "path").is_some_and(|path| !known.contains(&path))));
    let mut late: Vec<(Timestamp, Record)> = all.into_iter().filter_map(|record| Some((late(&record, now)?, record))).collect();
    late.sort_by_key(|(not_after, _)| *not_after);
    Ok(late.into_iter().map(|(_, record)| record).collect())
}

/// When it ends, if that is near and to come.
fn late(record: &Record, now: Timestamp) -> Option<Timestamp> {
    let (Some(Value::Time(begin)), Some(Value::Time(end))) = (record.get("not_before"), record.get("not_after")) else { return None };
    let (life, past, left) = (end.duration_since(*begin), now.duration_since(*begin), end.duration_since(now));
    let late = past.as_nanos() * 100 >= life.as_nanos() * LATE_PERCENT;
    // Nobody checks the certificate that the kubelet signs for itself, and it never makes another (cmd/kubelet/app/server.go InitializeTLS).
    let own = text(record, "path").is_some_and(|path| path.ends_with("/kubelet.crt"));
    (late && left.is_positive() && left < SOON && !own).then_some(*end)
}

fn text(record: &Record, field: &str) -> Option<String> {
    match record.get(field) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// A file that is no certificate is another check's matter.
fn of_control_plane(host: &Host) -> Result<Vec<Record>, ReadError> {
    let mut found = Vec::new();
    for dir in DIRS {
        let names = match host.list(dir) {
            Err(error) if error.is_absence() => continue,
            other => other?,
        };
        for path in names.iter().filter(|name| name.ends_with(".crt")).map(|name| format!("{dir}/{name}")).take(MAX_FILES) {
            let first = host.read(&path).ok().and_then(|bytes| certificates(&bytes).ok()).and_then(|all| all.into_iter().next());
            found.extend(first.map(|told| record("control-plane", &path, told)));
        }
    }
    for path in KUBECONFIGS {
        let Ok(config) = kubeconfig::load(host, path) else { continue };
        let Credentials::Certificate { certificate, .. } = &config.credentials else { continue };
        let first = certificate.read(host).ok().and_then(|bytes| certificates(&bytes).ok()).and_then(|all| all.into_iter().next());
        found.extend(first.map(|told| record("control-plane", path, told)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::Told;
    use super::*;
    use crate::checks::testing::Node;

    fn at(day: &str) -> Timestamp {
        format!("{day}T00:00:00Z").parse().unwrap()
    }

    fn found(role: &str, path: &str, from: &str, until: &str) -> Found {
        let told = Told { subject: "CN=x".into(), issuer: "CN=ca".into(), not_before: at(from), not_after: at(until) };
        let mut found = Found::default();
        found.add(role, path, Ok(vec![told]));
        found
    }

    fn roles(found: &Found, now: &str) -> usize {
        ending(&Node::new().host(), found, at(now)).unwrap().len()
    }

    #[test]
    fn a_year_long_certificate_is_told_in_its_last_week() {
        let year = found("kubelet-client", "/pki/kubelet-client-current.pem", "2025-01-01", "2026-01-01");
        assert_eq!(roles(&year, "2025-12-20"), 0);
        assert_eq!(roles(&year, "2025-12-26"), 1);
        assert_eq!(roles(&year, "2026-01-02"), 0, "one that has ended is another cause's");
    }

    #[test]
    fn a_short_lived_one_is_told_only_when_its_renewal_is_overdue() {
        let month = found("apiserver", "10.0.0.1:6443", "2025-01-01", "2025-01-31");
        assert_eq!(roles(&month, "2025-01-26"), 0, "renewed at 80 % of its life, that is a day ago or tomorrow");
        assert_eq!(roles(&month, "2025-01-30"), 1);
    }

    #[test]
    fn the_certificate_that_a_kubelet_signs_for_itself_needs_no_renewal() {
        assert_eq!(roles(&found("kubelet-serving", "/var/lib/kubelet/pki/kubelet.crt", "2025-01-01", "2026-01-01"), "2025-12-30"), 0);
    }

    #[test]
    fn certificates_of_the_control_plane_are_found_where_kubeadm_keeps_them() {
        use rcgen::{CertificateParams, KeyPair, date_time_ymd};
        let mut params = CertificateParams::new(vec!["kube-apiserver".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2026, 1, 1);
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let node = Node::new().file("/etc/kubernetes/pki/apiserver.crt", &pem).file("/etc/kubernetes/pki/broken.crt", "x");
        let told = ending(&node.host(), &Found::default(), at("2025-12-30")).unwrap();
        assert_eq!(told.iter().filter_map(|record| text(record, "path")).collect::<Vec<_>>(), ["/etc/kubernetes/pki/apiserver.crt"]);
    }
}
