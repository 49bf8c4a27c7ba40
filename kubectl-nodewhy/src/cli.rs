//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::analyze::AnalyzeArgs;
use crate::incidents::IncidentsArgs;
use crate::letters::AlertsCommand;
use crate::silence::SilenceCommand;

/// Why is this Kubernetes node NotReady: by cause, with evidence and the fix.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-nodewhy",
    version,
    after_help = "Examples:
  kubectl nodewhy nodes                          all nodes, the worst first
  kubectl nodewhy why worker-1                   why is worker-1 not ready, and what to do
  kubectl nodewhy why worker-1 --output json     the same for scripts
  kubectl nodewhy history worker-1               what was wrong with it, from when to when
  kubectl nodewhy incidents                      what is wrong with whom: one line for one event
  kubectl nodewhy silence add 'node=edge-*'      tell nothing of these nodes for an hour
  kubectl nodewhy hooks                          can those who are to be told be told?
  journalctl -b | kubectl nodewhy analyze -      the same from a saved log, without a collector

Exit codes: 0 healthy or done, 1 degraded (hooks: one takes nothing), 2 a critical cause, 3 no answer or input that cannot be used, 64 wrong call."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) target: Target,
    /// How to write the answer.
    #[arg(long, short, value_enum, default_value_t = Format::Text, global = true)]
    pub(crate) output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Yaml,
}

/// Where the collector is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The collector's address; https:// anywhere but on loopback.
    #[arg(long, env = "NODEWHY_COLLECTOR", default_value = "http://127.0.0.1:7870", value_name = "URL", global = true)]
    pub(crate) collector: String,
    /// CA that signed the collector's certificate, PEM.
    #[arg(long, env = "NODEWHY_CA_FILE", value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Your client certificate, PEM.
    #[arg(long, env = "NODEWHY_CERT_FILE", value_name = "FILE", global = true, requires = "key_file")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, env = "NODEWHY_KEY_FILE", value_name = "FILE", global = true, requires = "cert_file")]
    pub(crate) key_file: Option<PathBuf>,
    /// Name that the collector's certificate has to bear, if it is not the address' host.
    #[arg(long, env = "NODEWHY_SERVER_NAME", value_name = "NAME", global = true)]
    pub(crate) server_name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// All nodes: verdict, root cause, since when, last seen.
    Nodes,
    /// Why this node is as it is: root causes with evidence and the fix, what follows from them, what is unknown.
    Why {
        /// The node, as Kubernetes names it.
        node: String,
    },
    /// What was wrong with a node, from when to when, and why each case opened and closed.
    History {
        /// The node, as Kubernetes names it.
        node: String,
        /// Only cases that are open.
        #[arg(long)]
        open: bool,
        /// At most so many cases, the newest.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// What is wrong, one line for one event; or all about one.
    Incidents(IncidentsArgs),
    /// Tell nothing of some nodes or causes for a while.
    Silence {
        #[command(subcommand)]
        command: SilenceCommand,
    },
    /// Whether the alert hooks take what they are told, and what is wrong with the policy's file.
    #[command(
        after_help = "Exit codes: 0 all is well, 1 a hook takes nothing or the policy's file cannot be used, 3 no answer, 64 wrong call."
    )]
    Hooks,
    /// Messages that wait for hooks or were given up.
    Alerts {
        #[command(subcommand)]
        command: AlertsCommand,
    },
    /// Diagnose saved logs of a node, without a collector.
    Analyze(AnalyzeArgs),
    /// A completion script for your shell.
    #[command(after_help = "Example:\n  kubectl-nodewhy completions bash > /etc/bash_completion.d/kubectl-nodewhy")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}
