//! `incidents`: what is wrong, one line for one event.

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use nodewhy_diagnosis::model::{PresentCause, Severity};
use nodewhy_diagnosis::render::{Style, escape, moment, painted_severity, span};
use nodewhy_proto::v1 as pb;
use serde::Serialize;

use crate::client::Collector;
use crate::incident;
use crate::output::Output;
use crate::table::table;

/// What is asked for.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl nodewhy incidents                   what is wrong now, the newest first
  kubectl nodewhy incidents inc-7f3a-12       all about one: what its nodes share, proof, fix, who was told
  kubectl nodewhy incidents --all -o json     also what is over, for scripts

Exit codes: 0 answered, 3 no answer or no such incident, 64 wrong call.")]
pub(crate) struct IncidentsArgs {
    /// All about this one.
    id: Option<String>,
    /// Also those that are over.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 100, conflicts_with = "id", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// Cases that are one event. Field names are the JSON contract.
#[derive(Debug, Serialize)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    pub(crate) opened_at: Timestamp,
    pub(crate) closed_at: Option<Timestamp>,
    pub(crate) ended_by: Option<String>,
    pub(crate) flapping: bool,
    pub(crate) shared: Option<Shared>,
    /// Those that have it; of one that is over, those that had it.
    pub(crate) nodes: Vec<String>,
    /// The first node, and its cause.
    pub(crate) node: String,
    pub(crate) cause: PresentCause,
    pub(crate) held_by: Option<String>,
    pub(crate) merged_into: Option<String>,
    /// What keeps all of it from being told now.
    pub(crate) quiet: Option<String>,
    pub(crate) told: Vec<Told>,
}

/// What the nodes have in common.
#[derive(Debug, Serialize)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The last word to a hook.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    pub(crate) hook: String,
    pub(crate) event: String,
    pub(crate) at: Option<Timestamp>,
    pub(crate) number: u32,
    /// `taken`, `waiting` (the hook has not taken it), `dead` (given up).
    pub(crate) delivery: String,
}

impl Told {
    /// The hook, and if it has not taken the message, that.
    fn whom(&self) -> String {
        match &*self.delivery {
            "taken" | "" => self.hook.clone(),
            other => format!("{} ({other})", self.hook),
        }
    }
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl Incident {
    pub(crate) fn new(one: pb::Incident) -> anyhow::Result<Self> {
        let time = |at: Option<_>| at.map(nodewhy_wire::time_from_wire).transpose();
        let cause = nodewhy_wire::cause_from_wire(one.cause.context("it has no cause")?)?;
        let told = |pb::Told { hook, event, at, number, delivery }| anyhow::Ok(Told { hook, event, at: time(at)?, number, delivery });
        Ok(Self {
            severity: nodewhy_wire::severity_from_wire(one.severity)?,
            opened_at: time(one.opened_at)?.unwrap_or(cause.since),
            closed_at: time(one.closed_at)?,
            ended_by: given(one.ended_by),
            shared: given(one.shared_name).map(|name| Shared { name, value: one.shared_value }),
            told: one.told.into_iter().map(told).collect::<Result<_, _>>()?,
            id: one.id,
            kind: one.kind,
            title: one.title,
            flapping: one.flapping,
            nodes: one.nodes,
            node: one.node,
            cause,
            held_by: given(one.held_by),
            merged_into: given(one.merged_into),
            quiet: given(one.quiet),
        })
    }

    /// How it stands, in a word.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self { merged_into: Some(_), .. } => "merged",
            Self { closed_at: Some(_), .. } => "over",
            Self { quiet: Some(_), .. } => "quiet",
            Self { held_by: Some(_), .. } => "held",
            Self { flapping: true, .. } => "flapping",
            _ => "open",
        }
    }
}

pub(crate) async fn run(collector: &mut Collector, args: &IncidentsArgs, output: &Output) -> anyhow::Result<u8> {
    match &args.id {
        Some(id) => incident::run(collector, id, output).await,
        None => list(collector, args, output).await,
    }
}

async fn list(collector: &mut Collector, args: &IncidentsArgs, output: &Output) -> anyhow::Result<u8> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let page_size = args.limit - u32::try_from(found.len()).unwrap_or(args.limit);
        let request = pb::ListIncidentsRequest { open_only: !args.all, page_size, page_token };
        let answer = collector.alerts.list_incidents(request).await;
        let page = collector.answer("list of incidents", answer)?;
        for one in page.incidents {
            let id = one.id.clone();
            found.push(Incident::new(one).with_context(|| format!("incident {id}: the collector's answer"))?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= args.limit as usize {
            break;
        }
    }
    let older = !page_token.is_empty();
    output.answer(&found, |style| text(&found, args.all, older, Timestamp::now(), style))?;
    Ok(0)
}

fn text(found: &[Incident], all: bool, older: bool, now: Timestamp, style: Style) -> String {
    if found.is_empty() {
        let hint = if all { "." } else { "; those that are over: --all." };
        return format!("No {}incident{hint}\n", if all { "" } else { "open " });
    }
    let row = |one: &Incident| {
        let lasts = match one.closed_at {
            Some(at) => format!("for {}", span(at.duration_since(one.opened_at))),
            None => format!("{} ago", span(now.duration_since(one.opened_at))),
        };
        let told: Vec<String> = one.told.iter().map(Told::whom).collect();
        vec![
            escape(&one.id).into_owned(),
            painted_severity(one.severity, style.colour),
            one.state().to_owned(),
            escape(&one.kind).into_owned(),
            one.nodes.len().to_string(),
            format!("{} ({lasts})", moment(one.opened_at)),
            if told.is_empty() { "-".to_owned() } else { escape(&told.join(", ")).into_owned() },
            escape(&one.title).into_owned(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let mut out = table(&["ID", "SEVERITY", "STATE", "KIND", "NODES", "SINCE", "TOLD TO", "TITLE"], &rows);
    if older {
        out.push_str(&format!("These are the newest {}; there are older ones: --limit.\n", found.len()));
    }
    out
}
