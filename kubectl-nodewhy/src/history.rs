//! `history NODE`: its cases, the newest first, with the times and reasons of opening and closing.

use jiff::Timestamp;
use nodewhy_diagnosis::model::{Severity, TransitionKind};
use nodewhy_diagnosis::render::{Style, escape, moment, span};
use nodewhy_proto::v1 as pb;
use serde::Serialize;

use crate::client::Collector;
use crate::output::Output;
use crate::why;

/// A cause present on the node over time. Field names are the JSON contract.
#[derive(Debug, Serialize)]
struct Case {
    case_id: String,
    node: String,
    code: String,
    title: String,
    severity: Severity,
    root: bool,
    explained_by: Vec<String>,
    message: String,
    since: Timestamp,
    opened_at: Timestamp,
    opened_reason: String,
    closed_at: Option<Timestamp>,
    closed_reason: Option<String>,
    /// When the collector committed them.
    opened_recorded_at: Option<Timestamp>,
    closed_recorded_at: Option<Timestamp>,
    events: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Event {
    kind: TransitionKind,
    at: Timestamp,
    reason: String,
}

impl Case {
    fn new(case: pb::Case) -> anyhow::Result<Self> {
        let time = |at: Option<_>| at.map(nodewhy_wire::time_from_wire).transpose();
        let cause = nodewhy_wire::cause_from_wire(case.cause.unwrap_or_default())?;
        let event = |event: pb::CaseEvent| -> anyhow::Result<Event> {
            Ok(Event {
                kind: nodewhy_wire::transition_kind_from_wire(event.kind)?,
                at: time(event.at)?.unwrap_or_default(),
                reason: event.reason,
            })
        };
        let closed_at = time(case.closed_at)?;
        Ok(Self {
            case_id: case.case_id,
            node: case.node,
            code: cause.code,
            title: cause.title,
            severity: cause.severity,
            root: cause.root,
            explained_by: cause.explained_by,
            message: cause.message,
            since: cause.since,
            opened_at: time(case.opened_at)?.unwrap_or(cause.since),
            opened_reason: case.opened_reason,
            closed_reason: closed_at.is_some().then_some(case.closed_reason),
            closed_at,
            opened_recorded_at: time(case.opened_recorded_at)?,
            closed_recorded_at: time(case.closed_recorded_at)?,
            events: case.events.into_iter().map(event).collect::<Result<_, _>>()?,
        })
    }
}

pub(crate) async fn run(collector: &mut Collector, node: &str, open_only: bool, limit: u32, output: &Output) -> anyhow::Result<u8> {
    let mut cases = Vec::new();
    let mut page_token = String::new();
    while cases.len() < limit as usize {
        let page_size = limit - u32::try_from(cases.len()).unwrap_or(limit);
        let request = pb::ListCasesRequest { node: node.to_owned(), open_only, page_size, page_token };
        let answer = collector.query.list_cases(request).await;
        let page = answer.map_err(|status| collector.refused(&format!("history of node {node}"), &status))?.into_inner();
        for case in page.cases {
            cases.push(Case::new(case)?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if cases.is_empty() {
        // Nothing on record of a node that nobody has heard of is no answer.
        why::known(collector, node).await?;
    }
    output.answer(&cases, |style| text(node, open_only, &cases, style))?;
    Ok(0)
}

fn text(node: &str, open_only: bool, cases: &[Case], style: Style) -> String {
    if cases.is_empty() {
        let open = if open_only { "open " } else { "" };
        return format!("node {}: no {open}case on record.\n", escape(node));
    }
    let mut out = format!("node {}: {} {}, the newest first\n", escape(node), cases.len(), if cases.len() == 1 { "case" } else { "cases" });
    for case in cases {
        out.push('\n');
        out.push_str(&one(case, style));
    }
    out
}

fn one(case: &Case, style: Style) -> String {
    let paint = |code: &str, text: &str| if style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let state = match case.closed_at {
        None => paint("1;31", "OPEN"),
        Some(at) => format!("{} after {}", paint("1;32", "closed"), span(at.duration_since(case.since))),
    };
    let role = match case.explained_by.as_slice() {
        _ if case.root => "root cause".to_owned(),
        [] => "symptom".to_owned(),
        roots => format!("symptom of {}", escape(&roots.join(", "))),
    };
    let mut out = format!("{}  {state}  ({role})\n", paint("1", &escape(&case.code)));
    let mut say = |text: String| {
        out.push_str("  ");
        out.push_str(&text);
        out.push('\n');
    };
    say(escape(if case.message.is_empty() { &case.title } else { &case.message }).into_owned());
    say(format!("since  {}", moment(case.since)));
    say(format!("opened {}  {}", moment(case.opened_at), escape(&case.opened_reason)));
    for event in case.events.iter().filter(|event| event.kind == TransitionKind::Confirmed) {
        say(format!("       {}  {}", moment(event.at), escape(&event.reason)));
    }
    if let Some(at) = case.closed_at {
        say(format!("closed {}  {}", moment(at), escape(case.closed_reason.as_deref().unwrap_or_default())));
    }
    out
}
