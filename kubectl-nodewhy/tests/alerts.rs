//! `incidents`, `silence`, `hooks` and `alerts` through the real program, against a collector's services in this process.

mod support;

use support::{Fake, Run, kubectl, serve};

fn run(url: &str, args: &[&str]) -> Run {
    kubectl(&[&["--collector", url], args].concat(), b"")
}

fn has(run: &Run, wanted: &[&str]) {
    for want in wanted {
        assert!(run.stdout.contains(want), "{want} is missing in\n{}\n{}", run.stdout, run.stderr);
    }
    assert!(!run.stdout.contains('\u{1b}'), "neither colours nor what others say steer the terminal");
}

#[test]
fn incidents_are_a_table_of_those_that_are_open_over_all_pages() {
    let server = serve(Fake::default());
    let open = run(&server.url, &["incidents"]);
    assert_eq!((open.code, open.stderr.as_str()), (0, ""));
    has(&open, &["ID", "SEVERITY", "KIND", "NODES", "SINCE", "TOLD TO", "TITLE"]);
    let lines: Vec<_> = open.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", open.stdout);
    for want in ["inc-3", "critical", "flapping", "label", "60", "2026-11-22 00:54:50Z", "chat, pager", "with rack=r7"] {
        assert!(lines[1].contains(want), "{want}: {}", lines[1]);
    }
    assert!(lines[1].contains("chat, pager (waiting)"), "{}", lines[1]);
    assert!(lines[2].contains("inc-2") && lines[2].contains("quiet"), "{}", lines[2]);

    let all = run(&server.url, &["incidents", "--all"]);
    assert!(all.stdout.lines().nth(3).is_some_and(|line| line.contains("over") && line.contains("(for 15m 10s)")), "{}", all.stdout);
    let newest = run(&server.url, &["incidents", "--all", "--limit", "2"]);
    has(&newest, &["inc-2", "older ones: --limit"]);
    assert!(!newest.stdout.contains("inc-1 "), "{}", newest.stdout);
}

#[test]
fn incidents_as_json_are_the_contract_of_scripts() {
    let server = serve(Fake::default());
    let json = run(&server.url, &["incidents", "--all", "-o", "json"]).json();
    assert_eq!(json.as_array().map(Vec::len), Some(3));
    let (first, last) = (&json[0], &json[2]);
    assert_eq!((&first["id"], &first["severity"], &first["kind"]), (&"inc-3".into(), &"critical".into(), &"label".into()));
    assert_eq!((&first["shared"]["name"], &first["shared"]["value"]), (&"rack".into(), &"r7".into()));
    assert_eq!((first["nodes"].as_array().map(Vec::len), &first["closed_at"]), (Some(60), &serde_json::Value::Null));
    assert_eq!((&first["cause"]["code"], &first["told"][1]["hook"]), (&"swap-enabled".into(), &"pager".into()));
    assert_eq!((&last["closed_at"], &last["flapping"]), (&"2026-11-22T01:10:00Z".into(), &false.into()));
    let one = run(&server.url, &["incidents", "inc-3", "--output", "json"]).json();
    assert_eq!(&one, first);
    assert!(run(&server.url, &["incidents", "-o", "yaml"]).stdout.contains("held_by: inc-3"));
}

#[test]
fn an_incident_is_told_whole_what_is_shared_before_proof_before_fix_before_who_was_told() {
    let server = serve(Fake::default());
    let one = run(&server.url, &["incidents", "inc-3"]);
    assert_eq!((one.code, one.stderr.as_str()), (0, ""));
    let order = [
        "incident inc-3: critical, flapping",
        "Swap is on on 60 of 60 nodes with rack=r7",
        "label: nodes with the same label",
        "rack = r7",
        "60: worker-1, worker-2",
        "worker-50 and 10 more",
        "2026-11-22 00:54:50Z",
        "FIRST NODE  worker-1",
        "swap-enabled",
        "message of swap-enabled",
        "Evidence",
        "log:kubelet.service",
        "Fix",
        "swapoff -a",
        "TOLD",
        "chat",
        "updated",
        "pager",
        "waiting: the hook has not taken it",
    ];
    has(&one, &order);
    let places: Vec<_> = order.iter().map(|want| one.stdout.find(want)).collect();
    assert!(places.is_sorted(), "{places:?}\n{}", one.stdout);
    assert!(!one.stdout.contains("worker-51"), "fifty are named: {}", one.stdout);

    let over = run(&server.url, &["incidents", "inc-1"]);
    has(&over, &["inc-1: warning, over", "closed", "(after 15m 10s)", "ended by  absent: swap.devices.size() == 0"]);
    let held = run(&server.url, &["incidents", "inc-2"]);
    has(&held, &["critical, quiet", "nobody is told: in maintenance: kernel", "held by   inc-3", "TOLD"]);
    assert!(!held.stdout.contains('\u{1b}'), "{}", held.stdout);
    let none = run(&server.url, &["incidents", "inc-9"]);
    assert_eq!((none.code, none.stdout.as_str()), (3, ""));
    assert!(none.stderr.contains("there is no incident inc-9"), "{}", none.stderr);
}

#[test]
fn a_silence_is_made_with_an_end_and_says_how_to_end_it() {
    let server = serve(Fake::default());
    let until = ["silence", "add", "node=edge-*", "label.zone=a,b", "--until", "2126-01-01T01:00:00+01:00", "--comment", "works"];
    let made = run(&server.url, &until);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    has(&made, &["nothing is told of node=edge-* label.zone=a,b until 2126-01-01 00:00:00Z", "silence expire sil-0a1b2c3d"]);
    let json = run(&server.url, &[&until[..], &["--by", "bob", "-o", "json"]].concat()).json();
    assert_eq!((&json["created_by"], &json["comment"], &json["matchers"][1]), (&"bob".into(), &"works".into(), &"label.zone=a,b".into()));
    let lasts = run(&server.url, &["silence", "add", "cause=swap-enabled", "--for", "2h", "-o", "json"]).json();
    let ends_at: jiff::Timestamp = lasts["ends_at"].as_str().and_then(|text| text.parse().ok()).expect("a time");
    let from_now = ends_at.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((7000..=7200).contains(&from_now), "{from_now}");
    has(&run(&server.url, &["silence", "add", "node=x"]), &["until 2026-11-22 02:00:00Z"]);

    let refused = run(&server.url, &["silence", "add", "zone=x"]);
    assert!(refused.code == 3 && refused.stderr.contains("there is no key `zone`"), "{}", refused.stderr);
    let past = run(&server.url, &["silence", "add", "node=x", "--until", "2020-01-01T00:00:00Z"]);
    assert!(past.code == 3 && past.stderr.contains("over already"), "{}", past.stderr);
}

#[test]
fn silences_are_listed_and_ended() {
    let server = serve(Fake::default());
    let list = run(&server.url, &["silence", "list"]);
    has(&list, &["sil-0a1b2c3d", "more", "2126-11-22 00:00:00Z", "alice", "node=edge-* label.zone=eu-1a,eu-1b", "cable works"]);
    assert_eq!(list.stdout.lines().count(), 2);
    assert!(run(&server.url, &["silence", "list", "--all"]).stdout.lines().nth(2).is_some_and(|line| line.contains("over")));
    has(&run(&server.url, &["silence", "expire", "sil-0a1b2c3d"]), &["sil-0a1b2c3d is over since 2026-11-22 01:00:00Z"]);
    let none = run(&server.url, &["silence", "expire", "sil-9"]);
    assert!(none.code == 3 && none.stderr.contains("silence list"), "{}", none.stderr);
    has(&run(&serve(Fake { well: true }).url, &["silence", "list"]), &["No silence."]);
}

#[test]
fn hooks_say_which_fails_since_when_and_what_is_wrong_with_the_policy_and_exit_by_it() {
    let server = serve(Fake::default());
    let bad = run(&server.url, &["hooks"]);
    assert_eq!((bad.code, bad.stderr.as_str()), (1, ""));
    let lines: Vec<_> = bad.stdout.lines().collect();
    assert!(lines[1].starts_with("chat") && lines[1].contains("slack") && lines[1].ends_with("ok"), "{}", lines[1]);
    assert!(lines[2].contains("failing since 2026-11-22 00:56:00Z") && lines[2].contains("connection refused\\x1b"), "{}", lines[2]);
    has(&bad, &["policy's file cannot be used", "in force since 2026-11-22 00:00:00Z", "  alerts.yaml:3:5: there is no key `rutes`"]);
    let json = run(&server.url, &["hooks", "-o", "json"]);
    assert_eq!(json.code, 1);
    let json = json.json();
    assert_eq!(
        (&json["hooks"][1]["waiting"], &json["hooks"][1]["dead"], &json["hooks"][0]["failing_since"]),
        (&2.into(), &1.into(), &serde_json::Value::Null)
    );
    let well = run(&serve(Fake { well: true }).url, &["hooks"]);
    assert_eq!((well.code, well.stdout.lines().count()), (0, 2), "{}", well.stdout);
}

#[test]
fn messages_that_wait_and_dead_ones_are_listed_with_the_hooks_last_words() {
    let server = serve(Fake::default());
    let waits = run(&server.url, &["alerts", "list"]);
    has(&waits, &["MADE", "inc-3/1", "opened", "2026-11-22 00:55:00Z", "4", "Title of swap-enabled", "503 Service Unavailable", "chat"]);
    let dead = run(&server.url, &["alerts", "list", "--dead", "--hook", "pager"]);
    has(&dead, &["GIVEN UP", "2026-11-23 00:55:00Z", "pager"]);
    assert_eq!(dead.stdout.lines().count(), 2, "{}", dead.stdout);
    has(&run(&server.url, &["alerts", "list", "--limit", "1"]), &["No more than 1 are shown"]);
    let json = run(&server.url, &["alerts", "list", "--dead", "-o", "json"]).json();
    assert_eq!((&json[0]["key"], &json[0]["attempts"]), (&"inc-3/1".into(), &4.into()));
    let well = serve(Fake { well: true });
    has(&run(&well.url, &["alerts", "list"]), &["No message waits."]);
    has(&run(&well.url, &["alerts", "list", "--dead"]), &["No message was given up."]);
}

#[test]
fn messages_that_were_given_up_are_sent_again_one_a_hooks_or_all() {
    let server = serve(Fake::default());
    has(&run(&server.url, &["alerts", "resend"]), &["2 messages are sent again"]);
    has(&run(&server.url, &["alerts", "resend", "--hook", "pager"]), &["1 message is sent again"]);
    assert_eq!(run(&server.url, &["alerts", "resend", "inc-3/1", "-o", "json"]).json()["resent"], 1);
    let none = run(&server.url, &["alerts", "resend", "inc-9/1", "--hook", "pager"]);
    assert_eq!((none.code, none.stdout.as_str()), (3, ""));
    assert!(none.stderr.contains("inc-9/1 of hook pager") && none.stderr.contains("alerts list --dead"), "{}", none.stderr);
    let over = run(&server.url, &["alerts", "resend", "inc-4/1"]);
    assert!(over.code == 3 && over.stderr.contains("inc-4/1 is not sent again") && over.stderr.contains("is over"), "{}", over.stderr);
    let open = run(&server.url, &["alerts", "resend", "inc-4/2"]);
    assert!(open.code == 3 && open.stderr.contains("open again"), "{}", open.stderr);
    let well = run(&serve(Fake { well: true }).url, &["alerts", "resend"]);
    assert_eq!(well.code, 0, "{}", well.stderr);
    has(&well, &["nothing to send again"]);
}

#[test]
fn wrong_calls_exit_with_64_and_every_command_explains_itself() {
    for args in [
        &["silence"][..],
        &["silence", "add"],
        &["silence", "add", "node=x", "--for", "soon"],
        &["silence", "add", "node=x", "--for", "1h", "--until", "2126-01-01T00:00:00Z"],
        &["silence", "add", "node=x", "--until", "tomorrow"],
        &["silence", "expire"],
        &["incidents", "inc-1", "--all"],
        &["incidents", "--limit", "0"],
        &["alerts"],
        &["alerts", "list", "--limit", "1001"],
    ] {
        assert_eq!(kubectl(args, b"").code, 64, "{args:?}");
    }
    for args in
        [&["incidents"][..], &["silence", "add"], &["silence", "list"], &["silence", "expire"], &["alerts", "list"], &["alerts", "resend"]]
    {
        let help = kubectl(&[args, &["--help"]].concat(), b"");
        assert!(help.code == 0 && help.stdout.contains("Example"), "{args:?}: {}", help.stdout);
    }
    assert!(kubectl(&["hooks", "--help"], b"").stdout.contains("Exit codes: 0 all is well, 1"));
    for shell in ["bash", "zsh", "fish"] {
        let script = kubectl(&["completions", shell], b"");
        assert!(script.code == 0 && ["incidents", "silence", "resend"].iter().all(|word| script.stdout.contains(word)), "{shell}");
    }
}
