//! `analyze`: the diagnosis of saved logs, by the same catalogue and the same rules as on a live node.

mod args;
mod dying;
mod gather;
mod hosts;
mod judge;
mod nodes;
mod progress;
mod reading;
mod unheard;
mod wrapped;

use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use nodewhy_diagnosis::facts::{self, Facts};
use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::render::{self, Style};
use nodewhy_diagnosis::{Catalogue, Diagnosis, Verdict, node};
use serde::Serialize;

use crate::bundle;
use crate::output::{EXIT_NO_ANSWER, Output, exit_code};
pub(crate) use args::AnalyzeArgs;
use gather::Gathered;
use nodes::Found;
use reading::InputStats;

/// What scripts get: the diagnosis, and what it was made of.
#[derive(Debug, Serialize)]
struct Analysis {
    #[serde(flatten)]
    diagnosis: Diagnosis,
    input: InputStats,
}

/// The same of a bundle with several nodes.
#[derive(Debug, Serialize)]
struct Analyses {
    nodes: Vec<Analysis>,
}

pub(crate) fn run(request: &AnalyzeArgs, output: &Output) -> anyhow::Result<u8> {
    let (analyses, problems) = analyze(nodewhy_causes::catalogue(), request, Timestamp::now())?;
    // Of several nodes the worst decides, and a critical cause is worse than what nobody knows.
    let codes = analyses.iter().map(|analysis| exit_code(analysis.diagnosis.verdict));
    let code = codes.max_by_key(|code| (*code == exit_code(Verdict::NotReady), *code)).unwrap_or(0);
    match analyses.as_slice() {
        [one] => output.answer(one, |style| words(one, style))?,
        _ => {
            let all = Analyses { nodes: analyses };
            output.answer(&all, |style| all.nodes.iter().map(|one| words(one, style)).collect::<Vec<_>>().join("\n"))?;
        }
    }
    for Unknown { what, why } in &problems {
        output.error(&anyhow::anyhow!("{what}: {why}"));
    }
    Ok(if problems.is_empty() { code } else { EXIT_NO_ANSWER })
}

/// The diagnosis of every node in bytes that may be a log of any kind or a bundle, and what of them could not be read. The answer depends on
/// nothing else: neither files nor the clock.
pub fn of_bytes(name: &str, bytes: &[u8], now: Timestamp) -> (Vec<Diagnosis>, Vec<String>) {
    let catalogue = nodewhy_causes::catalogue();
    let mut gathered = Gathered::new(catalogue, jiff::tz::TimeZone::UTC, now);
    gathered.stream(name, bytes, None, now, true);
    let mut problems = std::mem::take(&mut gathered.problems);
    let judged = nodes::found(catalogue, gathered.nodes, &mut problems).into_iter().map(|found| judged(found, None, None, now).diagnosis);
    (judged.collect(), problems.into_iter().map(|Unknown { what, why }| format!("{what}: {why}")).collect())
}

/// The nodes' diagnoses, and what of the input could not be read.
fn analyze(catalogue: &Catalogue, request: &AnalyzeArgs, now: Timestamp) -> anyhow::Result<(Vec<Analysis>, Vec<Unknown>)> {
    let given = request.facts.as_deref().map(|path| facts_from(path, now)).transpose()?;
    let mut gathered = Gathered::new(catalogue, request.timezone.clone(), now);
    for path in &request.files {
        gathered.read(path);
    }
    let mut problems = std::mem::take(&mut gathered.problems);
    if gathered.problems_not_told > 0 {
        problems.push(Unknown { what: "input".to_owned(), why: format!("{} further problems of this kind", gathered.problems_not_told) });
    }
    let bytes = gathered.bytes;
    if gathered.journals > 0 {
        let files = if gathered.journals == 1 { "a journal file is" } else { "journal files are" };
        let why = format!(
            "{files} in journald's own binary form and not read: `journalctl --file FILE > journal.log`, or `--directory DIR`, makes a log of it"
        );
        problems.push(Unknown { what: "journal".to_owned(), why });
    }
    let mut nodes = nodes::found(catalogue, gathered.nodes, &mut problems);
    if nodes.is_empty() {
        let names: Vec<_> = request.files.iter().map(|path| path.display().to_string()).collect();
        let none = format!("no log line in {} ({bytes} bytes): save one with `journalctl -b > FILE`", names.join(", "));
        let told: Vec<_> = problems.iter().map(|Unknown { what, why }| format!("{what}: {why}")).collect();
        anyhow::bail!(if told.is_empty() { none } else { told.join("; ") });
    }
    if let Some(wanted) = request.node.as_deref().filter(|_| nodes.len() > 1) {
        nodes = nodes::only(wanted, nodes)?;
    }
    let alone = nodes.len() == 1;
    if let (false, Some(path)) = (alone, &request.facts) {
        let why = format!("the input is of {} nodes, and these facts of one: say with --node whose they are", nodes.len());
        problems.push(Unknown { what: path.display().to_string(), why });
    }
    let keys: Vec<String> = nodes.iter().map(|found| found.directory.clone()).collect();
    let analyses = nodes.into_iter().map(|found| {
        let directory = found.directory.clone();
        // A bundle of several nodes names each by its directory, where the log does not.
        let by_directory = directory.rsplit('/').next().filter(|name| !name.is_empty() && found.judge.node().is_empty() && !alone);
        let name = request.node.as_deref().filter(|_| alone).or(by_directory);
        let mut analysis = judged(found, given.clone().filter(|_| alone), name, now);
        analysis.leave_open(problems.iter().filter(|problem| concerns(problem, &directory, &keys)));
        analysis
    });
    Ok((analyses.collect(), problems.clone()))
}

impl Analysis {
    /// What was not read may have held anything: the node is not called healthy or only degraded.
    fn leave_open<'a>(&mut self, problems: impl Iterator<Item = &'a Unknown>) {
        let Diagnosis { unknown, verdict, .. } = &mut self.diagnosis;
        unknown.extend(problems.cloned());
        if !unknown.is_empty() && *verdict != Verdict::NotReady {
            *verdict = Verdict::Unknown;
        }
    }
}

/// Whether what could not be read may be about the node of this directory: it lies there, or in no node's directory.
fn concerns(problem: &Unknown, directory: &str, all: &[String]) -> bool {
    let of = match all.contains(&problem.what) {
        true => problem.what.as_str(),
        false => bundle::node_of(&problem.what),
    };
    of == directory || !all.iter().any(|other| other == of)
}

fn judged(found: Found<'_>, given: Option<Facts>, name: Option<&str>, now: Timestamp) -> Analysis {
    let at = found.judge.last_at().unwrap_or(now);
    let fact_files = found.files.len() as u64;
    let mut facts = node::facts(&found.files, at);
    if let Some(given) = given {
        facts.absorb(given);
    }
    let (mut diagnosis, unheard, mut input) = found.judge.end(Some(facts), name, now);
    input.fact_files = fact_files;
    diagnosis.unknown.clear();
    let nothing_found = diagnosis.verdict == Verdict::Healthy;
    let mut analysis = Analysis { diagnosis, input };
    analysis.leave_open(unheard.filter(|_| nothing_found).iter());
    analysis
}

fn facts_from(path: &Path, now: Timestamp) -> anyhow::Result<Facts> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let json = serde_json::from_str(&text).with_context(|| format!("parse {} as JSON", path.display()))?;
    facts::from_json(&json, now).with_context(|| format!("facts in {}", path.display()))
}

fn words(analysis: &Analysis, style: Style) -> String {
    let Analysis { diagnosis, input } = analysis;
    let mut page = render::text(diagnosis, Style { undated: input.first_at.is_none(), saved_log: true, ..style });
    page.push_str(&format!("\nRead {} lines", input.lines));
    if input.files > 1 || input.fact_files > 0 {
        page.push_str(&format!(" of {} files", input.files + input.fact_files));
    }
    if let (Some(first), Some(last)) = (input.first_at, input.last_at) {
        page.push_str(&format!(" from {} to {}", render::moment(first), render::moment(last)));
    }
    let lost = [
        (input.cut_lines, "too long and cut"),
        (input.invalid_utf8_lines, "not UTF-8"),
        (input.early_sightings_dropped, "recognised before the first time and dropped"),
    ];
    for (count, what) in lost.into_iter().filter(|(count, _)| *count > 0) {
        page.push_str(&format!("; {count} {what}"));
    }
    page.push_str(".\n");
    if let Some(zone) = &input.assumed_timezone {
        page.push_str(&format!("Times that name no zone were taken as {zone} (--timezone).\n"));
    }
    page
}
