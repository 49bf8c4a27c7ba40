use jiff::Timestamp;
use nodewhy_diagnosis::model::{Layer, Severity};

use super::*;
use crate::message::Kind;

fn parse(text: &str) -> Result<Policy, String> {
    let words = |problems: Vec<PolicyError>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Policy::parse(Path::new("alerts.yaml"), text).map_err(words)
}

const HOOKS: &str = "hooks:\n  - {name: a, webhook: {url: 'https://h/a'}}\n  - {name: b, slack: {urlFile: /s}}\n";

#[test]
fn the_policy_of_the_manual_is_read() {
    let policy = parse(
        r"
hooks:
  - {name: pager, pagerduty: {routingKeyFile: /k}}
  - {name: am, alertmanager: {url: 'http://127.0.0.1:9093'}}
routes:
  - match: {severity: [critical], layer: [kubelet, time], cause: ['disk-*', swap-enabled], kind: [node], node: ['edge-*'], labels: {zone: [eu-1a], rack: 7}}
    hooks: [pager, am]
    for: 10s
    resolveAfter: 1m 30s
    update: 5m
    repeat: 0s
    continue: true
  - hooks: am
maintenance:
  - {name: kernel, match: {labels: {pool: blue}}, from: 2026-12-01T22:00:00Z, until: 2026-12-02T02:00:00Z}
  - {name: weekly, match: {node: ['edge-*']}, every: {days: [sat, sun], at: '22:00', for: 4h, timeZone: Europe/Berlin}}
rateCap: {messages: 3, within: 2m}
flap: {openings: 0, within: 1h, quiet: 90s}
templates: {title: '{{ title }}', text: '{{ cause.message }}'}
externalUrl: https://nodewhy.example.org/
",
    )
    .expect("good");
    assert_eq!(policy.hook_names().collect::<Vec<_>>(), ["pager", "am"]);
    let [first, second] = &policy.routes[..] else { panic!("two routes") };
    assert_eq!((first.line, &*first.hooks[0], first.hooks.len()), (6, "pager", 2));
    assert_eq!((first.held_for, first.resolve_after, first.repeat), (Duration::from_secs(10), Duration::from_secs(90), None));
    assert_eq!((first.matches.layer.clone(), first.matches.kind.clone()), (vec![Layer::Kubelet, Layer::Time], vec![Kind::Node]));
    assert_eq!(first.matches.labels["rack"][0].as_str(), "7");
    assert!(first.goes_on && !second.goes_on && second.matches.is_empty());
    assert_eq!((second.update, second.repeat), (Duration::from_secs(300), Some(Duration::from_secs(4 * 3600))));
    assert!(
        matches!(policy.maintenance[0].when, When::Once { from, .. } if from == "2026-12-01T22:00:00Z".parse::<Timestamp>().expect("a time"))
    );
    assert!(matches!(&policy.maintenance[1].when, When::Every(every) if every.days == [false, false, false, false, false, true, true]));
    assert_eq!(policy.rate_cap, RateCap { messages: 3, within: Duration::from_secs(120) });
    assert_eq!(policy.flap, Flap { openings: 0, within: Duration::from_secs(3600), quiet: Duration::from_secs(90) });
    assert_eq!(policy.templates.title.as_deref(), Some("{{ title }}"));
    assert_eq!(policy.external_url.as_deref(), Some("https://nodewhy.example.org"));
    assert_eq!(policy.notes, []);
}

#[test]
fn nothing_written_means_the_defaults() {
    for text in ["", "# nothing\n", "---\n", "hooks:\nroutes:\n", "\u{feff}# with a byte order mark\n"] {
        assert_eq!(parse(text), Ok(Policy::default()), "{text:?}");
    }
}

#[test]
fn without_routes_everything_critical_goes_to_all_hooks() {
    let policy = parse(HOOKS).expect("good");
    let [route] = &policy.routes[..] else { panic!("one route") };
    assert_eq!(route.matches, Match { severity: vec![Severity::Critical], ..Match::default() });
    assert_eq!(route.hooks.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
}

/// What is written after [`HOOKS`] (three lines), where the mistake is, and what is said.
const BAD: &[(&str, u64, u64, &str)] = &[
    (
        "rutes: []\n",
        4,
        1,
        "there is no key `rutes`; there are: hooks, routes, maintenance, rateCap, flap, templates, externalUrl; is `routes` meant?",
    ),
    ("routes:\n  - {hooks: [a], fro: 1s}\n", 5, 18, "no key `fro`"),
    ("routes:\n  - {hooks: [a], match: {nodes: [x]}}\n", 5, 26, "is `node` meant?"),
    ("routes:\n  - {hooks: [c]}\n", 5, 14, "no hook `c`; there are: a, b"),
    ("routes:\n  - {hooks: [a, a]}\n", 5, 17, "named twice"),
    ("routes:\n  - {hooks: []}\n", 5, 13, "the list is empty"),
    ("routes:\n  - {match: {node: [x]}}\n", 5, 5, "`hooks` is missing"),
    ("routes:\n  - a\n", 5, 5, "has to be keys with values"),
    ("routes: []\n", 4, 9, "nobody would be told"),
    ("routes: {hooks: [a]}\n", 4, 9, "has to be a list"),
    ("routes:\n  - {hooks: [a], match: {severity: [fatal]}}\n", 5, 37, "critical, warning, info"),
    ("routes:\n  - {hooks: [a], match: {severity: [Critical]}}\n", 5, 37, "is `critical` meant?"),
    ("routes:\n  - {hooks: [a], match: {layer: [disk]}}\n", 5, 34, "hardware, kernel, storage"),
    ("routes:\n  - {hooks: [a], match: {kind: [controlplane]}}\n", 5, 33, "is `control-plane` meant?"),
    ("routes:\n  - {hooks: [a], match: {cause: [Swap Enabled]}}\n", 5, 34, "no code of a cause"),
    ("routes:\n  - {hooks: [a], match: {cause: []}}\n", 5, 33, "the list is empty"),
    ("routes:\n  - {hooks: [a], match: {node: ['edge-[12]']}}\n", 5, 33, "only `*` stands for any text"),
    ("routes:\n  - {hooks: [a], match: {node: [[x]]}}\n", 5, 33, "has to be a text; it is a list"),
    ("routes:\n  - {hooks: [a], match: {labels: {zone: []}}}\n", 5, 41, "the list is empty"),
    ("routes:\n  - {hooks: [a], match: {labels: [zone]}}\n", 5, 34, "labels: has to be keys with values"),
    ("routes:\n  - {hooks: [a], for: 5 minuten}\n", 5, 23, "no duration"),
    ("routes:\n  - {hooks: [a], for: 300}\n", 5, 23, "no duration"),
    ("routes:\n  - {hooks: [a], for: -5m}\n", 5, 23, "out of range: 0s to 24h"),
    ("routes:\n  - {hooks: [a], resolveAfter: 900h}\n", 5, 32, "out of range: 0s to 24h"),
    ("routes:\n  - {hooks: [a], update: 0s}\n", 5, 26, "out of range: 1s to 24h"),
    ("routes:\n  - {hooks: [a], repeat: 1s}\n", 5, 26, "out of range: 1m to 720h"),
    ("routes:\n  - {hooks: [a], continue: maybe}\n", 5, 28, "true or false"),
    ("routes:\n  - {hooks: [a]}\n  - {hooks: [b], match: {node: [x]}}\n", 6, 5, "can never be reached: the one in line 5"),
    (
        "routes:\n  - {hooks: [a], match: {node: ['x*']}}\n  - {hooks: [b], match: {node: [xy], severity: [info]}}\n",
        6,
        5,
        "can never be reached",
    ),
    ("maintenance:\n  - {match: {node: [x]}, from: 2026-12-01T22:00:00Z}\n", 5, 5, "`until` is missing: without it, it would never end"),
    ("maintenance:\n  - {match: {node: [x]}, until: 2026-12-01T22:00:00Z}\n", 5, 5, "`from` is missing"),
    ("maintenance:\n  - {match: {node: [x]}}\n", 5, 5, "says not when"),
    ("maintenance:\n  - {from: 2026-12-01T22:00:00Z, until: 2026-12-02T22:00:00Z}\n", 5, 5, "`match` is missing"),
    ("maintenance:\n  - {match: {}, from: 2026-12-01T22:00:00Z, until: 2026-12-02T22:00:00Z}\n", 5, 5, "`match` is empty"),
    ("maintenance:\n  - {match: {node: [x]}, from: 2026-12-02T22:00:00Z, until: 2026-12-01T22:00:00Z}\n", 5, 61, "is not after"),
    ("maintenance:\n  - {match: {node: [x]}, from: 2026-12-02T22:00:00Z, until: 2028-12-01T22:00:00Z}\n", 5, 61, "366 days"),
    ("maintenance:\n  - {match: {node: [x]}, from: 2026-12-02T22:00:00, until: 2026-12-03T22:00:00Z}\n", 5, 32, "in which time zone"),
    ("maintenance:\n  - {match: {node: [x]}, every: {at: '22:00', for: 4h, timeZone: Mars/Olympus}}\n", 5, 66, "no time zone"),
    ("maintenance:\n  - {match: {node: [x]}, every: {days: [caturday], at: '22:00', for: 4h}}\n", 5, 41, "mon, tue, wed"),
    ("maintenance:\n  - {match: {node: [x]}, every: {at: '25:00', for: 4h}}\n", 5, 38, "no time of day"),
    ("maintenance:\n  - {match: {node: [x]}, every: {for: 4h}}\n", 5, 33, "`at` is missing"),
    ("maintenance:\n  - {match: {node: [x]}, every: {at: '22:00'}}\n", 5, 33, "`for` is missing"),
    ("maintenance:\n  - {match: {node: [x]}, every: {at: '22:00', for: 25h}}\n", 5, 52, "out of range: 1m to 24h"),
    (
        "maintenance:\n  - {match: {node: [x]}, from: 2026-12-01T22:00:00Z, every: {at: '22:00', for: 4h}}\n",
        5,
        61,
        "either once or every week",
    ),
    ("rateCap: {messages: 0}\n", 4, 21, "1 to 10000"),
    ("rateCap: {messages: many}\n", 4, 21, "1 to 10000"),
    ("rateCap: {within: 0s}\n", 4, 19, "out of range: 1s to 1h"),
    ("flap: {openings: 1}\n", 4, 18, "2 to 100, or 0"),
    ("flap: {openings: often}\n", 4, 18, "2 to 100, or 0"),
    ("flap: {within: 25h}\n", 4, 16, "out of range: 1s to 24h"),
    ("flap: {quiet: 0s}\n", 4, 15, "out of range: 1s to 24h"),
    ("flap: {time: 5m}\n", 4, 8, "there are: openings, within, quiet"),
    ("rateCap: 5\n", 4, 10, "has to be keys with values; it is a number"),
    ("templates: {subject: x}\n", 4, 13, "there are: title, text"),
    ("templates:\n  title: '{{ title '\n", 5, 10, "title: the template cannot be used"),
    ("templates:\n  text: |\n    {{ title }}\n    {{ titel }}\n", 6, 5, "in its line 2"),
    ("templates: {title: [x]}\n", 4, 20, "has to be a text"),
    ("externalUrl: ftp://h\n", 4, 14, "http:// or https:// URL"),
    ("externalUrl: https://me:pw@h\n", 4, 14, "sent to every hook"),
    ("routes: [\n", 4, 9, "unclosed bracket"),
    ("rateCap: {}\nrateCap: {}\n", 5, 1, "the key `rateCap` is here twice (first in line 4)"),
    ("routes:\n  - {hooks: [a], hooks: [b]}\n", 5, 18, "twice"),
    ("routes: *nowhere\n", 4, 9, ""),
];

#[test]
fn bad_policies_are_refused_with_the_place_and_what_would_be_right() {
    for (text, line, column, says) in BAD {
        let error = parse(&format!("{HOOKS}{text}")).expect_err(text);
        assert!(error.starts_with(&format!("alerts.yaml:{line}:{column}: ")) && error.contains(says), "{text}\n{error}");
        assert_eq!(error.lines().count(), 1, "one mistake is told once: {text}\n{error}");
    }
}

#[test]
fn bad_hooks_are_refused_with_the_place_and_what_would_be_right() {
    for (text, line, column, says) in [
        ("hooks:\n  - {name: a, slack: {urlFile: /s}}\n  - {name: a, slack: {urlFile: /s}}\n", 3, 12, "used twice (first in line 2)"),
        ("hooks:\n  - {name: a}\n", 2, 5, "one of webhook, alertmanager"),
        ("hooks:\n  - {name: a, slack: {urlFile: /s}, teams: {urlFile: /t}}\n", 2, 5, "slack and teams"),
        ("hooks:\n  - {name: a, slck: {urlFile: /s}}\n", 2, 15, "slck"),
        ("hooks:\n  - {name: a, slack: {url: /s}}\n", 2, 23, "urlFile"),
        ("hooks:\n  - {name: a, slack: {urlFile: /s, urlFile: /t}}\n", 2, 36, "twice"),
        ("hooks:\n  - {name: a, webhook: {url: 'ftp://h'}}\n", 2, 30, "http:// or https://"),
        ("hooks:\n  - {slack: {urlFile: /s}}\n", 2, 5, "name"),
        ("hooks:\n  - ops\n", 2, 5, ""),
        ("hooks: {name: a}\n", 1, 8, "has to be a list"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.starts_with(&format!("alerts.yaml:{line}:{column}: ")) && error.contains(says), "{text}\n{error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_one_in_a_hook_is_none_in_its_routes() {
    let error = parse("hooks:\n  - {name: a, webhook: {url: x}}\nroutes:\n  - {hooks: [a], for: x, match: {severity: [x, y]}}\nrateCap: {messages: 0}\nmore: 1\n")
        .expect_err("bad");
    let places: Vec<_> = error.lines().map(|line| line.split(": ").next().expect("a place")).collect();
    let want = ["2:30", "4:23", "4:45", "4:48", "5:21", "6:1"].map(|place| format!("alerts.yaml:{place}"));
    assert_eq!(places, want, "{error}");
}

#[test]
fn files_that_are_no_policies_at_all_are_refused() {
    let read = |bytes: &[u8]| Policy::from_bytes(Path::new("f"), bytes).expect_err("refused")[0].to_string();
    assert!(read(b"# caf\xe9\n").starts_with("f:1:6: this is not UTF-8"));
    assert!(read(&vec![b'#'; MAX_FILE + 1]).starts_with("f: the file has 1048577 bytes"));
    assert!(read(b"just words\n").contains("has to be keys with values"));
    assert!(read(b"\x7fELF\x02\x01\x01").starts_with("f:1:"));
    assert!(parse(&format!("hooks: {}", "[".repeat(9000))).is_err());
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n".to_owned()
        + "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
        + "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f, *f, *f, *f, *f, *f]\n";
    assert!(parse(&bomb).is_err());
}

#[test]
fn many_mistakes_are_counted_and_not_all_told() {
    let routes = format!("{HOOKS}routes:\n{}", "  - {hooks: [c], for: x}\n".repeat(100));
    assert!(parse(&routes).expect_err("bad").lines().last().expect("a line").ends_with("mistakes more"));
}

#[test]
fn what_may_not_be_meant_is_remarked_and_holds() {
    let policy = parse(&format!(
        "{HOOKS}routes:\n  - {{hooks: [a], match: {{cause: [swap-enabeld, my-own, npd-x, 'disk-*', hook-failing], node: ['edge-.*']}}}}\n"
    ))
    .expect("good");
    let notes: Vec<_> = policy.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 4, "{notes:#?}");
    for (note, says) in notes.iter().zip(["alerts.yaml:3:", "is `swap-enabled` meant?", "`my-own` is no cause", "no regular expression"]) {
        assert!(note.contains(says), "{note}");
    }
}

#[test]
fn routes_are_taken_in_order_while_they_go_on() {
    let policy = parse(&format!(
        "{HOOKS}routes:\n  - {{hooks: [a], match: {{node: [x]}}, continue: true}}\n  - {{hooks: [b], match: {{node: ['*']}}}}\n  - {{hooks: [a]}}\n"
    ))
    .expect("good");
    let taken = |node: &str| {
        policy
            .taken(|found| found.node.is_empty() || found.node.iter().any(|glob| glob.fits(node)))
            .iter()
            .map(|route| route.line)
            .collect::<Vec<_>>()
    };
    assert_eq!(taken("x"), [5, 6]);
    assert_eq!(taken("y"), [6]);
}

#[test]
fn the_manuals_examples_are_good() {
    let manual = include_str!("../../../docs/policy.md");
    let examples: Vec<&str> = manual.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        assert_eq!(parse(example).expect(example).notes, []);
    }
}

#[test]
fn no_damage_to_a_file_breaks_the_reading_of_it() {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    let whole =
        include_str!("../../../docs/policy.md").split("```yaml\n").nth(2).and_then(|part| part.split("```").next()).expect("an example");
    let spice = [
        "{", "}", "[", "]", ": ", "- ", "'", "\"", "&a ", "*a ", "<<: ", "\n", "  ", "#", "!!", "|\n", "\t", "\u{feff}", "\u{0}", "9e99",
        "~", "1970", "é",
    ];
    for seed in 0..400 {
        let chance = &mut StdRng::seed_from_u64(seed);
        let mut text: Vec<char> = whole.chars().collect();
        for _ in 0..chance.random_range(1..6) {
            let at = chance.random_range(0..text.len());
            let until = (at + chance.random_range(0..20)).min(text.len());
            let new = spice[chance.random_range(0..spice.len())].chars();
            text.splice(at..if chance.random_bool(0.5) { at } else { until }, new);
        }
        let text: String = text.into_iter().collect();
        let read = Policy::parse(Path::new("f"), &text);
        assert_eq!(read, Policy::parse(Path::new("f"), &text), "seed {seed}: read twice, it is the same");
        for problem in read.err().into_iter().flatten() {
            assert!(!problem.problem.is_empty() && problem.line <= text.lines().count() as u64 + 1, "seed {seed}: {problem}");
        }
    }
}

#[test]
fn a_secret_that_stands_where_a_file_should_be_named_is_in_no_message() {
    for kind in ["slack", "teams", "pagerduty", "opsgenie", "webhook", "email", "exec"] {
        for value in ["https://h/SECRET", "{urlFile: 'https://h/SECRET'}", "'SECRET'", "SECRET", "[SECRET]"] {
            let text = format!("hooks:\n  - {{name: chat, {kind}: {value}}}\n");
            let words = parse(&text).expect_err("refused");
            assert!(!words.contains("SECRET") && words.contains("alerts.yaml:2:"), "{words}");
        }
    }
}
