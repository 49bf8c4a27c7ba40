//! How long it takes from a fault on a node until the collector has it on disk, and until it has called an alert hook, over many runs:
//! `latency [RUNS]`, as root.
//!
//! Unit faults: the kubelet ends (systemd's time of it), for a reason that is in its last words. Log-only faults: the kubelet says that
//! an image cannot be pulled, and nothing else changes (the line's own time).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use nodewhy_tests::wait::until;
use nodewhy_tests::world::{Receiver, Shape, World, live};

const RUNS: usize = 30;
const WITHIN: Duration = Duration::from_secs(15);

fn main() -> Result<()> {
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse()).context("usage: latency [RUNS]")?;
    ensure!(runs > 0, "at least one run");
    live(Shape::default(), async |world| {
        // As it is shipped, but for the time after which it is over: ten minutes are too long between two runs.
        let cause = include_str!("../../../causes/image-pull-failed.yaml").replace("quiet_for: 10m", "quiet_for: 1s");
        world.node.write("/etc/nodewhy/causes.d/image-pull-failed.yaml", &cause)?;
        let receiver = Receiver::start(world).await?;
        // Warnings too; and each of the many times anew, though in the field a fault that comes and goes like this is damped.
        world.collector.tell(&format!(
            "hooks: [{{name: ops, webhook: {{url: '{}'}}}}]\nroutes: [{{match: {{severity: [critical, warning]}}, hooks: [ops]}}]\nflap: {{openings: 0}}\nrateCap: {{messages: 1000, within: 1m}}\n",
            receiver.url()
        ));
        world.watch_healthy().await?;
        let (mut stored, mut called) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let times = unit_fault(world, &receiver).await?;
            stored.push(times.stored);
            called.push(times.called);
        }
        tell("unit fault, with its cause from the journal, on the collector's disk", stored);
        tell("unit fault, until the hook was called", called);
        let (mut stored, mut called) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let times = log_only_fault(world, &receiver).await?;
            stored.push(times.stored);
            called.push(times.called);
        }
        tell("log-only fault, on the collector's disk", stored);
        tell("log-only fault, until the hook was called", called);
        Ok(())
    });
    Ok(())
}

/// Since the fault.
struct Times {
    stored: SignedDuration,
    called: SignedDuration,
}

async fn unit_fault(world: &World, receiver: &Receiver) -> Result<Times> {
    let node = &world.node;
    let begun = Timestamp::now();
    node.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--network-plugin=cni\n")?;
    node.run(&["systemctl", "restart", "kubelet"])?;
    let named = world.named_within("kubelet-unknown-flag", begun, WITHIN).await?;
    let exit = world.kubelet_exited_at()?.filter(|exit| *exit > begun).context("the kubelet has not ended")?;
    let called = receiver.told_at("opened", "kubelet-unknown-flag", begun, WITHIN).await?;
    node.write("/etc/default/kubelet", "\n")?;
    node.run(&["systemctl", "restart", "kubelet"])?;
    world.closed_within(&named.case.case_id, Timestamp::now(), WITHIN).await?;
    receiver.told_at("resolved", "kubelet-unknown-flag", begun, WITHIN).await?;
    Ok(Times { stored: named.after - exit.duration_since(begun), called: called.duration_since(exit) })
}

async fn log_only_fault(world: &World, receiver: &Receiver) -> Result<Times> {
    let begun = Timestamp::now();
    // The kubelet's stand-in says then what a real one did (kubelet-logs/pod-image-pull-fail.log).
    world.node.run(&["systemctl", "kill", "--kill-whom=main", "--signal=USR1", "kubelet"])?;
    let case = until("the collector names image-pull-failed", WITHIN, async || {
        let open = world.collector.cases(&world.node.name()).await?.into_iter().rfind(|case| case.case_id.contains("/image-pull-failed/"));
        Ok(open.filter(|case| case.closed_at.is_none()))
    })
    .await?;
    let recorded = case.opened_recorded_at.context("no time recorded")?;
    let since = case.cause.and_then(|cause| cause.since).context("no time of the line")?;
    let called = receiver.told_at("opened", "image-pull-failed", begun, WITHIN).await?;
    world.closed_within(&case.case_id, Timestamp::now(), WITHIN).await?;
    receiver.told_at("resolved", "image-pull-failed", begun, WITHIN).await?;
    let since = Timestamp::new(since.seconds, since.nanos)?;
    let stored = Timestamp::new(recorded.seconds, recorded.nanos)?.duration_since(since);
    Ok(Times { stored, called: called.duration_since(since) })
}

#[expect(clippy::print_stdout, reason = "what is measured is what is asked for")]
fn tell(what: &str, mut times: Vec<SignedDuration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).clamp(1, times.len()) - 1].as_secs_f64() * 1000.0;
    println!("{what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} runs)", at(50), at(99), at(100), times.len());
}
