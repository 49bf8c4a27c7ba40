//! nodewhy-agent.

use std::process::ExitCode;

fn main() -> ExitCode {
    nodewhy_agent::cli::main()
}
