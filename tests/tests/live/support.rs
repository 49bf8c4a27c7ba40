//! What the stories share.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use nodewhy_tests::node::Container;
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Named, World};

/// A repair is known at the collector.
pub(crate) const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// What only a log tells of is over when its line was not repeated for a while; the pods that the runtime has are asked for every 15 s.
const CLOSED_SLOWLY_WITHIN: Duration = Duration::from_secs(90);
const SLOWLY_CLOSED: [&str; 5] = ["cni-sandbox-failed", "crash-loop", "image-pull-failed", "inotify-exhaustion", "oom-kill"];

/// The first words may be a log line's; what the checks find says more a moment later.
const SAID_WITHIN: Duration = Duration::from_secs(6);

/// A fault, what names it, and how it is repaired: begins with a healthy node and ends with one, and makes sure that nothing else was named.
pub(crate) async fn story(
    world: &mut World,
    code: &str,
    named_within: Duration,
    inject: impl AsyncFnOnce(&mut World) -> Result<()>,
    repair: impl AsyncFnOnce(&mut World) -> Result<()>,
) -> Result<Named> {
    story_that_says(world, code, "", named_within, inject, repair).await
}

/// The same, of a cause whose message says these words before it is repaired.
pub(crate) async fn story_that_says(
    world: &mut World,
    code: &str,
    words: &str,
    named_within: Duration,
    inject: impl AsyncFnOnce(&mut World) -> Result<()>,
    repair: impl AsyncFnOnce(&mut World) -> Result<()>,
) -> Result<Named> {
    world.watch_healthy().await?;
    let fault_at = Timestamp::now();
    inject(world).await.context("cannot inject the fault")?;
    let mut named = world.named_within(code, fault_at, named_within).await?;
    // For a kubelet that ended, its end is the fault.
    if code.starts_with("kubelet-u")
        && let Some(exit) = world.kubelet_exited_at()?.filter(|exit| *exit > fault_at)
    {
        named.after -= exit.duration_since(fault_at);
    }
    world.says_within(code, words, SAID_WITHIN).await?;
    let repaired_at = Timestamp::now();
    repair(world).await.context("cannot repair the fault")?;
    let patience = if SLOWLY_CLOSED.contains(&code) { CLOSED_SLOWLY_WITHIN } else { CLOSED_WITHIN };
    let closed_after = world.closed_within(&named.case.case_id, repaired_at, patience).await?;
    world.was_the_only_root(code).await?;
    report(code, &named, closed_after);
    Ok(named)
}

/// Tells the two times of a story on stdout.
pub(crate) fn report(code: &str, named: &Named, closed_after: SignedDuration) {
    tell(&format!(
        "{code}: at the collector {:.3} s after the fault, closed {:.3} s after the repair",
        named.after.as_secs_f64(),
        closed_after.as_secs_f64()
    ));
}

/// Tells what was measured.
#[expect(clippy::print_stdout, reason = "what was measured is what the run is asked for")]
pub(crate) fn tell(line: &str) {
    println!("{line}");
}

/// Writes the manifest of a static pod with one container, `main`, that runs a shell's command.
pub(crate) fn run_pod(world: &World, name: &str, image: &str, command: &str) -> Result<()> {
    let manifest = format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default}}
spec:
  containers:
  - {{name: main, image: '{image}', command: [/bin/sh, -c, '{command}']}}
"
    );
    // In one step: a manifest half written is another fault.
    world.node.write(&format!("/root/{name}.yaml"), &manifest)?;
    world.node.run(&["mv", &format!("/root/{name}.yaml"), &manifest_path(name)]).map(drop)
}

/// Takes the manifest away.
pub(crate) fn end_pod(world: &World, name: &str) -> Result<()> {
    world.node.run(&["rm", &manifest_path(name)]).map(drop)
}

fn manifest_path(name: &str) -> String {
    format!("/etc/kubernetes/manifests/{name}.yaml")
}

/// Waits until the container of such a pod runs.
pub(crate) async fn container_runs(world: &World) -> Result<Container> {
    until("the pod's container runs", Duration::from_secs(40), async || Ok(world.node.containers("main")?.pop())).await
}
