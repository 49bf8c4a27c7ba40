use std::collections::BTreeMap;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::checks::testing::Node;

const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";
const NODE: &str = r#"{"kind":"Node","spec":{"unschedulable":true},"status":{"conditions":[{"type":"MemoryPressure","status":"False"},
{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"Kubelet stopped posting node status."}]}}"#;
const LEASE: &str = r#"{"kind":"Lease","spec":{"renewTime":"2025-11-22T01:02:03.456789Z","holderIdentity":"w1"}}"#;

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

impl Authority {
    /// A certificate for these names from one year's begin to another's, and its key.
    fn issue(&self, names: &[&str], years: (i32, i32)) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// An API server with these answers by path, and 404 for the rest. Says how many connections it had.
async fn serve(
    listener: TcpListener,
    authority: &Authority,
    pair: (String, String),
    answers: &[(&'static str, u16, &str)],
) -> Arc<std::sync::atomic::AtomicUsize> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // As the API server does: a certificate is asked for and not insisted on.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).allow_unauthenticated().build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.0.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(pair.1.as_bytes()).unwrap(),
        )
        .unwrap();
    let answers: Arc<BTreeMap<&str, (u16, String)>> =
        Arc::new(answers.iter().map(|(path, status, body)| (*path, (*status, (*body).to_owned()))).collect());
    let connections = Arc::<std::sync::atomic::AtomicUsize>::default();
    let (acceptor, counter) = (TlsAcceptor::from(Arc::new(config)), connections.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let (acceptor, answers) = (acceptor.clone(), answers.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = vec![0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut request).await {
                    let line = String::from_utf8_lossy(&request[..read]).into_owned();
                    let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
                    let (status, body) = answers.get(path.as_str()).cloned().unwrap_or((404, "{}".into()));
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\nDate: Sat, 22 Nov 2025 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    connections
}

const HEALTHY: &[(&str, u16, &str)] = &[
    ("/readyz", 200, "ok"),
    ("/api/v1/nodes/w1", 200, NODE),
    ("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/w1", 200, LEASE),
];

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn node(server: &str, authority: &Authority, pair: &(String, String)) -> Node {
    let config = format!(
        "clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: /ca.crt}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         current-context: x\nusers: [{{name: u, user: {{client-certificate: /client.pem, client-key: /client.pem}}}}]\n"
    );
    Node::new()
        .file(KUBECONFIG, config)
        .file("/ca.crt", &authority.pem)
        .file("/client.pem", format!("{}{}", pair.0, pair.1))
        .file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        .file("/etc/hosts", "127.0.0.1 api.test other.test\n")
        .known(fact::NODE_IS_KUBERNETES, true)
        .known(fact::NODE_NAME, "w1".to_owned())
        .known(fact::KUBELET_KUBECONFIG_PATH, KUBECONFIG.to_owned())
}

/// A node and its API server.
async fn cluster(
    names: &[&str],
    years: (i32, i32),
    url_host: &str,
    answers: &[(&'static str, u16, &str)],
) -> (Node, Arc<std::sync::atomic::AtomicUsize>) {
    let ca = authority("kubernetes");
    let (listener, port) = listener().await;
    let connections = serve(listener, &ca, ca.issue(names, years), answers).await;
    (node(&format!("https://{url_host}:{port}"), &ca, &ca.issue(&["system:node:w1"], (2020, 2090))), connections)
}

fn failure(facts: &Facts) -> (String, String) {
    assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(false), "{facts:?}");
    (facts.known(fact::APISERVER_FAILED_STEP).unwrap(), facts.known(fact::APISERVER_FAILURE).unwrap())
}

fn words(step: &str, how: &str) -> (String, String) {
    (step.to_owned(), how.to_owned())
}

#[tokio::test]
async fn a_healthy_way_is_walked_to_its_end() {
    let (node, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", HEALTHY).await;
    let facts = node.look_async(&CHECK).await;
    assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(true), "{facts:?}");
    assert_eq!(facts.known(fact::APISERVER_FAILURE).unwrap(), "");
    assert_eq!(facts.known(fact::APISERVER_AUTH_STATUS), Some(200));
    assert_eq!(facts.known(fact::CLUSTER_NODE_READY).unwrap(), "Unknown");
    assert_eq!(facts.known(fact::CLUSTER_NODE_READY_REASON).unwrap(), "NodeStatusUnknown");
    assert_eq!(facts.known(fact::CLUSTER_NODE_UNSCHEDULABLE), Some(true));
    assert_eq!(facts.known(fact::CLUSTER_LEASE_RENEWED_AT).unwrap(), "2025-11-22T01:02:03.456789Z".parse().unwrap());
    assert!(facts.known(fact::CLOCK_SKEW_SECONDS).unwrap() > 0.0, "the server's date is in the past");
    assert_eq!(facts.value("dns.resolves").unwrap_err().kind, MissingKind::NotApplicable);
}

#[tokio::test]
async fn a_healthy_connection_is_used_again_at_the_next_look() {
    let (node, connections) = cluster(&["api.test"], (2020, 2090), "api.test", HEALTHY).await;
    let look = node.look_for(&CHECK);
    for _ in 0..3 {
        let facts = (CHECK.look)(look.clone()).await;
        assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(true), "{facts:?}");
        assert_eq!(facts.known(fact::DNS_RESOLVES), Some(true));
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 2, "one to walk the steps, one to talk");
    assert!(look.host.presented_certificate().is_some());
}

#[tokio::test]
async fn nobody_listening_is_refused_and_the_run_of_failures_keeps_its_begin() {
    let ca = authority("kubernetes");
    let (free, port) = listener().await;
    drop(free);
    let since: Timestamp = "2025-11-22T00:00:00Z".parse().unwrap();
    let node = node(&format!("https://127.0.0.1:{port}"), &ca, &ca.issue(&["w1"], (2020, 2090)));
    let node = node.known(fact::APISERVER_REACHABLE, false).known(fact::APISERVER_FAILING_SINCE, since);
    let facts = node.look_async(&CHECK).await;
    assert_eq!(failure(&facts), words("tcp", "refused"));
    assert_eq!(facts.known(fact::APISERVER_ERROR).unwrap(), format!("connect to 127.0.0.1:{port}: Connection refused"));
    assert_eq!(facts.known(fact::APISERVER_FAILING_SINCE), Some(since));
    assert_eq!(facts.value("apiserver.auth_status").unwrap_err().kind, MissingKind::Failed);
}

#[tokio::test]
async fn a_server_that_never_speaks_times_out_in_tls_before_the_deadline() {
    let ca = authority("kubernetes");
    let (silent, port) = listener().await;
    let node = node(&format!("https://127.0.0.1:{port}"), &ca, &ca.issue(&["w1"], (2020, 2090))).deadline(Duration::from_millis(400));
    let began = std::time::Instant::now();
    let facts = node.look_async(&CHECK).await;
    assert_eq!(failure(&facts), words("tls", "timed-out"));
    assert!(began.elapsed() < Duration::from_millis(400));
    drop(silent);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_untrusted() {
    for other in ["kubernetes", "another"] {
        let (ca, stranger) = (authority("kubernetes"), authority(other));
        let (listener, port) = listener().await;
        serve(listener, &stranger, stranger.issue(&["127.0.0.1"], (2020, 2090)), HEALTHY).await;
        let facts = node(&format!("https://127.0.0.1:{port}"), &ca, &ca.issue(&["w1"], (2020, 2090))).look_async(&CHECK).await;
        assert_eq!(failure(&facts), words("tls", "unknown-authority"), "{other}");
    }
}

#[tokio::test]
async fn times_and_names_of_the_servers_certificate_are_told_apart() {
    for (names, years, how) in [
        (["127.0.0.1"], (2020, 2021), "certificate-expired"),
        (["127.0.0.1"], (2080, 2090), "certificate-not-yet-valid"),
        (["api.test"], (2020, 2090), "name-mismatch"),
    ] {
        let (node, _) = cluster(&names, years, "127.0.0.1", HEALTHY).await;
        let look = node.look_for(&CHECK);
        let facts = (CHECK.look)(look.clone()).await;
        assert_eq!(failure(&facts), words("tls", how));
        assert!(look.host.presented_certificate().is_some(), "the certificate is the evidence");
    }
}

#[tokio::test]
async fn plain_http_behind_the_port_fails_in_tls() {
    let ca = authority("kubernetes");
    let (plain, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        }
    });
    let facts = node(&format!("https://127.0.0.1:{port}"), &ca, &ca.issue(&["w1"], (2020, 2090))).look_async(&CHECK).await;
    assert_eq!(failure(&facts), words("tls", "tls-error"));
}

#[tokio::test]
async fn an_api_server_that_is_not_ready_is_quoted() {
    let (node, _) =
        cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", &[("/readyz", 500, "[+]ping ok\n[-]etcd failed: reason withheld\n")]).await;
    let facts = node.look_async(&CHECK).await;
    assert_eq!(failure(&facts), words("http", "http-status"));
    assert_eq!(facts.known(fact::APISERVER_HTTP_STATUS), Some(500));
    assert_eq!(facts.known(fact::APISERVER_HTTP_BODY).unwrap(), "[-]etcd failed: reason withheld");
}

#[tokio::test]
async fn a_node_that_is_not_let_in_has_reached_the_api_server_all_the_same() {
    let unauthorized = r#"{"kind":"Status","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
    let answers = [("/readyz", 401, unauthorized), ("/api/v1/nodes/w1", 401, unauthorized)];
    let (node, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", &answers).await;
    let facts = node.look_async(&CHECK).await;
    assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(true));
    assert_eq!(facts.known(fact::APISERVER_AUTH_STATUS), Some(401));
    assert_eq!(facts.known(fact::APISERVER_AUTH_ERROR).unwrap(), "Unauthorized");
    assert_eq!(facts.value("cluster.node.ready").unwrap_err().kind, MissingKind::Failed);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_fails_in_the_first_step() {
    let ca = authority("kubernetes");
    let node = node("https://gone.invalid:6443", &ca, &ca.issue(&["w1"], (2020, 2090))).deadline(Duration::from_millis(600));
    let facts = node.look_async(&CHECK).await;
    let (step, how) = failure(&facts);
    assert_eq!(step, "name");
    assert!(how.starts_with("name-"), "{how}");
    assert_eq!(facts.known(fact::DNS_RESOLVES), Some(false));
    assert_eq!(facts.known(fact::DNS_NAME).unwrap(), "gone.invalid");
    assert_eq!(facts.known(fact::DNS_SERVERS).unwrap(), ["127.0.0.1"]);
}

#[tokio::test]
async fn a_connection_that_dies_is_walked_anew_and_the_step_is_named() {
    let (node, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", HEALTHY).await;
    let look = node.look_for(&CHECK);
    assert_eq!((CHECK.look)(look.clone()).await.known(fact::APISERVER_REACHABLE), Some(true));
    let ca = authority("kubernetes");
    node.write("/ca.crt", &ca.pem);
    assert_eq!(failure(&(CHECK.look)(look).await), words("tls", "unknown-authority"), "another authority makes another client");
}

#[tokio::test]
async fn a_key_of_another_certificate_leaves_only_the_question_who_we_are_open() {
    let (node, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", HEALTHY).await;
    let stranger = authority("x");
    node.write("/client.pem", format!("{}{}", stranger.issue(&["a"], (2020, 2090)).0, stranger.issue(&["b"], (2020, 2090)).1));
    let facts = node.look_async(&CHECK).await;
    assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(true));
    assert_eq!(node.why(&facts, "apiserver.auth_status"), "/client.pem: the key does not belong to the certificate");
}

fn fault(facts: &Facts) -> Result<String, MissingKind> {
    facts.value("apiserver.certificate_fault").map(|_| facts.known(fact::APISERVER_CERTIFICATE_FAULT).unwrap()).map_err(|why| why.kind)
}

#[tokio::test]
async fn a_step_before_tls_that_fails_says_nothing_about_the_certificate() {
    let ca = authority("kubernetes");
    let pair = ca.issue(&["system:node:w1"], (2020, 2090));
    let (listener, port) = listener().await;
    serve(listener, &ca, ca.issue(&["127.0.0.1"], (2020, 2021)), HEALTHY).await;
    let expired = node(&format!("https://127.0.0.1:{port}"), &ca, &pair).look_async(&CHECK).await;
    assert_eq!(fault(&expired), Ok("certificate-expired".into()));
    let (free, port) = self::listener().await;
    drop(free);
    let refused = node(&format!("https://127.0.0.1:{port}"), &ca, &pair).look_async(&CHECK).await;
    assert_eq!(fault(&refused), Err(MissingKind::Failed));
    let unnamed = node("https://gone.invalid:6443", &ca, &pair).deadline(Duration::from_millis(600)).look_async(&CHECK).await;
    assert_eq!(fault(&unnamed), Err(MissingKind::Failed));
    let (healthy, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", HEALTHY).await;
    assert_eq!(fault(&healthy.look_async(&CHECK).await), Ok(String::new()));
}

/// A proxy that opens every way it is asked for, or answers with this status.
async fn proxy(status: u16) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let (listener, port) = listener().await;
    let asked = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let asking = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asking = asking.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
                let port: u16 = line.split([' ', ':']).nth(2).unwrap().parse().unwrap();
                asking.lock().unwrap().push(line);
                stream.write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes()).await.unwrap();
                if status == 200 {
                    let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::io::copy_bidirectional(&mut stream, &mut server).await.ok();
                }
            });
        }
    });
    (format!("http://127.0.0.1:{port}"), asked)
}

/// A node whose API server's name only its proxy knows.
async fn behind(proxy: &str, except: &str) -> Node {
    let ca = authority("kubernetes");
    let (listener, port) = listener().await;
    serve(listener, &ca, ca.issue(&["api.invalid"], (2020, 2090)), HEALTHY).await;
    node(&format!("https://api.invalid:{port}"), &ca, &ca.issue(&["system:node:w1"], (2020, 2090)))
        .known(fact::KUBELET_ENVIRONMENT_HTTPS_PROXY, proxy.to_owned())
        .known(fact::KUBELET_ENVIRONMENT_NO_PROXY, except.to_owned())
        .deadline(Duration::from_secs(3))
}

#[tokio::test]
async fn the_kubelets_proxy_is_gone_through() {
    let (proxy, asked) = proxy(200).await;
    let node = behind(&proxy, "10.0.0.0/8,.svc").await;
    let look = node.look_for(&CHECK);
    for _ in 0..2 {
        let facts = (CHECK.look)(look.clone()).await;
        node.assert_reports_its_own(&CHECK, &facts);
        assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(true), "{facts:?}");
        assert_eq!(facts.known(fact::APISERVER_PROXY).unwrap(), proxy);
        assert_eq!(facts.known(fact::APISERVER_AUTH_STATUS), Some(200));
        assert_eq!(facts.value("dns.resolves").unwrap_err().kind, MissingKind::NotApplicable);
    }
    let asked = asked.lock().unwrap();
    assert!(asked.len() == 2 && asked.iter().all(|line| line.starts_with("CONNECT api.invalid:")), "{asked:?}");
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_away_is_the_step_that_fails() {
    let (refusing, _) = proxy(403).await;
    let facts = behind(&refusing, "").await.look_async(&CHECK).await;
    assert_eq!(failure(&facts), words("proxy", "proxy-status"));
    assert!(facts.known(fact::APISERVER_ERROR).unwrap().ends_with("with HTTP/1.1 403 X"));
    let (free, port) = listener().await;
    drop(free);
    let facts = behind(&format!("http://127.0.0.1:{port}"), "").await.look_async(&CHECK).await;
    assert_eq!(failure(&facts), words("proxy", "refused"));
    let facts = behind("socks5://127.0.0.1:1080", "").await.look_async(&CHECK).await;
    assert_eq!(facts.value("apiserver.reachable").unwrap_err().kind, MissingKind::Failed, "not spoken here: unknown");
}

#[tokio::test]
async fn a_server_that_no_proxy_is_meant_for_is_gone_to_directly() {
    let (proxy, asked) = proxy(200).await;
    let facts = behind(&proxy, "invalid").await.look_async(&CHECK).await;
    assert_eq!(failure(&facts).0, "name");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn while_the_environment_cannot_be_seen_a_failing_direct_way_proves_nothing() {
    let ca = authority("kubernetes");
    let (free, port) = listener().await;
    drop(free);
    let mut look = node(&format!("https://127.0.0.1:{port}"), &ca, &ca.issue(&["w1"], (2020, 2090))).look_for(&CHECK);
    let mut known = (*look.known).clone();
    known.miss(fact::KUBELET_ENVIRONMENT_HTTPS_PROXY, look.began_at, failed("open /etc/proxy.env: Permission denied"));
    look.known = Arc::new(known);
    let facts = (CHECK.look)(look).await;
    assert_eq!(facts.value("apiserver.reachable").unwrap_err().kind, MissingKind::Failed);
}

#[tokio::test]
async fn a_kubeconfig_that_skips_verification_takes_any_certificate() {
    let (node, _) = cluster(&["other.test"], (2020, 2021), "127.0.0.1", HEALTHY).await;
    let config = node.host().read_text(KUBECONFIG).unwrap();
    node.write(KUBECONFIG, config.replace("certificate-authority: /ca.crt", "insecure-skip-tls-verify: true"));
    node.write("/etc/ssl/certs/ca-certificates.crt", authority("any").pem);
    let facts = node.look_async(&CHECK).await;
    assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(true), "{facts:?}");
    assert_eq!(facts.known(fact::APISERVER_AUTH_STATUS), Some(200));
    assert_eq!(fault(&facts), Err(MissingKind::NotApplicable));
}

#[tokio::test]
async fn an_api_server_that_is_not_ready_and_serves_is_reached() {
    let answers = [("/readyz", 500, "[-]shutdown failed: reason withheld\n"), ("/api/v1/nodes/w1", 200, NODE)];
    let (node, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", &answers).await;
    let facts = node.look_async(&CHECK).await;
    assert_eq!(facts.known(fact::APISERVER_REACHABLE), Some(true));
    assert_eq!(facts.known(fact::APISERVER_HTTP_STATUS), Some(500));
    assert_eq!(facts.known(fact::APISERVER_HTTP_BODY).unwrap(), "[-]shutdown failed: reason withheld");
}

#[tokio::test]
async fn versions_are_told_and_compared() {
    let with_version = NODE.replace(r#""status":{"#, r#""status":{"nodeInfo":{"kubeletVersion":"v1.31.2+k3s1"},"#);
    let answers =
        [("/readyz", 200, "ok"), ("/api/v1/nodes/w1", 200, with_version.as_str()), ("/version", 200, r#"{"gitVersion":"v1.29.6"}"#)];
    let (node, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", &answers).await;
    let look = node.look_for(&CHECK);
    for _ in 0..2 {
        let facts = (CHECK.look)(look.clone()).await;
        assert_eq!(facts.known(fact::APISERVER_VERSION).unwrap(), "v1.29.6");
        assert_eq!(facts.known(fact::CLUSTER_NODE_KUBELET_VERSION).unwrap(), "v1.31.2+k3s1");
        assert_eq!(facts.known(fact::CLUSTER_KUBELET_MINORS_AHEAD), Some(2));
    }
    let (untold, _) = cluster(&["127.0.0.1"], (2020, 2090), "127.0.0.1", HEALTHY).await;
    let facts = untold.look_async(&CHECK).await;
    assert_eq!(facts.value("cluster.kubelet_minors_ahead").unwrap_err().kind, MissingKind::Failed);
}

#[test]
fn what_cannot_be_read_is_unknown_and_a_standalone_kubelet_has_no_api_server() {
    let absent = Node::new().known(fact::KUBELET_KUBECONFIG_PATH, KUBECONFIG.to_owned()).look(&CHECK);
    assert_eq!(absent.value("apiserver.reachable").unwrap_err().kind, MissingKind::Failed);
    let none = Node::new().known(fact::NODE_IS_KUBERNETES, false).look(&CHECK);
    assert_eq!(none.value("apiserver.reachable").unwrap_err().kind, MissingKind::NotApplicable);
    let garbage = Node::new().file(KUBECONFIG, "clusters: [").known(fact::KUBELET_KUBECONFIG_PATH, KUBECONFIG.to_owned()).look(&CHECK);
    assert!(garbage.value("apiserver.reachable").unwrap_err().why.starts_with(KUBECONFIG));
}

#[test]
fn a_load_balancer_in_a_k3s_that_does_not_run_says_nothing_of_the_api_server() {
    let ca = authority("ca");
    let looked = |server: &str, unit: &str, state: &str| {
        let pair = ca.issue(&["w1"], (2000, 2100));
        let node = node(server, &ca, &pair).known(fact::KUBELET_KUBECONFIG_PATH, KUBECONFIG.to_owned());
        node.known(fact::KUBELET_UNIT_NAME, unit.to_owned()).known(fact::KUBELET_UNIT_ACTIVE_STATE, state.to_owned()).look(&CHECK)
    };
    // Nobody listens on port 1.
    let stopped = looked("https://127.0.0.1:1", "k3s-agent.service", "failed");
    let why = stopped.value("apiserver.reachable").unwrap_err();
    assert_eq!(
        (why.kind, why.why.as_str()),
        (MissingKind::NotApplicable, "127.0.0.1:1 is served by k3s-agent.service, which does not run")
    );
    assert_eq!(stopped.value("cluster.node.ready").unwrap_err().kind, MissingKind::Failed, "not that there is none");
    for (server, unit, state) in
        // One that starts waits for its server, and its load balancer runs by then.
        [
            ("https://127.0.0.1:1", "k3s-agent.service", "active"),
            ("https://127.0.0.1:1", "k3s-agent.service", "activating"),
            ("https://127.0.0.1:1", "kubelet.service", "failed"),
        ]
    {
        assert_eq!(looked(server, unit, state).known(fact::APISERVER_REACHABLE), Some(false), "{server} {unit} {state}");
    }
}
