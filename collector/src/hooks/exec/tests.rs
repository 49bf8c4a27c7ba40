use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use super::*;
use crate::hooks::example;
use crate::hooks::template::Templates;

/// Runs a script of these lines in a directory of its own.
async fn script(dir: &Path, lines: &str, arguments: &[&str], timeout: Duration) -> Result<(), Failure> {
    let path = dir.join("hook");
    fs::write(&path, format!("#!/bin/sh\ncd {}\n{lines}\n", dir.display())).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    let command = std::iter::once(path.display().to_string()).chain(arguments.iter().map(|one| (*one).to_owned())).collect();
    let mut message = example::fleet(Timestamp::UNIX_EPOCH);
    message.title = "'; touch /tmp/x; $(reboot) `reboot` \0 end".to_owned();
    let run = run(&message, &Templates::default().render(&message)).expect("a run");
    loop {
        let again = Run { input: run.input.clone(), environment: run.environment.clone() };
        match execute(&Exec { command: Vec::clone(&command), timeout }, again).await {
            // Another test forked while the script was open for writing.
            Err(failure) if failure.words.contains("Text file busy") => {}
            done => return done,
        }
    }
}

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_script_gets_the_message_and_its_fields_and_nothing_of_the_collectors_environment() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = "cat > in; printf '%s|' \"$@\" > args; printf %s \"$NODEWHY_TITLE\" > title; env -0 | tr '\\n' ' ' | tr '\\0' '\\n' | cut -d= -f1 > env";
    script(dir.path(), lines, &["--urgent", "a b;c"], SOON).await.expect("taken");
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect(name);
    let message: Message = serde_json::from_str(&read("in")).expect("the message");
    assert_eq!(message.incident, "example-fleet");
    assert_eq!(read("args"), "--urgent|a b;c|");
    assert_eq!(read("title"), "'; touch /tmp/x; $(reboot) `reboot` end");
    let known = |name: &str| name.starts_with("NODEWHY_") || ["PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name);
    let env = read("env");
    assert!(env.lines().all(known) && env.contains("NODEWHY_NODE_COUNT"), "{env}");
}

#[tokio::test]
async fn what_an_exit_code_means() {
    let dir = tempfile::tempdir().expect("a directory");
    for (lines, says, blame) in [
        ("echo no such user >&2; exit 3", "exit code 3: no such user", Blame::Refused),
        ("exit 75", "exit code 75", Blame::Trouble),
        ("kill -TERM $$", "signal 15", Blame::Trouble),
    ] {
        let failure = script(dir.path(), lines, &[], SOON).await.expect_err(lines);
        assert!(failure.words.contains(says) && failure.blame == blame, "{lines}: {}", failure.words);
    }
    let exec = Exec { command: vec!["/none/hook".to_owned()], timeout: SOON };
    let failure = execute(&exec, Run { input: Vec::new(), environment: Vec::new() }).await.expect_err("there is none");
    assert!(failure.words.contains("cannot run /none/hook") && failure.blame == Blame::Away, "{}", failure.words);
}

#[tokio::test]
async fn a_script_that_does_not_end_is_killed_with_its_children() {
    let dir = tempfile::tempdir().expect("a directory");
    let began = Instant::now();
    let failure = script(dir.path(), "echo $$ > pid; sleep 600 & wait", &[], Duration::from_secs(1)).await.expect_err("too long");
    assert!(failure.words.contains("did not end within 1s") && failure.blame == Blame::Trouble, "{}", failure.words);
    assert!(began.elapsed() < SOON);
    let pid = fs::read_to_string(dir.path().join("pid")).expect("a pid").trim().parse().expect("a number");
    let end = Instant::now() + SOON;
    while killpg(Pid::from_raw(pid), None).is_ok() {
        assert!(Instant::now() < end, "the group lives on");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_that_reads_nothing_says_much_or_leaves_a_child_behind_is_taken_all_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    for lines in ["exec true", "yes | head -c 300000 >&2; exit 0", "sleep 600 & exit 0"] {
        let began = Instant::now();
        script(dir.path(), lines, &[], SOON).await.unwrap_or_else(|failure| panic!("{lines}: {}", failure.words));
        assert!(began.elapsed() < SOON, "{lines}");
    }
}
