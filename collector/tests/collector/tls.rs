//! With TLS the client certificate says who speaks, and what it may.

use std::path::Path;

use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::alert_service_client::AlertServiceClient;
use nodewhy_proto::v1::query_service_client::QueryServiceClient;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Error, Identity};

use crate::support::agent::{Agent, hello, opens};
use crate::support::{Collector, until, write};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// Certificate and key, PEM.
fn leaf(ca: &Ca, common: &str, alternative: &[&str], usage: ExtendedKeyUsagePurpose) -> (String, String) {
    let names: Vec<String> = alternative.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("good names");
    params.distinguished_name.push(DnType::CommonName, common);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().expect("a key");
    (params.signed_by(&key, ca).expect("a certificate").pem(), key.serialize_pem())
}

struct Served {
    collector: Collector,
    /// Signed the clients'.
    clients: Ca,
    /// Signed the collector's.
    servers: Ca,
}

fn put_server_certificate(dir: &Path, servers: &Ca) {
    let (cert, key) = leaf(servers, "nodewhy-collector", &["localhost"], ExtendedKeyUsagePurpose::ServerAuth);
    write(dir, "tls.crt", &cert);
    write(dir, "tls.key", &key);
}

fn serve() -> Served {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (clients, servers) = (ca("clients"), ca("servers"));
    let dir: TempDir = tempfile::tempdir().expect("a directory");
    put_server_certificate(dir.path(), &servers);
    write(dir.path(), "ca.crt", &clients.pem());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let config = format!("tls: {{certFile: {}, keyFile: {}, clientCAFile: {}}}\n", path("tls.crt"), path("tls.key"), path("ca.crt"));
    Served { collector: Collector::start_in(dir, &config), clients, servers }
}

impl Served {
    async fn connect(&self, identity: Option<(String, String)>) -> Result<Channel, Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.servers.pem()));
        if let Some((cert, key)) = identity {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        Channel::from_shared(self.collector.url()).expect("a URL").tls_config(tls)?.connect().await
    }

    /// With a certificate of the clients' CA.
    async fn connect_as(&self, common: &str, alternative: &[&str]) -> Channel {
        let leaf = leaf(&self.clients, common, alternative, ExtendedKeyUsagePurpose::ClientAuth);
        self.connect(Some(leaf)).await.expect("let in")
    }
}

async fn ask(channel: Channel, node: &str) -> Result<pb::GetNodeResponse, Code> {
    let answer = QueryServiceClient::new(channel).get_node(pb::GetNodeRequest { node: node.into() }).await;
    answer.map(tonic::Response::into_inner).map_err(|status| status.code())
}

#[tokio::test]
async fn nobody_is_let_in_without_a_certificate_of_the_client_ca() {
    let served = serve();
    let foreign = leaf(&ca("foreign"), "system:node:worker-1", &[], ExtendedKeyUsagePurpose::ClientAuth);
    let wrong_use = leaf(&served.clients, "system:node:worker-1", &[], ExtendedKeyUsagePurpose::ServerAuth);
    for identity in [None, Some(foreign), Some(wrong_use)] {
        // In TLS 1.3 a client hears of it only after its own handshake is done.
        let refused = match served.connect(identity).await {
            Err(_) => true,
            Ok(channel) => ask(channel, "worker-1").await.is_err_and(|code| code != Code::NotFound),
        };
        assert!(refused);
    }
    let plain = Channel::from_shared(format!("http://{}", served.collector.address)).expect("a URL").connect().await;
    assert!(match plain {
        Err(_) => true,
        Ok(channel) => ask(channel, "worker-1").await.is_err_and(|code| code != Code::NotFound),
    });
    until("it is counted", async || served.collector.log().contains("a connection is refused: TLS").then_some(())).await;
}

#[tokio::test]
async fn an_agent_speaks_only_for_the_node_that_its_certificate_names() {
    let served = serve();
    for (common, alternative) in [("system:node:worker-1", &[][..]), ("worker-1", &[]), ("whatever", &["worker-1"])] {
        let channel = served.connect_as(common, alternative).await;
        let status = Agent::attach(channel.clone(), hello("worker-2")).await.err().expect("refused");
        assert_eq!(status.code(), Code::PermissionDenied, "{common}");
        assert!(status.message().contains("system:node:worker-2"), "{status}");
        Agent::attach(channel, hello("worker-1")).await.unwrap_or_else(|status| panic!("{common}: {status}"));
    }
    // A kubelet's certificate names its node by its common name alone.
    let channel = served.connect_as("system:node:worker-1", &["worker-2"]).await;
    assert_eq!(Agent::attach(channel, hello("worker-2")).await.err().expect("refused").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_node_asks_about_itself_alone_and_others_of_the_ca_about_all() {
    let served = serve();
    let mut agents = Vec::new();
    for (node, common) in [("worker-1", "system:node:worker-1"), ("worker-2", "worker-2")] {
        let channel = served.connect_as(common, &[]).await;
        let mut agent = Agent::attach(channel.clone(), hello(node)).await.expect("welcome");
        agent.report(opens(node, 1, "swap-enabled")).await;
        agents.push((agent, channel));
    }
    for (index, other) in [(0, "worker-2"), (1, "worker-1")] {
        let (agent, channel) = &agents[index];
        assert!(ask(channel.clone(), &agent.node).await.is_ok());
        assert_eq!(ask(channel.clone(), other).await.expect_err("refused"), Code::PermissionDenied);
        let mut query = QueryServiceClient::new(channel.clone());
        let nodes = query.list_nodes(pb::ListNodesRequest::default()).await.expect("an answer").into_inner().nodes;
        assert_eq!(nodes.iter().map(|node| &node.node).collect::<Vec<_>>(), [&agent.node]);
        let cases = query.list_cases(pb::ListCasesRequest::default()).await.expect("an answer").into_inner().cases;
        assert!(cases.iter().all(|case| case.node == agent.node) && cases.len() == 1);
        let others = pb::ListCasesRequest { node: other.into(), ..Default::default() };
        assert_eq!(query.list_cases(others).await.expect_err("refused").code(), Code::PermissionDenied);
        let watch = pb::WatchNodesRequest { nodes: vec![other.into()] };
        assert_eq!(query.watch_nodes(watch).await.expect_err("refused").code(), Code::PermissionDenied);
        let mut watch = query.watch_nodes(pb::WatchNodesRequest::default()).await.expect("an answer").into_inner();
        let first = watch.message().await.expect("open").expect("there").summary.expect("there");
        assert_eq!(first.node, agent.node);
    }
    let admin = served.connect_as("alice", &[]).await;
    assert!(ask(admin.clone(), "worker-1").await.is_ok() && ask(admin.clone(), "worker-2").await.is_ok());
    assert_eq!(Agent::attach(admin, hello("worker-1")).await.err().expect("refused").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_node_may_neither_see_nor_silence_alerts_and_others_of_the_ca_may() {
    let served = serve();
    let silence =
        || pb::AddSilenceRequest { silence: Some(pb::Silence { matchers: vec!["node=worker-1".into()], ..pb::Silence::default() }) };
    let channel = served.connect_as("system:node:worker-1", &[]).await;
    let _agent = Agent::attach(channel.clone(), hello("worker-1")).await.expect("welcome");
    let mut node = AlertServiceClient::new(channel);
    let refused = [
        node.list_incidents(pb::ListIncidentsRequest::default()).await.err(),
        node.get_incident(pb::GetIncidentRequest { id: "inc-1".into() }).await.err(),
        node.add_silence(silence()).await.err(),
        node.list_silences(pb::ListSilencesRequest { all: true }).await.err(),
        node.expire_silence(pb::ExpireSilenceRequest { id: "sil-1".into() }).await.err(),
        node.list_hooks(pb::ListHooksRequest {}).await.err(),
        node.list_messages(pb::ListMessagesRequest::default()).await.err(),
        node.resend_messages(pb::ResendMessagesRequest::default()).await.err(),
    ];
    for status in refused {
        assert_eq!(status.map(|status| status.code()), Some(Code::PermissionDenied));
    }
    let mut admin = AlertServiceClient::new(served.connect_as("alice", &[]).await);
    assert!(admin.list_silences(pb::ListSilencesRequest { all: true }).await.expect("an answer").into_inner().silences.is_empty());
    admin.add_silence(silence()).await.expect("an answer");
}

#[tokio::test]
async fn health_is_asked_with_the_collectors_own_certificate_which_opens_nothing_else() {
    let served = serve();
    let health = served.collector.command().arg("health").output().expect("it runs");
    assert_eq!(health.status.code(), Some(0), "{health:?}");
    let read = |name: &str| std::fs::read_to_string(served.collector.dir.path().join(name)).expect("there");
    let own = served.connect(Some((read("tls.crt"), read("tls.key")))).await.expect("let in");
    assert_eq!(ask(own.clone(), "worker-1").await.expect_err("refused"), Code::PermissionDenied);
    assert_eq!(Agent::attach(own, hello("localhost")).await.err().expect("refused").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn renewed_certificates_are_taken_without_a_restart_and_useless_ones_are_not() {
    let mut served = serve();
    write(served.collector.dir.path(), "tls.crt", "half a certif");
    until("the useless one is told", async || {
        served.connect_as("alice", &[]).await;
        served.collector.log().contains("the old ones stay in force").then_some(())
    })
    .await;
    let renewed = ca("renewed servers");
    put_server_certificate(served.collector.dir.path(), &renewed);
    served.servers = renewed;
    let alice = leaf(&served.clients, "alice", &[], ExtendedKeyUsagePurpose::ClientAuth);
    until("the new one is shown", async || served.connect(Some(alice.clone())).await.ok()).await;
}
