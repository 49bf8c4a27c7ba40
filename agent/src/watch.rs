//! Follows the kubelet's and the runtime's units by systemd's signals: a change is told at once, and the journal is drained at once,
//! because a unit that ends has just said why.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::{Facts, Missing};
use tokio::sync::{mpsc, watch};

use crate::checks::units::{self, Units};
use crate::checks::{Look, RUNTIME_UNIT, UNITS};
use crate::host::Host;
use crate::host::bus::{Change, Signals};
use crate::host::journal::Follower;

/// How soon a lost connection is tried again, and how seldom at most. dbus-daemon is back within a second of a restart.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What the watch needs.
#[derive(Debug)]
pub struct Watch {
    /// The node.
    pub host: Arc<Host>,
    /// What is known: whether this is a Kubernetes node, and at which endpoint its runtime is.
    pub known: watch::Receiver<Arc<Facts>>,
    /// Drained at every change.
    pub journal: Arc<Follower>,
    /// Where changes are told.
    pub out: mpsc::Sender<Facts>,
}

/// Nobody listens any more.
struct Deaf;

impl Watch {
    /// Watches until nobody listens any more.
    pub async fn run(self) {
        let mut wait = RETRY.0;
        loop {
            match self.follow(&mut wait).await {
                Err(Deaf) => return,
                Ok(why) => tracing::debug!(%why, "watching units begins anew"),
            }
            let jitter = rand::random_range(0.5..=1.0);
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(jitter)) => {}
                () = self.out.closed() => return,
            }
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Until the connection ends or the units are others; why.
    async fn follow(&self, wait: &mut Duration) -> Result<String, Deaf> {
        let (mut units, mut signals) = match self.subscribe().await {
            Ok(subscribed) => subscribed,
            Err(missing) => {
                let why = missing.why.clone();
                let mut facts = Facts::new();
                UNITS.reports.iter().chain(RUNTIME_UNIT.reports).for_each(|prefix| facts.miss_under(prefix, Timestamp::now(), &missing));
                self.tell(facts).await?;
                return Ok(why);
            }
        };
        *wait = RETRY.0;
        // What happened before the subscription.
        match self.reread(&mut units).await? {
            Reread::Same => {}
            Reread::Others => return Ok("other units were found".to_owned()),
            Reread::Failed(why) => return Ok(why),
        }
        let mut known = self.known.clone();
        loop {
            let change = tokio::select! {
                change = signals.next() => change,
                // The runtime's unit is the one behind the endpoint that the kubelet is configured with.
                Ok(()) = known.changed() => Some(Change::Reread),
                () = self.out.closed() => return Err(Deaf),
            };
            match change {
                None => return Ok("the D-Bus connection ended".to_owned()),
                Some(Change::Unit(index, message)) => {
                    let status = if index == 0 && units.kubelet.is_ok() { units.kubelet.as_mut().ok() } else { units.runtime.as_mut() };
                    let Some(status) = status else { continue };
                    if self.host.apply_change(status, &message) {
                        self.journal.expect_entries();
                        let look = self.look();
                        self.tell(units.facts(&look)).await?;
                    }
                }
                Some(change) => {
                    self.journal.expect_entries();
                    if matches!(change, Change::Refind) {
                        self.host.forget_units().await;
                    }
                    match self.reread(&mut units).await? {
                        Reread::Same => {}
                        Reread::Others => return Ok("other units were found".to_owned()),
                        Reread::Failed(why) => return Ok(why),
                    }
                }
            }
        }
    }

    async fn subscribe(&self) -> Result<(Units, Signals), Missing> {
        let units = units::read(&self.look()).await?;
        let watched: Vec<_> = units.kubelet.iter().chain(&units.runtime).collect();
        let signals = self.host.unit_signals(&watched).await?;
        Ok((units, signals))
    }

    async fn reread(&self, units: &mut Units) -> Result<Reread, Deaf> {
        let look = self.look();
        let fresh = match units::read(&look).await {
            Ok(fresh) => fresh,
            Err(missing) => return Ok(Reread::Failed(missing.why)),
        };
        let names = |units: &Units| [units.kubelet.as_ref().ok(), units.runtime.as_ref()].map(|unit| unit.map(|unit| unit.name.clone()));
        let same = names(&fresh) == names(units);
        *units = fresh;
        self.journal.expect_entries();
        self.tell(units.facts(&look)).await?;
        Ok(if same { Reread::Same } else { Reread::Others })
    }

    fn look(&self) -> Look {
        Look { host: Arc::clone(&self.host), known: Arc::clone(&self.known.borrow()), began_at: Timestamp::now(), deadline: UNITS.deadline }
    }

    async fn tell(&self, facts: Facts) -> Result<(), Deaf> {
        self.out.send(facts).await.map_err(|_| Deaf)
    }
}

enum Reread {
    Same,
    Others,
    Failed(String),
}
