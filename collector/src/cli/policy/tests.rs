use super::*;

const POLICY: &str = "\
hooks:
  - {name: pager, webhook: {url: 'https://h/p'}}
  - {name: chat, slack: {urlFile: /s}}
routes:
  - {match: {severity: [critical]}, hooks: [pager], for: 10s, repeat: 12h, resolveAfter: 5m, continue: true}
  - {match: {labels: {zone: [eu-1a]}}, hooks: [chat], repeat: 0s}
  - {match: {node: [worker-1]}, hooks: [chat], repeat: 0s}
  - {match: {severity: [critical]}, hooks: [chat]}
maintenance:
  - {name: weekly, match: {node: ['edge-*']}, every: {days: [sat], at: '22:00', for: 4h}}
";

fn answer(policy: &str, incident: &str, at: &str) -> String {
    let read = Policy::parse(Path::new("alerts.yaml"), policy).expect("a good policy");
    let incident = Incident::parse(incident).expect("a good incident");
    let counts = Counts { hooks: read.hooks.len(), routes: read.routes.len(), maintenance: read.maintenance.len() };
    let forecast = Forecast::of(&read, &incident, at.parse().expect("a time"));
    let file = PathBuf::from("alerts.yaml");
    render::text(&Answer { file, valid: true, problems: Vec::new(), notes: read.notes, counts: Some(counts), forecast: Some(forecast) })
}

#[test]
fn it_is_shown_who_is_told_by_which_route_and_when() {
    let said = answer(POLICY, "{cause: swap-enabled, nodes: [worker-1]}", "2026-12-01T12:00:00Z");
    let want = "\
alerts.yaml: good: 2 hooks, 4 routes, 1 maintenance window

swap-enabled on 1 node: critical, layer kubelet, kind node; it begins at 2026-12-01 12:00:00Z

Routes:
  line 5: takes it, to pager; the next ones are asked too
  line 6: is about something else: labels.zone is not there and has to be eu-1a
  line 7: takes it, to chat
  line 8: is not asked: line 7 took it, without `continue: true`

Messages, if it lasts 24h:
     at once  chat  opened
        +10s  pager  opened
    +12h 10s  pager  repeated
Once it is over:
     at once  chat  resolved
        +5m  pager  resolved
";
    let plain = |text: &str| text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(plain(&said), plain(want), "{said}");
}

#[test]
fn what_is_in_maintenance_is_told_when_that_is_over() {
    let said =
        answer(POLICY, r#"{"cause": "swap-enabled", "nodes": [{"name": "edge-1", "labels": {"zone": "eu-1a"}}]}"#, "2026-12-05T23:00:00Z");
    for part in [
        "edge-1 is in maintenance `weekly` (line 10) until 2026-12-06 02:00:00Z",
        "line 5: all nodes are in maintenance",
        "+3h  pager  opened",
        "+3h  chat  opened",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn that_nobody_is_told_is_said() {
    let said = answer(POLICY, "{cause: my-own, layer: kernel, severity: info, nodes: [n]}", "2026-12-01T12:00:00Z");
    assert!(said.contains("severity is info and has to be critical") && said.ends_with("Nobody is told.\n"), "{said}");
    let said = answer("", "{cause: swap-enabled, nodes: [n]}", "2026-12-01T12:00:00Z");
    assert!(said.contains("There are no hooks"), "{said}");
}

#[test]
fn a_message_is_an_incident_too() {
    let mut message = crate::message::Message::test(Timestamp::UNIX_EPOCH);
    message.nodes.count = 498;
    let read = Incident::parse(&serde_json::to_string(&message).expect("JSON")).expect("read");
    assert_eq!((&*read.code, read.nodes.len()), ("hook-test", 1));
    assert_eq!(read.doubt.as_deref(), Some("the message names 1 of 498 nodes"));
}

#[test]
fn an_incident_that_cannot_be_used_is_told_with_its_place() {
    for (text, place, says) in [
        ("", (0, 0), "nothing in it"),
        ("{cause: swap-enabled}", (1, 1), "nodes"),
        ("{cause: swap-enabled, nodes: []}", (0, 0), "one node at least"),
        ("{cause: my-own, nodes: [n]}", (0, 0), "say its `layer`"),
        ("cause: swap-enabled\nnode: [n]\n", (2, 1), "node"),
        ("cause: swap-enabled\nnodes:\n  - {name: n, label: {}}\n", (3, 15), "label"),
        ("cause: swap-enabled\nnodes: [n]\nseverity: bad\n", (3, 11), "critical"),
        (r#"{"incident": "i", "cause": {}}"#, (1, 29), "message"),
    ] {
        let Mistake { line, column, problem } = Incident::parse(text).expect_err(text);
        assert!(problem.contains(says), "{text}: {problem}");
        assert_eq!((line, column), place, "{text}: {problem}");
    }
}

#[test]
fn a_bad_policy_is_told_line_by_line_and_counted() {
    let problems = Policy::parse(Path::new("alerts.yaml"), "hoks: []\nrateCap: {messages: 0}\n").expect_err("bad");
    let text = render::text(&Answer {
        file: PathBuf::from("alerts.yaml"),
        valid: false,
        problems,
        notes: Vec::new(),
        counts: None,
        forecast: None,
    });
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("alerts.yaml:1:1: ") && lines[1].starts_with("alerts.yaml:2:21: "), "{text}");
    assert_eq!(lines[2], "alerts.yaml: cannot be used: 2 mistakes");
}

#[test]
fn scripts_can_tell_by_the_exit_code() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let (good, bad) = (file("good.yaml", POLICY), file("bad.yaml", "hooks: 7\n"));
    let (told, untold) =
        (file("a.json", "{cause: swap-enabled, nodes: [n]}"), file("b.json", "{cause: swap-enabled, severity: info, nodes: [n]}"));
    let code = |policy: &Path, incident: Option<&Path>| {
        let test = Test { policy: policy.to_owned(), incident: incident.map(Path::to_owned), at: None, output: Output::Json };
        test.run(Timestamp::UNIX_EPOCH).map_err(|error| format!("{error:#}"))
    };
    assert_eq!(code(&good, None), Ok(0));
    assert_eq!(code(&good, Some(&told)), Ok(0));
    assert_eq!(code(&good, Some(&untold)), Ok(1));
    assert_eq!(code(&bad, Some(&told)), Ok(3));
    for (policy, incident) in [(&good, directory.path()), (&good, &*bad), (&directory.path().join("none"), &*told)] {
        let problem = code(policy, Some(incident)).expect_err("cannot be used: exit code 3");
        assert!(problem.contains(&*directory.path().to_string_lossy()), "says which file: {problem}");
    }
}
