//! The command line.

mod causes;
mod check;
mod output;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use nodewhy_diagnosis::model::Unknown;
use nodewhy_diagnosis::record::clip;

use crate::config::{Config, Problem};
use crate::host::Host;

/// Exit codes; scripts depend on them.
mod exit {
    pub(super) const HEALTHY: u8 = 0;
    pub(super) const DEGRADED: u8 = 1;
    pub(super) const CRITICAL: u8 = 2;
    pub(super) const COULD_NOT_LOOK: u8 = 3;
    pub(super) const USAGE: u8 = 64;
}

/// More than anybody reads: the log has the rest.
const MAX_LEFT_OUT: usize = 16;
const MAX_WHY: usize = 2048;

const EXAMPLES: &str = "\
Examples:
  nodewhy-agent check                     why is this node NotReady? one look now, in the terminal
  nodewhy-agent check --output json       the same for scripts
  nodewhy-agent --root /host check        from a container that has the node mounted at /host
  nodewhy-agent run                       the daemon (systemd: Type=notify)
  nodewhy-agent check --npd-config /etc/node-problem-detector/*.json
  nodewhy-agent causes explain swap-enabled

Exit codes of check: 0 healthy, 1 degraded, 2 a critical cause, 3 could not look, 64 usage.";

/// Why is this Kubernetes node NotReady: by cause, with evidence and the fix.
#[derive(Debug, Parser)]
#[command(name = "nodewhy-agent", version, about, after_help = EXAMPLES, max_term_width = 120, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// Directory at which the node's root file system is (a DaemonSet mounts it at /host)
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Configuration file [default: /etc/nodewhy/agent.yaml if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct NpdArgs {
    /// node-problem-detector configuration to use as well: files, or directories of *.json. Names its plugins to be run, with this
    /// program's rights
    #[arg(long, value_name = "FILE", num_args = 1.., value_delimiter = ',')]
    npd_config: Vec<PathBuf>,
}

/// The same where something follows it: each option names one, so that it cannot take what follows for another.
#[derive(Debug, Args)]
struct OneNpdArg {
    /// node-problem-detector configuration to use as well: a file, or a directory of *.json; several with commas or given again
    #[arg(long, value_name = "FILE", value_delimiter = ',', action = clap::ArgAction::Append)]
    npd_config: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at everything once, now, and say what is wrong
    #[command(
        after_help = "Examples:\n  nodewhy-agent check\n  nodewhy-agent check --output json | jq -r '.causes[] | select(.root) | .code'\n\nExit codes: 0 healthy, 1 degraded, 2 a critical cause, 3 could not look."
    )]
    Check {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
        #[command(flatten)]
        npd: NpdArgs,
    },
    /// Watch this node and report to the collector
    #[command(
        after_help = "Example:\n  nodewhy-agent run --config /etc/nodewhy/agent.yaml\n\nLogs to stderr; NODEWHY_LOG=debug says more. SIGTERM ends it."
    )]
    Run {
        #[command(flatten)]
        npd: NpdArgs,
    },
    /// What can be wrong with a node: the catalogue
    #[command(
        after_help = "Examples:\n  nodewhy-agent causes list\n  nodewhy-agent causes explain swap-enabled\n  nodewhy-agent causes lint /etc/nodewhy/causes.d/*.yaml\n  nodewhy-agent causes test ./my-causes"
    )]
    Causes {
        #[command(subcommand)]
        what: causes::CausesCommand,
    },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  nodewhy-agent completions bash > /etc/bash_completion.d/nodewhy-agent")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// How long the configuration may take to be read: whoever asks waits, and a daemon on a node that is still starting has time.
    fn patience(&self) -> Duration {
        Duration::from_secs(if matches!(self, Self::Run { .. }) { 30 } else { 1 })
    }

    fn npd_configs(&self) -> &[PathBuf] {
        match self {
            Self::Check { npd, .. } | Self::Run { npd } => &npd.npd_config,
            Self::Causes { what } => what.npd_configs(),
            Self::Completions { .. } => &[],
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// For scripts
    Json,
    /// For scripts
    Yaml,
}

/// The program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            output::clap(&error);
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::HEALTHY });
        }
    };
    // One TLS stack: rustls with ring. A second call would be an error that changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Command::Completions { shell } = cli.command {
        return ended(output::raw(&completions(shell)).map(|()| exit::HEALTHY));
    }
    let (mut config, problems) = Config::read(cli.node.config.as_deref(), cli.command.patience());
    config.npd_configs.extend_from_slice(cli.command.npd_configs());
    if !matches!(cli.command, Command::Run { .. }) {
        problems.iter().for_each(|problem| output::note(&format!("left out: {problem}")));
    }
    let host = Arc::new(Host::new(&cli.node.root));
    ended(match cli.command {
        Command::Check { output, .. } => there(&host).and_then(|()| check::check(host, &config, &problems, output)),
        Command::Run { .. } => there(&host).and_then(|()| run::run(host, config, &problems)),
        Command::Causes { what } => causes::run(&config, what),
        Command::Completions { .. } => Ok(exit::HEALTHY),
    })
}

fn ended(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(error.as_ref());
            ExitCode::from(exit::COULD_NOT_LOOK)
        }
    }
}

/// Said once, instead of every single thing that cannot be looked at.
fn there(host: &Host) -> anyhow::Result<()> {
    host.root_is_there().map_err(|error| {
        let root = host.root().display();
        anyhow::anyhow!(
            "{}: there is no node to look at; --root {root} has to name the directory at which its root file system is mounted",
            error.sentence()
        )
    })
}

/// What of the configuration is not used, as it stands in a diagnosis.
fn left_out(problems: &[Problem]) -> Vec<Unknown> {
    let all = problems.iter().take(MAX_LEFT_OUT);
    all.map(|problem| Unknown { what: "configuration".to_owned(), why: clip(&problem.to_string(), MAX_WHY).to_owned() }).collect()
}

fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nodewhy-agent", &mut script);
    script
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
    fn completions_know_the_commands() {
        let script = String::from_utf8(completions(clap_complete::Shell::Bash)).expect("text");
        assert!(script.contains("check") && script.contains("causes"));
    }
}
