//! Watches what the collector says about a node, so that nothing that was said for a moment alone goes unseen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use nodewhy_proto::v1::query_service_client::QueryServiceClient;
use nodewhy_proto::v1::{Verdict, WatchNodesRequest};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::Collector;

/// Between two tries to reach the collector.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// What was said at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When it came in.
    pub at: Timestamp,
    /// Verdict.
    pub verdict: Verdict,
    /// Codes of the roots.
    pub roots: Vec<String>,
}

/// Watches.
#[derive(Debug)]
pub struct Observer {
    seen: Arc<Mutex<Vec<Seen>>>,
    watching: JoinHandle<()>,
}

impl Observer {
    /// Begins. Where the collector goes away, it is asked again when it is back.
    ///
    /// # Errors
    /// None so far; the collector may not be there yet.
    pub fn start(collector: &Collector, node: &str) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let client = collector.lazy_client()?;
        let watching = tokio::spawn(watch(client, node.to_owned(), Arc::clone(&seen)));
        Ok(Self { seen, watching })
    }

    /// All that was said so far.
    ///
    /// # Panics
    /// A thread has panicked while it held the lock.
    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().expect("no thread panics with the lock").clone()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

async fn watch(mut client: QueryServiceClient<Channel>, node: String, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut tries = tokio::time::interval(TRY_EVERY);
    loop {
        tries.tick().await;
        // A collector that is away, and a stream that breaks: asked again for as long as this task is let.
        let Ok(stream) = client.watch_nodes(WatchNodesRequest { nodes: vec![node.clone()] }).await else { continue };
        let mut stream = stream.into_inner();
        while let Ok(Some(response)) = stream.message().await {
            let Some(summary) = response.summary else { continue };
            let now = Seen { at: Timestamp::now(), verdict: summary.verdict(), roots: summary.roots };
            let mut seen = seen.lock().expect("no thread panics with the lock");
            if seen.last().is_none_or(|last| (last.verdict, &last.roots) != (now.verdict, &now.roots)) {
                seen.push(now);
            }
        }
    }
}
