//! `analyze`: the diagnosis of saved logs, by the same catalogue and the same rules as on a live node.

mod args;
mod dying;
mod reading;
mod wrapped;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use nodewhy_diagnosis::facts::{self, Facts};
use nodewhy_diagnosis::render::{self, Style};
use nodewhy_diagnosis::{Catalogue, Diagnosis};
use serde::Serialize;

use crate::output::{Output, exit_code};
pub(crate) use args::AnalyzeArgs;
use reading::{InputStats, Reading};

/// What scripts get: the diagnosis, and what it was made of.
#[derive(Debug, Serialize)]
struct Analysis {
    #[serde(flatten)]
    diagnosis: Diagnosis,
    input: InputStats,
}

pub(crate) fn run(request: &AnalyzeArgs, output: &Output) -> anyhow::Result<u8> {
    let analysis = analyze(nodewhy_causes::catalogue(), request, Timestamp::now())?;
    output.answer(&analysis, |style| words(&analysis, style))?;
    Ok(exit_code(analysis.diagnosis.verdict))
}

fn analyze(catalogue: &Catalogue, request: &AnalyzeArgs, now: Timestamp) -> anyhow::Result<Analysis> {
    let facts = request.facts.as_deref().map(|path| facts_from(path, now)).transpose()?;
    let mut reading = Reading::new(catalogue, request.timezone.clone());
    for path in &request.files {
        let (mut input, name, written_at): (Box<dyn Read>, _, _) = if path == Path::new("-") {
            (Box::new(io::stdin().lock()), "stdin".into(), now)
        } else {
            let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
            let written_at = last_written(&file).filter(|at| *at < now).unwrap_or(now);
            (Box::new(file), path.file_name().unwrap_or_default().to_string_lossy(), written_at)
        };
        reading.begin_file(&name, written_at);
        read_all(&mut input, &mut reading).with_context(|| format!("read {}", path.display()))?;
    }
    let (mut diagnosis, input) = reading.judge(facts, request.node.as_deref(), now);
    if input.records == 0 {
        anyhow::bail!("no log line in the input ({} bytes): save one with `journalctl -b > FILE`", input.bytes);
    }
    diagnosis.unknown.clear();
    Ok(Analysis { diagnosis, input })
}

/// A file's last change bounds the times within it; one copied without its times says nothing wrong, only less.
fn last_written(file: &File) -> Option<Timestamp> {
    Timestamp::try_from(file.metadata().ok()?.modified().ok()?).ok()
}

fn read_all(input: &mut dyn Read, reading: &mut Reading<'_>) -> io::Result<()> {
    let mut chunk = vec![0; 256 << 10];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => reading.feed(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    reading.end_file();
    Ok(())
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
