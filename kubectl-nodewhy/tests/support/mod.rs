//! The program under test, and a collector's services for it to ask.
#![allow(dead_code, reason = "each test binary uses its part")]

mod alerts;

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nodewhy_proto::v1::alert_service_server::AlertServiceServer;
use nodewhy_proto::v1::query_service_server::{QueryService, QueryServiceServer};
use nodewhy_proto::v1::*;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// How a run of the program ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Runs the program with this standard input.
pub(crate) fn kubectl(args: &[&str], input: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-nodewhy"));
    command.args(args).env_remove("NODEWHY_COLLECTOR").env_remove("NO_COLOR");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    Run { code: output.status.code().expect("an exit code"), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A running query service; ends with the test.
pub(crate) struct Served {
    pub(crate) url: String,
    _runtime: tokio::runtime::Runtime,
}

pub(crate) fn serve(fake: Fake) -> Served {
    start(fake, "http", Server::builder())
}

pub(crate) fn serve_tls(fake: Fake, files: &TlsFiles) -> Served {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |path: &Path| std::fs::read(path).expect("a file of the test");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read(&files.server_cert), read(&files.server_key)))
        .client_ca_root(Certificate::from_pem(read(&files.ca)));
    start(fake, "https", Server::builder().tls_config(tls).expect("good certificates"))
}

fn start(fake: Fake, scheme: &str, mut server: Server) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket option");
    let address = listener.local_addr().expect("bound");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let _guard = runtime.enter();
    let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).expect("a listener"));
    let services = server.add_service(AlertServiceServer::new(fake.clone())).add_service(QueryServiceServer::new(fake));
    runtime.spawn(services.serve_with_incoming(incoming));
    drop(_guard);
    Served { url: format!("{scheme}://localhost:{}", address.port()), _runtime: runtime }
}

/// A CA, a server and a client certificate of it, and another CA.
pub(crate) struct TlsFiles {
    pub(crate) ca: PathBuf,
    pub(crate) other_ca: PathBuf,
    pub(crate) server_cert: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) client_cert: PathBuf,
    pub(crate) client_key: PathBuf,
}

impl TlsFiles {
    pub(crate) fn make(dir: &Path) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
        let write = |name: &str, text: String| {
            std::fs::write(dir.join(name), text).expect("the directory is writable");
            dir.join(name)
        };
        let authority = |name: &str| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a good name");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
        };
        let (ca, other) = (authority("ca"), authority("other"));
        let leaf = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![name.to_owned()]).expect("a good name");
            (params.signed_by(&key, &ca).expect("a certificate").pem(), key.serialize_pem())
        };
        let ((server, server_key), (client, client_key)) = (leaf("localhost"), leaf("admin"));
        Self {
            ca: write("ca.crt", ca.pem()),
            other_ca: write("other.crt", other.pem()),
            server_cert: write("server.crt", server),
            server_key: write("server.key", server_key),
            client_cert: write("client.crt", client),
            client_key: write("client.key", client_key),
        }
    }
}

/// Three nodes on two pages: swap on, healthy, silent. What it says of alerts is in [`alerts`].
#[derive(Clone, Default)]
pub(crate) struct Fake {
    /// All is well: the hooks take what they are told, and nothing was given up.
    pub(crate) well: bool,
}

fn at(text: &str) -> Option<prost_types::Timestamp> {
    Some(text.parse().expect("a time"))
}

fn summaries() -> Vec<NodeSummary> {
    let node = |name: &str, verdict: Verdict, roots: &[&str], silent| NodeSummary {
        node: name.to_owned(),
        verdict: verdict.into(),
        roots: roots.iter().map(|root| (*root).to_owned()).collect(),
        since: if roots.is_empty() { None } else { at("2026-11-22T00:54:49Z") },
        last_seen: at("2026-11-22T01:00:00Z"),
        silent,
        agent_version: "0.1.0".to_owned(),
        kubelet_version: "v1.36.2".to_owned(),
    };
    vec![
        node("worker-1", Verdict::NotReady, &["swap-enabled"], false),
        node("worker-2", Verdict::Healthy, &[], false),
        node("worker-3", Verdict::Unknown, &["agent-silent"], true),
    ]
}

fn cause(code: &str, root: bool, explained_by: &[&str]) -> PresentCause {
    PresentCause {
        case_id: format!("worker-1/{code}/1"),
        code: code.to_owned(),
        title: format!("Title of {code}"),
        severity: Severity::Critical.into(),
        layer: Layer::Kubelet.into(),
        root,
        latent: false,
        since: at("2026-11-22T00:54:49Z"),
        message: format!("message of {code}"),
        evidence: Vec::new(),
        explains: Vec::new(),
        explained_by: explained_by.iter().map(|code| (*code).to_owned()).collect(),
        remedy: Vec::new(),
    }
}

fn swap() -> PresentCause {
    let mut swap = cause("swap-enabled", true, &[]);
    let quote = "running with swap on \u{1b}[2Jowned".to_owned();
    swap.evidence = vec![Evidence { source: "log:kubelet.service".to_owned(), at: at("2026-11-22T00:54:49.103848Z"), quote, count: 3 }];
    swap.remedy = vec![Remedy { say: "Turn swap off now".to_owned(), run: "swapoff -a".to_owned() }];
    swap.explains = vec!["kubelet-down".to_owned()];
    swap
}

fn cases() -> Vec<Case> {
    let case = |cause: PresentCause, closed: Option<(&str, &str)>| Case {
        case_id: cause.case_id.clone(),
        node: "worker-1".to_owned(),
        cause: Some(cause),
        opened_at: at("2026-11-22T00:54:49Z"),
        opened_reason: "log sign seen".to_owned(),
        closed_at: closed.and_then(|(when, _)| at(when)),
        closed_reason: closed.map(|(_, why)| why.to_owned()).unwrap_or_default(),
        opened_recorded_at: at("2026-11-22T00:54:50Z"),
        closed_recorded_at: None,
        events: Vec::new(),
    };
    vec![
        case(cause("kubelet-port-in-use", true, &[]), None),
        case(swap(), Some(("2026-11-22T01:10:00Z", "absent: swap.devices.size() == 0"))),
    ]
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl QueryService for Fake {
    type WatchNodesStream = futures_util::stream::Empty<Result<WatchNodesResponse, Status>>;

    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Answer<ListNodesResponse> {
        let mut nodes = summaries();
        Ok(Response::new(match request.into_inner().page_token.as_str() {
            "" => ListNodesResponse { nodes: nodes.drain(..2).collect(), next_page_token: "2".to_owned() },
            _ => ListNodesResponse { nodes: nodes.drain(2..).collect(), next_page_token: String::new() },
        }))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Answer<GetNodeResponse> {
        let name = request.into_inner().node;
        let summary = summaries().into_iter().find(|summary| summary.node == name).ok_or_else(|| Status::not_found("no such node"))?;
        // What worker-3 said last was that it is healthy; the summary knows better.
        let (verdict, causes) = match name.as_str() {
            "worker-1" => (Verdict::NotReady, vec![swap(), cause("kubelet-down", false, &["swap-enabled"])]),
            _ => (Verdict::Healthy, Vec::new()),
        };
        let diagnosis = Diagnosis { node: name, at: at("2026-11-22T01:00:00Z"), verdict: verdict.into(), causes, unknown: Vec::new() };
        Ok(Response::new(GetNodeResponse { summary: Some(summary), diagnosis: Some(diagnosis) }))
    }

    async fn list_cases(&self, request: Request<ListCasesRequest>) -> Answer<ListCasesResponse> {
        let request = request.into_inner();
        let mut cases: Vec<_> =
            cases().into_iter().filter(|case| case.node == request.node && !(request.open_only && case.closed_at.is_some())).collect();
        // One case a page, whatever was asked for: a server may give fewer.
        let from: usize = request.page_token.parse().unwrap_or(0);
        let next_page_token = if from + 1 < cases.len() { (from + 1).to_string() } else { String::new() };
        let cases = if from < cases.len() { vec![cases.remove(from)] } else { Vec::new() };
        Ok(Response::new(ListCasesResponse { cases, next_page_token }))
    }

    async fn watch_nodes(&self, _request: Request<WatchNodesRequest>) -> Answer<Self::WatchNodesStream> {
        Err(Status::unimplemented("not asked here"))
    }
}
