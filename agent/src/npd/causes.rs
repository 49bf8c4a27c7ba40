//! From rules to causes of the catalogue: one reason, one cause (and another one for events of that reason, which are no condition); each
//! rule of that reason, in whatever file, is one of its signs.

use std::collections::{BTreeMap, BTreeSet};

use nodewhy_diagnosis::Source;
use serde_json::{Value as Json, json};

use super::config::{Does, Log, Monitor, Rule};

/// A temporary problem is an event: it is told for so long after the last line.
const TEMPORARY_QUIET: &str = "10m";
/// node-problem-detector keeps a permanent problem found in a log until it is restarted itself. Here it ends with the boot in which the
/// line was logged, or when the line has not come again for a day.
const PERMANENT_QUIET: &str = "1d";
const PERMANENT_ENDS: &str = "node.booted_at - sighting.last_at > duration(\"2s\")";
/// Codes are at most so long.
const MAX_CODE: usize = 63;
const MAX_TITLE: usize = 200;

/// A rule's place in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) code: String,
    /// Index of the sign within the cause.
    pub(super) index: usize,
}

/// Of each file and rule.
pub(super) type Signs = BTreeMap<(String, usize), Sign>;

/// The causes, as files of the catalogue (code, text), and for each file and rule the sign.
pub(super) fn causes(monitors: &[(String, Monitor)]) -> (Vec<(String, String)>, Signs) {
    let mut made: BTreeMap<String, Made> = BTreeMap::new();
    let mut signs = BTreeMap::new();
    for (file, monitor) in monitors {
        let (rules, origin) = match monitor {
            Monitor::Log(log) => (&log.rules, Origin::of_log(file, &log.log, &log.source)),
            Monitor::Plugins(plugins) => (&plugins.rules, Origin::of_plugins(file, &plugins.source)),
            Monitor::Metrics => continue,
        };
        for (index, rule) in rules.iter().enumerate() {
            let code = code(&rule.reason, rule.permanent);
            let cause = made.entry(code.clone()).or_insert_with(|| Made::new(&rule.reason, origin.layer));
            let index_of_sign = cause.add(rule, &origin, &key(file, Some(index)));
            signs.insert((file.clone(), index), Sign { code, index: index_of_sign });
        }
    }
    let codes: BTreeSet<String> = made.keys().cloned().collect();
    let text = |(code, made): (String, Made)| {
        let text = made.text(&code, &codes);
        (code, text)
    };
    (made.into_iter().map(text).collect(), signs)
}

/// The name under which the state of a file (of its log), or of one of its rules (of its plugin), is told in the facts. Part of
/// expressions: letters, digits and a few signs.
pub(super) fn key(file: &str, rule: Option<usize>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-') { c } else { '_' };
    let file: String = file.chars().map(plain).collect();
    rule.map_or_else(|| file.clone(), |rule| format!("{file}#{}", rule + 1))
}

/// `NTPIsDown` is `npd-ntp-is-down`, and as an event `npd-event-ntp-is-down`. Which other rules there are makes no difference: codes stay.
pub(super) fn code(reason: &str, permanent: bool) -> String {
    let chars: Vec<char> = reason.chars().collect();
    let head = if permanent { "npd" } else { "npd-event" };
    let mut words = String::from(head);
    let mut gap = true;
    for (at, c) in chars.iter().copied().enumerate() {
        if !c.is_ascii_alphanumeric() {
            gap = true;
            continue;
        }
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if gap || begins {
            words.push('-');
        }
        gap = false;
        words.push(c.to_ascii_lowercase());
    }
    words.truncate(MAX_CODE);
    let words = words.trim_end_matches('-');
    if words == head { format!("{head}-problem") } else { words.to_owned() }
}

/// What the rules of a file have in common.
struct Origin {
    /// The file's key.
    file: String,
    layer: &'static str,
    where_to_look: Vec<Json>,
    says: String,
}

impl Origin {
    fn of_log(file: &str, log: &Log, source: &str) -> Self {
        let step = |say: &str, run: String| if is_plain(&run) { json!({"say": say, "run": run}) } else { json!({"say": say}) };
        let (layer, look, says) = match log {
            Log::Kmsg => ("kernel", step("See what the kernel says", "journalctl -k -b".to_owned()), "the kernel's log".to_owned()),
            Log::Journal { identifier, .. } => {
                let run = format!("journalctl -b -t {identifier}");
                (layer(&[identifier.as_str(), source]), step("See what it says", run), format!("the journal, of {identifier}"))
            }
            Log::File { path, .. } => (layer(&[path.as_str(), source]), step("See the log", format!("tail -n 200 {path}")), path.clone()),
        };
        Self { file: key(file, None), layer, where_to_look: vec![look], says: format!("a line of {says}") }
    }

    fn of_plugins(file: &str, source: &str) -> Self {
        Self { file: key(file, None), layer: layer(&[source]), where_to_look: Vec::new(), says: "a plugin".to_owned() }
    }
}

/// A rule says nothing of where its problem lies. The names do; what they do not say stands behind everything that is known better.
fn layer(names: &[&str]) -> &'static str {
    const WORDS: [(&str, &str); 8] = [
        ("kernel", "kernel"),
        ("kern.log", "kernel"),
        ("disk", "storage"),
        ("readonly", "storage"),
        ("network", "network"),
        ("ntp", "time"),
        ("docker", "runtime"),
        ("containerd", "runtime"),
    ];
    let by_source = names.iter().find_map(|name| match Source::of(name) {
        Source::Kernel => Some("kernel"),
        Source::Runtime => Some("runtime"),
        Source::Kubelet => Some("kubelet"),
        _ => None,
    });
    by_source
        .or_else(|| WORDS.iter().find(|(word, _)| names.iter().any(|name| name.contains(word))).map(|(_, layer)| *layer))
        .unwrap_or("workload")
}

fn is_plain(run: &str) -> bool {
    run.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" _./:@=,+-".contains(&byte))
}

/// A cause under way.
struct Made {
    reason: String,
    layer: &'static str,
    permanent: bool,
    conditions: Vec<String>,
    signs: Vec<Json>,
    messages: Vec<Json>,
    remedy: Vec<Json>,
    knows: Vec<String>,
    /// Files whose log, when it cannot be read, makes the cause unknown.
    unread: Vec<String>,
}

impl Made {
    fn new(reason: &str, layer: &'static str) -> Self {
        let (conditions, signs, messages, remedy, knows, unread) = Default::default();
        Self { reason: reason.to_owned(), layer, permanent: false, conditions, signs, messages, remedy, knows, unread }
    }

    /// Adds a rule; the index of its sign.
    fn add(&mut self, rule: &Rule, origin: &Origin, key: &str) -> usize {
        self.permanent |= rule.permanent;
        if rule.permanent && !rule.condition.is_empty() && !self.conditions.contains(&rule.condition) {
            self.conditions.push(rule.condition.clone());
        }
        let kind = if rule.permanent { "permanent" } else { "temporary" };
        let index = self.signs.len();
        match &rule.does {
            Does::Match { pattern, .. } => {
                let mut log = json!({"from": ["monitor"], "match": pattern, "quiet_for": TEMPORARY_QUIET});
                if rule.permanent {
                    log["quiet_for"] = PERMANENT_QUIET.into();
                    log["ends"] = PERMANENT_ENDS.into();
                }
                self.signs.push(json!({"log": log}));
                self.knows.push(format!("Rule {key} ({kind}): {} that ends in `{pattern}`.", origin.says));
                if !self.unread.contains(&origin.file) {
                    self.unread.push(origin.file.clone());
                }
            }
            Does::Run { path, args, .. } => {
                let fact = format!("\"{key}\" in npd.problems || (\"{key}\" in npd.unknown && npd.unanswered)");
                self.signs.push(json!({"fact": fact}));
                self.messages
                    .push(json!({"when": format!("\"{key}\" in npd.problems"), "say": format!("{{{{npd.problems[\"{key}\"]}}}}")}));
                self.knows.push(format!("Rule {key} ({kind}): the plugin `{path}` ends with exit code 1. It is over when it ends with 0; anything else says nothing."));
                let run = std::iter::once(path).chain(args).map(String::as_str).collect::<Vec<_>>().join(" ");
                let say = "Run the plugin by hand, from the directory the agent runs in";
                self.remedy.push(if is_plain(&run) { json!({"say": say, "run": run}) } else { json!({"say": say}) });
            }
        }
        for step in &origin.where_to_look {
            if !self.remedy.contains(step) {
                self.remedy.push(step.clone());
            }
        }
        index
    }

    fn text(mut self, code: &str, codes: &BTreeSet<String>) -> String {
        // False while the logs can be read, unknown while one cannot.
        if !self.unread.is_empty() {
            let unread: Vec<String> = self.unread.iter().map(|file| format!("\"{file}\" in npd.unknown")).collect();
            self.signs.push(json!({"fact": format!("({}) && npd.unanswered", unread.join(" || "))}));
            self.messages.push(json!({"say": "{{sighting.text}}"}));
        } else {
            // Only plugins: one of the above is true of a cause that is present.
            self.messages.push(json!({"say": without_braces(&self.reason)}));
        }
        let title = match self.conditions.as_slice() {
            [] => format!("{} (an event of node-problem-detector's rules)", self.reason),
            conditions => format!("{}: {} (a condition of node-problem-detector's rules)", conditions.join(", "), self.reason),
        };
        let title: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TITLE).collect();
        let event = self::code(&self.reason, false);
        let cause = json!({
            "code": code,
            "title": title,
            "layer": self.layer,
            "severity": if self.permanent { "warning" } else { "info" },
            "signs": self.signs,
            // The event says the same of the same moment.
            "explains": if event == code || !codes.contains(&event) { vec![] } else { vec![event] },
            "message": self.messages,
            "remedy": self.remedy,
            "docs": {
                "meaning": format!("A rule of node-problem-detector's configuration says so, with the reason {}. What it means is known to whoever wrote the rule.", self.reason),
                "knows": self.knows.join("\n\n"),
                "lookalikes": "A cause of the built-in catalogue may tell of the same fault, with its evidence and the fix.",
            },
        });
        crate::yaml::of_json(&cause)
    }
}

/// What begins an expression in a text begins none.
fn without_braces(text: &str) -> String {
    let mut plain = text.to_owned();
    while plain.contains("{{") {
        plain = plain.replace("{{", "{ {");
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_become_codes() {
        for (reason, wanted) in [
            ("NTPIsDown", "npd-ntp-is-down"),
            ("OOMKilling", "npd-oom-killing"),
            ("Ext4Error", "npd-ext4-error"),
            ("DNSUnreachable", "npd-dns-unreachable"),
            ("CperHardwareErrorFatal", "npd-cper-hardware-error-fatal"),
            ("already-kebab", "npd-already-kebab"),
            ("Ünïcode!", "npd-n-code"),
            ("!!", "npd-problem"),
            ("A B__c", "npd-a-b-c"),
        ] {
            assert_eq!(code(reason, true), wanted, "{reason}");
        }
        assert!(code(&"Long".repeat(40), true).len() <= MAX_CODE);
        assert_eq!(code("OOMKilling", false), "npd-event-oom-killing");
    }

    #[test]
    fn names_say_where_a_problem_lies_and_silence_is_last() {
        assert_eq!((layer(&["dockerd", ""]), layer(&["kernel-monitor"]), layer(&["health-checker"])), ("runtime", "kernel", "workload"));
    }
}
