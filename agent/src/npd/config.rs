//! node-problem-detector's files, as its programs read them (v1.37: pkg/systemlogmonitor/config.go, pkg/custompluginmonitor/types/config.go):
//! JSON, names of fields in any case, what is not known is passed over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::gotime;
use super::pattern::{Pattern, compile};

/// Lines of one buffer; each may have 8 KiB.
const MAX_BUFFER: usize = 1000;
const MAX_RULES: usize = 500;

/// One file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Monitor {
    Log(LogConfig),
    Plugins(PluginConfig),
    /// Only for metrics (system-stats-monitor, exporters): nothing in it tells of a problem.
    Metrics,
}

/// A system-log-monitor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogConfig {
    pub(super) log: Log,
    pub(super) lookback: Duration,
    pub(super) delay: Duration,
    pub(super) buffer: usize,
    pub(super) source: String,
    pub(super) rules: Vec<Rule>,
}

/// The log it reads.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Log {
    Kmsg,
    Journal { identifier: String, path: String },
    File { path: String, timestamp: String, message: String, format: String, skip: Vec<String> },
}

/// A custom-plugin-monitor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PluginConfig {
    pub(super) max_output: usize,
    pub(super) concurrency: usize,
    pub(super) follows_message: bool,
    pub(super) source: String,
    pub(super) rules: Vec<Rule>,
}

/// A rule of either.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) permanent: bool,
    pub(super) condition: String,
    pub(super) reason: String,
    pub(super) does: Does,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Does {
    Match { pattern: String, suffix: String },
    Run { path: String, args: Vec<String>, timeout: Duration, every: Duration },
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawFile {
    plugin: Option<String>,
    pluginconfig: Option<BTreeMap<String, Json>>,
    logpath: Option<String>,
    lookback: Option<String>,
    delay: Option<String>,
    buffersize: Option<i64>,
    source: Option<String>,
    skiplist: Option<Vec<String>>,
    conditions: Option<Vec<RawCondition>>,
    rules: Option<Vec<Json>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawCondition {
    r#type: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawRule {
    r#type: Option<String>,
    condition: Option<String>,
    reason: Option<String>,
    pattern: Option<String>,
    patterngeneratedmessagesuffix: Option<String>,
    path: Option<String>,
    args: Option<Vec<String>>,
    timeout: Option<String>,
    invoke_interval: Option<String>,
}

/// What is wrong with a file: line and column (0: not known), and the words.
pub(super) type Wrong = (u64, u64, String);

/// Reads one file.
pub(super) fn parse(text: &str) -> Result<Monitor, Wrong> {
    let json: Json = serde_json::from_str(text).map_err(|error| (error.line() as u64, error.column() as u64, error.to_string()))?;
    let said = |problem: String| (0, 0, problem);
    if json.is_array() {
        return Ok(Monitor::Metrics);
    }
    if !json.is_object() {
        return Err((1, 1, "an object is wanted: {\"plugin\": ..., \"rules\": [...]}".to_owned()));
    }
    let raw: RawFile = serde_json::from_value(lower(json.clone())).map_err(|error| said(error.to_string()))?;
    let rules = rules(&raw).map_err(said)?;
    match raw.plugin.as_deref() {
        Some("custom") => plugins(raw, rules).map(Monitor::Plugins).map_err(said),
        Some("kmsg" | "journald" | "filelog") => log(raw, rules).map(Monitor::Log).map_err(said),
        Some(other) => Err(said(format!("plugin: there is no `{other}`: kmsg, journald, filelog and custom are known"))),
        None if is_for_metrics(&json) => Ok(Monitor::Metrics),
        None => Err(said("plugin: is missing: kmsg, journald, filelog or custom".to_owned())),
    }
}

/// system-stats-monitor's files have a section a collector, exporters' name an end point.
fn is_for_metrics(json: &Json) -> bool {
    let sections = ["cpu", "disk", "host", "memory", "osFeature", "net", "invokeInterval", "apiEndpoint"];
    json.get("rules").is_none() && sections.iter().any(|section| json.get(section).is_some())
}

/// Go's encoding/json takes the names of fields in any case.
fn lower(json: Json) -> Json {
    let object = |json: Json, deep: bool| match json {
        Json::Object(fields) => {
            let field = |(name, value): (String, Json)| (name.to_lowercase(), if deep { lower_items(value) } else { value });
            Json::Object(fields.into_iter().map(field).collect())
        }
        other => other,
    };
    object(json, true)
}

fn lower_items(json: Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .map(|item| match item {
                    Json::Object(fields) => Json::Object(fields.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()),
                    other => other,
                })
                .collect(),
        ),
        other => other,
    }
}

fn rules(raw: &RawFile) -> Result<Vec<RawRule>, String> {
    let rules = raw.rules.as_deref().unwrap_or_default();
    if rules.len() > MAX_RULES {
        return Err(format!("rules: {} are more than the {MAX_RULES} that one file may have", rules.len()));
    }
    let read = |(index, rule): (usize, &Json)| serde_json::from_value(rule.clone()).map_err(|error| format!("rules[{index}]: {error}"));
    rules.iter().enumerate().map(read).collect()
}

fn log(raw: RawFile, rules: Vec<RawRule>) -> Result<LogConfig, String> {
    let named = |text: &Option<String>, name: &str| {
        gotime::duration(text.as_deref().filter(|text| !text.is_empty()).unwrap_or("0")).map_err(|why| format!("{name}: {why}"))
    };
    let buffer = match raw.buffersize.unwrap_or(0) {
        0 => 10,
        lines => usize::try_from(lines)
            .ok()
            .filter(|lines| *lines <= MAX_BUFFER)
            .ok_or(format!("bufferSize: {lines} is not between 1 and {MAX_BUFFER}"))?,
    };
    let (lookback, delay) = (named(&raw.lookback, "lookback")?, named(&raw.delay, "delay")?);
    let source = raw.source.clone().unwrap_or_default();
    let compiled = |(index, raw): (usize, RawRule)| {
        let pattern = raw.pattern.clone().unwrap_or_default();
        Pattern::compile(&pattern).map_err(|error| format!("rules[{index}].pattern: {error}"))?;
        let suffix = raw.patterngeneratedmessagesuffix.clone().unwrap_or_default();
        rule(index, raw, Does::Match { pattern, suffix })
    };
    let rules = rules.into_iter().enumerate().map(compiled).collect::<Result<_, _>>()?;
    Ok(LogConfig { log: which_log(raw)?, lookback, delay, buffer, source, rules })
}

fn which_log(raw: RawFile) -> Result<Log, String> {
    let text = |name: &str| {
        let value = raw.pluginconfig.as_ref().and_then(|config| config.get(name)).and_then(Json::as_str).unwrap_or_default();
        if value.is_empty() { Err(format!("pluginConfig.{name}: is missing")) } else { Ok(value.to_owned()) }
    };
    let path = raw.logpath.clone().unwrap_or_default();
    match raw.plugin.as_deref() {
        Some("kmsg") => Ok(Log::Kmsg),
        Some("journald") => Ok(Log::Journal { identifier: text("source")?, path }),
        _ => {
            let (timestamp, message) = (text("timestamp")?, text("message")?);
            compile(&timestamp).map_err(|error| format!("pluginConfig.timestamp: {error}"))?;
            compile(&message).map_err(|error| format!("pluginConfig.message: {error}"))?;
            if path.is_empty() {
                return Err("logPath: is missing".to_owned());
            }
            Ok(Log::File { path, timestamp, message, format: text("timestampFormat")?, skip: raw.skiplist.unwrap_or_default() })
        }
    }
}

fn plugins(raw: RawFile, rules: Vec<RawRule>) -> Result<PluginConfig, String> {
    let settings: BTreeMap<String, Json> =
        raw.pluginconfig.unwrap_or_default().into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let time = |name: &str, default: &str| {
        let text = settings.get(name).and_then(Json::as_str).unwrap_or(default);
        gotime::duration(text).map_err(|why| format!("pluginConfig.{name}: {why}"))
    };
    let count = |name: &str, default: usize| match settings.get(name) {
        None | Some(Json::Null) => Ok(default),
        Some(value) => {
            let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
            count.ok_or_else(|| format!("pluginConfig.{name}: a whole number is wanted, not {value}"))
        }
    };
    let (timeout, every) = (time("timeout", "5s")?, time("invoke_interval", "30s")?);
    if every.is_zero() {
        return Err("pluginConfig.invoke_interval: has to be more than nothing".to_owned());
    }
    let known: Vec<String> = raw.conditions.unwrap_or_default().into_iter().filter_map(|condition| condition.r#type).collect();
    let ready = |(index, raw): (usize, RawRule)| {
        let of = |text: &Option<String>, default: Duration, name: &str| match text {
            Some(text) => gotime::duration(text).map_err(|why| format!("rules[{index}].{name}: {why}")),
            None => Ok(default),
        };
        let (own_timeout, own_every) = (of(&raw.timeout, timeout, "timeout")?, of(&raw.invoke_interval, every, "invoke_interval")?);
        if own_timeout > timeout {
            return Err(format!("rules[{index}].timeout: is more than that of pluginConfig"));
        }
        if own_every.is_zero() {
            return Err(format!("rules[{index}].invoke_interval: has to be more than nothing"));
        }
        let path = raw.path.clone().filter(|path| !path.is_empty()).ok_or(format!("rules[{index}].path: is missing"))?;
        let args = raw.args.clone().unwrap_or_default();
        let rule = rule(index, raw, Does::Run { path, args, timeout: own_timeout, every: own_every })?;
        if rule.permanent && !known.contains(&rule.condition) {
            return Err(format!("rules[{index}].condition: `{}` is not among the conditions", rule.condition));
        }
        Ok(rule)
    };
    Ok(PluginConfig {
        max_output: count("max_output_length", 80)?,
        concurrency: count("concurrency", 3)?.clamp(1, 16),
        follows_message: settings.get("enable_message_change_based_condition_update").and_then(Json::as_bool).unwrap_or(false),
        source: raw.source.unwrap_or_default(),
        rules: rules.into_iter().enumerate().map(ready).collect::<Result<_, _>>()?,
    })
}

fn rule(index: usize, raw: RawRule, does: Does) -> Result<Rule, String> {
    let reason = raw.reason.filter(|reason| !reason.trim().is_empty()).ok_or(format!("rules[{index}].reason: is missing"))?;
    // Whatever is not temporary changes a condition (log_monitor.go generateStatus).
    let permanent = raw.r#type.as_deref() != Some("temporary");
    Ok(Rule { permanent, condition: raw.condition.unwrap_or_default(), reason, does })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_monitor_has_gos_defaults_and_names_in_any_case() {
        let text = r#"{"Plugin": "journald", "pluginConfig": {"source": "dockerd"}, "Rules": [{"type": "temporary", "REASON": "R", "pattern": "x"}], "unknown": 1}"#;
        let Ok(Monitor::Log(log)) = parse(text) else { panic!("not read") };
        assert_eq!(
            (log.buffer, log.lookback, &log.log),
            (10, Duration::ZERO, &Log::Journal { identifier: "dockerd".into(), path: String::new() })
        );
        assert!(!log.rules[0].permanent);
    }

    #[test]
    fn a_plugin_monitor_has_gos_defaults() {
        let text = r#"{"plugin": "custom", "conditions": [{"type": "C"}], "rules": [{"type": "permanent", "condition": "C", "reason": "R", "path": "/p", "timeout": "1s"}]}"#;
        let Ok(Monitor::Plugins(plugins)) = parse(text) else { panic!("not read") };
        assert_eq!((plugins.max_output, plugins.concurrency, plugins.follows_message), (80, 3, false));
        let second = Duration::from_secs(1);
        assert_eq!(plugins.rules[0].does, Does::Run { path: "/p".into(), args: vec![], timeout: second, every: 30 * second });
    }

    #[test]
    fn files_that_only_make_metrics_are_taken_and_say_nothing() {
        for text in
            [r#"{"cpu": {"metricsConfigs": {}}, "invokeInterval": "60s"}"#, r#"{"apiEndpoint": "x:443"}"#, r#"[{"moduleName": "nf_nat"}]"#]
        {
            assert_eq!(parse(text), Ok(Monitor::Metrics), "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_with_what_would_be_right() {
        for (text, says) in [
            ("{\n \"plugin\": ", "EOF"),
            ("7", "object"),
            (r#"{"plugin": "abrt"}"#, "kmsg, journald, filelog and custom"),
            ("{}", "plugin: is missing"),
            (r#"{"plugin": "journald"}"#, "pluginConfig.source"),
            (r#"{"plugin": "kmsg", "lookback": "5"}"#, "lookback: `5`"),
            (r#"{"plugin": "kmsg", "bufferSize": -1}"#, "bufferSize"),
            (r#"{"plugin": "kmsg", "rules": [{"reason": "R", "pattern": "("}]}"#, "rules[0].pattern"),
            (r#"{"plugin": "kmsg", "rules": [{"pattern": "x"}]}"#, "rules[0].reason"),
            (r#"{"plugin": "kmsg", "rules": [7]}"#, "rules[0]"),
            (
                r#"{"plugin": "filelog", "pluginConfig": {"timestamp": "x", "message": "[", "timestampFormat": "x"}, "logPath": "/x"}"#,
                "pluginConfig.message",
            ),
            (r#"{"plugin": "filelog", "pluginConfig": {"timestamp": "x", "message": "x", "timestampFormat": "x"}}"#, "logPath"),
            (r#"{"plugin": "custom", "pluginConfig": {"invoke_interval": "0s"}}"#, "invoke_interval"),
            (r#"{"plugin": "custom", "pluginConfig": {"concurrency": "x"}}"#, "concurrency"),
            (r#"{"plugin": "custom", "rules": [{"type": "temporary", "reason": "R"}]}"#, "rules[0].path"),
            (r#"{"plugin": "custom", "rules": [{"type": "temporary", "reason": "R", "path": "/p", "timeout": "1m"}]}"#, "rules[0].timeout"),
            (
                r#"{"plugin": "custom", "rules": [{"type": "permanent", "condition": "C", "reason": "R", "path": "/p"}]}"#,
                "rules[0].condition",
            ),
        ] {
            let (_, _, problem) = parse(text).expect_err(text);
            assert!(problem.contains(says), "{text}: {problem}");
        }
    }
}
