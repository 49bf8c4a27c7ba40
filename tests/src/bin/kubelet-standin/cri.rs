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
use crate::voice::Voice;

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

/// Why the runtime cannot be asked, in the system's words.
#[derive(Debug)]
pub(crate) struct NoRuntime {
    pub(crate) words: &'static str,
}

/// `runtime.v1.RuntimeService/Version`.
pub(crate) async fn version(socket: &str) -> Result<String, NoRuntime> {
    // Tried apart from gRPC, whose errors hide the system's.
    match UnixStream::connect(socket).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(NoRuntime { words: "no such file or directory" }),
        Err(_) => return Err(NoRuntime { words: "connection refused" }),
    }
    tokio::time::timeout(ANSWERS_WITHIN, ask(socket.to_owned())).await.ok().flatten().ok_or(NoRuntime { words: "connection refused" })
}

async fn ask(socket: String) -> Option<String> {
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await.ok()?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.ok()?;
    let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/Version");
    let codec: ProstCodec<VersionRequest, VersionResponse> = ProstCodec::default();
    let answer = grpc.unary(tonic::Request::new(VersionRequest { version: "0.1.0".to_owned() }), path, codec).await.ok()?;
    Some(answer.into_inner().runtime_name)
}

/// Looks for as long as this kubelet lives.
pub(crate) async fn watch(settings: Arc<Settings>, voice: Arc<Voice>) {
    let mut every = tokio::time::interval(RELIST_EVERY);
    loop {
        every.tick().await;
        if let Err(error) = version(settings.config.socket()).await {
            let (_, lament) = Script::of(CONTAINERD_STOPPED).split_before("containerd.sock: connect: no such file");
            let voice = (*voice)
                .clone()
                .with("/run/containerd/containerd.sock", settings.config.socket())
                .with("no such file or directory", error.words);
            tokio::select! {
                () = voice.play(&lament) => {}
                () = back(settings.config.socket()) => {}
            }
        }
    }
}

async fn back(socket: &str) {
    let mut every = tokio::time::interval(RELIST_EVERY);
    while version(socket).await.is_err() {
        every.tick().await;
    }
}
