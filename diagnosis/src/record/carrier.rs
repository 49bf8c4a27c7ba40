//! Where carriers (log shippers, clouds, log search) put a line, its time, its speaker and its node.

use serde_json::{Map, Value};

use super::json::{Json, Wrapped, moment};
use super::odd::if_known;

/// journald's exports, docker and fluentd, Elastic, Google (`textPayload`), Graylog, Azure, Splunk, OpenTelemetry, Loki.
const LINE: [&str; 15] = [
    "log",
    "message",
    "textPayload",
    "@message",
    "short_message",
    "SyslogMessage",
    "LogMessage",
    "LogEntry",
    "_raw",
    "event",
    "body.stringValue",
    "body",
    "line",
    "_line",
    "entry",
];
pub(super) const TIME: [&str; 16] = [
    "@timestamp",
    "time",
    "timestamp",
    "ts",
    "@ingestionTime",
    "ingestionTime",
    "TimeGenerated",
    "_time",
    "timeUnixNano",
    "observedTimeUnixNano",
    "timegenerated",
    "timereported",
    "_ts",
    "date",
    "DATE",
    "__REALTIME_TIMESTAMP",
];
/// Who spoke: Elastic's journalbeat and filebeat, fluentd's Kubernetes filter, syslog's.
const SPEAKER: [&str; 18] = [
    "_SYSTEMD_UNIT",
    "SYSTEMD_UNIT",
    "systemd.unit",
    "systemd_unit",
    "SYSLOG_IDENTIFIER",
    "syslog.identifier",
    "syslog_identifier",
    "kubernetes.container_name",
    "kubernetes.container.name",
    "container_name",
    "ContainerName",
    "process.name",
    "ProcessName",
    "program",
    "programname",
    "ident",
    "appname",
    // Google's of a container; a CSI driver's lines are not the kubelet's.
    "resource.labels.container_name",
];
/// The same in fields that hold other things as often: only a program that is known is meant.
const PERHAPS: [&str; 12] = [
    "unit",
    "labels.unit",
    "stream.unit",
    "labels.container",
    "stream.container",
    "service",
    "tag",
    "source",
    "logName",
    "_app",
    "_application_name",
    "PROGRAM",
];
pub(super) const HOST: [&str; 14] = [
    "_HOSTNAME",
    "HOSTNAME",
    "kubernetes.host",
    "kubernetes.node.name",
    "host.name",
    "host.hostname",
    "hostname",
    "host",
    "Computer",
    "_host",
    "HOST",
    "resource.labels.node_name",
    "labels.instance",
    "stream.instance",
];

/// The line that an object carries, if it carries one.
pub(super) fn line(flat: &Map<String, Value>) -> Option<&str> {
    if let Some(text) = flat.get("msg").and_then(Value::as_str) {
        // A program's own JSON may have `message` beside `msg`; rsyslog's templates call what they carry `msg`.
        let rsyslogs = ["syslogtag", "programname", "timegenerated"].iter().any(|name| flat.contains_key(*name));
        return rsyslogs.then(|| text.strip_prefix(' ').unwrap_or(text));
    }
    match first(flat, &LINE)? {
        Value::String(text) => Some(text),
        // Elastic's `fields` are lists.
        Value::Array(one) if one.len() == 1 => one[0].as_str(),
        _ => None,
    }
}

pub(super) fn speaker(flat: &Map<String, Value>) -> String {
    let told = word(flat, &SPEAKER);
    if !told.is_empty() {
        return told;
    }
    if let Some(tag) = first(flat, &["syslogtag"]).and_then(Value::as_str) {
        return tag.split(['[', ':']).next().unwrap_or(tag).to_owned();
    }
    let perhaps = PERHAPS.iter().filter_map(|path| first(flat, &[path])?.as_str());
    perhaps.map(if_known).find(|name| !name.is_empty()).unwrap_or("").to_owned()
}

pub(super) fn word(flat: &Map<String, Value>, paths: &[&str]) -> String {
    first(flat, paths).and_then(Value::as_str).unwrap_or("").to_owned()
}

/// The first of these paths that is there, at the top or beneath what a carrier wrapped around it (`_source`, `jsonPayload`, `fields`).
pub(super) fn first<'a>(flat: &'a Map<String, Value>, paths: &[&str]) -> Option<&'a Value> {
    const AROUND: [&str; 8] = ["_source", "jsonPayload", "fields", "journald", "attributes", "content", "result", "data"];
    paths.iter().find_map(|path| flat.get(*path).or_else(|| AROUND.iter().find_map(|around| flat.get(&format!("{around}.{path}")))))
}

/// `["1795308889103848000", "line"]` of Loki's API.
pub(super) fn pair(items: &[Value]) -> Option<Json> {
    let [Value::String(nanos), Value::String(text), ..] = items else { return None };
    let is_time = (16..=19).contains(&nanos.len()) && nanos.bytes().all(|byte| byte.is_ascii_digit());
    is_time.then(|| Json::Wrapped(Wrapped { text: text.clone(), at: moment(&items[0]), ..Wrapped::default() }))
}

/// `[{"field": "@message", "value": "line"}, ...]`: a row of CloudWatch's Logs Insights.
pub(super) fn row(items: &[Value]) -> Option<Map<String, Value>> {
    let field = |item: &Value| Some((item.get("field")?.as_str()?.to_owned(), item.get("value")?.clone()));
    let fields: Map<String, Value> = items.iter().map(field).collect::<Option<_>>()?;
    (!fields.is_empty()).then_some(fields)
}

/// A line of Kubernetes' own with --logging-format=json (component-base; Talos' default) as klog writes it, which is what signs know. etcd
/// and others that use zap have a `level`.
pub(super) fn klog_of(fields: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (caller, message) = (text("caller").filter(|caller| caller.contains(".go:"))?, text("msg")?);
    if fields.contains_key("level") || !fields.get("ts").is_some_and(Value::is_number) {
        return None;
    }
    // Errors have no verbosity.
    let severity = if fields.contains_key("v") { 'I' } else { 'E' };
    let mut out = format!("{severity} {}] {}", caller.rsplit('/').next().unwrap_or(caller), Value::from(message));
    let others = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "ts" | "caller" | "msg" | "v" | "logger" | "err"));
    for (name, value) in fields.get_key_value("err").into_iter().chain(others) {
        // An object's reference is `namespace/name` in text.
        let reference = || Some(Value::from(format!("{}/{}", value.get("namespace")?.as_str()?, value.get("name")?.as_str()?)));
        out += &format!(" {name}={}", reference().unwrap_or_else(|| value.clone()));
    }
    Some(out)
}
