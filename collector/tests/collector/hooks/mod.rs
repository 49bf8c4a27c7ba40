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

#[test]
fn what_hooks_would_be_sent_is_shown_without_sending_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = crate::support::write(
        dir.path(),
        "alerts.yaml",
        "hooks:\n  - {name: chat, slack: {urlFile: /none/url}}\n  - {name: pager, pagerduty: {routingKeyFile: /none/key}}\n\
         templates: {title: '{{ heading }}{{ cause.code }} on {{ where }}'}\n",
    );
    let message = nodewhy_collector::hooks::example::resolved(jiff::Timestamp::UNIX_EPOCH);
    let message = crate::support::write(dir.path(), "message.json", &serde_json::to_string(&message).expect("JSON"));
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nodewhy-collector"));
        let output = command.args(["hooks", "preview", "--policy"]).arg(&policy).args(arguments).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, shown, _) = run(&[]);
    assert_eq!((code, shown.matches("--- hook ").count()), (Some(0), 6), "two hooks, three examples: {shown}");
    let (code, shown, _) = run(&["--hook", "chat", "--message", message.to_str().expect("a path")]);
    assert_eq!((code, shown.matches("--- hook ").count()), (Some(0), 1), "{shown}");
    assert!(shown.contains("Over: swap-enabled on worker-1 (zone=eu-1a)"), "{shown}");
    let (code, _, error) = run(&["--hook", "nobody"]);
    assert!(code == Some(3) && error.contains("there are: chat, pager"), "{error}");
}
