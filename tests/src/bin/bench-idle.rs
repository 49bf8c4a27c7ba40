//! What the agent costs a healthy node, under the unit that is shipped: `check` 20 times, then memory and CPU over some minutes.
//!
//! `scripts/bench idle` runs this. The argument is for how many seconds to watch, 300 if left out.
#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nodewhy_tests::world::{Shape, World, live};
use tokio::time::sleep;

/// What starting costs is not what idling costs.
const SETTLE: Duration = Duration::from_secs(30);
const CHECKS: usize = 20;

fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(300), |text| text.parse()).context("the argument is no number of seconds")?;
    live(Shape::default(), async |world| measure(world, Duration::from_secs(seconds)).await);
    Ok(())
}

async fn measure(world: &mut World, span: Duration) -> Result<()> {
    println!("{}", rest()?);
    as_shipped(world)?;
    world.watch_healthy().await?;
    let mut took = (0..CHECKS).map(|_| Ok(world.check()?.took)).collect::<Result<Vec<_>>>()?;
    took.sort();
    println!("check, cold process, {CHECKS} times: p50 {:.0?}, worst {:.0?}", took[CHECKS / 2], took[CHECKS - 1]);

    let agent = Process::agent(world)?;
    let collector = Process::collector()?;
    sleep(SETTLE).await;
    let before = [agent.usage()?, collector.usage()?];
    sleep(span).await;
    println!("idle for {} s, a healthy kubelet, every check at its default period:", span.as_secs());
    for (process, before) in [&agent, &collector].into_iter().zip(before) {
        let after = process.usage()?;
        let cpu = after.cpu.saturating_sub(before.cpu);
        println!(
            "  {:9}  {}  cpu {:.3} % of one core ({cpu:.0?})  {} bytes written",
            process.name,
            process.memory()?,
            100.0 * cpu.as_secs_f64() / span.as_secs_f64(),
            after.written - before.written
        );
    }
    let verdict = world.collector.ask(&["why", &world.node.name()])?;
    ensure!(verdict.code == 0, "the node did not stay healthy: {}", verdict.text);
    Ok(())
}

/// What it costs on this machine to wake up: CPU time to touch one MiB in no order, with and without a rest before. On one whose neighbours
/// or host take caches and pages away it is many times as much, and so is the CPU time of whatever wakes seldom.
fn rest() -> Result<String> {
    const LINES: usize = (1 << 20) / 64;
    let mut memory = vec![0_u8; 1 << 20];
    let mut touch = || -> Result<Duration> {
        let begun = cpu_time()?;
        // 7919 has no factor in common with a power of two: each line once, out of the prefetcher's reach.
        for n in 0..LINES {
            let line = &mut memory[n * 7919 % LINES * 64];
            *line = black_box(line.wrapping_add(1));
        }
        Ok(cpu_time()?.saturating_sub(begun))
    };
    let mut at_once = (0..50).map(|_| touch()).collect::<Result<Vec<_>>>()?;
    let mut rested = Vec::new();
    for _ in 0..25 {
        std::thread::sleep(Duration::from_millis(200));
        rested.push(touch()?);
    }
    at_once.sort();
    rested.sort();
    let [at_once, rested] = [at_once, rested].map(|times| times[times.len() / 2]);
    Ok(format!("this machine: to touch 1 MiB of memory takes {at_once:.0?} at once and {rested:.0?} after 200 ms of rest"))
}

fn cpu_time() -> Result<Duration> {
    Ok(nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Undoes what the tests change to be quick and to run side by side.
fn as_shipped(world: &World) -> Result<()> {
    let config = world.node.read("/etc/nodewhy/agent.yaml")?;
    let without = config.lines().filter(|line| !line.starts_with("heartbeat:")).map(|line| format!("{line}\n")).collect::<String>();
    world.node.write("/etc/nodewhy/agent.yaml", &without)?;
    world.node.sh("rm -r /etc/systemd/system/nodewhy-agent.service.d && systemctl daemon-reload")?;
    Ok(())
}

struct Process {
    name: &'static str,
    proc: String,
}

struct Usage {
    cpu: Duration,
    written: u64,
}

impl Process {
    /// The agent, found by its pid as the node counts.
    fn agent(world: &World) -> Result<Self> {
        let inner = world.node.unit_properties("nodewhy-agent.service", &["MainPID"])?.remove(0);
        let namespace = fs::read_link(format!("/proc/{}/ns/pid", world.node.init()))?;
        let is_it = |dir: &Path| {
            let status = fs::read_to_string(dir.join("status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            ids.split_whitespace().last() == Some(&inner) && fs::read_link(dir.join("ns/pid")).is_ok_and(|of| of == namespace)
        };
        Self::find("agent", is_it)
    }

    /// The collector, a child of this process.
    fn collector() -> Result<Self> {
        let parent = format!("PPid:\t{}", std::process::id());
        let is_it = |dir: &Path| {
            let status = fs::read_to_string(dir.join("status")).unwrap_or_default();
            status.starts_with("Name:\tnodewhy-collect") && status.lines().any(|line| line == parent)
        };
        Self::find("collector", is_it)
    }

    fn find(name: &'static str, is_it: impl Fn(&Path) -> bool) -> Result<Self> {
        let found = fs::read_dir("/proc")?.flatten().map(|entry| entry.path()).find(|dir| is_it(dir));
        Ok(Self { name, proc: found.with_context(|| format!("no process of the {name}"))?.display().to_string() })
    }

    fn usage(&self) -> Result<Usage> {
        let mut cpu = Duration::ZERO;
        for task in fs::read_dir(format!("{}/task", self.proc))?.flatten() {
            // A thread may end while it is looked at; what it used is then small.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            cpu += Duration::from_nanos(text.split_whitespace().next().context("schedstat is empty")?.parse()?);
        }
        let io = fs::read_to_string(format!("{}/io", self.proc))?;
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no write_bytes")?.parse()?;
        Ok(Usage { cpu, written })
    }

    fn memory(&self) -> Result<String> {
        let rollup = fs::read_to_string(format!("{}/smaps_rollup", self.proc))?;
        let mib = |key: &str| -> Result<f64> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("no {key}"))?;
            Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        Ok(format!("rss {:.1} MiB  pss {:.1} MiB  anonymous {:.1} MiB", mib("Rss:")?, mib("Pss:")?, mib("Anonymous:")?))
    }
}
