//! nodewhy-collector.

use std::process::ExitCode;

fn main() -> ExitCode {
    nodewhy_collector::cli::main()
}
