//! What happens to fleets, and what has to be told of it. Each says how long it took until the page came.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Fleet, RACK, Receiver};
use crate::wait::until;

/// The policy: one hook, everything critical.
pub fn policy(receiver: &Receiver) -> String {
    format!("hooks: [{{name: ops, webhook: {{url: '{}'}}}}]\n", receiver.url())
}

/// What a scenario showed.
#[derive(Debug)]
pub struct Shown {
    /// From the first report until the page came.
    pub after: Duration,
    /// The page's title.
    pub title: String,
    /// The incident.
    pub incident: String,
}

/// Two nodes have faults of their own; then the control plane dies, and all others say so within half a second.
///
/// # Errors
/// Not exactly one page that names it.
pub async fn control_plane_dies(fleet: &mut Fleet, receiver: &Receiver, within: Duration) -> Result<Shown> {
    let own = [fleet.agents.len() / 3, fleet.agents.len() / 2];
    let before = receiver.opened().len();
    fleet.open(&own, "swap-enabled", Duration::ZERO).await?;
    receiver.wait_opened(before + 2, within).await?;
    let all: Vec<usize> = (0..fleet.agents.len()).filter(|n| !own.contains(n)).collect();
    let begun = Instant::now();
    fleet.open(&all, "apiserver-unreachable", Duration::from_millis(500)).await?;
    let opened = receiver.wait_opened(before + 3, within).await?;
    let page = &opened[before + 2];
    // The page does not wait for the last node; it says how many there are by then.
    let named = page.text("title").starts_with("Control plane 10.0.0.1:6443 unreachable from ") && page.text("kind") == "control-plane";
    let many = page.message["nodes"]["count"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    ensure!(named && many > fleet.agents.len() / 5, "{}", page.message);
    let apart: Vec<&str> = page.message["apart"].as_array().into_iter().flatten().filter_map(|one| one["cause"].as_str()).collect();
    ensure!(apart == ["swap-enabled", "swap-enabled"], "{}", page.message);
    let shared = receiver.opened().len() - before - 2;
    ensure!(shared == 1, "{:?}", receiver.words());
    fleet.close(&all, "apiserver-unreachable", Duration::from_millis(500)).await?;
    fleet.close(&own, "swap-enabled", Duration::ZERO).await?;
    shown(page, begun)
}

/// A bad kubelet configuration reaches every tenth node over `rollout`.
///
/// # Errors
/// Not one incident that names the change.
pub async fn bad_rollout(fleet: &mut Fleet, receiver: &Receiver, rollout: Duration, within: Duration) -> Result<Shown> {
    let before = receiver.opened().len();
    let nodes: Vec<usize> = (0..fleet.agents.len()).step_by(10).collect();
    let begun = Instant::now();
    for (place, &n) in nodes.iter().enumerate() {
        tokio::time::sleep_until((begun + rollout.mul_f64(place as f64 / nodes.len() as f64)).into()).await;
        fleet.agents[n].becomes("kubeletConfig", "bad0bad0").await?;
        fleet.agents[n].open("kubelet-config-invalid");
        fleet.agents[n].report().await?;
    }
    let opened = receiver.wait_opened(before + 1, within).await?;
    let incident = opened[before].text("incident").to_owned();
    // The first page may be of the first node alone; the change is named as soon as it is known.
    let named = until("the shared change is named", within + Duration::from_secs(15), async || {
        Ok(receiver.taken().into_iter().find(|taken| taken.text("incident") == incident && taken.message["shared"]["value"] == "bad0bad0"))
    });
    let named = named.await?;
    ensure!(
        named.text("kind") == "change" && named.text("title").contains("kubelet configuration changed to bad0bad0"),
        "{}",
        named.message
    );
    ensure!(receiver.opened().len() == before + 1, "one incident: {:?}", receiver.words());
    for &n in &nodes {
        fleet.agents[n].becomes("kubeletConfig", "0ld0ld").await?;
    }
    fleet.close(&nodes, "kubelet-config-invalid", Duration::from_millis(500)).await?;
    shown(&opened[before], begun)
}

/// A switch takes one rack with it. What is left of the fleet keeps its agents.
///
/// # Errors
/// Not one incident that names the rack.
pub async fn rack_falls_silent(fleet: &mut Fleet, receiver: &Receiver, rack: usize, within: Duration) -> Result<Shown> {
    let before = receiver.opened().len();
    let nodes = rack * RACK..(rack + 1) * RACK;
    let begun = Instant::now();
    let gone: Vec<_> = fleet.agents.splice(nodes.clone(), []).collect();
    let many = gone.len();
    drop(gone);
    let opened = receiver.wait_opened(before + 1, within).await?;
    let title = format!("{many} of {many} nodes with rack=r{rack:03} fell silent together");
    ensure!(opened[before].text("title") == title, "{}", opened[before].message);
    ensure!(receiver.opened().len() == before + 1, "{:?}", receiver.words());
    shown(&opened[before], begun)
}

/// Fifty nodes' kubelets come and go, each at its own pace, for `time`.
///
/// # Errors
/// More than one page.
pub async fn nodes_flap(fleet: &mut Fleet, receiver: &Receiver, time: Duration, within: Duration) -> Result<Shown> {
    let before = receiver.opened().len();
    let nodes: Vec<usize> = (0..50).map(|n| n * (fleet.agents.len() / 50)).collect();
    let begun = Instant::now();
    let mut round = 0;
    while begun.elapsed() < time {
        for (place, &n) in nodes.iter().enumerate() {
            if (place + round) % 2 == 0 {
                fleet.agents[n].open("kubelet-hung");
            } else {
                fleet.agents[n].close("kubelet-hung");
            }
            fleet.agents[n].report().await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        round += 1;
    }
    fleet.close(&nodes, "kubelet-hung", Duration::ZERO).await?;
    let opened = receiver.wait_opened(before + 1, within).await?;
    ensure!(receiver.opened().len() == before + 1, "{:?}", receiver.words());
    shown(&opened[before], begun)
}

/// All that was told as opened is told as resolved, by itself.
///
/// # Errors
/// It is not.
pub async fn all_resolve(receiver: &Receiver, within: Duration) -> Result<()> {
    let all = until("all is told as resolved", within, async || {
        let taken = receiver.taken();
        let over = |incident: &str| taken.iter().any(|taken| taken.event() == "resolved" && taken.text("incident") == incident);
        let left: Vec<_> = taken.iter().filter(|taken| taken.event() == "opened" && !over(taken.text("incident"))).collect();
        ensure!(left.is_empty(), "still open: {:?}", left.iter().map(|taken| taken.text("title")).collect::<Vec<_>>());
        Ok(Some(()))
    });
    all.await
}

fn shown(page: &super::receiver::Taken, begun: Instant) -> Result<Shown> {
    let (title, incident) = (page.text("title").to_owned(), page.text("incident").to_owned());
    Ok(Shown { after: page.at.duration_since(begun), title, incident })
}
