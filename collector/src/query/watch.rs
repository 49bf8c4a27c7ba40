//! WatchNodes: all as they are now, then each as it changes.

use std::sync::Arc;

use nodewhy_proto::v1 as pb;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{NODES, Query, convert, failed};
use crate::server::{Scope, ordered_to_end};

/// Changes that wait for a client to read them; behind that it reads the newest state of what it missed.
const WAITING: usize = 64;

type Out = mpsc::Sender<Result<pb::WatchNodesResponse, Status>>;

pub(super) fn begin(query: Query, wanted: Scope) -> ReceiverStream<Result<pb::WatchNodesResponse, Status>> {
    let (out, responses) = mpsc::channel(WAITING);
    // Before the first look: what changes while it is taken comes after it.
    let changes = query.store.changes();
    tokio::spawn(async move {
        let mut shutdown = query.shutdown.clone();
        let watched = tokio::select! {
            watched = watch(&query, &wanted, changes, &out) => watched,
            () = out.closed() => return,
            () = ordered_to_end(&mut shutdown) => Err(Status::unavailable("the collector is about to end")),
        };
        if let Err(status) = watched {
            // The client may be gone.
            drop(out.try_send(Err(status)));
        }
    });
    ReceiverStream::new(responses)
}

async fn watch(query: &Query, wanted: &Scope, mut changes: broadcast::Receiver<Arc<str>>, out: &Out) -> Result<(), Status> {
    all(query, wanted, out).await?;
    loop {
        match changes.recv().await {
            Ok(node) if wanted.holds(&node) => {
                if let Some(node) = query.store.node(node.to_string()).await.map_err(failed)? {
                    tell(out, convert::summary(&node, &query.presence)).await;
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => all(query, wanted, out).await?,
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

async fn all(query: &Query, wanted: &Scope, out: &Out) -> Result<(), Status> {
    if let Scope::Only(names) = wanted {
        for summary in query.some_nodes(names).await? {
            tell(out, summary).await;
        }
        return Ok(());
    }
    let mut after = None;
    loop {
        let nodes = query.store.nodes(after.take(), NODES.0).await.map_err(failed)?;
        for node in &nodes {
            tell(out, convert::summary(node, &query.presence)).await;
        }
        match nodes.last() {
            Some(last) if nodes.len() == NODES.0 as usize => after = Some((last.rank, last.node.clone())),
            _ => return Ok(()),
        }
    }
}

async fn tell(out: &Out, summary: pb::NodeSummary) {
    // A client that is gone is noticed where the stream was begun.
    drop(out.send(Ok(pb::WatchNodesResponse { summary: Some(summary) })).await);
}
