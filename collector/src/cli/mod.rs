//! The command line.

mod health;
mod hooks;
mod output;
mod policy;
mod preview;
mod run;
mod tasks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::Config;
use crate::policy::Policy;

/// Exit codes; scripts depend on them.
mod exit {
    pub(super) const DONE: u8 = 0;
    /// Asked for and not so: not healthy, the hook did not take it.
    pub(super) const NO: u8 = 1;
    /// Configuration, data directory or address cannot be used, or running failed.
    pub(super) const FAILED: u8 = 3;
    pub(super) const USAGE: u8 = 64;
}

const EXAMPLES: &str = "\
Examples:
  nodewhy-collector                                        the daemon, with /etc/nodewhy/collector.yaml if it is there
  nodewhy-collector run --config collector.yaml --data-dir ./data
  nodewhy-collector health                                 does the one with this configuration answer?
  nodewhy-collector hooks preview                          what would the hooks of /etc/nodewhy/alerts.yaml be sent?
  nodewhy-collector hooks test ops                         send a test message to the hook named ops
  nodewhy-collector policy test alerts.yaml                is this alert policy good?

Exit codes: 0 done or ended as ordered, 1 not healthy, hook failed or nobody told, 3 cannot start or failed, 64 usage.";

/// Keeps the state and history of every node, finds silent ones, calls alert hooks, answers kubectl-nodewhy.
#[derive(Debug, Parser)]
#[command(name = "nodewhy-collector", version, about, after_help = EXAMPLES, max_term_width = 120, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Settings {
    /// Configuration file [default: /etc/nodewhy/collector.yaml if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen on, instead of the configuration's
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Directory for all data, instead of the configuration's
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (this is what happens without a command too)
    #[command(
        after_help = "Example:\n  nodewhy-collector run --config /etc/nodewhy/collector.yaml\n\nLogs to stderr; NODEWHY_LOG=debug says more. SIGTERM ends it."
    )]
    Run,
    /// Ask the collector that runs with this configuration whether it serves
    #[command(
        after_help = "Example:\n  nodewhy-collector health --config /etc/nodewhy/collector.yaml\n\nExit codes: 0 it serves, 1 it does not, 3 cannot ask."
    )]
    Health,
    /// Alert hooks
    Hooks {
        #[command(subcommand)]
        what: HooksCommand,
    },
    /// The alert policy: who is told what
    Policy {
        #[command(subcommand)]
        what: policy::PolicyCommand,
    },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  nodewhy-collector completions bash > /etc/bash_completion.d/nodewhy-collector")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum HooksCommand {
    /// Send a test message to a hook now and say what it answered
    #[command(after_help = "Example:\n  nodewhy-collector hooks test ops\n\nExit codes: 0 taken, 1 not taken, 3 there is no such hook.")]
    Test {
        /// The hook's name in the configuration
        name: String,
    },
    /// Show what hooks would be sent, and send nothing
    #[command(after_help = preview::EXAMPLES)]
    Preview(preview::Preview),
}

/// The program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            output::clap(&error);
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DONE });
        }
    };
    // One TLS stack: rustls with ring. A second call would be an error that changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(error.as_ref());
            ExitCode::from(exit::FAILED)
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    let settings = cli.settings;
    match cli.command {
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "nodewhy-collector", &mut script);
            output::raw(&script);
            Ok(exit::DONE)
        }
        None | Some(Command::Run) => run::run(settings.config()?),
        Some(Command::Health) => health::ask(&settings.config()?),
        Some(Command::Hooks { what: HooksCommand::Test { name } }) => hooks::test(&settings.config()?, &name),
        Some(Command::Hooks { what: HooksCommand::Preview(preview) }) => preview.run(settings, jiff::Timestamp::now()),
        Some(Command::Policy { what }) => what.run(jiff::Timestamp::now()),
    }
}

impl Settings {
    fn config(self) -> anyhow::Result<Config> {
        let mut config = Config::read(self.config.as_deref())?;
        config.listen = self.listen.unwrap_or(config.listen);
        config.data_dir = self.data_dir.unwrap_or(config.data_dir);
        config.validate().map_err(|problem| anyhow!(problem))?;
        Ok(config)
    }
}

/// The policy that a collector with this configuration has in force, if its file is as it has to be.
fn policy_of(config: &Config) -> anyhow::Result<Policy> {
    let path = config.alerts_file.as_deref().unwrap_or(Path::new(crate::policy::DEFAULT_PATH));
    let bytes = crate::own_file::read(path).with_context(|| format!("cannot read the policy {}", path.display()))?;
    Policy::from_bytes(path, &bytes).map_err(|problems| anyhow!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// A question that takes a runtime for its time.
fn wait_for<T>(question: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_help() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
    }

    #[test]
    fn flags_stand_before_or_behind_the_command_and_the_command_may_be_left_out() {
        for line in [
            &["nodewhy-collector", "--config", "f", "run"][..],
            &["nodewhy-collector", "run", "--config", "f"],
            &["nodewhy-collector", "--config", "f"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert_eq!(cli.settings.config, Some("f".into()), "{line:?}");
        }
    }
}
