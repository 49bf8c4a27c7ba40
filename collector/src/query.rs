//! QueryService: what kubectl-nodewhy, scripts and pages ask.

mod alerts;
mod convert;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use nodewhy_proto::v1 as pb;
use nodewhy_proto::v1::query_service_server::QueryService;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

pub use alerts::Alerts;

use crate::presence::Presence;
use crate::server::{Peer, Scope};
use crate::store::{CasePage, Store, StoreError};

/// Nodes on a page: if not said, and at most.
const NODES: (u32, u32) = (1000, 5000);
/// Cases on a page: if not said, and at most.
const CASES: (u32, u32) = (100, 1000);

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Query {
    /// What is known.
    pub store: Store,
    /// When agents were heard last.
    pub presence: Presence,
    /// Names whose certificates may ask about all nodes; see [`crate::config::Tls::readers`].
    pub readers: Option<Arc<BTreeSet<String>>>,
    /// True: streams end.
    pub shutdown: tokio::sync::watch::Receiver<bool>,
}

impl Query {
    fn scope<T>(&self, request: &Request<T>) -> Result<Scope, Status> {
        let peer = request.extensions().get::<Peer>().ok_or_else(|| Status::internal("the connection has no peer"))?;
        Ok(peer.identity.may_ask_about(self.readers.as_deref(), |name| self.presence.knows(name)))
    }

    fn allow(scope: &Scope, node: &str) -> Result<(), Status> {
        if scope.holds(node) {
            return Ok(());
        }
        Err(Status::permission_denied(format!("this certificate is a node's own and may not ask about {}", shown(node))))
    }

    async fn some_nodes(&self, names: &BTreeSet<String>) -> Result<Vec<pb::NodeSummary>, Status> {
        let mut summaries = Vec::new();
        for name in names {
            if let Some(node) = self.store.node(name.clone()).await.map_err(failed)? {
                summaries.push(convert::summary(&node, &self.presence));
            }
        }
        Ok(summaries)
    }
}

#[tonic::async_trait]
impl QueryService for Query {
    type WatchNodesStream = ReceiverStream<Result<pb::WatchNodesResponse, Status>>;

    async fn list_nodes(&self, request: Request<pb::ListNodesRequest>) -> Result<Response<pb::ListNodesResponse>, Status> {
        let scope = self.scope(&request)?;
        let pb::ListNodesRequest { page_size, page_token } = request.into_inner();
        if let Scope::Only(names) = scope {
            let nodes = self.some_nodes(&names).await?;
            return Ok(Response::new(pb::ListNodesResponse { nodes, next_page_token: String::new() }));
        }
        let size = size(page_size, NODES);
        let after = match &*page_token {
            "" => None,
            token => {
                Some(token.split_once('/').and_then(|(rank, name)| Some((rank.parse().ok()?, name.to_owned()))).ok_or_else(bad_token)?)
            }
        };
        // One more than wanted: whether there is a next page.
        let mut nodes = self.store.nodes(after, size + 1).await.map_err(failed)?;
        let more = nodes.len() > size as usize;
        nodes.truncate(size as usize);
        let next_page_token = nodes.last().filter(|_| more).map(|last| format!("{}/{}", last.rank, last.node)).unwrap_or_default();
        let nodes = nodes.iter().map(|node| convert::summary(node, &self.presence)).collect();
        Ok(Response::new(pb::ListNodesResponse { nodes, next_page_token }))
    }

    async fn get_node(&self, request: Request<pb::GetNodeRequest>) -> Result<Response<pb::GetNodeResponse>, Status> {
        let scope = self.scope(&request)?;
        let name = request.into_inner().node;
        Self::allow(&scope, &name)?;
        let node = self.store.node(name.clone()).await.map_err(failed)?;
        let node = node.ok_or_else(|| Status::not_found(format!("no agent of node {} has ever been heard", shown(&name))))?;
        let silent = node.silent.map(|since| convert::silence(&name, since, Timestamp::now()));
        let diagnosis = convert::diagnosis(&node, silent);
        Ok(Response::new(pb::GetNodeResponse { summary: Some(convert::summary(&node, &self.presence)), diagnosis: Some(diagnosis) }))
    }

    async fn list_cases(&self, request: Request<pb::ListCasesRequest>) -> Result<Response<pb::ListCasesResponse>, Status> {
        let scope = self.scope(&request)?;
        let pb::ListCasesRequest { mut node, open_only, page_size, page_token } = request.into_inner();
        match &scope {
            Scope::Only(names) if node.is_empty() => node = names.first().cloned().ok_or_else(|| Status::permission_denied("nothing"))?,
            scope if !node.is_empty() => Self::allow(scope, &node)?,
            _ => {}
        }
        let size = size(page_size, CASES);
        let after = match &*page_token {
            "" => None,
            token => Some(token.split_once('/').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?))).ok_or_else(bad_token)?),
        };
        let mut cases = self.store.cases(CasePage { node, open_only, size: size + 1, after }).await.map_err(failed)?;
        let more = cases.len() > size as usize;
        cases.truncate(size as usize);
        let next = cases.last().filter(|_| more).map(|last| format!("{}/{}", last.opened_at.as_microsecond(), last.id));
        let cases = cases.into_iter().map(convert::case).collect();
        Ok(Response::new(pb::ListCasesResponse { cases, next_page_token: next.unwrap_or_default() }))
    }

    async fn watch_nodes(&self, request: Request<pb::WatchNodesRequest>) -> Result<Response<Self::WatchNodesStream>, Status> {
        let scope = self.scope(&request)?;
        let wanted: BTreeSet<String> = request.into_inner().nodes.into_iter().collect();
        wanted.iter().try_for_each(|node| Self::allow(&scope, node))?;
        let wanted = if wanted.is_empty() { scope } else { Scope::Only(wanted) };
        Ok(Response::new(watch::begin(self.clone(), wanted)))
    }
}

fn size(asked: u32, (usual, most): (u32, u32)) -> u32 {
    if asked == 0 { usual } else { asked.min(most) }
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect::<String>().escape_debug().to_string()
}

fn bad_token() -> Status {
    Status::invalid_argument("page_token is not one of this collector's")
}

fn failed(error: StoreError) -> Status {
    tracing::error!("a question could not be answered: {error}");
    Status::internal(error.to_string())
}
