//! The programs under test, as cargo built them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// Where all of them are. Built if need be: cargo builds only this crate's own for its tests.
///
/// # Errors
/// cargo cannot build them.
pub fn dir() -> Result<&'static Path> {
    static DIR: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let dir = DIR.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    dir.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// One of them.
///
/// # Errors
/// It cannot be built.
pub fn path(name: &str) -> Result<PathBuf> {
    let path = dir()?.join(name);
    ensure!(path.exists(), "{} is not there", path.display());
    Ok(path)
}

fn build() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this test is")?;
    // target/PROFILE/deps/TEST-HASH, or target/PROFILE/PROGRAM.
    let dir = exe.ancestors().skip(1).find(|dir| dir.file_name().is_some_and(|name| name != "deps")).context("no directory of programs")?;
    let release = dir.file_name().is_some_and(|name| name == "release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--offline", "--workspace", "--bins"])
        .args(release.then_some("--release"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("CARGO_TARGET_DIR", dir.parent().context("no target directory")?)
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cannot build the programs: {}", String::from_utf8_lossy(&output.stderr));
    Ok(dir.to_owned())
}
