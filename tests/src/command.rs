//! Running the machine's own tools.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a tool to its end and gives what it printed.
///
/// # Errors
/// It cannot be started, or ends with a failure: the message holds the command line and what it said.
pub fn run<S: AsRef<OsStr>>(argv: &[S]) -> Result<String> {
    let output = output(argv)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {} {}", shown(argv), output.status, errors.trim(), said.trim());
    }
    Ok(said)
}

/// Runs a tool to its end, however it ends.
///
/// # Errors
/// It cannot be started.
pub fn output<S: AsRef<OsStr>>(argv: &[S]) -> Result<Output> {
    let (program, arguments) = argv.split_first().context("an empty command line")?;
    Command::new(program).args(arguments).stdin(Stdio::null()).output().with_context(|| format!("cannot run `{}`", shown(argv)))
}

fn shown<S: AsRef<OsStr>>(argv: &[S]) -> String {
    argv.iter().map(|argument| argument.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Is this tool on the machine?
pub fn on_this_machine(tool: &str) -> bool {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|dir| std::path::Path::new(dir).join(tool).exists())
}
