//! kubectl-nodewhy: why is this node NotReady? Asks the collector, or reads a saved log.

pub mod analyze;
pub mod bundle;
mod cli;
mod client;
#[doc(hidden)]
pub mod fuzz;
mod history;
mod hooks;
mod incident;
mod incidents;
mod letters;
mod nodes;
mod output;
mod silence;
mod table;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use output::{EXIT_NO_ANSWER, EXIT_USAGE, Output};

/// The program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; anything else is a wrong call. The pipe may be closed: nothing is to be done about that.
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let output = Output::new(cli.output);
    match run(cli, &output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output.error(&error);
            ExitCode::from(EXIT_NO_ANSWER)
        }
    }
}

fn run(cli: Cli, output: &Output) -> anyhow::Result<u8> {
    let target = cli.target;
    match cli.command {
        Command::Nodes => ask(async { nodes::run(&mut target.connect().await?, output).await }),
        Command::Why { node } => ask(async { why::run(&mut target.connect().await?, &node, output).await }),
        Command::History { node, open, limit } => {
            ask(async { history::run(&mut target.connect().await?, &node, open, limit, output).await })
        }
        Command::Incidents(args) => ask(async { incidents::run(&mut target.connect().await?, &args, output).await }),
        Command::Silence { command } => ask(async { silence::run(&mut target.connect().await?, command, output).await }),
        Command::Hooks => ask(async { hooks::run(&mut target.connect().await?, output).await }),
        Command::Alerts { command } => ask(async { letters::run(&mut target.connect().await?, command, output).await }),
        Command::Analyze(request) => analyze::run(&request, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kubectl-nodewhy", &mut script);
            output.print(&String::from_utf8_lossy(&script))?;
            Ok(0)
        }
    }
}

fn ask(question: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(question)
}
