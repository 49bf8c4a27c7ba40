//! `nodes`: every node in one line.

use std::time::SystemTime;

use anyhow::Context;
use jiff::Timestamp;
use nodewhy_diagnosis::Verdict;
use nodewhy_diagnosis::render::{Style, escape, moment, painted_verdict, span};
use nodewhy_proto::v1::{ListNodesRequest, NodeSummary};
use serde::Serialize;

use crate::client::Collector;
use crate::output::Output;
use crate::table::table;

/// A node in one line. Field names are the JSON contract.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) node: String,
    pub(crate) verdict: Verdict,
    pub(crate) roots: Vec<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) silent: bool,
    pub(crate) agent_version: String,
    pub(crate) kubelet_version: String,
}

impl Node {
    pub(crate) fn new(summary: NodeSummary) -> anyhow::Result<Self> {
        let verdict = nodewhy_wire::verdict_from_wire(summary.verdict).with_context(|| format!("node {}", summary.node))?;
        Ok(Self {
            verdict,
            roots: summary.roots,
            since: summary.since.map(nodewhy_wire::time_from_wire).transpose()?,
            last_seen: summary.last_seen.map(nodewhy_wire::time_from_wire).transpose()?,
            silent: summary.silent,
            agent_version: summary.agent_version,
            kubelet_version: summary.kubelet_version,
            node: summary.node,
        })
    }
}

pub(crate) async fn run(collector: &mut Collector, output: &Output) -> anyhow::Result<u8> {
    let mut nodes = Vec::new();
    let mut page_token = String::new();
    loop {
        let answer = collector.query.list_nodes(ListNodesRequest { page_size: 0, page_token }).await;
        let page = answer.map_err(|status| collector.refused("list of nodes", &status))?.into_inner();
        for summary in page.nodes {
            nodes.push(Node::new(summary)?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let now = Timestamp::try_from(SystemTime::now())?;
    output.answer(&nodes, |style| text(&nodes, now, style))?;
    Ok(0)
}

fn text(nodes: &[Node], now: Timestamp, style: Style) -> String {
    if nodes.is_empty() {
        return "The collector has heard of no node yet. An agent that has it in its configuration (collector.address) shows up at once.\n"
            .to_owned();
    }
    let ago = |at: Timestamp| format!("{} ago", span(now.duration_since(at)));
    let row = |node: &Node| {
        let causes = match node.roots.split_first() {
            None => "-".to_owned(),
            Some((first, [])) => escape(first).into_owned(),
            Some((first, more)) => format!("{} (+{})", escape(first), more.len()),
        };
        vec![
            escape(&node.node).into_owned(),
            painted_verdict(node.verdict, style.colour),
            causes,
            node.since.map_or("-".to_owned(), |at| format!("{} ({})", moment(at), ago(at))),
            node.last_seen.map_or("never".to_owned(), ago) + if node.silent { " (silent)" } else { "" },
        ]
    };
    table(&["NODE", "VERDICT", "ROOT CAUSE", "SINCE", "LAST SEEN"], &nodes.iter().map(row).collect::<Vec<_>>())
}
