//! `nodewhy-collector policy test`: is a policy good, and what would it make of an incident?

mod forecast;
mod incident;
mod render;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::exit;
use super::output::{self, Output};
use crate::policy::{DEFAULT_PATH, MAX_FILE, Mistake, Policy, PolicyError};
use forecast::Forecast;
use incident::Incident;

const EXAMPLES: &str = r#"Examples:
  nodewhy-collector policy test                                         is /etc/nodewhy/alerts.yaml good?
  nodewhy-collector policy test alerts.yaml --incident incident.json    and who would be told of this, when?
  echo '{cause: swap-enabled, nodes: [worker-1]}' | nodewhy-collector policy test alerts.yaml --incident -
  nodewhy-collector policy test alerts.yaml --incident i.json --at 2026-12-05T23:00:00+01:00   ... on a Saturday night?

An incident is a message as webhooks get it, or in short (JSON or YAML):
  {cause: apiserver-unreachable, severity: critical, kind: control-plane,
   nodes: [worker-1, {name: edge-1, labels: {zone: eu-1a}, severity: warning}]}
severity and layer are the catalogue's if left out; kind is `node` for one node and `cause` for several.

Silences are not in the file and not looked at: kubectl nodewhy silence list.

Exit codes: 0 good, and somebody is told; 1 good, and nobody is told of the incident; 3 the policy or the incident cannot be used; 64 usage."#;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Look whether an alert policy is good, and who would be told of an incident and when
    #[command(after_help = EXAMPLES)]
    Test(Test),
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The policy; `-` is standard input
    #[arg(value_name = "FILE", default_value = DEFAULT_PATH)]
    policy: PathBuf,
    /// An incident: a message's JSON, or {cause, nodes, ...} in short; `-` is standard input
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    /// When it begins, like 2026-12-05T23:00:00+01:00 [default: now]
    #[arg(long, value_name = "TIME", requires = "incident")]
    at: Option<Timestamp>,
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
}

/// What came out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    file: PathBuf,
    valid: bool,
    problems: Vec<PolicyError>,
    notes: Vec<PolicyError>,
    #[serde(flatten)]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Forecast>,
}

/// What there is in a policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    hooks: usize,
    routes: usize,
    maintenance: usize,
}

impl PolicyCommand {
    pub(super) fn run(self, now: Timestamp) -> anyhow::Result<u8> {
        let Self::Test(test) = self;
        test.run(now)
    }
}

impl Test {
    fn run(self, now: Timestamp) -> anyhow::Result<u8> {
        let bytes = bytes(&self.policy)?;
        let answer = match Policy::from_bytes(&self.policy, &bytes) {
            Err(problems) => Answer { file: self.policy, valid: false, problems, notes: Vec::new(), counts: None, forecast: None },
            Ok(policy) => {
                let at = self.at.unwrap_or(now);
                let forecast = match &self.incident {
                    None => None,
                    Some(path) => Some(Forecast::of(&policy, &read_incident(path)?, at)),
                };
                let counts = Counts { hooks: policy.hooks.len(), routes: policy.routes.len(), maintenance: policy.maintenance.len() };
                Answer { file: self.policy, valid: true, problems: Vec::new(), notes: policy.notes, counts: Some(counts), forecast }
            }
        };
        output::value(&answer, self.output, || render::text(&answer))?;
        Ok(match &answer.forecast {
            _ if !answer.valid => exit::FAILED,
            Some(forecast) if forecast.messages.is_empty() => exit::NO,
            _ => exit::DONE,
        })
    }
}

fn read_incident(path: &Path) -> anyhow::Result<Incident> {
    let bytes = bytes(path)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{}: the incident is not UTF-8", path.display()))?;
    Incident::parse(&text).map_err(|Mistake { line, column, problem }| match line {
        0 => anyhow!("{}: {problem}", path.display()),
        _ => anyhow!("{}:{line}:{column}: {problem}", path.display()),
    })
}

/// A file, or standard input; little more of it than may be.
pub(super) fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_FILE as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
