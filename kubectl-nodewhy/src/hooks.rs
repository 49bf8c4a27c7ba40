//! `hooks`: whether those who are to be told can be.

use jiff::Timestamp;
use nodewhy_diagnosis::render::{Style, escape, moment, span};
use nodewhy_proto::v1 as pb;
use serde::Serialize;

use crate::client::Collector;
use crate::output::Output;
use crate::table::table;

/// A hook takes nothing, or the policy's file cannot be used.
const EXIT_FAILING: u8 = 1;

/// Field names are the JSON contract.
#[derive(Debug, Serialize)]
struct Hooks {
    hooks: Vec<Hook>,
    /// Not empty: the file is not what is in force.
    policy_problems: Vec<String>,
    /// Since when the policy is in force.
    policy_since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Hook {
    name: String,
    kind: String,
    waiting: u64,
    oldest_waiting: Option<Timestamp>,
    dead: u64,
    /// Since the collector started.
    delivered: u64,
    failing_since: Option<Timestamp>,
    last_error: Option<String>,
}

impl Hook {
    fn new(hook: pb::Hook) -> anyhow::Result<Self> {
        let time = |at: Option<_>| at.map(nodewhy_wire::time_from_wire).transpose();
        Ok(Self {
            oldest_waiting: time(hook.oldest_waiting)?,
            failing_since: time(hook.failing_since)?,
            name: hook.name,
            kind: hook.kind,
            waiting: hook.waiting,
            dead: hook.dead,
            delivered: hook.delivered,
            last_error: Some(hook.last_error).filter(|words| !words.is_empty()),
        })
    }
}

pub(crate) async fn run(collector: &mut Collector, output: &Output) -> anyhow::Result<u8> {
    let answer = collector.alerts.list_hooks(pb::ListHooksRequest {}).await;
    let answer = collector.answer("list of hooks", answer)?;
    let all = Hooks {
        hooks: answer.hooks.into_iter().map(Hook::new).collect::<Result<_, _>>()?,
        policy_problems: answer.policy_problems,
        policy_since: answer.policy_since.map(nodewhy_wire::time_from_wire).transpose()?,
    };
    output.answer(&all, |style| text(&all, Timestamp::now(), style))?;
    let failing = all.hooks.iter().any(|hook| hook.failing_since.is_some());
    Ok(if failing || !all.policy_problems.is_empty() { EXIT_FAILING } else { 0 })
}

fn text(all: &Hooks, now: Timestamp, style: Style) -> String {
    let paint = |code: &str, text: &str| if style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let row = |hook: &Hook| {
        let state = match hook.failing_since {
            None => paint("1;32", "ok"),
            Some(since) => {
                let words = hook.last_error.as_deref().map(|words| format!(": {}", escape(words))).unwrap_or_default();
                format!("{} since {} ({}){words}", paint("1;31", "failing"), moment(since), span(now.duration_since(since)))
            }
        };
        vec![
            escape(&hook.name).into_owned(),
            escape(&hook.kind).into_owned(),
            hook.waiting.to_string(),
            hook.oldest_waiting.map_or("-".to_owned(), |at| format!("{} ago", span(now.duration_since(at)))),
            hook.dead.to_string(),
            state,
        ]
    };
    let mut out = match all.hooks.is_empty() {
        true => "No hook: nobody is told anything. Hooks are named in the collector's alerts.yaml.\n".to_owned(),
        false => table(&["HOOK", "KIND", "WAITING", "OLDEST", "DEAD", "STATE"], &all.hooks.iter().map(row).collect::<Vec<_>>()),
    };
    if !all.policy_problems.is_empty() {
        let since = all.policy_since.map(|at| format!(" since {}", moment(at))).unwrap_or_default();
        let head = paint("1;31", "The policy's file cannot be used");
        out.push_str(&format!("\n{head}; what is above has been in force{since}:\n"));
        for problem in &all.policy_problems {
            out.push_str(&format!("  {}\n", escape(problem)));
        }
    }
    out
}
