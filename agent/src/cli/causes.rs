//! `nodewhy-agent causes`.

use std::path::PathBuf;

use anyhow::bail;
use nodewhy_diagnosis::catalogue::{Cause, Sign};
use nodewhy_diagnosis::model::{Layer, Severity};
use serde::Serialize;

use super::{Output, exit, output};
use crate::catalogue;
use crate::config::Config;

#[derive(Serialize)]
struct Line<'a> {
    code: &'a str,
    title: &'a str,
    severity: Severity,
    layer: Layer,
    explains: &'a [String],
}

pub(super) fn list(config: &Config, format: Output) -> anyhow::Result<u8> {
    let loaded = load(config);
    let lines: Vec<Line<'_>> = loaded
        .causes()
        .iter()
        .map(|cause| Line {
            code: &cause.code,
            title: &cause.title,
            severity: cause.severity,
            layer: cause.layer,
            explains: &cause.explains,
        })
        .collect();
    let width = lines.iter().map(|line| line.code.len()).max().unwrap_or(0);
    output::value(&lines, format, || {
        lines.iter().map(|line| format!("{:width$}  {:8}  {}\n", line.code, word(&line.severity), line.title)).collect()
    })?;
    Ok(exit::HEALTHY)
}

pub(super) fn explain(config: &Config, code: &str) -> anyhow::Result<u8> {
    let catalogue = load(config);
    let Some(cause) = catalogue.cause(code) else {
        let near: Vec<&str> = catalogue.causes().iter().map(|cause| cause.code.as_str()).filter(|other| alike(other, code)).collect();
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
        bail!("there is no cause `{code}`{hint} `nodewhy-agent causes list` shows all");
    };
    output::raw(page(cause).as_bytes());
    Ok(exit::HEALTHY)
}

pub(super) fn lint(paths: &[PathBuf]) -> u8 {
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        match catalogue::read(path) {
            Ok(text) => files.push((path.display().to_string(), text)),
            Err(why) => wrong.push(format!("{}: {why}", path.display())),
        }
    }
    wrong.extend(catalogue::lint(&files));
    wrong.iter().for_each(|line| output::note(line));
    if wrong.is_empty() {
        output::note(&format!(
            "{} good",
            if files.len() == 1 { "1 cause file is".to_owned() } else { format!("{} cause files are", files.len()) }
        ));
        exit::HEALTHY
    } else {
        exit::COULD_NOT_LOOK
    }
}

fn load(config: &Config) -> nodewhy_diagnosis::Catalogue {
    let loaded = catalogue::load(&config.causes_dir);
    loaded.refused.iter().for_each(|why| output::note(&format!("refused: {why}")));
    loaded.catalogue
}

fn alike(one: &str, other: &str) -> bool {
    one.split('-').any(|word| other.split('-').any(|part| part.len() > 2 && part == word))
}

fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn page(cause: &Cause) -> String {
    let mut page = format!("{}\n{}\n\nseverity {}, layer {}\n", cause.code, cause.title, word(&cause.severity), word(&cause.layer));
    let mut section = |title: &str, text: &str| {
        if !text.trim().is_empty() {
            page.push_str(&format!("\n{title}\n{}\n", indented(text)));
        }
    };
    section("What it means", &cause.docs.meaning);
    section("How nodewhy knows", &cause.docs.knows);
    section("What looks like it", &cause.docs.lookalikes);
    let remedy: String = cause
        .remedy
        .iter()
        .map(|step| match &step.run {
            Some(run) => format!("{}\n    {}\n", step.say.source, run.source),
            None => format!("{}\n", step.say.source),
        })
        .collect();
    section("What to do", &remedy);
    let signs: String = cause.signs.iter().map(|sign| format!("{}\n", sign_words(sign))).collect();
    section("Signs", &signs);
    if let Some(absent) = &cause.absent {
        section("It is over when", &absent.source);
    }
    section("It leads to", &cause.explains.join(", "));
    page
}

fn sign_words(sign: &Sign) -> String {
    match sign {
        Sign::Fact(sign) => format!("fact: {}", sign.expr.source),
        Sign::Log(sign) => format!("log of {}: {}", sign.from.iter().map(word).collect::<Vec<_>>().join(", "), sign.pattern),
    }
}

fn indented(text: &str) -> String {
    text.trim().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
