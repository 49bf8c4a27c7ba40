//! One cause's page, and the index of all: Markdown, as docs/causes/ has it, and the same for a terminal.

mod conditions;
mod terminal;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::catalogue::{Catalogue, Cause, FactSign, FoundBy, LogSign, Sign};

pub use terminal::terminal;

/// The page of a cause, Markdown.
pub fn page(cause: &Cause, catalogue: &Catalogue) -> String {
    let mut text = format!("# {}\n\n{}.\n\n", cause.code, cause.title);
    let explained_by = catalogue.causes().iter().filter(|other| other.explains.contains(&cause.code)).map(|other| other.code.as_str());
    line(&mut text, &format!("* Layer: {}", words::layer(cause.layer)));
    line(&mut text, &format!("* Severity: {}", words::severity(cause)));
    if let Some(critical) = &cause.critical_when {
        line(&mut text, &format!("* Critical if {}", conditions::in_words(&critical.source)));
    }
    line(&mut text, &format!("* Explains: {}", links(cause.explains.iter().map(String::as_str))));
    line(&mut text, &format!("* Explained by: {}", links(explained_by)));
    section(&mut text, "What it means", &cause.docs.meaning);
    section(&mut text, "How nodewhy knows", &cause.docs.knows);
    signs(&mut text, cause);
    remedy(&mut text, cause);
    section(&mut text, "What else looks like this", &cause.docs.lookalikes);
    text
}

/// The index of all pages, Markdown.
pub fn index(catalogue: &Catalogue) -> String {
    let mut by_layer: BTreeMap<_, Vec<&Cause>> = BTreeMap::new();
    for cause in catalogue.causes() {
        by_layer.entry(cause.layer).or_default().push(cause);
    }
    let mut text = String::from("# Causes\n\nEvery cause the built-in catalogue knows, deepest layer first.\n");
    for (layer, causes) in by_layer {
        line(&mut text, &format!("\n## {}\n\n| cause | what is wrong | severity |\n|---|---|---|", words::layer(layer)));
        for cause in causes {
            let severity = words::severity(cause);
            let severity = severity.split(':').next().unwrap_or(severity);
            line(&mut text, &format!("| [{0}]({0}.md) | {1} | {severity} |", cause.code, cause.title));
        }
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn links<'a>(codes: impl Iterator<Item = &'a str>) -> String {
    let links = codes.map(|code| format!("[{code}]({code}.md)")).collect::<Vec<_>>().join(", ");
    if links.is_empty() { "nothing".to_owned() } else { links }
}

fn section(text: &mut String, title: &str, body: &str) {
    line(text, &format!("\n## {title}\n\n{}", body.trim()));
}

fn signs(text: &mut String, cause: &Cause) {
    if cause.found_by == FoundBy::Collector {
        line(text, "\nThe collector finds it by its own rule; no agent looks for it.");
        return;
    }
    line(text, "\nAny one of these signs is enough:\n");
    for sign in &cause.signs {
        match sign {
            Sign::Log(log) => log_sign(text, log),
            Sign::Fact(fact) => fact_sign(text, fact),
        }
    }
    if let Some(absent) = &cause.absent {
        line(text, &format!("\nIt is over when {}.", words::code(&absent.source)));
    }
    for (over, example) in cause.over.iter().filter_map(|over| Some((over, over.examples.first()?))) {
        line(text, &format!("\nA log line of {} ends what the log said of it before. Such as:", words::sources(&over.from)));
        let _ = write!(text, "\n```text\n{example}\n```\n");
    }
}

fn log_sign(text: &mut String, sign: &LogSign) {
    let mut ends = Vec::new();
    if let Some(expr) = &sign.ends {
        ends.push(format!("ends when {}", words::code(&expr.source)));
    }
    if let Some(quiet) = sign.quiet_for {
        ends.push(format!("ends when quiet for {}", words::duration(quiet)));
    }
    let often = match sign.within {
        Some(within) => format!(", {} times within {}", sign.count, words::duration(within)),
        None => String::new(),
    };
    if let Some(only_if) = &sign.only_if {
        ends.push(format!("counts only where {}", words::code(&only_if.source)));
    }
    let Some(example) = sign.examples.first() else {
        let (sources, pattern) = (words::sources(&sign.from), words::code(&sign.pattern));
        return line(text, &format!("* A log line of {sources} that matches {pattern}{often}; {}", ends.join("; ")));
    };
    line(text, &format!("* A log line of {}{often}; {}. Such as:", words::sources(&sign.from), ends.join("; ")));
    let _ = write!(text, "\n  ```text\n  {example}\n  ```\n\n");
}

fn fact_sign(text: &mut String, sign: &FactSign) {
    let held = match sign.held_for.is_zero() {
        true => String::new(),
        false => format!(", for {}", words::duration(sign.held_for)),
    };
    line(text, &format!("* The facts: {}{held}", words::code(&sign.expr.source)));
}

fn remedy(text: &mut String, cause: &Cause) {
    line(text, "\n## What to do\n");
    for (index, step) in cause.remedy.iter().enumerate() {
        let only = step.when.as_ref().map(|when| format!("If {}: ", conditions::in_words(&when.source))).unwrap_or_default();
        line(text, &format!("{}. {only}{}{}", index + 1, plain(&step.say.source), if step.run.is_some() { ":" } else { "." }));
        if let Some(run) = &step.run {
            let _ = write!(text, "\n   ```sh\n   {}\n   ```\n\n", plain(&run.source));
        }
    }
    line(text, "\nWords in `{{ }}` are filled in from the node's facts and the log line.");
}

/// `{{has(a.b) ? a.b : "x"}}` as people read it: `{{a.b}}`.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{has(") {
        let Some((path, after)) = after.split_once(')') else { break };
        let Some((_, after)) = after.split_once("}}") else { break };
        plain.push_str(before);
        let _ = write!(plain, "{{{{{path}}}}}");
        rest = after;
    }
    plain + rest
}
