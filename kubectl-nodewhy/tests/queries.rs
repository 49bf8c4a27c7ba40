//! `nodes`, `why` and `history` through the real program, against a query service in this process.

mod support;

use std::path::Path;

use support::{Fake, Run, TlsFiles, kubectl, serve, serve_tls};

fn run(url: &str, args: &[&str]) -> Run {
    kubectl(&[&["--collector", url], args].concat(), b"")
}

#[test]
fn nodes_are_a_table_over_all_pages_with_the_root_and_since() {
    let server = serve(Fake::default());
    let run = run(&server.url, &["nodes"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("NODE") && lines[0].contains("VERDICT") && lines[0].contains("LAST SEEN"), "{}", run.stdout);
    assert_eq!(lines.len(), 1 + 3, "three nodes, on two pages: {}", run.stdout);
    assert!(lines[1].contains("worker-1") && lines[1].contains("not-ready") && lines[1].contains("swap-enabled"), "{}", lines[1]);
    assert!(lines[3].contains("worker-3") && lines[3].contains("unknown") && lines[3].contains("agent-silent"), "{}", lines[3]);
    assert!(!run.stdout.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn nodes_are_had_as_json_and_yaml() {
    let server = serve(Fake::default());
    let json = run(&server.url, &["nodes", "--output", "json"]).json();
    assert_eq!(json[0]["node"], "worker-1");
    assert_eq!(json[0]["verdict"], "not-ready");
    assert_eq!(json[0]["roots"][0], "swap-enabled");
    assert_eq!(json[2]["silent"], true);
    let yaml = run(&server.url, &["nodes", "--output", "yaml"]).stdout;
    assert!(yaml.contains("worker-1") && yaml.contains("not-ready"), "{yaml}");
}

#[test]
fn why_tells_root_evidence_fix_and_symptoms_and_exits_by_the_verdict() {
    let server = serve(Fake::default());
    let run = run(&server.url, &["why", "worker-1"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    let place = |what: &str| run.stdout.find(what).unwrap_or_else(|| panic!("{what} is missing in\n{}", run.stdout));
    let order = [
        "node worker-1: not-ready",
        "ROOT CAUSE",
        "swap-enabled",
        "since 2026-11-22 00:54:49Z",
        "Evidence",
        "log:kubelet.service",
        "Fix",
        "swapoff -a",
        "Follows from it",
        "kubelet-down",
    ];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{}", run.stdout);
    assert!(run.stdout.contains("\\x1b[2Jowned") && !run.stdout.contains('\u{1b}'), "log text cannot steer the terminal");
}

#[test]
fn why_as_json_is_the_contract_of_scripts() {
    let server = serve(Fake::default());
    let json = run(&server.url, &["why", "worker-1", "-o", "json"]).json();
    assert_eq!((&json["node"], &json["verdict"]), (&"worker-1".into(), &"not-ready".into()));
    let root = &json["causes"][0];
    assert_eq!(
        (&root["code"], &root["root"], &root["severity"], &root["layer"]),
        (&"swap-enabled".into(), &true.into(), &"critical".into(), &"kubelet".into())
    );
    assert_eq!(root["remedy"][0]["run"], "swapoff -a");
    assert_eq!(root["evidence"][0]["source"], "log:kubelet.service");
    assert_eq!(json["causes"][1]["explained_by"][0], "swap-enabled");
}

#[test]
fn exit_codes_tell_healthy_and_silent_nodes() {
    let server = serve(Fake::default());
    assert_eq!(run(&server.url, &["why", "worker-2"]).code, 0);
    let silent = run(&server.url, &["why", "worker-3"]);
    assert_eq!(silent.code, 3);
    assert!(silent.stdout.starts_with("node worker-3: unknown  (silent since 2026-11-22 01:00:00Z, "), "{}", silent.stdout);
    assert!(!silent.stdout.contains(": healthy"), "a silent node never reads as healthy: {}", silent.stdout);
}

#[test]
fn a_node_nobody_has_heard_of_is_an_error_with_what_to_do() {
    let server = serve(Fake::default());
    for args in [&["why", "worker-9"][..], &["history", "worker-9"], &["history", "worker-9", "--open", "-o", "json"]] {
        let run = run(&server.url, args);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{args:?}");
        assert!(run.stderr.contains("worker-9") && run.stderr.contains("nodes"), "{args:?}: {}", run.stderr);
    }
    let none = run(&server.url, &["history", "worker-2"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, "node worker-2: no case on record.\n"), "{}", none.stderr);
}

#[test]
fn history_tells_both_times_and_reasons() {
    let server = serve(Fake::default());
    let run = run(&server.url, &["history", "worker-1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for want in [
        "swap-enabled",
        "2026-11-22 00:54:49Z",
        "log sign seen",
        "2026-11-22 01:10:00Z",
        "absent: swap.devices.size() == 0",
        "kubelet-port-in-use",
    ] {
        assert!(run.stdout.contains(want), "{want} is missing in\n{}", run.stdout);
    }
    let one = kubectl(&["--collector", &server.url, "history", "worker-1", "--limit", "1", "-o", "json"], b"").json();
    assert_eq!((one.as_array().map(Vec::len), &one[0]["code"]), (Some(1), &"kubelet-port-in-use".into()), "the newest");
    let open = kubectl(&["--collector", &server.url, "history", "worker-1", "--open", "-o", "json"], b"").json();
    assert_eq!((open.as_array().map(Vec::len), &open[0]["closed_at"]), (Some(1), &serde_json::Value::Null));
}

#[test]
fn a_collector_that_is_not_there_is_told_with_its_address() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let run = run(&format!("http://{gone}"), &["nodes"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains(&gone.to_string()) && run.stderr.contains("--collector"), "{}", run.stderr);
}

#[test]
fn what_answers_garbage_is_an_error_and_no_hang() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\0\xff\xff\xff\xff");
        }
    });
    assert_eq!(run(&url, &["nodes"]).code, 3);
}

#[test]
fn wrong_calls_exit_with_64_and_help_with_0() {
    for args in
        [&["why"][..], &["frob"], &[], &["nodes", "--output", "xml"], &["history", "n", "--limit", "0"], &["nodes", "--cert-file", "x"]]
    {
        assert_eq!(kubectl(args, b"").code, 64, "{args:?}");
    }
    for args in [&["--help"][..], &["analyze", "--help"], &["--version"], &["completions", "bash"]] {
        let run = kubectl(args, b"");
        assert_eq!((run.code, run.stdout.is_empty()), (0, false), "{args:?}");
    }
    assert_eq!(run("ftp://x", &["nodes"]).code, 3);
}

#[test]
fn over_tls_the_collector_and_the_asker_are_known_by_their_certificates() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = TlsFiles::make(dir.path());
    let server = serve_tls(Fake::default(), &files);
    let path = |file: &Path| file.to_str().expect("UTF-8").to_owned();
    let (ca, cert, key, other_ca) = (path(&files.ca), path(&files.client_cert), path(&files.client_key), path(&files.other_ca));

    let full = ["--ca-file", &ca, "--cert-file", &cert, "--key-file", &key, "nodes"];
    let good = run(&server.url, &full);
    assert_eq!(good.code, 0, "{}", good.stderr);

    for (args, says) in [
        (vec!["nodes"], "--ca-file"),
        (vec!["--ca-file", &ca, "nodes"], ""),
        (vec!["--ca-file", &other_ca, "--cert-file", &cert, "--key-file", &key, "nodes"], ""),
        (vec!["--ca-file", "/nonexistent/ca.crt", "nodes"], "/nonexistent/ca.crt"),
        (vec!["--server-name", "elsewhere", "--ca-file", &ca, "--cert-file", &cert, "--key-file", &key, "nodes"], ""),
    ] {
        let bad = run(&server.url, &args);
        assert_eq!((bad.code, bad.stdout.as_str()), (3, ""), "{args:?}");
        assert!(bad.stderr.contains(says) && bad.stderr.len() > 20, "{args:?}: {}", bad.stderr);
    }
    let plain = run(&server.url.replace("https", "http"), &full);
    assert_eq!(plain.code, 3, "certificates and http do not go together");
}
