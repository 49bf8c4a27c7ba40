//! What a story asks of the collector: is the fault named, alone, and is it over after the repair?

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use nodewhy_proto::v1::{Case, PresentCause, Severity, Verdict};

use super::{Seen, World};
use crate::wait::until;

/// A fault that the collector has named.
#[derive(Debug)]
pub struct Named {
    /// Its case.
    pub case: Case,
    /// From the fault to the collector's having it on disk.
    pub after: SignedDuration,
}

impl World {
    /// Waits until the collector says that the node is healthy.
    ///
    /// # Errors
    /// It does not.
    pub async fn healthy_within(&self, deadline: Duration) -> Result<()> {
        let name = self.node.name();
        until("the collector says that the node is healthy", deadline, async || {
            let node = self.collector.node(&name).await?;
            let summary = node.summary.context("no summary")?;
            let unknown = node.diagnosis.unwrap_or_default().unknown;
            let unknown: Vec<_> = unknown.iter().map(|unknown| format!("{}: {}", unknown.what, unknown.why)).collect();
            match summary.verdict() {
                Verdict::Healthy => Ok(Some(())),
                verdict => bail!("{verdict:?}, roots {:?}, unknown {unknown:?}", summary.roots),
            }
        })
        .await
    }

    /// Waits until the collector names this cause as the node's only root.
    ///
    /// # Errors
    /// It does not.
    pub async fn named_within(&self, code: &str, fault_at: Timestamp, deadline: Duration) -> Result<Named> {
        let name = self.node.name();
        until(&format!("the collector names {code}"), deadline, async || {
            let roots = self.collector.node(&name).await?.summary.context("no summary")?.roots;
            if roots != [code] {
                bail!("roots are {roots:?}");
            }
            let case = self.collector.cases(&name).await?.into_iter().rfind(|case| cause(case).code == code && case.closed_at.is_none());
            let case = case.with_context(|| format!("{code} is a root without an open case"))?;
            let after = recorded(case.opened_recorded_at)?.duration_since(fault_at);
            Ok(Some(Named { case, after }))
        })
        .await
    }

    /// Waits until the agent was heard so many times more: it sends a heartbeat a second.
    ///
    /// # Errors
    /// It was not.
    pub async fn heard_again(&self, times: u32) -> Result<()> {
        let name = self.node.name();
        let heard = async || anyhow::Ok(self.collector.node(&name).await?.summary.context("no summary")?.last_seen);
        for _ in 0..times {
            let before = heard().await?;
            until("the agent is heard again", Duration::from_secs(10), async || Ok((heard().await? != before).then_some(()))).await?;
        }
        Ok(())
    }

    /// Waits until the message of a present cause holds these words.
    ///
    /// # Errors
    /// It does not.
    pub async fn says_within(&self, code: &str, words: &str, deadline: Duration) -> Result<()> {
        let name = self.node.name();
        until(&format!("{code} says {words:?}"), deadline, async || {
            let causes = self.collector.node(&name).await?.diagnosis.unwrap_or_default().causes;
            let cause = causes.into_iter().find(|cause| cause.code == code).with_context(|| format!("{code} is not present"))?;
            if !cause.message.contains(words) {
                bail!("it says: {}", cause.message);
            }
            Ok(Some(()))
        })
        .await
    }

    /// When the kubelet's main process last ended; `None` if none has.
    ///
    /// # Errors
    /// systemd cannot be asked.
    pub fn kubelet_exited_at(&self) -> Result<Option<Timestamp>> {
        let shown = self.node.unit_properties("kubelet.service", &["ExecMainExitTimestamp"])?.remove(0);
        // `Mon 2026-11-23 08:31:02.123456 UTC`
        let Some((_, stamp)) = shown.split_once(' ') else { return Ok(None) };
        let stamp = stamp.strip_suffix(" UTC").with_context(|| format!("a time not in UTC: {shown:?}"))?;
        Ok(Some(format!("{}Z", stamp.replace(' ', "T")).parse()?))
    }

    /// Waits until a case is closed and the node is healthy, and says how long after the repair that was on the collector's disk.
    ///
    /// # Errors
    /// It is not.
    pub async fn closed_within(&self, case_id: &str, repaired_at: Timestamp, deadline: Duration) -> Result<SignedDuration> {
        let name = self.node.name();
        let closed = until("the case is closed", deadline, async || {
            let case = self.collector.cases(&name).await?.into_iter().find(|case| case.case_id == case_id).context("the case is gone")?;
            Ok(case.closed_at.is_some().then_some(case))
        });
        let after = recorded(closed.await.with_context(|| case_id.to_owned())?.closed_recorded_at)?.duration_since(repaired_at);
        self.healthy_within(deadline).await?;
        Ok(after)
    }

    /// Says that the repair itself leads through this cause, from now on: [`World::was_the_only_root`] lets it be a root.
    pub fn repair_leads_through(&mut self, code: &'static str) {
        self.leads_through = Some((code, Timestamp::now()));
    }

    /// Makes sure that the node never had another root, and no other critical cause but those that this one explains
    /// and the one that the repair led through.
    ///
    /// # Errors
    /// It had.
    pub async fn was_the_only_root(&self, code: &str) -> Result<()> {
        let led_through = |other: &str, at: Timestamp| self.leads_through.is_some_and(|(through, since)| other == through && at >= since);
        let is_other = |seen: &&Seen| seen.roots.iter().any(|root| root != code && !led_through(root, seen.at));
        let seen = self.observer.as_ref().context("nobody watched")?.all();
        let others: Vec<_> = seen.iter().filter(is_other).collect();
        ensure!(others.is_empty(), "{code} was not the only root: {others:#?}");
        for case in self.collector.cases(&self.node.name()).await? {
            let other = cause(&case);
            let folded = !other.root && other.explained_by == [code];
            let on_the_way = led_through(&other.code, recorded(case.opened_recorded_at)?);
            ensure!(
                other.code == code || folded || on_the_way || other.severity() != Severity::Critical,
                "{} opened too: {} (explained by {:?})",
                other.code,
                other.message,
                other.explained_by
            );
        }
        Ok(())
    }
}

fn cause(case: &Case) -> PresentCause {
    case.cause.clone().unwrap_or_default()
}

fn recorded(at: Option<prost_types::Timestamp>) -> Result<Timestamp> {
    let at = at.context("the collector recorded no time")?;
    Ok(Timestamp::new(at.seconds, at.nanos)?)
}
