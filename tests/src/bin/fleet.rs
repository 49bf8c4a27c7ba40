//! A simulated fleet, and what is told of what happens to it: `fleet [NODES [ROLLOUT_SECONDS]]`. `scripts/bench fleet` runs it.
#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nodewhy_tests::fleet::scenarios::{self, Shown};
use nodewhy_tests::fleet::{Collector, Fleet, RACK, Receiver};

const WITHIN: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let mut number =
        |usual: u64| words.next().map_or(Ok(usual), |word| word.parse::<u64>()).context("usage: fleet [NODES [ROLLOUT_SECONDS]]");
    let (nodes, rollout) = (usize::try_from(number(5000)?)?, Duration::from_secs(number(300)?));
    ensure!(nodes >= RACK * 10, "at least {} nodes", RACK * 10);
    let receiver = Receiver::start().await?;
    let collector = Collector::start(&scenarios::policy(&receiver))?;
    let begun = Instant::now();
    let mut fleet = Fleet::attach(&collector, nodes, BEAT).await?;
    println!("{nodes} agents attached and committed in {:.1?}", begun.elapsed());
    told(
        "the control plane dies; two nodes have faults of their own",
        &scenarios::control_plane_dies(&mut fleet, &receiver, WITHIN).await?,
    );
    let after = format!("a bad kubelet configuration reaches a tenth over {rollout:?}");
    told(&after, &scenarios::bad_rollout(&mut fleet, &receiver, rollout, WITHIN).await?);
    told("fifty kubelets come and go for a minute", &scenarios::nodes_flap(&mut fleet, &receiver, Duration::from_secs(60), WITHIN).await?);
    told("a switch takes a rack with it", &scenarios::rack_falls_silent(&mut fleet, &receiver, 7, WITHIN).await?);
    // The rack comes back.
    let back = Fleet::attach_rack(&collector, 7, BEAT).await?;
    back.settle().await?;
    scenarios::all_resolve(&receiver, Duration::from_secs(420)).await?;
    println!("all are told as resolved; {} messages in all:", receiver.taken().len());
    receiver.words().iter().for_each(|words| println!("  {words}"));
    if let Some((cpu, rss)) = collector.usage() {
        println!("the collector: {cpu:.1?} of CPU time, {rss:.0} MiB");
    }
    Ok(())
}

fn told(what: &str, shown: &Shown) {
    println!("{what}: one page, {:.2} s after the first report: {}", shown.after.as_secs_f64(), shown.title);
}
