//! `why NODE`: the diagnosis as the collector has it.

use anyhow::{Context, bail};
use jiff::Timestamp;
use nodewhy_diagnosis::Diagnosis;
use nodewhy_diagnosis::render::{self, Style};
use nodewhy_proto::v1::{GetNodeRequest, GetNodeResponse};
use serde::Serialize;
use tonic::Code;

use crate::client::Collector;
use crate::nodes::Node;
use crate::output::{Output, exit_code};

/// The JSON contract of `why`: the diagnosis, and when the node was last heard of.
#[derive(Debug, Serialize)]
struct Why {
    #[serde(flatten)]
    diagnosis: Diagnosis,
    last_seen: Option<Timestamp>,
    silent: bool,
}

/// What the collector knows of the node; an error with what to do if it knows none of this name.
pub(crate) async fn known(collector: &mut Collector, node: &str) -> anyhow::Result<GetNodeResponse> {
    match collector.query.get_node(GetNodeRequest { node: node.to_owned() }).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) if status.code() == Code::NotFound => bail!(
            "node {node}: the collector has never heard of it; `kubectl nodewhy nodes` lists those it knows. If the node exists, its agent \
             is not running or cannot reach the collector (systemctl status nodewhy-agent there)"
        ),
        Err(status) => Err(collector.refused(&format!("node {node}"), &status)),
    }
}

pub(crate) async fn run(collector: &mut Collector, node: &str, output: &Output) -> anyhow::Result<u8> {
    let answer = known(collector, node).await?;
    let diagnosis = answer.diagnosis.with_context(|| format!("node {node}: the collector's answer holds no diagnosis"))?;
    let diagnosis = nodewhy_wire::diagnosis_from_wire(diagnosis).with_context(|| format!("node {node}: the collector's answer"))?;
    let summary = Node::new(answer.summary.with_context(|| format!("node {node}: the collector's answer holds no summary"))?)?;
    // The summary's verdict knows of silence, whatever the agent said last.
    let diagnosis = Diagnosis { verdict: summary.verdict, ..diagnosis };
    let why = Why { diagnosis, last_seen: summary.last_seen, silent: summary.silent };
    output.answer(&why, |style| {
        let silent_since = if why.silent { Some(why.last_seen.unwrap_or(why.diagnosis.at)) } else { None };
        let page = render::text(&why.diagnosis, Style { now: Some(Timestamp::now()), silent_since, ..style });
        let seen = why.last_seen.map_or("never".to_owned(), render::moment);
        format!("{page}\nlast seen {seen}; what was before: kubectl nodewhy history {node}\n")
    })?;
    Ok(exit_code(why.diagnosis.verdict))
}
