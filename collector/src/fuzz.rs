//! What the fuzzer calls, and what the tests call with everything the fuzzer ever found: the parsers of what people write for the
//! collector. See fuzz/README.md.

use std::path::Path;

use jiff::Timestamp;

use crate::config::{Config, ConfigError};
use crate::hooks::example;
use crate::hooks::template::Templates;
use crate::policy::{Policy, parse_matchers};

/// A parser under the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All there are.
pub const TARGETS: &[Target] = &[
    ("alerts_yaml", alerts_yaml),
    ("collector_yaml", collector_yaml),
    ("silence_matchers", silence_matchers),
    ("message_template", message_template),
];

/// `alerts.yaml`: mistakes have words and a place within the file; what is taken can be used for ever after.
pub fn alerts_yaml(bytes: &[u8]) {
    let path = Path::new("/etc/nodewhy/alerts.yaml");
    let lines = lines_of(&String::from_utf8_lossy(bytes));
    let (problems, policy) = match Policy::from_bytes(path, bytes) {
        Ok(policy) => (policy.notes.clone(), Some(policy)),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a word");
            (problems, None)
        }
    };
    for problem in &problems {
        assert!(problem.path == path && !problem.problem.trim().is_empty() && problem.line <= lines, "{problem}");
    }
    let Some(policy) = policy else { return };
    let names: Vec<&str> = policy.hook_names().collect();
    for (place, name) in names.iter().enumerate() {
        assert!(!name.is_empty() && !names[..place].contains(name), "{name}");
    }
    assert_eq!(policy.routes.is_empty(), names.is_empty(), "hooks without a route, or a route without hooks");
    for hook in policy.routes.iter().flat_map(|route| &route.hooks) {
        assert!(policy.hook(hook).is_some(), "{hook}");
    }
    for now in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
        for window in &policy.maintenance {
            let change = window.when.next_change(now);
            assert!(change.is_none_or(|change| change > now), "{}: {change:?}", window.name);
        }
    }
    assert!(Templates::new(policy.templates.title.as_deref(), policy.templates.text.as_deref()).is_ok(), "looked at when it was read");
}

/// `collector.yaml`: refused with a line, or taken and what was left out is told.
pub fn collector_yaml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Config::parse(Path::new("/etc/nodewhy/collector.yaml"), &text) {
        Ok(config) => {
            // Looked at again at every start, with the same result.
            assert_eq!(config.validate(), config.validate());
            assert!(config.left_out.iter().all(|words| words.starts_with("/etc/nodewhy/collector.yaml:")), "{:?}", config.left_out);
        }
        Err(ConfigError::Invalid { line, problem, .. }) => {
            assert!(!problem.trim().is_empty() && line <= lines_of(&text), "{line}: {problem}")
        }
        Err(error @ ConfigError::Read { .. }) => panic!("nothing was read: {error}"),
    }
}

/// What follows `kubectl nodewhy silence add`: one matcher a line.
pub fn silence_matchers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_matchers(text.lines()) {
        Ok(matches) => {
            let json = serde_json::to_string(&matches).expect("matchers are JSON");
            assert_eq!(serde_json::from_str::<crate::policy::Match>(&json).expect("read again"), matches);
        }
        Err(problem) => assert!(!problem.trim().is_empty()),
    }
}

/// A template of a text: refused with a line within it, or good for every message, with something to say and an end.
pub fn message_template(bytes: &[u8]) {
    let source = String::from_utf8_lossy(bytes);
    match Templates::new(None, Some(&source)) {
        Ok(templates) => {
            let texts = templates.render(&example::fleet(Timestamp::UNIX_EPOCH));
            assert!(!texts.title.is_empty() && !texts.text.is_empty() && texts.text.len() <= 64 * 1024);
        }
        Err(error) => assert!(!error.problem.trim().is_empty() && error.line as u64 <= lines_of(&source), "{error}"),
    }
}

/// Lines as the parsers count them, at most; an end of the file may count as one more.
fn lines_of(text: &str) -> u64 {
    1 + text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() as u64
}
