//! The runtime's socket: asked for its version as the kubelet asks, every second; when it stops answering, what a kubelet said then is said.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Endpoint, Uri};
use tonic_prost::ProstCodec;

use crate::script::{CONTAINERD_STOPPED, Script};
use crate::settings::Settings;
use crate::voice::{Voice, say};

/// pkg/kubelet/pleg relists once a second.
const RELIST_EVERY: Duration = Duration::from_secs(1);
/// Longer than a runtime ever takes for its version.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, PartialEq, prost::Message)]
struct VersionRequest {
    #[prost(string, tag = "1")]
    version: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VersionResponse {
    #[prost(string, tag = "2")]
    runtime_name: String,
}

/// Why the runtime cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoRuntime {
    /// The socket cannot be connected to, in the system's words.
    Unreachable(&'static str),
    /// It takes the call and does not answer, or answers with an error: what the call came back with, as Go's status package has it.
    Failed(String),
}

/// `runtime.v1.RuntimeService/Version`.
pub(crate) async fn version(socket: &str) -> Result<String, NoRuntime> {
    // Tried apart from gRPC, whose errors hide the system's.
    match UnixStream::connect(socket).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(NoRuntime::Unreachable("no such file or directory")),
        Err(_) => return Err(NoRuntime::Unreachable("connection refused")),
    }
    match tokio::time::timeout(ANSWERS_WITHIN, ask(socket.to_owned())).await {
        Ok(answer) => answer,
        Err(_) => Err(NoRuntime::Failed("rpc error: code = DeadlineExceeded desc = context deadline exceeded".to_owned())),
    }
}

async fn ask(socket: String) -> Result<String, NoRuntime> {
    let refused = NoRuntime::Unreachable("connection refused");
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await.map_err(|_| refused.clone())?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|_| refused)?;
    let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/Version");
    let codec: ProstCodec<VersionRequest, VersionResponse> = ProstCodec::default();
    let answer = grpc
        .unary(tonic::Request::new(VersionRequest { version: "0.1.0".to_owned() }), path, codec)
        .await
        .map_err(|status| NoRuntime::Failed(format!("rpc error: code = {:?} desc = {}", status.code(), status.message())))?;
    Ok(answer.into_inner().runtime_name)
}

/// Looks for as long as this kubelet lives.
pub(crate) async fn watch(settings: Arc<Settings>, voice: Arc<Voice>) {
    let mut every = tokio::time::interval(RELIST_EVERY);
    loop {
        every.tick().await;
        let Err(error) = version(settings.config.socket()).await else { continue };
        match error {
            NoRuntime::Unreachable(words) => lament(&settings, &voice, words).await,
            NoRuntime::Failed(answer) => say_failed(&answer),
        }
    }
}

/// What a kubelet said whose runtime was stopped, until it is back.
async fn lament(settings: &Settings, voice: &Voice, words: &str) {
    let (_, lament) = Script::of(CONTAINERD_STOPPED).split_before("containerd.sock: connect: no such file");
    let voice = voice.clone().with("/run/containerd/containerd.sock", settings.config.socket()).with("no such file or directory", words);
    tokio::select! {
        () = voice.play(&lament) => {}
        () = back(settings.config.socket()) => {}
    }
}

/// A runtime that hangs or does not know the call, in the words of kubelet v1.36 (k8s.io/cri-client remote_runtime.go, pkg/kubelet/kubelet.go, pleg/generic.go). The kubelet waits
/// two minutes for an answer and this one ten seconds, so that tests see it.
fn say_failed(answer: &str) {
    say('E', &format!("log.go:32] \"Status from runtime service failed\" err={answer:?}"));
    say('E', &format!("kubelet.go:3262] \"Container runtime sanity check failed\" err={answer:?}"));
    say('E', &format!("log.go:32] \"ListPodSandbox with filter from runtime service failed\" err={answer:?} filter=\"nil\""));
    say('E', &format!("generic.go:312] \"GenericPLEG: Unable to retrieve pods\" err={answer:?}"));
    say('E', "kubelet.go:2661] \"Skipping pod synchronization\" err=\"container runtime is down\"");
}

async fn back(socket: &str) {
    let mut every = tokio::time::interval(RELIST_EVERY);
    while version(socket).await.is_err() {
        every.tick().await;
    }
}
