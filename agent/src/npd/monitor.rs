//! One system-log-monitor at work: lines in, sightings out (pkg/systemlogmonitor/log_monitor.go, v1.37). Reads nothing itself.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::catalogue::Sighting;
use nodewhy_diagnosis::record::{MAX_MESSAGE, clip};
use regex::bytes::Regex;

use super::buffer::Buffer;
use super::causes::Sign;
use super::config::{Does, Log, LogConfig};
use super::gotime;
use super::pattern::{Pattern, compile};

/// A sighting's text is cut to this, as everywhere.
const MAX_TEXT: usize = 2048;

/// A line of a log as it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// When; files do not say it otherwise than in the text.
    pub(super) at: Option<Timestamp>,
    pub(super) text: &'a str,
}

/// See the module.
#[derive(Debug)]
pub(super) struct LogMonitor {
    rules: Vec<(Pattern, Sign, String)>,
    buffer: Buffer,
    translator: Option<Translator>,
    unit: String,
    /// What was said before is not looked at.
    from: Timestamp,
    /// Lines of a file that its expressions did not understand.
    pub(super) not_understood: u64,
}

/// How time and message are cut out of a file's line.
#[derive(Debug)]
struct Translator {
    timestamp: Regex,
    message: Regex,
    format: String,
    skip: Vec<String>,
}

impl LogMonitor {
    /// The monitor of a file that was read; `signs` are those of its rules, in their order.
    pub(super) fn new(config: &LogConfig, signs: Vec<Sign>, from: Timestamp) -> Result<Self, String> {
        let translator = match &config.log {
            Log::File { timestamp, message, format, skip, .. } => {
                Some(Translator { timestamp: compile(timestamp)?, message: compile(message)?, format: format.clone(), skip: skip.clone() })
            }
            Log::Kmsg | Log::Journal { .. } => None,
        };
        let unit = match &config.log {
            Log::Kmsg => "kernel".to_owned(),
            Log::Journal { identifier, .. } => identifier.clone(),
            Log::File { path, .. } => path.clone(),
        };
        let mut rules = Vec::new();
        for (rule, sign) in config.rules.iter().zip(signs) {
            if let Does::Match { pattern, suffix } = &rule.does {
                rules.push((Pattern::compile(pattern)?, sign, suffix.clone()));
            }
        }
        Ok(Self { rules, buffer: Buffer::new(config.buffer), translator, unit, from, not_understood: 0 })
    }

    /// Takes a line in; what the rules recognise in it and those before it. `now` helps times without a year.
    pub(super) fn take(&mut self, line: &Line<'_>, now: Timestamp) -> Vec<Sighting> {
        let text = clip(line.text, MAX_MESSAGE);
        let (at, message) = match (&self.translator, line.at) {
            (Some(translator), _) => match translator.translate(text, now) {
                Translated::Skipped => return Vec::new(),
                Translated::Line(at, message) => (at, message),
                Translated::NotUnderstood => {
                    self.not_understood += 1;
                    return Vec::new();
                }
            },
            (None, at) => (at.unwrap_or(now), text.trim().to_owned()),
        };
        if at < self.from || (message.is_empty() && self.translator.is_none()) {
            return Vec::new();
        }
        self.buffer.push(at, message);
        let mut sightings = Vec::new();
        for (pattern, sign, suffix) in &self.rules {
            let Some((at, matched)) = self.buffer.matched(pattern) else { continue };
            let text = if suffix.is_empty() { matched } else { format!("{matched}; {suffix}") };
            sightings.push(Sighting {
                code: sign.code.clone(),
                sign: sign.index,
                at,
                unit: self.unit.clone(),
                text: clip(&text, MAX_TEXT).to_owned(),
                cursor: String::new(),
                captures: BTreeMap::new(),
            });
        }
        sightings
    }
}

enum Translated {
    Skipped,
    NotUnderstood,
    Line(Timestamp, String),
}

impl Translator {
    /// Of what the expressions capture the last group counts (logwatchers/filelog/translator.go).
    fn translate(&self, line: &str, now: Timestamp) -> Translated {
        if self.skip.iter().any(|skip| line.contains(skip.as_str())) {
            return Translated::Skipped;
        }
        let at = last_group(&self.timestamp, line).and_then(|text| gotime::parse(&self.format, &text, now));
        match (at, last_group(&self.message, line)) {
            (Some(at), Some(message)) => Translated::Line(at, message),
            _ => Translated::NotUnderstood,
        }
    }
}

fn last_group(regex: &Regex, line: &str) -> Option<String> {
    let found = regex.captures(line.as_bytes())?;
    let last = found.get(found.len() - 1).map(|group| group.as_bytes()).unwrap_or_default();
    Some(String::from_utf8_lossy(last).into_owned())
}

/// From when on lines count: node-problem-detector begins `lookback` before now, and never before `delay` after the boot. An agent that ran
/// before goes on where it had read to (pkg/util/helpers.go GetStartTime).
pub(super) fn begins(config: &LogConfig, now: Timestamp, booted_at: Option<Timestamp>, read_up_to: Option<Timestamp>) -> Timestamp {
    let before = |at: Timestamp, time: std::time::Duration| SignedDuration::try_from(time).ok().and_then(|time| at.checked_sub(time).ok());
    let after = |at: Timestamp| SignedDuration::try_from(config.delay).ok().and_then(|delay| at.checked_add(delay).ok());
    let looked_back = before(now, config.lookback).unwrap_or(Timestamp::MIN);
    let from = read_up_to.map_or(looked_back, |read| read.min(looked_back));
    from.max(booted_at.and_then(after).unwrap_or(Timestamp::MIN))
}
