//! The command line as scripts and systemd meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod support;

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use support::Node;
use support::journal_file::JournalFile;

fn run(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// `check` has less than a second, which may be too little while the machine is busy with other tests: it is asked again.
fn check_until(node: &Node, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> (Option<i32>, String, String) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = run(node.command(arguments));
        if wanted(&answer.1) || Instant::now() > deadline {
            return answer;
        }
    }
}

#[test]
fn check_names_the_cause_and_exits_2() {
    let node = Node::new(None);
    JournalFile::system(&node.root()).kubelet("test fault 7 happened");
    node.fault(Some(7));
    let both = |text: &str| text.contains("test-by-fact") && text.contains("test-by-log");
    let (code, text, _) = check_until(&node, &["check"], both);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("node-1") && text.contains("test-by-fact") && text.contains("/dev/fault7"), "{text}");
    assert!(!text.contains('\x1b'), "colours without a terminal: {text:?}");
    let (code, json, _) = check_until(&node, &["check", "--output", "json"], both);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &value["node"], &value["verdict"]), (Some(2), &"node-1".into(), &"not-ready".into()));
    let causes: Vec<&str> = value["causes"].as_array().unwrap().iter().map(|cause| cause["code"].as_str().unwrap()).collect();
    assert!(causes.contains(&"test-by-fact") && causes.contains(&"test-by-log"), "{causes:?}");
    let (code, yaml, _) = check_until(&node, &["check", "-o", "yaml"], both);
    assert!(code == Some(2) && yaml.contains("verdict: not-ready"), "{yaml}");
}

#[test]
fn check_of_a_host_without_a_kubelet_says_where_it_looked_and_ends() {
    let node = Node::new(None);
    JournalFile::system(&node.root()).kubelet("nothing of interest");
    let began = Instant::now();
    let (code, text, _) = run(node.command(&["check"]));
    // Its own deadline is 900 ms; the rest is for a machine busy with other tests.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(text.contains("no kubelet was found") && text.contains("/var/lib/kubelet/config.yaml"), "{text}");
    assert_eq!(code, Some(3), "there is no D-Bus, so not everything could be looked at: {text}");
    let (_, json, _) = run(node.command(&["check", "-o", "json"]));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["unknown"][0]["what"], "kubelet");
    assert!(value["unknown"][0]["why"].as_str().unwrap().contains("looked for "), "{json}");
}

#[test]
fn mistakes_are_told_with_their_place_and_the_exit_code_of_their_kind() {
    let node = Node::new(None);
    let (code, _, error) = run(node.command(&["chek"]));
    assert_eq!(code, Some(64), "{error}");
    let bad = node.path().join("bad.yaml");
    std::fs::write(&bad, "stateDir: /x\nno_such_key: 1\n").unwrap();
    let (code, _, error) = run(node.command(&["--config", bad.to_str().unwrap(), "check"]));
    assert_eq!(code, Some(64), "given twice: {error}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-agent"));
    command.args(["check", "--root"]).arg(node.root()).arg("--config").arg(&bad);
    let (_, text, error) = run(command);
    assert!(error.contains("bad.yaml:2:1") && text.contains("no_such_key"), "told on the side and in the diagnosis: {error}\n{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-agent"));
    command.args(["check", "--config", "/no/such/file", "--root"]).arg(node.root());
    let (_, text, error) = run(command);
    assert!(error.contains("/no/such/file") && text.contains("/no/such/file"), "{error}\n{text}");
}

#[test]
fn a_configuration_that_never_ends_or_never_comes_holds_up_nothing() {
    let node = Node::new(None);
    let (fifo, huge) = (node.path().join("fifo.yaml"), node.path().join("huge.yaml"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::File::create(&huge).unwrap().set_len(64 << 20).unwrap();
    for (path, says) in [(&fifo, "not come back"), (&huge, "larger than")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-agent"));
        command.args(["check", "--root"]).arg(node.root()).arg("--config").arg(path);
        let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("check hangs with {}", path.display());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(says) && text.contains("the defaults hold"), "{}: {text}", path.display());
    }
}

#[test]
fn a_state_directory_that_cannot_be_used_is_told_at_once() {
    let node = Node::new(None);
    let config = node.path().join("stateless.yaml");
    std::fs::write(node.path().join("file"), "").unwrap();
    std::fs::write(&config, format!("nodeName: node-1\nstateDir: {}/file/state\n", node.path().display())).unwrap();
    let (log, deadline) = (node.path().join("stateless.log"), Instant::now() + Duration::from_secs(30));
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-agent"));
    command.args(["run", "--root"]).arg(node.root()).arg("--config").arg(&config).env_remove("NOTIFY_SOCKET");
    let _agent = support::Agent(command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap());
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    while !told().contains("file/state") {
        assert!(Instant::now() < deadline, "not a word: {}", told());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(told().contains("cannot make") && told().contains("memory only"), "{}", told());
}

#[test]
fn a_root_that_is_not_there_is_said_once_and_an_answer_that_cannot_be_written_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-agent"));
    command.args(["check", "--root", "/nonexistent"]);
    let (code, text, error) = run(command);
    assert_eq!((code, text.as_str(), error.lines().count()), (Some(3), "", 1), "{error}");
    assert!(error.contains("look into /nonexistent: No such file or directory") && error.contains("--root"), "{error}");
    let node = Node::new(None);
    for arguments in [&["check"][..], &["check", "-o", "json"], &["causes", "list"], &["completions", "bash"]] {
        let mut command = node.command(arguments);
        command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let (code, _, error) = run(command);
        assert!(code == Some(3) && error.contains("standard output: No space left on device"), "{arguments:?}: {code:?} {error}");
    }
}

#[test]
fn a_broken_cause_file_is_told_and_the_others_stay() {
    let node = Node::new(None);
    node.fault(Some(1));
    let broken = node.path().join("causes.d/broken.yaml");
    std::fs::write(&broken, "code: broken\ntitle: [\n").unwrap();
    let (_, text, notes) = check_until(&node, &["check"], |text| text.contains("test-by-fact"));
    assert!(notes.contains("broken.yaml:") && text.contains("test-by-fact"), "{notes}\n{text}");
    let (code, _, notes) = run(node.command(&["causes", "lint", broken.to_str().unwrap()]));
    assert!(code == Some(3) && notes.contains("broken.yaml:"), "{notes}");
    let good = node.path().join("causes.d/test-by-log.yaml");
    let (code, _, notes) = run(node.command(&["causes", "lint", good.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{notes}");
}

#[test]
fn causes_are_listed_and_explained() {
    let node = Node::new(None);
    let (code, list, _) = run(node.command(&["causes", "list"]));
    assert!(code == Some(0) && list.contains("swap-enabled") && list.contains("test-by-log"), "{list}");
    let (code, page, _) = run(node.command(&["causes", "explain", "swap-enabled"]));
    assert!(code == Some(0) && page.contains("What it means") && page.contains("swapoff -a"), "{page}");
    let (code, _, error) = run(node.command(&["causes", "explain", "swap-on"]));
    assert!(code == Some(3) && error.contains("there is no cause `swap-on`. Did you mean ") && error.contains("swap-enabled"), "{error}");
    assert!(error.contains("? `nodewhy-agent causes list` shows all."), "{error}");
    let (_, _, error) = run(node.command(&["causes", "explain", "kublet-down"]));
    assert!(error.contains("Did you mean kubelet-down"), "the nearest first: {error}");
}

#[test]
fn the_list_tells_where_causes_are_from_and_the_page_tells_all() {
    let node = Node::new(None);
    let (_, list, _) = run(node.command(&["causes", "list", "-o", "json"]));
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let origin = |code: &str| list.as_array().unwrap().iter().find(|line| line["code"] == code).unwrap()["origin"].clone();
    assert_eq!(origin("swap-enabled"), "built-in");
    assert!(origin("test-by-log").as_str().unwrap().ends_with("causes.d/test-by-log.yaml"));
    let (_, page, _) = run(node.command(&["causes", "explain", "runtime-down"]));
    for part in ["What it means", "How nodewhy knows", "What else looks like this", "What to do", "Any one of these signs", "Explains:"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (_, page, _) = run(node.command(&["causes", "explain", "test-by-log"]));
    assert!(page.contains("From ") && page.contains("test-by-log.yaml"), "{page}");
}

#[test]
fn lint_tells_scripts_the_place_of_each_problem() {
    let node = Node::new(None);
    let broken = node.path().join("broken.yaml");
    std::fs::write(&broken, "code: broken\ntitle: t\nlayer: kernel\nseverity: warning\nsigns: [{fact: 'swap.devises.size() > 0'}]\nmessage: m\ndocs: {meaning: m}\n").unwrap();
    let (code, json, _) = run(node.command(&["causes", "lint", broken.to_str().unwrap(), "--output", "json"]));
    let checked: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &checked[0]["good"], &checked[0]["problems"][0]["line"]), (Some(3), &false.into(), &5.into()), "{json}");
    assert!(checked[0]["problems"][0]["problem"].as_str().unwrap().contains("swap.devices"), "{json}");
    std::fs::write(
        &broken,
        "code: Broken\ntitle: t\nlayer: kernel\nseverity: warning\nsigns:\n  - fact: 'swap.devises.size() > 0'\n  - log: {from: [kernel], match: '(', within: 10m}\nabsent: 'nope'\nmessage: '{{a'\ndocs: {meaning: m}\n",
    )
    .unwrap();
    let (_, _, told) = run(node.command(&["causes", "lint", broken.to_str().unwrap()]));
    for wanted in ["1:7: code:", "6:11: fact:", "7:10: a log sign needs", "7:34: match:", "within:", "8:9: absent:", "9:10: message:"] {
        assert!(told.contains(wanted), "{wanted} is missing in\n{told}");
    }
    std::fs::write(&broken, "code: broken\ntitle: t\nlayer: kernl\n").unwrap();
    let (_, _, told) = run(node.command(&["causes", "lint", broken.to_str().unwrap()]));
    assert!(told.contains("broken.yaml:3:8: ") && !told.contains("at line 3"), "the place is said once: {told}");
}

#[test]
fn own_causes_are_tested_by_their_examples_and_stories() {
    let node = Node::new(None);
    let directory = node.path().join("causes.d");
    let story = |line: &str| {
        format!(
            "stories:\n  - name: it happens\n    steps:\n      - lines: ['kubelet: {line}']\n        shows: present\n        roots: [test-by-log]\n        message: '7'\n"
        )
    };
    std::fs::create_dir(directory.join("stories")).unwrap();
    std::fs::write(directory.join("stories/test-by-log.yaml"), story("test fault 7 happened")).unwrap();
    // It ends while /etc/fstab has no swap: with the fact unknown it stays.
    let facts = "        facts: {swap.fstab: {missing: failed}}\n";
    std::fs::write(directory.join("stories/test-by-log.yaml"), story("test fault 7 happened") + facts).unwrap();
    let (code, text, notes) = run(node.command(&["causes", "test", directory.to_str().unwrap()]));
    assert!(code == Some(0) && text.contains("1 examples good") && text.contains("1 stories good"), "{code:?} {text} {notes}");
    std::fs::write(directory.join("stories/test-by-log.yaml"), story("nothing") + facts).unwrap();
    let (code, text, _) = run(node.command(&["causes", "test", directory.to_str().unwrap()]));
    assert!(code == Some(1) && text.contains("it happens: step 1: roots"), "{code:?} {text}");
    let empty = node.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let (code, text, error) = run(node.command(&["causes", "test", empty.to_str().unwrap()]));
    assert!(code == Some(3) && text.is_empty() && error.contains("nothing to try") && error.contains("empty"), "{code:?} {text} {error}");
    std::fs::write(directory.join("stories/test-by-log.yaml"), "stories: 7\n").unwrap();
    assert_eq!(run(node.command(&["causes", "test", directory.to_str().unwrap()])).0, Some(1));
}

/// What the agent tells systemd until it is `wanted`.
fn told_until(socket: &UnixDatagram, wanted: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut told = String::new();
    let mut buffer = [0_u8; 4096];
    while !told.lines().any(|line| line.starts_with(wanted)) {
        assert!(Instant::now() < deadline, "{wanted} was not told: {told}");
        let length = socket.recv(&mut buffer).unwrap();
        told.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        told.push('\n');
    }
    told
}

#[test]
fn systemd_is_told_ready_status_watchdog_and_stopping_and_sigterm_ends_it_with_0() {
    let node = Node::new(None);
    JournalFile::system(&node.root()).kubelet("nothing of interest");
    node.fault(Some(1));
    let path = node.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut agent = node.start_with(|command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    });
    let told = told_until(&socket, "READY=1");
    assert!(told.contains("STATUS=not-ready: test-by-fact") || told_until(&socket, "STATUS=not-ready").contains("test-by-fact"), "{told}");
    told_until(&socket, "WATCHDOG=1");
    let began = Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(agent.0.id()).unwrap()), nix::sys::signal::Signal::SIGTERM).unwrap();
    told_until(&socket, "STOPPING=1");
    assert_eq!(agent.0.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn two_agents_do_not_share_a_state_directory() {
    let node = Node::new(None);
    let _first = node.start();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !node.path().join("state").read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        assert!(Instant::now() < deadline);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let (code, _, error) = run(node.command(&["run"]));
    assert!(code == Some(3) && error.contains("state"), "{code:?} {error}");
}
