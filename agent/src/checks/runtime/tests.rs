use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use nodewhy_diagnosis::MissingKind;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::*;
use crate::checks::testing::Node;
use crate::host::cri::{
    Empty, FilesystemIdentifier, FilesystemUsage, ImageFsInfoResponse, LinuxRuntimeConfiguration, RuntimeConfigResponse, RuntimeStatus,
    StatusResponse, VersionResponse,
};

const SOCKET: &str = "/run/containerd/containerd.sock";

fn node() -> Node {
    let node = Node::new().known(fact::NODE_IS_KUBERNETES, true).known(fact::KUBELET_CONFIG_RUNTIME_ENDPOINT, format!("unix://{SOCKET}"));
    node.file("/run/containerd/.keep", "")
}

fn listen(node: &Node) -> UnixListener {
    UnixListener::bind(node.root().join(SOCKET.trim_start_matches('/'))).unwrap()
}

fn state_of(facts: &Facts) -> String {
    facts.known(fact::RUNTIME_SOCKET_STATE).unwrap()
}

/// Answers every call with one message.
struct Always<A>(A);

impl<A: Clone> UnaryService<Empty> for Always<A> {
    type Response = A;
    type Future = std::future::Ready<Result<Response<A>, Status>>;
    fn call(&mut self, _: Request<Empty>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone())))
    }
}

/// A container runtime with fixed answers.
#[derive(Clone)]
struct Runtime {
    conditions: Vec<RuntimeCondition>,
    tells_config: bool,
}

impl Runtime {
    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let path = request.uri().path().to_owned();
        match path.rsplit('/').next().unwrap() {
            "Version" => unary(request, VersionResponse { runtime_name: "containerd".into(), runtime_version: "v2.0.1".into() }).await,
            "Status" => unary(request, StatusResponse { status: Some(RuntimeStatus { conditions: self.conditions }) }).await,
            "RuntimeConfig" if self.tells_config => {
                unary(request, RuntimeConfigResponse { linux: Some(LinuxRuntimeConfiguration { cgroup_driver: 1 }) }).await
            }
            "ImageFsInfo" => {
                let id = FilesystemIdentifier { mountpoint: "/var/lib/containerd".into() };
                unary(request, ImageFsInfoResponse { image_filesystems: vec![FilesystemUsage { fs_id: Some(id) }] }).await
            }
            _ => Status::unimplemented("unknown method").into_http(),
        }
    }
}

async fn unary<A: prost::Message + Clone + Default + Send + Sync + 'static>(
    request: http::Request<Body>,
    answer: A,
) -> http::Response<Body> {
    Grpc::new(ProstCodec::<A, Empty>::default()).unary(Always(answer), request).await
}

macro_rules! service {
    ($name:ident, $path:literal) => {
        #[derive(Clone)]
        struct $name(Runtime);
        impl NamedService for $name {
            const NAME: &'static str = $path;
        }
        impl tower::Service<http::Request<Body>> for $name {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;
            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }
            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                let runtime = self.0.clone();
                Box::pin(async move { Ok(runtime.answer(request).await) })
            }
        }
    };
}
service!(RuntimeService, "runtime.v1.RuntimeService");
service!(ImageService, "runtime.v1.ImageService");

async fn facts_with(conditions: &[(&str, bool, &str, &str)], tells_config: bool) -> Facts {
    let node = node();
    let conditions = conditions.iter().map(|(kind, status, reason, message)| RuntimeCondition {
        r#type: (*kind).into(),
        status: *status,
        reason: (*reason).into(),
        message: (*message).into(),
    });
    let runtime = Runtime { conditions: conditions.collect(), tells_config };
    let incoming = UnixListenerStream::new(listen(&node));
    let server = tonic::transport::Server::builder().add_service(RuntimeService(runtime.clone())).add_service(ImageService(runtime));
    tokio::spawn(server.serve_with_incoming(incoming));
    node.look_async(&CHECK).await
}

#[tokio::test]
async fn a_healthy_runtime_tells_everything() {
    let facts = facts_with(&[("RuntimeReady", true, "", ""), ("NetworkReady", true, "", "")], true).await;
    assert_eq!(state_of(&facts), "ok");
    assert_eq!(facts.known(fact::RUNTIME_UNANSWERED).unwrap(), "");
    assert_eq!(facts.known(fact::RUNTIME_NAME).unwrap(), "containerd");
    assert_eq!(facts.known(fact::RUNTIME_READY), Some(true));
    assert_eq!(facts.known(fact::RUNTIME_NETWORK_READY), Some(true));
    assert_eq!(facts.known(fact::RUNTIME_CGROUP_DRIVER).unwrap(), "cgroupfs");
    assert_eq!(facts.known(fact::RUNTIME_CGROUP_DRIVER_FROM).unwrap(), "CRI RuntimeConfig");
    assert_eq!(facts.known(fact::RUNTIME_IMAGE_FS).unwrap(), "/var/lib/containerd");
    assert_eq!(facts.value("runtime.socket.error").unwrap_err().kind, MissingKind::NotApplicable);
}

#[tokio::test]
async fn an_unready_network_is_quoted() {
    let message = "Network plugin returns error: cni plugin not initialized";
    let facts = facts_with(&[("RuntimeReady", true, "", ""), ("NetworkReady", false, "NetworkPluginNotReady", message)], false).await;
    assert_eq!(facts.known(fact::RUNTIME_NETWORK_READY), Some(false));
    assert_eq!(facts.known(fact::RUNTIME_NETWORK_MESSAGE).unwrap(), format!("NetworkPluginNotReady: {message}"));
    assert_eq!(facts.known(fact::RUNTIME_CGROUP_DRIVER_FROM).unwrap(), "default", "an old runtime does not tell");
}

#[tokio::test]
async fn a_condition_that_is_not_told_is_unknown_and_not_false() {
    let facts = facts_with(&[("RuntimeReady", true, "", "")], true).await;
    assert_eq!(facts.value("runtime.network_ready").unwrap_err().kind, MissingKind::Failed);
}

#[test]
fn no_socket_is_missing() {
    let facts = node().look(&CHECK);
    assert_eq!(state_of(&facts), "missing");
    assert_eq!(facts.known(fact::RUNTIME_SOCKET_ERROR).unwrap(), format!("connect to {SOCKET}: No such file or directory"));
    assert_eq!(facts.value("runtime.ready").unwrap_err().kind, MissingKind::Failed);
}

#[tokio::test]
async fn a_socket_nobody_listens_on_is_refused() {
    let node = node();
    drop(listen(&node));
    assert_eq!(state_of(&node.look_async(&CHECK).await), "refused");
}

#[test]
fn a_runtime_that_is_down_has_no_driver_whatever_its_file_says() {
    let file = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nSystemdCgroup = true\n";
    let facts = node().file("/etc/containerd/config.toml", file).look(&CHECK);
    assert_eq!(state_of(&facts), "missing");
    assert_eq!(facts.value("runtime.cgroup_driver").unwrap_err().kind, MissingKind::Failed);
    assert_eq!(facts.value("runtime.cgroup_driver_from").unwrap_err().kind, MissingKind::Failed);
}

#[tokio::test]
async fn a_hung_runtime_times_out_within_the_deadline() {
    let node = node().deadline(Duration::from_millis(400));
    let _accepts_nothing = listen(&node);
    let began = std::time::Instant::now();
    let facts = node.look_async(&CHECK).await;
    assert_eq!(state_of(&facts), "timeout");
    assert_eq!(facts.known(fact::RUNTIME_UNANSWERED).unwrap(), "Version");
    assert!(began.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn something_else_behind_the_socket_is_an_error() {
    let node = node();
    let listener = listen(&node);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
        }
    });
    assert_eq!(state_of(&node.look_async(&CHECK).await), "error");
}

#[tokio::test]
async fn a_runtime_without_cri_v1_is_unimplemented() {
    let node = node();
    let incoming = UnixListenerStream::new(listen(&node));
    let images = ImageService(Runtime { conditions: Vec::new(), tells_config: false });
    tokio::spawn(tonic::transport::Server::builder().add_service(images).serve_with_incoming(incoming));
    assert_eq!(state_of(&node.look_async(&CHECK).await), "unimplemented");
}

#[test]
fn an_endpoint_that_is_no_unix_socket_is_an_error_and_an_unknown_one_is_not_assumed() {
    let tcp = Node::new().known(fact::KUBELET_CONFIG_RUNTIME_ENDPOINT, "tcp://127.0.0.1:1".to_owned()).look(&CHECK);
    assert_eq!(state_of(&tcp), "error");
    assert_eq!(Node::new().look(&CHECK).value("runtime.socket.state").unwrap_err().kind, MissingKind::NotYet);
    let none = Node::new().known(fact::NODE_IS_KUBERNETES, false).look(&CHECK);
    assert_eq!(none.value("runtime.ready").unwrap_err().kind, MissingKind::NotApplicable);
}
