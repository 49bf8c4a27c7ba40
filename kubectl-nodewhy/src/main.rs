//! kubectl-nodewhy, the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_nodewhy::main()
}
