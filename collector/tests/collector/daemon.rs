//! The program as systemd meets it.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::{Collector, DEADLINE};

#[test]
fn the_watchdog_is_fed_while_it_serves() {
    let mut collector = Collector::start("");
    collector.kill();
    let path = collector.dir.path().join("watched");
    let notify = UnixDatagram::bind(&path).expect("a socket");
    notify.set_read_timeout(Some(DEADLINE)).expect("a socket option");
    let mut command = collector.command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000").stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let (mut told, mut bytes) = (Vec::new(), [0; 512]);
    while !told.iter().any(|word: &String| word == "WATCHDOG=1") {
        let Ok(length) = notify.recv(&mut bytes) else { break };
        told.push(String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned());
    }
    child.kill().expect("ours");
    child.wait().expect("ours");
    assert!(told.first().is_some_and(|word| word.starts_with("READY=1")), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("WATCHDOG=1"));
}

#[test]
fn files_that_never_end_or_never_come_end_the_start_with_a_word() {
    let dir = tempfile::tempdir().expect("a directory");
    let (fifo, huge) = (dir.path().join("fifo"), dir.path().join("huge"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("made");
    std::fs::File::create(&huge).and_then(|file| file.set_len(64 << 20)).expect("made");
    let with_tls = dir.path().join("tls.yaml");
    let (fifo_shown, data) = (fifo.display(), dir.path().join("data"));
    let tls = format!("tls: {{certFile: {fifo_shown}, keyFile: {fifo_shown}, clientCAFile: {fifo_shown}}}\n");
    std::fs::write(&with_tls, tls).expect("written");
    for (config, says) in [(&fifo, "not come back"), (&huge, "larger than"), (&with_tls, "certFile")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodewhy-collector"));
        command.args(["run", "--listen", "127.0.0.1:0", "--config"]).arg(config).arg("--data-dir").arg(&data);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let end = Instant::now() + DEADLINE;
        while child.try_wait().expect("ours").is_none() {
            if Instant::now() > end {
                child.kill().expect("ours");
                panic!("it hangs with {}", config.display());
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        let output = child.wait_with_output().expect("ours");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && error.contains(says), "{}: {error}", config.display());
    }
}
