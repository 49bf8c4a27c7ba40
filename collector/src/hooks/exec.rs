//! A command on this machine: the message's JSON on its standard input, the plain fields in its environment.
//!
//! It is told that a message was taken by exit code 0; 75 (EX_TEMPFAIL of sysexits.h), a signal or no end in time mean: again later.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};

use super::deliver::{Blame, Failure};
use super::template::Texts;
use super::text::{cut_bytes, more, one_line};
use super::words;
use crate::message::Message;
use crate::policy::hooks::Exec;

/// "Temporary failure", of sysexits.h.
const TEMPORARY: i32 = 75;
/// What is passed on of what the collector was started with.
const PASSED_ON: [&str; 2] = ["PATH", "LANG"];
/// Bytes of its complaint that are kept.
const WORDS: u64 = 300;

/// A run of the command.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) input: Vec<u8>,
    pub(super) environment: Vec<(&'static str, String)>,
}

/// The run for a message.
pub(super) fn run(message: &Message, texts: &Texts) -> Result<Run, String> {
    let mut input = serde_json::to_vec(message).map_err(|error| format!("the message cannot be written: {error}"))?;
    input.push(b'\n');
    let all = [
        ("NODEWHY_KEY", message.key.clone()),
        ("NODEWHY_EVENT", message.event.word().to_owned()),
        ("NODEWHY_INCIDENT", message.incident.clone()),
        ("NODEWHY_NUMBER", message.number.to_string()),
        ("NODEWHY_KIND", words::kind(message.kind)),
        ("NODEWHY_SEVERITY", words::severity(message.severity).to_owned()),
        ("NODEWHY_LAYER", words::layer(message.layer)),
        ("NODEWHY_CAUSE", message.cause.code.clone()),
        ("NODEWHY_TITLE", texts.title.clone()),
        ("NODEWHY_TEXT", texts.text.clone()),
        ("NODEWHY_NODE", message.node.clone()),
        ("NODEWHY_NODES", message.nodes.names.join(" ")),
        ("NODEWHY_NODE_COUNT", message.nodes.count.to_string()),
        ("NODEWHY_SINCE", message.since.to_string()),
        ("NODEWHY_RESOLVED_AT", message.resolved_at.map(|at| at.to_string()).unwrap_or_default()),
        ("NODEWHY_ENDED_BY", message.ended_by.clone()),
        ("NODEWHY_COMMAND", message.command.clone()),
        ("NODEWHY_PAGE", message.page.clone().unwrap_or_default()),
    ];
    let more = more(message);
    let plain = |text: String| cut_bytes(&text.replace('\0', " "), 8192, &more);
    Ok(Run { input, environment: all.map(|(name, value)| (name, plain(value))).into() })
}

/// Runs the command and waits for its end.
pub(super) async fn execute(exec: &Exec, run: Run) -> Result<(), Failure> {
    let Some((program, arguments)) = exec.command.split_first() else {
        return Err(Failure { words: "there is no command".to_owned(), blame: Blame::Away });
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(run.environment);
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).current_dir("/").process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| Failure { words: format!("cannot run {program}: {error}"), blame: Blame::Away })?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()));
    let (input, complaint) = (child.stdin.take(), child.stderr.take());
    let mut words = Vec::new();
    let ended = tokio::time::timeout(exec.timeout, end(&mut child, input, &run.input, complaint, &mut words)).await;
    // With all that it left behind, in the group that is its own.
    group.kill();
    let words = one_line(&String::from_utf8_lossy(&words));
    match ended {
        Ok(Ok(status)) => judge(status, &words),
        Ok(Err(error)) => Err(Failure { words: format!("cannot wait for {program}: {error}"), blame: Blame::Trouble }),
        Err(_) => {
            Err(Failure { words: told(&format!("it did not end within {:?} and was killed", exec.timeout), &words), blame: Blame::Trouble })
        }
    }
}

/// Feeds it, listens to it, and waits for its end; a child of it that keeps the pipe is not waited for.
async fn end(
    child: &mut Child,
    input: Option<ChildStdin>,
    bytes: &[u8],
    complaint: Option<ChildStderr>,
    words: &mut Vec<u8>,
) -> std::io::Result<ExitStatus> {
    let feed = async {
        if let Some(mut input) = input {
            // It may not want to read it.
            drop(input.write_all(bytes).await);
        }
    };
    let listen = async {
        if let Some(complaint) = complaint {
            let mut first = complaint.take(WORDS);
            drop(first.read_to_end(words).await);
            // What more it says goes nowhere, and it is not held up.
            drop(tokio::io::copy(&mut first.into_inner(), &mut tokio::io::sink()).await);
        }
    };
    let talk = async {
        tokio::join!(feed, listen);
        std::future::pending::<()>().await;
    };
    tokio::pin!(talk);
    let status = tokio::select! {
        status = child.wait() => status,
        () = &mut talk => child.wait().await,
    };
    // Its last words may still be in the pipe.
    drop(tokio::time::timeout(Duration::from_millis(50), talk).await);
    status
}

fn judge(status: ExitStatus, words: &str) -> Result<(), Failure> {
    let (what, blame) = match (status.code(), status.signal()) {
        (Some(0), _) => return Ok(()),
        (Some(TEMPORARY), _) => ("exit code 75: later".to_owned(), Blame::Trouble),
        (Some(code), _) => (format!("exit code {code}"), Blame::Refused),
        (None, signal) => (format!("ended by signal {}", signal.unwrap_or_default()), Blame::Trouble),
    };
    Err(Failure { words: told(&what, words), blame })
}

fn told(what: &str, words: &str) -> String {
    if words.is_empty() { what.to_owned() } else { format!("{what}: {words}") }
}

/// A process group that does not outlive its run.
struct Group(Option<i32>);

impl Group {
    fn kill(&mut self) {
        if let Some(id) = self.0.take() {
            // Nobody left: nothing to do.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests;
