//! QueryService: what the CLI asks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

use jiff::Timestamp;
use nodewhy_proto::v1::query_service_server::QueryService;
use nodewhy_proto::v1::{
    Case, CaseEvent, Diagnosis, GetNodeRequest, GetNodeResponse, ListCasesRequest, ListCasesResponse, ListNodesRequest, ListNodesResponse,
    NodeSummary, Verdict, WatchNodesRequest, WatchNodesResponse,
};
use nodewhy_wire::{cause_to_wire, time_to_wire};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::identity::Peer;
use crate::silence::{self, Presence};
use crate::store::{CasePage, Node, Store, StoredCase};

/// Nodes and cases in one answer, if the request does not say, and at most.
const NODES: (u32, u32) = (1000, 5000);
const CASES: (u32, u32) = (100, 1000);

/// Answers questions.
#[derive(Clone)]
pub struct Query {
    /// From what.
    pub store: Store,
    /// Who is heard.
    pub presence: Presence,
}

#[tonic::async_trait]
impl QueryService for Query {
    type WatchNodesStream = Pin<Box<dyn Stream<Item = Result<WatchNodesResponse, Status>> + Send>>;

    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        let allowed = self.allowed(&request).await?;
        let request = request.into_inner();
        let from: usize = match &*request.page_token {
            "" => 0,
            token => token.parse().map_err(|_| Status::invalid_argument("page_token: not one that was given out"))?,
        };
        let size = page_size(request.page_size, NODES) as usize;
        let mut all = self.summaries(allowed.as_ref()).await?;
        all.sort_by_cached_key(|node| (Reverse(worst(node.verdict)), node.node.clone()));
        let next_page_token = if all.len() > from + size { (from + size).to_string() } else { String::new() };
        Ok(Response::new(ListNodesResponse { nodes: all.into_iter().skip(from).take(size).collect(), next_page_token }))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Result<Response<GetNodeResponse>, Status> {
        let allowed = self.allowed(&request).await?;
        let name = request.into_inner().node;
        permit(allowed.as_ref(), &name)?;
        let node = self.store.node(name.clone()).await.map_err(unavailable)?;
        let node = node.ok_or_else(|| Status::not_found(format!("node {name} was never heard of")))?;
        let summary = self.summary(&node);
        let mut diagnosis = match &node.diagnosis {
            Some(bytes) => Diagnosis::decode(&**bytes)
                .map_err(|error| Status::data_loss(format!("node {name}: its diagnosis cannot be read: {error}")))?,
            // Attached, and nothing reported yet.
            None => Diagnosis { node: name.clone(), at: summary.last_seen, verdict: Verdict::Unknown.into(), ..Diagnosis::default() },
        };
        if summary.silent {
            let since = node.last_seen.max(self.presence.of(&name).map_or(node.last_seen, |(seen, _)| seen));
            diagnosis.causes.insert(0, cause_to_wire(&silence::cause(&name, since, Timestamp::now())));
        }
        diagnosis.verdict = summary.verdict;
        Ok(Response::new(GetNodeResponse { summary: Some(summary), diagnosis: Some(diagnosis) }))
    }

    async fn list_cases(&self, request: Request<ListCasesRequest>) -> Result<Response<ListCasesResponse>, Status> {
        let allowed = self.allowed(&request).await?;
        let request = request.into_inner();
        permit(allowed.as_ref(), &request.node)?;
        let after = match &*request.page_token {
            "" => None,
            token => Some(cursor(token).ok_or_else(|| Status::invalid_argument("page_token: not one that was given out"))?),
        };
        let size = page_size(request.page_size, CASES);
        let page = CasePage { node: request.node, open_only: request.open_only, size: size + 1, after };
        let mut found = self.store.cases(page).await.map_err(unavailable)?;
        let more = found.len() > size as usize;
        found.truncate(size as usize);
        let last = found.last().filter(|_| more);
        let next_page_token = last.map_or_else(String::new, |case| format!("{},{}", case.opened_at.as_microsecond(), case.case_id));
        Ok(Response::new(ListCasesResponse { cases: found.into_iter().map(case).collect(), next_page_token }))
    }

    async fn watch_nodes(&self, request: Request<WatchNodesRequest>) -> Result<Response<Self::WatchNodesStream>, Status> {
        let allowed = self.allowed(&request).await?;
        let wanted: BTreeSet<String> = request.into_inner().nodes.into_iter().collect();
        for node in &wanted {
            permit(allowed.as_ref(), node)?;
        }
        let (tell, told) = mpsc::channel(64);
        let this = self.clone();
        tokio::spawn(async move {
            if let Err(status) = this.watch(allowed.as_ref(), &wanted, &tell).await {
                drop(tell.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }
}

impl Query {
    /// Nodes that the peer may ask about; `None` for all.
    async fn allowed<T>(&self, request: &Request<T>) -> Result<Option<BTreeSet<String>>, Status> {
        let peer = Peer::of_request(request.extensions())?;
        if peer == Peer::Local {
            return Ok(None);
        }
        let known: BTreeSet<String> = self.store.nodes().await.map_err(unavailable)?.into_iter().map(|node| node.node).collect();
        Ok(peer.asks_about(|name| known.contains(name)))
    }

    async fn summaries(&self, allowed: Option<&BTreeSet<String>>) -> Result<Vec<NodeSummary>, Status> {
        let nodes = self.store.nodes().await.map_err(unavailable)?;
        Ok(nodes.iter().filter(|node| allowed.is_none_or(|allowed| allowed.contains(&node.node))).map(|node| self.summary(node)).collect())
    }

    fn summary(&self, node: &Node) -> NodeSummary {
        let (seen, silent) = self.presence.of(&node.node).unwrap_or((node.last_seen, false));
        let last_seen = seen.max(node.last_seen);
        let (mut roots, mut since) = (node.roots.clone(), node.since);
        if silent {
            roots.insert(0, silence::CODE.to_owned());
            since = Some(last_seen);
        }
        NodeSummary {
            node: node.node.clone(),
            verdict: if silent { Verdict::Unknown.into() } else { node.verdict },
            roots,
            since: since.map(time_to_wire),
            last_seen: Some(time_to_wire(last_seen)),
            silent,
            agent_version: node.agent_version.clone(),
            kubelet_version: node.kubelet_version.clone(),
        }
    }

    async fn watch(
        &self,
        allowed: Option<&BTreeSet<String>>,
        wanted: &BTreeSet<String>,
        tell: &mpsc::Sender<Result<WatchNodesResponse, Status>>,
    ) -> Result<(), Status> {
        let mut revision = self.store.revision();
        let mut before: BTreeMap<String, NodeSummary> = BTreeMap::new();
        loop {
            revision.mark_unchanged();
            for summary in self.summaries(allowed).await? {
                if !wanted.is_empty() && !wanted.contains(&summary.node) {
                    continue;
                }
                // That it was seen again is no change.
                let compared = NodeSummary { last_seen: None, ..summary.clone() };
                if before.get(&summary.node) != Some(&compared) {
                    before.insert(summary.node.clone(), compared);
                    if tell.send(Ok(WatchNodesResponse { summary: Some(summary) })).await.is_err() {
                        return Ok(());
                    }
                }
            }
            tokio::select! {
                changed = revision.changed() => if changed.is_err() { return Ok(()) },
                () = tell.closed() => return Ok(()),
            }
        }
    }
}

fn permit(allowed: Option<&BTreeSet<String>>, node: &str) -> Result<(), Status> {
    match allowed {
        Some(allowed) if !allowed.contains(node) => Err(Status::permission_denied(format!(
            "a node's certificate may ask about {} only",
            allowed.iter().cloned().collect::<Vec<_>>().join(", ")
        ))),
        _ => Ok(()),
    }
}

fn page_size(asked: u32, (default, most): (u32, u32)) -> u32 {
    if asked == 0 { default } else { asked.min(most) }
}

fn cursor(token: &str) -> Option<(i64, String)> {
    let (micros, case_id) = token.split_once(',')?;
    Some((micros.parse().ok()?, case_id.to_owned()))
}

/// Worst first: what is broken, then what nobody knows.
fn worst(verdict: i32) -> u8 {
    match Verdict::try_from(verdict) {
        Ok(Verdict::NotReady) => 3,
        Ok(Verdict::Unknown | Verdict::Unspecified) | Err(_) => 2,
        Ok(Verdict::Degraded) => 1,
        Ok(Verdict::Healthy) => 0,
    }
}

fn case(case: StoredCase) -> Case {
    let (closed_at, closed_reason, closed_recorded_at) = match case.closed {
        Some((at, reason, recorded_at)) => (Some(time_to_wire(at)), reason, Some(time_to_wire(recorded_at))),
        None => (None, String::new(), None),
    };
    let event = |event: crate::store::StoredEvent| CaseEvent { kind: event.kind, at: Some(time_to_wire(event.at)), reason: event.reason };
    Case {
        case_id: case.case_id,
        node: case.node,
        cause: Some(case.cause),
        opened_at: Some(time_to_wire(case.opened_at)),
        opened_reason: case.opened_reason,
        closed_at,
        closed_reason,
        opened_recorded_at: Some(time_to_wire(case.opened_recorded_at)),
        closed_recorded_at,
        events: case.events.into_iter().map(event).collect(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn unavailable(error: crate::store::StoreError) -> Status {
    tracing::error!("{error}");
    Status::unavailable(error.to_string())
}
