//! A **stand-in** for the kubelet, seen from outside: it reads the flags, configuration and kubeconfig that kubelet v1.36 reads, looks at what that
//! one looks at (swap, runtime socket, ports, certificates, API server, its disk), and says and does what a real one did: each output is a
//! real kubelet's, recorded under that very fault (tests/fixtures/kubelet-logs), with the times, names and paths of now. Static pods it runs on the real runtime
//! (one container each, no volumes), and tells what goes wrong with them in the kubelet's words.

mod api;
mod cri;
mod disk;
mod fate;
mod flags;
mod go;
mod pods;
mod script;
mod serve;
mod settings;
mod voice;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use fate::Fate;
use script::Script;
use voice::Voice;

/// From being started to the first word, as it was with the kubelet recorded.
const BEFORE_FIRST_WORD: Duration = Duration::from_millis(100);
/// A kubelet logs this when its ports are about to be opened.
const LISTENING: &str = "\"Starting to listen\"";

fn main() -> ExitCode {
    // Fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(2),
    };
    runtime.block_on(run())
}

async fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let fate = fate::decide(&arguments).await;
    tokio::time::sleep(BEFORE_FIRST_WORD).await;
    match fate {
        Fate::Dies { script, voice } => {
            voice.play(&script).await;
            ExitCode::FAILURE
        }
        Fate::Lives { settings, voice, port } => live(Arc::new(*settings), Arc::new(voice), port).await,
    }
}

/// At SIGUSR1, what a kubelet says once that cannot pull an image: a fault that only the log tells of.
async fn say_image_not_pulled(mut asked: Signal, voice: Arc<Voice>) {
    let said = Script::of(script::IMAGE_PULL_FAILED).only_with(&["\"Failed to pull image\""]);
    let (once, _) = said.split_after_first();
    while asked.recv().await.is_some() {
        voice.play(&once).await;
    }
}

async fn live(settings: Arc<settings::Settings>, voice: Arc<Voice>, port: std::net::TcpListener) -> ExitCode {
    let (Ok(mut asked_to_end), Ok(asked_to_say)) = (signal(SignalKind::terminate()), signal(SignalKind::user_defined1())) else {
        return ExitCode::from(2);
    };
    tokio::spawn(say_image_not_pulled(asked_to_say, Arc::clone(&voice)));
    let (begin, rest) = Script::of(script::HEALTHY).split_before(LISTENING);
    voice.play(&begin).await;
    serve::kubelet_port(port);
    serve::healthz(&settings);
    let later = Arc::clone(&voice);
    tokio::spawn(async move { later.play(&rest).await });
    tokio::spawn(cri::watch(Arc::clone(&settings), Arc::clone(&voice)));
    tokio::spawn(api::post_status(Arc::clone(&settings)));
    tokio::spawn(pods::run(Arc::clone(&settings)));
    tokio::spawn(disk::manage_evictions(Arc::clone(&settings), Arc::clone(&voice)));
    asked_to_end.recv().await;
    voice.play(&Script::of(script::PODS_HEALTHY).only_with(&["\"Shutting down"])).await;
    ExitCode::SUCCESS
}
