//! How long it takes from a fault on a node until the collector has it on disk, over many runs: `latency [RUNS]`, as root.
//!
//! Unit faults: the kubelet ends (systemd's time of it), for a reason that is in its last words. Log-only faults: the kubelet says that the
//! pod network is not ready, and nothing else changes (the line's own time).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Shape, World, live};

const RUNS: usize = 30;
const WITHIN: Duration = Duration::from_secs(15);
/// A real kubelet's line (kubelet-logs/cni-not-initialized.log).
const NETWORK_NOT_READY: &str = "kubelet.go:3162] \"Container runtime network not ready\" networkReady=\"NetworkReady=false \
                                 reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized\"";

fn main() -> Result<()> {
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse()).context("usage: latency [RUNS]")?;
    ensure!(runs > 0, "at least one run");
    live(Shape::default(), async |world| {
        world.watch_healthy().await?;
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(unit_fault(world).await?);
        }
        tell("unit fault, with its cause from the journal", times);
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(log_only_fault(world).await?);
        }
        tell("log-only fault", times);
        Ok(())
    });
    Ok(())
}

async fn unit_fault(world: &World) -> Result<SignedDuration> {
    let node = &world.node;
    let begun = Timestamp::now();
    node.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--network-plugin=cni\n")?;
    node.run(&["systemctl", "restart", "kubelet"])?;
    let named = world.named_within("kubelet-unknown-flag", begun, WITHIN).await?;
    let exit = world.kubelet_exited_at()?.filter(|exit| *exit > begun).context("the kubelet has not ended")?;
    node.write("/etc/default/kubelet", "\n")?;
    node.run(&["systemctl", "restart", "kubelet"])?;
    world.closed_within(&named.case.case_id, Timestamp::now(), WITHIN).await?;
    Ok(named.after - exit.duration_since(begun))
}

async fn log_only_fault(world: &World) -> Result<SignedDuration> {
    let header = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).strftime("E%m%d %H:%M:%S.%6f    4711").to_string();
    let line = format!("{header} {NETWORK_NOT_READY}");
    world.node.run(&["systemd-cat", "-t", "kubelet", "echo", &line])?;
    let case = until("the collector names cni-not-ready", WITHIN, async || {
        let open = world.collector.cases(&world.node.name()).await?.into_iter().rfind(|case| case.case_id.contains("/cni-not-ready/"));
        Ok(open.filter(|case| case.opened_at.is_some_and(|at| at.seconds >= 0) && case.closed_at.is_none()))
    })
    .await?;
    let recorded = case.opened_recorded_at.context("no time recorded")?;
    let since = case.cause.and_then(|cause| cause.since).context("no time of the line")?;
    world.closed_within(&case.case_id, Timestamp::now(), WITHIN).await?;
    Ok(Timestamp::new(recorded.seconds, recorded.nanos)?.duration_since(Timestamp::new(since.seconds, since.nanos)?))
}

#[expect(clippy::print_stdout, reason = "what is measured is what is asked for")]
fn tell(what: &str, mut times: Vec<SignedDuration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).clamp(1, times.len()) - 1].as_secs_f64() * 1000.0;
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} runs)", at(50), at(99), at(100), times.len());
}
