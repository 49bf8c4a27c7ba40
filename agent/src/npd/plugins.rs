//! Custom plugins: programs of the admin's that say by their exit code whether something is wrong (pkg/custompluginmonitor/plugin, v1.37).
//! They run with the agent's rights, because the admin's configuration names them; nothing else in the agent starts a program.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::feeds::Ends;
use super::report::State;
use crate::host::journal::Batch;

/// Of what a plugin says so much is read; the rest is read and thrown away (maxCustomPluginBufferBytes).
const MAX_OUTPUT: u64 = 4 << 10;
/// So long a killed plugin may take to be gone before it is told that it cannot be killed.
const GONE_WITHIN: Duration = Duration::from_secs(1);
/// What the agent has of systemd is not for its children.
const NOT_FOR_CHILDREN: [&str; 5] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "JOURNAL_STREAM"];

/// One plugin rule.
#[derive(Debug, Clone)]
pub(super) struct Plugin {
    pub(super) key: String,
    /// The configuration file, beside which relative paths are looked for too.
    pub(super) file: PathBuf,
    pub(super) path: String,
    pub(super) args: Vec<String>,
    pub(super) timeout: Duration,
    pub(super) every: Duration,
    pub(super) max_output: usize,
    /// Another message of the same problem is told too.
    pub(super) follows_message: bool,
}

impl Plugin {
    /// Runs it again and again and tells what it found, until aborted. Never twice at a time; with `turns` never more of one file than it allows.
    pub(super) async fn run_for_ever(self, turns: Arc<Semaphore>, ends: Ends) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(turn) = turns.acquire().await else { return };
            let (state, left) = self.run(self.timeout).await;
            drop(turn);
            let facts = ends.report.set(&self.key, self.told(state, &ends));
            if let Some(facts) = facts
                && ends.out.send(Batch { facts, ..Batch::default() }).await.is_err()
            {
                return;
            }
            if let Some(left) = left {
                // In the kernel, or it would be gone: not a second one beside it.
                left.gone().await;
            }
        }
    }

    /// The message of a problem that goes on is told anew only where the configuration wants it.
    fn told(&self, state: State, ends: &Ends) -> State {
        match (state, ends.report.problem(&self.key)) {
            (State::Problem(_), Some(before)) if !self.follows_message => State::Problem(before),
            (state, _) => state,
        }
    }

    /// Runs it once. What cannot even be killed is handed back.
    pub(super) async fn run(&self, limit: Duration) -> (State, Option<Left>) {
        let until = Instant::now() + limit;
        let plugin = self.clone();
        // To find and to start a program reads its disk, which may hang.
        let mut starting = spawn_blocking(move || plugin.start());
        let mut group = match timeout_at(until, &mut starting).await {
            Ok(Ok(Ok(group))) => group,
            Ok(Ok(Err(why))) => return (State::Unknown(why), None),
            Ok(Err(error)) => return (State::Unknown(format!("starting the plugin {} broke off: {error}", self.path)), None),
            Err(_) => {
                let why = format!("the plugin {} could not be started within {limit:?}: its disk or file system hangs", self.path);
                return (State::Unknown(why), Some(Left::Starting(starting)));
            }
        };
        let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
        // Whoever holds the pipes open is waited for too: a plugin is over when its children are.
        let ended = timeout_at(until, async { (tokio::join!(said(stdout), said(stderr)), group.0.wait().await) }).await;
        match ended {
            Ok(((output, errors), Ok(status))) => (self.state(status, &output, &errors), None),
            Ok((_, Err(error))) => (State::Unknown(format!("waiting for the plugin {}: {error}", self.path)), None),
            Err(_) => {
                group.kill();
                let why = format!("the plugin {} did not end within {limit:?} and was killed", self.path);
                match timeout(GONE_WITHIN, group.0.wait()).await {
                    Ok(_) => (State::Unknown(why), None),
                    Err(_) => (State::Unknown(format!("{why}, and is still there: it hangs in the kernel")), Some(Left::Running(group))),
                }
            }
        }
    }

    /// Finds and starts it. Blocks.
    fn start(&self) -> Result<Group, String> {
        let program = self.program();
        let mut command = Command::new(&program);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        for name in NOT_FOR_CHILDREN {
            command.env_remove(name);
        }
        let child = command.spawn().map_err(|error| format!("the plugin {} cannot be started: {error}", program.display()))?;
        may_be_killed_for_memory(&child);
        Ok(Group(child))
    }

    fn state(&self, status: ExitStatus, output: &[u8], errors: &[u8]) -> State {
        let output = String::from_utf8_lossy(output);
        let mut end = output.trim().len().min(self.max_output);
        let output = output.trim();
        while !output.is_char_boundary(end) {
            end -= 1;
        }
        let output = &output[..end];
        if !errors.is_empty() {
            tracing::debug!(plugin = self.key, "the plugin says: {}", String::from_utf8_lossy(errors).trim());
        }
        match status.code() {
            Some(0) => State::Fine,
            Some(1) => State::Problem(output.to_owned()),
            _ => State::Unknown(format!("the plugin {} ended with {status}: {output}", self.path)),
        }
    }

    /// As node-problem-detector finds it: from the directory the process runs in. The paths in its own files are relative to its
    /// image's root; where there is nothing, they are looked for beside the configuration file, and beside its directory.
    #[allow(clippy::disallowed_methods, reason = "the admin's own plugins, in the agent's own mount namespace")]
    fn program(&self) -> PathBuf {
        let path = Path::new(&self.path);
        let beside = self.file.ancestors().skip(1).take(2).map(|directory| directory.join(path));
        let is_there = |path: &PathBuf| path.is_file();
        if !path.is_relative() || is_there(&path.to_owned()) || !self.path.contains('/') {
            return path.to_owned();
        }
        beside.into_iter().find(is_there).unwrap_or_else(|| path.to_owned())
    }
}

/// The agent is the last that the kernel kills when memory ends (OOMScoreAdjust=-900 of its unit); what the admin's plugins use is nothing to
/// be spared for. To raise the value needs no right (proc_pid_oom_score_adj(5)).
#[allow(clippy::disallowed_methods, reason = "a child of the agent's own")]
fn may_be_killed_for_memory(child: &Child) {
    let Some(id) = child.id() else { return };
    if let Err(error) = std::fs::write(format!("/proc/{id}/oom_score_adj"), "0") {
        tracing::debug!("a plugin keeps the agent's oom_score_adj: {error}");
    }
}

/// A run that outlived its time.
#[derive(Debug)]
pub(super) enum Left {
    /// A thread that hangs while it starts it; what it starts after all is killed.
    Starting(JoinHandle<Result<Group, String>>),
    /// Killed and still there.
    Running(Group),
}

impl Left {
    /// Comes back when nothing is left of it.
    async fn gone(self) {
        match self {
            Self::Starting(starting) => drop(starting.await),
            Self::Running(mut group) => drop(group.0.wait().await),
        }
    }
}

/// A plugin and all it has started: killed when dropped.
#[derive(Debug)]
pub(super) struct Group(pub(super) Child);

impl Group {
    fn kill(&self) {
        // The child is the group's leader. While it is not waited for, its number is nobody else's.
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads to the end and keeps the beginning.
async fn said(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        drop((&mut pipe).take(MAX_OUTPUT).read_to_end(&mut kept).await);
        let mut rest = [0_u8; 4096];
        while matches!(pipe.read(&mut rest).await, Ok(1..)) {}
    }
    kept
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "makes plugins")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn plugin(script: &str) -> (tempfile::TempDir, Plugin) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("plugin.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let (timeout, every) = (Duration::from_secs(20), Duration::from_secs(1));
        let path = path.display().to_string();
        let file = directory.path().join("config.json");
        let plugin =
            Plugin { key: "k".into(), file, path, args: vec!["a b".into()], timeout, every, max_output: 80, follows_message: false };
        (directory, plugin)
    }

    async fn ends(script: &str) -> State {
        plugin(script).1.run(Duration::from_secs(20)).await.0
    }

    #[tokio::test]
    async fn exit_codes_say_fine_problem_and_unknown() {
        assert_eq!(ends("echo all is well").await, State::Fine);
        assert_eq!(ends("echo \" it is $1 \"; exit 1").await, State::Problem("it is a b".to_owned()));
        let State::Unknown(why) = ends("echo cannot tell; exit 2").await else { panic!("not unknown") };
        assert!(why.contains("exit status: 2") && why.contains("cannot tell"), "{why}");
        let State::Unknown(why) = ends("kill -9 $$").await else { panic!("not unknown") };
        assert!(why.contains("signal"), "{why}");
    }

    #[tokio::test]
    async fn much_output_is_cut_and_does_not_block_the_plugin() {
        let State::Problem(text) = ends("head -c 1000000 /dev/zero | tr '\\0' x; head -c 200000 /dev/zero >&2; exit 1").await else {
            panic!()
        };
        assert_eq!(text.len(), 80);
        assert_eq!(ends("for i in 1 2 3 4 5 6 7 8 9 10; do printf éééééééé; done; exit 1").await, State::Problem("é".repeat(40)));
    }

    #[tokio::test]
    async fn a_plugin_that_hangs_is_killed_with_all_it_has_started() {
        let (directory, plugin) = plugin("sleep 1000 & echo $! > \"$(dirname \"$0\")/child\"; sleep 1000");
        let began = Instant::now();
        let (state, left) = plugin.run(Duration::from_millis(500)).await;
        assert!(began.elapsed() < Duration::from_secs(10) && left.is_none());
        let State::Unknown(why) = state else { panic!("not unknown") };
        assert!(why.contains("did not end within 500ms"), "{why}");
        let child = std::fs::read_to_string(directory.path().join("child")).expect("it ran");
        let child = Pid::from_raw(child.trim().parse().expect("a pid"));
        let deadline = Instant::now() + Duration::from_secs(10);
        // Gone, or dead and not yet collected by init.
        let is_there = || std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while is_there() {
            assert!(Instant::now() < deadline, "its child lives");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_plugin_is_not_spared_when_memory_ends() {
        let (_directory, mut plugin) = plugin("exit 0");
        plugin.path = "sleep".to_owned();
        plugin.args = vec!["1000".to_owned()];
        let group = plugin.start().expect("it starts");
        let id = group.0.id().expect("it runs");
        assert_eq!(std::fs::read_to_string(format!("/proc/{id}/oom_score_adj")).expect("read").trim(), "0");
    }

    #[tokio::test]
    async fn a_plugin_whose_start_hangs_is_unknown_in_time_and_blocks_nothing() {
        let (_directory, plugin) = plugin("exit 0");
        // The only thread that may block is held.
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let runtime = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
            runtime.block_on(async {
                let holding = spawn_blocking(move || held.recv());
                let (state, left) = plugin.run(Duration::from_millis(200)).await;
                drop(let_go);
                assert!(holding.await.expect("it ends").is_err());
                left.expect("it is still starting").gone().await;
                state
            })
        });
        let State::Unknown(why) = runtime.join().expect("it ends") else { panic!("not unknown") };
        assert!(why.contains("could not be started within 200ms"), "{why}");
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_unknown() {
        let (_directory, mut plugin) = plugin("exit 0");
        plugin.path = "/no/such/plugin".to_owned();
        let State::Unknown(why) = plugin.run(Duration::from_secs(1)).await.0 else { panic!("not unknown") };
        assert!(why.contains("/no/such/plugin"), "{why}");
    }

    #[test]
    fn relative_paths_are_found_beside_the_configuration() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = directory.path().join("config/plugin/check.sh");
        std::fs::create_dir_all(at.parent().expect("it has one")).expect("made");
        std::fs::write(&at, "").expect("written");
        let (_other, mut plugin) = plugin("exit 0");
        plugin.path = "./config/plugin/check.sh".to_owned();
        plugin.file = directory.path().join("config/monitor.json");
        assert_eq!(plugin.program().canonicalize().expect("there"), at.canonicalize().expect("there"));
    }
}
