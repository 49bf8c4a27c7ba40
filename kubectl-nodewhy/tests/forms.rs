//! One log in every form in which people save, copy, ship and paste it: the cause is the same.

use std::path::Path;

use jiff::Timestamp;
use nodewhy_diagnosis::model::Severity;

/// A line of a real kubelet, taken apart.
struct Line {
    /// `00:54:49.103848`
    time: String,
    pid: String,
    /// The whole line as the kubelet wrote it.
    text: String,
}

type Dress = Box<dyn Fn(&[Line]) -> Vec<u8> + Send + Sync>;

fn fixture(name: &str) -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/kubelet-logs").join(name);
    let text = std::fs::read_to_string(path).expect("a fixture");
    let mut lines: Vec<Line> = Vec::new();
    for text in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let klog =
            text.starts_with(['I', 'W', 'E', 'F']) && words.get(1).is_some_and(|time| time.len() == 15 && time.as_bytes()[2] == b':');
        let (time, pid) = match (klog, lines.last()) {
            (true, _) => (words[1].to_owned(), words[2].to_owned()),
            (false, Some(before)) => (before.time.clone(), before.pid.clone()),
            (false, None) => ("00:54:48.000000".to_owned(), "14029".to_owned()),
        };
        lines.push(Line { time, pid, text: text.to_owned() });
    }
    let from = lines.len().saturating_sub(40);
    lines.split_off(from)
}

fn each(line: impl Fn(&Line) -> String + Send + Sync + 'static) -> Dress {
    Box::new(move |lines| lines.iter().map(|one| line(one) + "\n").collect::<String>().into_bytes())
}

fn whole(text: impl Fn(&[Line]) -> String + Send + Sync + 'static) -> Dress {
    Box::new(move |lines| text(lines).into_bytes())
}

fn short(line: &Line) -> String {
    format!("Nov 22 {} node1 kubelet[{}]: {}", &line.time[..8], line.pid, line.text)
}

fn html(text: &str, quote: &str) -> String {
    text.replace('&', "&amp;").replace('"', quote).replace('<', "&lt;").replace('>', "&gt;")
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string")
}

fn micros(line: &Line) -> i64 {
    format!("2026-11-22T{}Z", line.time).parse::<jiff::Timestamp>().expect("a time").as_microsecond()
}

fn fields(line: &Line) -> Vec<(&'static str, String)> {
    vec![
        ("__CURSOR", "s=5f1c;i=1a2b;b=6b1d;m=4c4b40;t=63b0;x=9".to_owned()),
        ("__REALTIME_TIMESTAMP", micros(line).to_string()),
        ("_HOSTNAME", "node1".to_owned()),
        ("_SYSTEMD_UNIT", "kubelet.service".to_owned()),
        ("SYSLOG_IDENTIFIER", "kubelet".to_owned()),
        ("_PID", line.pid.clone()),
        ("PRIORITY", "6".to_owned()),
        ("MESSAGE", line.text.clone()),
        ("_TRANSPORT", "stdout".to_owned()),
    ]
}

fn object(line: &Line) -> String {
    let all: Vec<_> = fields(line).iter().map(|(name, value)| format!("{}:{}", json(name), json(value))).collect();
    format!("{{{}}}", all.join(","))
}

/// As journalctl -o json-pretty lays it out.
fn pretty(line: &Line) -> String {
    let all: Vec<_> = fields(line).iter().map(|(name, value)| format!("\t{} : {}", json(name), json(value))).collect();
    format!("{{\n{}\n}}", all.join(",\n"))
}

fn wrapped_at(text: &str, width: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(width).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

fn utf16(text: &str, little: bool) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

fn journalctl() -> Vec<(&'static str, Dress)> {
    vec![
        ("short", each(short)),
        (
            "short, -x and marks",
            whole(|lines| {
                format!(
                    "-- Logs begin at Mon 2026-11-02 --\n{}\n-- Boot 6b1d --\n░░ Subject: x\n",
                    lines.iter().map(short).collect::<Vec<_>>().join("\n")
                )
            }),
        ),
        ("short-iso", each(|l| format!("2026-11-22T{}+0000 node1 kubelet[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("short-iso, newer", each(|l| format!("2026-11-22T{}+00:00 node1 kubelet[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("short-precise", each(|l| format!("Nov 22 {} node1 kubelet[{}]: {}", l.time, l.pid, l.text))),
        ("short-full", each(|l| format!("Sun 2026-11-22 {} CET node1 kubelet[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("short-monotonic", each(|l| format!("[  812.{}] node1 kubelet[{}]: {}", &l.time[9..], l.pid, l.text))),
        ("short-unix", each(|l| format!("{}.{:06} node1 kubelet[{}]: {}", micros(l) / 1_000_000, micros(l) % 1_000_000, l.pid, l.text))),
        ("with-unit", each(|l| format!("Sun 2026-11-22 {} UTC node1 kubelet.service[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("cat", each(|l| l.text.clone())),
        (
            "verbose",
            each(|l| {
                format!(
                    "Sun 2026-11-22 {} UTC [s=5f;i=1;b=6b;m=4c;t=63;x=9]\n{}",
                    l.time,
                    fields(l).iter().map(|(n, v)| format!("    {n}={v}")).collect::<Vec<_>>().join("\n")
                )
            }),
        ),
        ("export", each(|l| fields(l).iter().map(|(n, v)| format!("{n}={v}\n")).collect())),
        ("json", each(object)),
        ("json-pretty", each(pretty)),
        ("json-sse", each(|l| format!("data: {}\n", object(l)))),
        ("json-seq", each(|l| format!("\u{1e}{}", object(l)))),
    ]
}

fn other_programs() -> Vec<(&'static str, Dress)> {
    vec![
        ("rfc 3164", each(|l| format!("<30>{}", short(l)))),
        ("rfc 5424", each(|l| format!("<30>1 2026-11-22T{}Z node1 kubelet {} - - {}", l.time, l.pid, l.text))),
        (
            "rfc 5424, structured data",
            each(|l| {
                format!(
                    "<30>1 2026-11-22T{}+00:00 node1 kubelet {} - [meta a=\"x\\] y\"][timeQuality tz=\"1\"] \u{feff}{}",
                    l.time, l.pid, l.text
                )
            }),
        ),
        ("rsyslog's file format", each(|l| format!("2026-11-22T{}+00:00 node1 kubelet[{}]: {}", l.time, l.pid, l.text))),
        ("rsyslog, no process", each(|l| format!("2026-11-22T{}+00:00 node1 kubelet: {}", l.time, l.text))),
        (
            "docker json-file",
            each(|l| format!("{{\"log\":{},\"stream\":\"stderr\",\"time\":\"2026-11-22T{}Z\"}}", json(&format!("{}\n", l.text)), l.time)),
        ),
        ("microk8s", each(|l| format!("Nov 22 {} node1 microk8s.daemon-kubelite[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("a snap's kubelet", each(|l| format!("Nov 22 {} node1 kubelet.daemon[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("a script's", each(|l| format!("Nov 22 {} node1 sh[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("talosctl dmesg", each(|l| format!("10.0.0.2: user: warning: [2026-11-22T{}Z]: kubelet: {}", l.time, l.text))),
        ("BusyBox' syslogd", each(|l| format!("Nov 22 {} node1 daemon.info kubelet[{}]: {}", &l.time[..8], l.pid, l.text))),
        ("docker logs -t, kubectl logs --timestamps", each(|l| format!("2026-11-22T{}123Z {}", l.time, l.text))),
        ("cri", each(|l| format!("2026-11-22T{}123Z stderr F {}", l.time, l.text))),
        ("kubectl logs --prefix", each(|l| format!("[pod/kubelet-node1/kubelet] {}", l.text))),
        ("kubetail", each(|l| format!("[kubelet-node1 kubelet] {}", l.text))),
        ("stern", each(|l| format!("kubelet-node1 › kubelet {}", l.text))),
        ("docker compose, instance", each(|l| format!("rke_kubelet_1  | {}", l.text))),
        ("docker compose", each(|l| format!("kubelet  | {}", l.text))),
        (
            "minikube logs",
            whole(|lines| {
                format!(
                    "==> Audit <==\n|---|---|\n| start | -p x |\n==> container status <==\nCONTAINER IMAGE\n==> describe nodes <==\nName: minikube\n  Warning  InvalidDiskCapacity  invalid capacity 0 on image filesystem\n==> kubelet <==\n{}\n==> Last Start <==\nE1122 00:00:00.000000 1 x.go:1] no route to host\n",
                    lines.iter().map(short).collect::<Vec<_>>().join("\n")
                )
            }),
        ),
        (
            "tail of files",
            whole(|lines| {
                format!(
                    "==> /var/log/syslog <==\nx\n\n==> /var/log/kubelet.log <==\n{}\n",
                    lines.iter().map(|l| l.text.clone()).collect::<Vec<_>>().join("\n")
                )
            }),
        ),
        ("grep -Hn", each(|l| format!("/var/log/kubelet.log:77:{}", l.text))),
        ("grep -n", each(|l| format!("77:{}", short(l)))),
        ("zcat of a file without a year", each(|l| format!("node1 kubelet[{}]: {}", l.pid, l.text))),
        (
            "cloudwatch get-log-events",
            whole(|lines| {
                format!("{{\n    \"events\": [\n{}\n    ],\n    \"nextForwardToken\": \"f/36\"\n}}\n", lines.iter().map(|l| format!("        {{\n            \"timestamp\": {},\n            \"message\": {},\n            \"ingestionTime\": 1795308890000\n        }}", micros(l) / 1000, json(&l.text))).collect::<Vec<_>>().join(",\n"))
            }),
        ),
        (
            "cloudwatch, one line",
            whole(|lines| {
                format!(
                    "{{\"events\":[{}]}}\n",
                    lines
                        .iter()
                        .map(|l| format!("{{\"timestamp\":{},\"message\":{}}}", micros(l) / 1000, json(&l.text)))
                        .collect::<Vec<_>>()
                        .join(",")
                )
            }),
        ),
        ("aws logs tail", each(|l| format!("2026-11-22T{}+00:00 ip-10-0-1-2.ec2.internal {}", l.time, l.text))),
        (
            "cloudwatch around fluent bit",
            each(|l| format!("{{\"timestamp\":{},\"message\":{}}}", micros(l) / 1000, json(&format!("{{\"log\":{}}}", json(&l.text))))),
        ),
        (
            "loki",
            each(|l| {
                format!(
                    "{{\"line\":{},\"timestamp\":\"2026-11-22T{}Z\",\"labels\":{{\"unit\":\"kubelet.service\"}}}}",
                    json(&l.text),
                    l.time
                )
            }),
        ),
        (
            "loki's api",
            whole(|lines| {
                let values: Vec<_> = lines.iter().map(|l| format!("[\"{}000\",{}]", micros(l), json(&l.text))).collect();
                format!("{{\"data\":{{\"result\":[{{\"stream\":{{\"unit\":\"kubelet.service\"}},\"values\":[{}]}}]}}}}\n", values.join(","))
            }),
        ),
        (
            "splunk",
            each(|l| format!("{{\"result\":{{\"_raw\":{},\"_time\":\"2026-11-22T{}Z\",\"host\":\"node1\"}}}}", json(&l.text), l.time)),
        ),
        (
            "azure",
            each(|l| {
                format!(
                    "{{\"TimeGenerated\":\"2026-11-22T{}Z\",\"Computer\":\"node1\",\"ProcessName\":\"kubelet\",\"SyslogMessage\":{}}}",
                    l.time,
                    json(&l.text)
                )
            }),
        ),
        ("open telemetry", each(|l| format!("{{\"timeUnixNano\":\"{}000\",\"body\":{{\"stringValue\":{}}}}}", micros(l), json(&l.text)))),
        ("json behind a time", each(|l| format!("2026-11-22T{}Z {{\"log\":{},\"stream\":\"stderr\"}}", l.time, json(&l.text)))),
        ("json that was cut", each(|l| format!("{{\"stream\":\"stderr\",\"log\":{}", json(&l.text)))),
        (
            "elastic, journalbeat",
            each(|l| {
                format!(
                    "{{\"_index\":\"x\",\"_source\":{{\"@timestamp\":\"2026-11-22T{}Z\",\"host\":{{\"name\":\"node1\"}},\"systemd\":{{\"unit\":\"kubelet.service\"}},\"message\":{}}}}}",
                    l.time,
                    json(&l.text)
                )
            }),
        ),
        (
            "elastic, laid out",
            each(|l| {
                format!(
                    "    {{\n      \"_index\": \"x\",\n      \"_source\": {{\n        \"message\": {},\n        \"host\": {{\n          \"name\": \"node1\"\n        }},\n        \"@timestamp\": \"2026-11-22T{}Z\"\n      }}\n    }},",
                    json(&l.text),
                    l.time
                )
            }),
        ),
        (
            "fluentd",
            each(|l| {
                format!(
                    "{{\"MESSAGE\":{},\"_SYSTEMD_UNIT\":\"kubelet.service\",\"_HOSTNAME\":\"node1\",\"@timestamp\":\"2026-11-22T{}Z\"}}",
                    json(&l.text),
                    l.time
                )
            }),
        ),
        (
            "google cloud logging",
            whole(|lines| {
                format!("[\n{}\n]\n", lines.iter().map(|l| format!("  {{\n    \"insertId\": \"a1\",\n    \"jsonPayload\": {{\n      \"MESSAGE\": {},\n      \"SYSLOG_IDENTIFIER\": \"kubelet\",\n      \"_HOSTNAME\": \"node1\"\n    }},\n    \"timestamp\": \"2026-11-22T{}Z\"\n  }}", json(&l.text), l.time)).collect::<Vec<_>>().join(",\n"))
            }),
        ),
    ]
}

fn locales() -> Vec<(&'static str, Dress)> {
    let months = [
        ("de", "Nov"),
        ("fr", "nov."),
        ("es", "nov"),
        ("pt", "nov"),
        ("ru", "ноя"),
        ("ru, long", "нояб."),
        ("zh and ja", "11月"),
        ("ko", "11월"),
        ("it", "nov"),
        ("pl", "lis"),
        ("tr", "Kas"),
        ("cs", "lis"),
        ("uk", "лис"),
        ("fi", "marras"),
        ("el", "Νοε"),
        ("vi", "Th11"),
    ];
    let mut all: Vec<(&'static str, Dress)> = months
        .into_iter()
        .map(|(locale, month)| (locale, each(move |l| format!("{month} 22 {} node1 kubelet[{}]: {}", &l.time[..8], l.pid, l.text))))
        .collect();
    let days = [("So", "de"), ("dim.", "fr"), ("dom", "es"), ("Вс", "ru"), ("日", "ja"), ("周日", "zh"), ("일", "ko")];
    all.extend(days.into_iter().map(|(day, locale)| -> (&'static str, Dress) {
        (locale, each(move |l| format!("{day} 2026-11-22 {} CET node1 kubelet[{}]: {}", &l.time[..8], l.pid, l.text)))
    }));
    all.push(("day first", each(|l| format!("22. Nov {} node1 kubelet[{}]: {}", &l.time[..8], l.pid, l.text))));
    all.push(("ja, one word", each(|l| format!("11月22日 {} node1 kubelet[{}]: {}", &l.time[..8], l.pid, l.text))));
    all
}

fn copied() -> Vec<(&'static str, Dress)> {
    vec![
        ("newest first", whole(|lines| lines.iter().rev().map(|l| short(l) + "\n").collect())),
        ("no prefix at all", each(|l| l.text.split_once("] ").map_or_else(|| l.text.clone(), |(_, message)| message.to_owned()))),
        (
            "no time",
            each(|l| {
                l.text.split_once(&l.pid).map_or_else(|| l.text.clone(), |(_, rest)| format!("{} {}", &l.text[..1], rest.trim_start()))
            }),
        ),
        ("wrapped at 80", each(|l| wrapped_at(&short(l), 80))),
        ("wrapped at 120", each(|l| wrapped_at(&l.text, 120))),
        ("wrapped by a web page", each(|l| short(l).replace(" err=", "\n    err=").replace(": ", ":\n "))),
        ("behind a prompt", each(|l| format!("root@node1:~# {}", l.text))),
        ("a dashboard's time", each(|l| format!("7/14/2026, 3:12:49 PM {}", l.text))),
        ("in brackets", each(|l| format!("[2026-11-22 {}] {}", l.time, l.text))),
        ("redacted", each(|l| format!("Nov 22 {} <host> kubelet[xxx]: {}", &l.time[..8], l.text))),
        ("markdown's escapes", each(|l| l.text.replacen(']', "\\]", 1))),
        ("cut by a pager", each(|l| format!("{}>", short(l).chars().take(320).collect::<String>()))),
        ("leading blanks", each(|l| format!("        {}", short(l)))),
        ("tabs", each(|l| format!("\t{}", l.text))),
        ("mail", each(|l| format!("> {}", short(l)))),
        ("mail, no blank", each(|l| format!(">{}", short(l)))),
        ("mail, twice", each(|l| format!("> > {}", short(l)))),
        ("list", each(|l| format!("* {}", l.text))),
        ("code", each(|l| format!("`{}`", l.text))),
        ("fenced", whole(|lines| format!("What happened:\n```console\n{}\n```\n", lines.iter().map(short).collect::<Vec<_>>().join("\n")))),
        ("numbered", each(|l| format!("  77  {}", short(l)))),
        ("entities", each(|l| html(&short(l), "&quot;"))),
        ("numeric entities", each(|l| html(&short(l), "&#34;"))),
        ("hex entities", each(|l| html(&l.text, "&#x22;"))),
        ("smart quotes", each(|l| l.text.replace(" \"", " “").replace('"', "”"))),
        ("hard spaces", each(|l| short(l).replace(' ', "\u{a0}"))),
        ("colours", each(|l| format!("\u{1b}[0;1;39m\u{1b}[0;1;31m{}\u{1b}[0m", short(l)))),
        (
            "array of strings",
            whole(|lines| format!("[\n{}\n]\n", lines.iter().map(|l| format!("  {}", json(&short(l)))).collect::<Vec<_>>().join(",\n"))),
        ),
        ("csv", each(|l| format!("\"{}\"", short(l).replace('"', "\"\"")))),
        ("escaped", whole(|lines| json(&lines.iter().map(|l| l.text.clone() + "\n").collect::<String>()) + "\n")),
        (
            "escaped without quotes",
            whole(|lines| json(&lines.iter().map(|l| l.text.clone() + "\n").collect::<String>()).trim_matches('"').to_owned()),
        ),
        ("crlf", each(|l| format!("{}\r", short(l)))),
        ("utf-8 with a mark", whole(|lines| format!("\u{feff}{}", lines.iter().map(|l| short(l) + "\n").collect::<String>()))),
        ("powershell", Box::new(|lines| utf16(&lines.iter().map(|l| short(l) + "\r\n").collect::<String>(), true))),
        ("utf-16, big endian", Box::new(|lines| utf16(&lines.iter().map(|l| l.text.clone() + "\r\n").collect::<String>(), false))),
        (
            "mixed",
            whole(|lines| {
                let forms = [short, object, |l: &Line| l.text.clone(), |l: &Line| format!("2026-11-22T{}123Z stderr F {}", l.time, l.text)];
                lines.iter().zip(forms.iter().cycle()).map(|(line, form)| form(line) + "\n").collect()
            }),
        ),
    ]
}

/// What is named first and when it began; nothing if no cause is critical.
fn first(input: &[u8]) -> Option<(String, String)> {
    let now: Timestamp = "2026-11-25T00:00:00Z".parse().expect("a time");
    let (nodes, problems) = kubectl_nodewhy::analyze::of_bytes("stdin", input, now);
    assert!(problems.is_empty(), "{problems:?}");
    let root = nodes.first()?.causes.iter().find(|cause| cause.severity == Severity::Critical && cause.root)?;
    Some((root.code.clone(), root.since.to_string()))
}

/// A log and what a fair judge calls it.
type Labelled = (&'static str, Option<&'static str>);

const LOGS: [Labelled; 3] =
    [("swap-on.log", Some("swap-enabled")), ("port-10250-in-use.log", Some("kubelet-port-in-use")), ("healthy-standalone.log", None)];

fn wrong(forms: &[(&'static str, Dress)], logs: &[Labelled], timed: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for &(log, want) in logs {
        let lines = fixture(log);
        std::thread::scope(|threads| {
            let judged: Vec<_> = forms.iter().map(|(form, dress)| (form, threads.spawn(|| first(&dress(&lines))))).collect();
            for (form, judged) in judged {
                let got = judged.join().expect("no panic");
                let since_is_right =
                    |since: &str| !timed || since.contains("-11-22T00:") || since.contains("-11-22T01:") || since.contains("-11-21T23:");
                let right =
                    got.as_ref().map(|(code, _)| code.as_str()) == want && got.as_ref().is_none_or(|(_, since)| since_is_right(since));
                if !right {
                    wrong.push(format!("{form}: {log} is {want:?}, got {got:?}"));
                }
            }
        });
    }
    wrong
}

#[test]
fn journalctl_in_all_its_output_modes() {
    assert_eq!(wrong(&journalctl(), &LOGS, true), [""; 0]);
}

#[test]
fn syslogs_container_logs_dumps_and_what_clouds_make_of_them() {
    assert_eq!(wrong(&other_programs(), &LOGS, true), [""; 0]);
}

#[test]
fn months_and_weekdays_of_other_languages() {
    assert_eq!(wrong(&locales(), &LOGS, true), [""; 0]);
}

#[test]
fn what_copying_and_pasting_does() {
    assert_eq!(wrong(&copied(), &LOGS, false), [""; 0]);
}
