//! A small simulated fleet against the collector as it is built for tests; `scripts/bench fleet` has 5,000 nodes and the times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::http::StatusCode;
use nodewhy_tests::fleet::{Collector, Fleet, Receiver, scenarios};
use nodewhy_tests::wait::until;

const WITHIN: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_secs(2);

fn run(story: impl Future<Output = Result<()>>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(story).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn each_event_of_a_fleet_is_one_page_that_says_what_it_is() {
    run(async {
        let receiver = Receiver::start().await?;
        let collector = Collector::start(&scenarios::policy(&receiver))?;
        let mut fleet = Fleet::attach(&collector, 400, BEAT).await?;
        scenarios::control_plane_dies(&mut fleet, &receiver, WITHIN).await?;
        scenarios::bad_rollout(&mut fleet, &receiver, Duration::from_secs(5), WITHIN).await?;
        scenarios::nodes_flap(&mut fleet, &receiver, Duration::from_secs(8), WITHIN).await?;
        scenarios::rack_falls_silent(&mut fleet, &receiver, 7, WITHIN).await?;
        ensure!(receiver.opened().len() == 6, "{:?}", receiver.words());
        Ok(())
    });
}

#[test]
fn a_kill_in_the_middle_of_a_thousand_alerts_and_a_receiver_that_fails_lose_none() {
    run(async {
        // Of ten requests one gets a 5xx and one an answer that is lost on its way; a few none at all.
        let fate = |n: usize| match n % 10 {
            3 => Some(StatusCode::INTERNAL_SERVER_ERROR),
            6 if n % 500 == 6 => None,
            8 => Some(StatusCode::ACCEPTED),
            _ => Some(StatusCode::OK),
        };
        let receiver = Receiver::failing(Box::new(fate)).await?;
        let policy = format!("{}rateCap: {{messages: 10000, within: 1m}}\n", scenarios::policy(&receiver));
        let mut collector = Collector::start(&policy)?;
        // Two hundred nodes with five causes each, each of another family; no two nodes have one in common.
        let mut fleet = Fleet::attach(&collector, 200, Duration::from_secs(10)).await?;
        let codes: Vec<String> = (0..1000).map(|n| format!("made-up-{n}")).collect();
        for (n, agent) in fleet.agents.iter_mut().enumerate() {
            codes[n * 5..n * 5 + 5].iter().for_each(|code| agent.open(code));
            agent.report().await?;
        }
        until("some were taken", WITHIN, async || Ok((receiver.taken().len() > 100).then_some(()))).await?;
        fleet.settle().await?;
        let known: Vec<_> = fleet.agents.iter().map(|agent| agent.causes()).collect();
        collector.kill();
        ensure!(receiver.opened().len() < 1000, "the kill is in the middle");
        drop(fleet);
        collector.restart()?;
        let mut fleet = Fleet::attach_knowing(&collector, known, Duration::from_secs(10)).await?;
        for n in 0..40 {
            codes[n * 5..n * 5 + 5].iter().for_each(|code| fleet.agents[n].close(code));
            fleet.agents[n].report().await?;
        }
        let told = until("a thousand were told as opened and two hundred as resolved", WITHIN * 3, async || {
            let taken = receiver.taken();
            let incidents = |event: &str| {
                let of = taken.iter().filter(|taken| taken.event() == event).map(|taken| taken.text("incident"));
                of.collect::<BTreeSet<_>>().len()
            };
            let (opened, resolved) = (incidents("opened"), incidents("resolved"));
            ensure!(opened == 1000 && resolved == 200, "{opened} opened, {resolved} resolved");
            Ok(Some(taken))
        });
        let taken = told.await?;
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        for (place, one) in taken.iter().enumerate() {
            first.entry(one.text("key").to_owned()).or_insert(place);
        }
        ensure!(taken.len() > first.len(), "answers were lost, so some came twice");
        let mut keys: BTreeMap<&str, Vec<(u64, usize)>> = BTreeMap::new();
        for one in &taken {
            let place = first[one.text("key")];
            keys.entry(one.text("incident")).or_default().push((one.message["number"].as_u64().unwrap_or(0), place));
        }
        for (incident, mut messages) in keys {
            messages.sort_unstable();
            messages.dedup();
            ensure!(
                messages.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1),
                "{incident} came out of order: {messages:?}"
            );
        }
        Ok(())
    });
}
