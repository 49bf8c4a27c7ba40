//! `nodewhy-agent causes`: what can be wrong with a node, and the admin's own files of it.

mod lint;
mod test;

use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use nodewhy_diagnosis::model::{Layer, Severity};
use nodewhy_diagnosis::page;
use serde::Serialize;

use super::{NpdArgs, OneNpdArg, Output, exit, output};
use crate::catalogue::{Loaded, Origin, Shelf};
use crate::config::Config;
use crate::npd;

#[derive(Debug, Subcommand)]
pub(super) enum CausesCommand {
    /// All causes in force here, one a line: code, severity, layer, where it is from, title
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        npd: NpdArgs,
    },
    /// One cause in full: what it means, how nodewhy knows, what else looks like this, what to do
    #[command(after_help = "Examples:\n  nodewhy-agent causes explain swap-enabled\n  nodewhy-agent causes explain runtime-down | less")]
    Explain {
        /// Its code, as `list` shows it
        code: String,
        #[command(flatten)]
        npd: OneNpdArg,
    },
    /// Check cause files: form, expressions, patterns, and how they go with the built-in causes
    #[command(after_help = LINT_EXAMPLES)]
    Lint {
        /// Files to check
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
    /// Try cause files: each example is recognised by its own sign and by no other cause; stories end as told
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        /// Cause files, files of stories, or directories of both
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
}

const LIST_EXAMPLES: &str = "\
Examples:
  nodewhy-agent causes list
  nodewhy-agent causes list --npd-config /etc/node-problem-detector/*.json
  nodewhy-agent causes list --output json | jq -r '.[] | select(.origin != \"built-in\") | .code'";

const LINT_EXAMPLES: &str = "\
Examples:
  nodewhy-agent causes lint /etc/nodewhy/causes.d/*.yaml
  nodewhy-agent causes lint my-cause.yaml --output json | jq -r '.[].problems[].problem'

What is wrong is told as FILE:LINE:COLUMN: PROBLEM.
Exit codes: 0 all files are good, 3 any is not, 64 usage.";

const TEST_EXAMPLES: &str = "\
Examples:
  nodewhy-agent causes test my-cause.yaml                  its examples
  nodewhy-agent causes test my-cause.yaml my-story.yaml    and a file of stories
  nodewhy-agent causes test ./causes                       all of a directory, and of its directory `stories`

A file of stories tells what happens on a healthy node, step by step, and what has to come out:

  code: my-cause
  stories:
    - name: the module is gone, then loaded
      steps:
        - lines: ['kernel: my_module: fatal error 7']
          shows: present
          roots: [my-cause]
        - lasting: 600s
          shows: absent

Exit codes: 0 all is as told, 1 an example or a story is not, 3 a file cannot be used or there is nothing to try, 64 usage.";

impl CausesCommand {
    pub(super) fn npd_configs(&self) -> &[PathBuf] {
        match self {
            Self::List { npd, .. } => &npd.npd_config,
            Self::Explain { npd, .. } => &npd.npd_config,
            Self::Lint { .. } | Self::Test { .. } => &[],
        }
    }
}

pub(super) fn run(config: &Config, command: CausesCommand) -> anyhow::Result<u8> {
    match command {
        CausesCommand::List { output, .. } => list(config, output),
        CausesCommand::Explain { code, .. } => explain(config, &code),
        CausesCommand::Lint { files, output } => lint::lint(&files, output),
        CausesCommand::Test { paths, output } => test::test(&paths, output),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    code: &'a str,
    title: &'a str,
    severity: Severity,
    layer: Layer,
    origin: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replaces_built_in: bool,
    /// The newer version of its file is refused for this reason; the last good one is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    newer_refused: Option<&'a str>,
    explains: &'a [String],
}

fn list(config: &Config, format: Output) -> anyhow::Result<u8> {
    let loaded = load(config);
    let built_in = Origin::default();
    let causes: Vec<_> =
        loaded.catalogue.causes().iter().map(|cause| (cause, loaded.origins.get(&cause.code).unwrap_or(&built_in))).collect();
    let lines: Vec<Line<'_>> = causes
        .iter()
        .map(|(cause, origin)| Line {
            code: &cause.code,
            title: &cause.title,
            severity: cause.severity,
            layer: cause.layer,
            origin: if origin.file.is_empty() { "built-in" } else { &origin.file },
            replaces_built_in: origin.replaces_built_in,
            newer_refused: origin.newer_refused.as_deref(),
            explains: &cause.explains,
        })
        .collect();
    output::value(&lines, format, || {
        let cells = causes.iter().map(|(cause, origin)| {
            [cause.code.clone(), word(&cause.severity), word(&cause.layer), origin.to_string(), cause.title.clone()]
        });
        table(&cells.collect::<Vec<_>>())
    })?;
    Ok(exit::HEALTHY)
}

/// In columns as wide as their widest cell; what is far wider than the rest pushes its own row only.
fn table(rows: &[[String; 5]]) -> String {
    const WIDEST: usize = 48;
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect::<Vec<_>>();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn explain(config: &Config, code: &str) -> anyhow::Result<u8> {
    let loaded = load(config);
    let catalogue = &loaded.catalogue;
    let Some(cause) = catalogue.cause(code) else {
        let near = catalogue.codes_near(code);
        let hint = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(" or ")) };
        bail!("there is no cause `{code}`.{hint} `nodewhy-agent causes list` shows all.");
    };
    let mut text = page::terminal(&page::page(cause, catalogue), output::style());
    let origin = loaded.origin(code);
    if origin != Origin::default() {
        text.push_str(&format!("\nFrom {origin}\n"));
    }
    output::raw(text.as_bytes())?;
    Ok(exit::HEALTHY)
}

fn load(config: &Config) -> Loaded {
    let loaded = Shelf::open(config).load();
    loaded.refused.iter().for_each(|why| output::note(&format!("refused: {why}")));
    for path in npd::files(&config.npd_configs) {
        let names = crate::catalogue::read(&path).map(|text| npd::unknown_names(&text)).unwrap_or_default();
        if !names.is_empty() {
            output::note(&format!(
                "{}: node-problem-detector does not know {}; it is passed over, and the rest of the file works",
                path.display(),
                names.join(", ")
            ));
        }
    }
    loaded
}

fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
