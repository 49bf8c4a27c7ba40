//! How long it takes from a fault on a node until the collector has it on disk, over many runs: `latency [RUNS]`, as root.
//!
//! Unit faults: the kubelet ends (systemd's time of it), for a reason that is in its last words. Log-only faults: the kubelet says that
//! an image cannot be pulled, and nothing else changes (the line's own time).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Shape, World, live};

const RUNS: usize = 30;
const WITHIN: Duration = Duration::from_secs(15);

fn main() -> Result<()> {
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse()).context("usage: latency [RUNS]")?;
    ensure!(runs > 0, "at least one run");
    live(Shape::default(), async |world| {
        // As it is shipped, but for the time after which it is over: ten minutes are too long between two runs.
        let cause = include_str!("../../../causes/image-pull-failed.yaml").replace("quiet_for: 10m", "quiet_for: 1s");
        world.node.write("/etc/nodewhy/causes.d/image-pull-failed.yaml", &cause)?;
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
    // The kubelet's stand-in says then what a real one did (kubelet-logs/pod-image-pull-fail.log).
    world.node.run(&["systemctl", "kill", "--kill-whom=main", "--signal=USR1", "kubelet"])?;
    let case = until("the collector names image-pull-failed", WITHIN, async || {
        let open = world.collector.cases(&world.node.name()).await?.into_iter().rfind(|case| case.case_id.contains("/image-pull-failed/"));
        Ok(open.filter(|case| case.closed_at.is_none()))
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
