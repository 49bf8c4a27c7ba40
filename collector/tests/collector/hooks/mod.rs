//! Hooks as their receivers see them: real servers, real scripts, recorded public formats.

mod alertmanager;
mod delivery;
mod faults;
mod formats;
mod mail;
mod messages;
mod receiver;
mod schema;
mod signing;

use std::path::Path;
use std::sync::Arc;

use nodewhy_collector::policy::hooks::HookConfig;

/// A hook named `the.hook` of what its policy says.
fn hook(kind: &str) -> HookConfig {
    hooks(&[("the.hook", kind)]).remove(0).as_ref().clone()
}

fn hooks(all: &[(&str, &str)]) -> Vec<Arc<HookConfig>> {
    let text: String = all.iter().map(|(name, kind)| format!("- {{name: {name}, {kind}}}\n")).collect();
    serde_saphyr::from_str::<Vec<HookConfig>>(&text).unwrap_or_else(|error| panic!("{text}: {error}")).into_iter().map(Arc::new).collect()
}

fn install_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// True if a program is there; in CI it has to be.
fn installed(program: &str, package: &str) -> bool {
    if Path::new(program).exists() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{program} is missing: apt-get install {package}");
    let words = format!("skipped: {program} is not installed (apt-get install {package})\n");
    std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes()).ok();
    false
}
