//! Runs checks: each on its period, never two looks of one at a time, none past its deadline. A hung look is told as such and delays nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nodewhy_diagnosis::{Facts, Missing, MissingKind};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::checks::{Check, Look, Stage};
use crate::config::CheckConfig;
use crate::host::Host;

/// How much longer than its deadline a single look at everything may take if nothing at all has come back.
const LATE: Duration = Duration::from_secs(4);
/// See [`Rhythm`].
const BEAT: Duration = Duration::from_secs(1);

/// What a check saw, or the reason why it could not.
#[derive(Debug)]
pub struct Looked {
    /// The check's name.
    pub check: &'static str,
    /// When the look began.
    pub began_at: Timestamp,
    /// Its facts.
    pub facts: Facts,
}

/// What the scheduler is told.
#[derive(Debug)]
pub enum Order {
    /// Facts that others than checks found out; later looks are given them.
    Learn(Facts),
    /// The clock was set back by so much.
    ClockSetBack(SignedDuration),
    /// These checks (by name) are to look again at once.
    LookNow(Vec<&'static str>),
    /// These checks, and no others, look often until told otherwise.
    Hurry(BTreeSet<&'static str>),
}

/// The checks as configured, and facts that say which are left out by the configuration.
pub fn configured(all: &[Check], config: &BTreeMap<String, CheckConfig>, now: Timestamp) -> (Vec<Check>, Facts) {
    let mut left_out = Facts::new();
    let mut checks = Vec::new();
    for check in all {
        let changes = config.get(check.name).cloned().unwrap_or_default();
        if changes.enabled == Some(false) {
            // Not looked at is not healthy.
            let why = Missing::new(MissingKind::Failed, format!("the check `{}` is disabled in the agent's configuration", check.name));
            check.reports.iter().for_each(|prefix| left_out.miss_under(prefix, now, &why));
            continue;
        }
        checks.push(Check {
            period: changes.period.unwrap_or(check.period),
            deadline: changes.deadline.unwrap_or(check.deadline),
            ..*check
        });
    }
    (checks, left_out)
}

/// Looks at everything once, stage by stage, and comes back by `deadline` whatever hangs.
pub async fn look_once(host: Arc<Host>, checks: Vec<Check>, known: Facts, deadline: Instant) -> Facts {
    let (out, mut looked) = mpsc::channel(checks.len().max(1));
    let (_orders, no_orders) = mpsc::channel(1);
    let mut facts = known.clone();
    let mut waiting: BTreeMap<&'static str, Check> = checks.iter().map(|check| (check.name, *check)).collect();
    let mut scheduler = Scheduler::new(host, checks, known, no_orders, out);
    let running = scheduler.run();
    tokio::pin!(running);
    let mut any = false;
    while !waiting.is_empty() {
        // On a machine too busy to have looked at anything yet, a late answer is better than none.
        let until = if any { deadline } else { deadline + LATE };
        tokio::select! {
            Some(Looked { check, facts: seen, .. }) = looked.recv() => {
                any = true;
                waiting.remove(check);
                facts.absorb(seen);
            }
            () = &mut running => break,
            () = sleep_until(until) => break,
        }
    }
    for check in waiting.values() {
        let why = format!("the check `{}` had not come back when the time for this look was over", check.name);
        facts.absorb(missing(check, Timestamp::now(), &Missing::new(MissingKind::Hung, why).hint("is the machine very busy? Look again")));
    }
    facts
}

/// See the module.
pub struct Scheduler {
    host: Arc<Host>,
    slots: Vec<Slot>,
    /// Copied only while a look still reads it.
    known: Arc<Facts>,
    hurry: BTreeSet<&'static str>,
    looks: JoinSet<Facts>,
    /// Which slot a look under way belongs to.
    of: BTreeMap<Id, usize>,
    orders: mpsc::Receiver<Order>,
    out: mpsc::Sender<Looked>,
    rhythm: Rhythm,
}

struct Slot {
    check: Check,
    /// When the next look begins, if none is under way.
    due: Instant,
    under_way: Option<UnderWay>,
    /// It came back or was given up at least once.
    looked: bool,
}

struct UnderWay {
    began: Instant,
    began_at: Timestamp,
    /// Told as hung: what it brings after all is too old to be told.
    given_up: bool,
    /// Somebody wanted another look meanwhile.
    again: bool,
}

impl Scheduler {
    /// A scheduler; nothing runs before [`Scheduler::run`]. It ends when `out` is closed.
    pub fn new(host: Arc<Host>, checks: Vec<Check>, known: Facts, orders: mpsc::Receiver<Order>, out: mpsc::Sender<Looked>) -> Self {
        let now = Instant::now();
        let slots = checks.into_iter().map(|check| Slot { check, due: now, under_way: None, looked: false }).collect();
        let (known, rhythm) = (Arc::new(known), Rhythm(now));
        Self { host, slots, known, hurry: BTreeSet::new(), looks: JoinSet::new(), of: BTreeMap::new(), orders, out, rhythm }
    }

    /// Runs until nobody listens any more.
    pub async fn run(&mut self) {
        let mut ordered = true;
        while !self.out.is_closed() {
            self.begin_due();
            let next = self.next_event();
            tokio::select! {
                order = self.orders.recv(), if ordered => match order {
                    Some(order) => self.obey(order),
                    None => ordered = false,
                },
                Some(back) = self.looks.join_next_with_id() => self.came_back(back).await,
                () = sleep_until(next) => self.give_up_hung().await,
                () = self.out.closed() => return,
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Learn(facts) => {
                Arc::make_mut(&mut self.known).absorb(facts);
            }
            Order::ClockSetBack(step) => Arc::make_mut(&mut self.known).clock_set_back(step),
            Order::LookNow(names) => {
                let now = Instant::now();
                for slot in self.slots.iter_mut().filter(|slot| names.contains(&slot.check.name)) {
                    match &mut slot.under_way {
                        Some(under_way) => under_way.again = true,
                        None => slot.due = now,
                    }
                }
            }
            Order::Hurry(names) => {
                let now = Instant::now();
                for slot in self.slots.iter_mut().filter(|slot| names.contains(slot.check.name)) {
                    slot.due = slot.due.min(now + slot.check.period_while_wrong());
                }
                self.hurry = names;
            }
        }
    }

    /// A stage is open once all checks of the earlier ones have looked or were given up.
    fn stage(&self) -> Stage {
        let pending = |stage| self.slots.iter().any(|slot| slot.check.stage == stage && !slot.looked);
        if pending(Stage::Discover) {
            Stage::Discover
        } else if pending(Stage::Configuration) {
            Stage::Configuration
        } else {
            Stage::Look
        }
    }

    fn begin_due(&mut self) {
        let (stage, now) = (self.stage(), Instant::now());
        let due = |slot: &Slot| slot.under_way.is_none() && slot.due <= now && slot.check.stage <= stage;
        if !self.slots.iter().any(due) {
            return;
        }
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| due(slot)) {
            let began_at = Timestamp::now();
            let look = Look { host: self.host.clone(), known: Arc::clone(&self.known), began_at, deadline: slot.check.deadline };
            let handle = self.looks.spawn((slot.check.look)(look));
            self.of.insert(handle.id(), index);
            slot.under_way = Some(UnderWay { began: now, began_at, given_up: false, again: false });
        }
    }

    fn next_event(&self) -> Instant {
        let stage = self.stage();
        let of = |slot: &Slot| match &slot.under_way {
            Some(look) => (!look.given_up).then(|| look.began + slot.check.deadline),
            None => (slot.check.stage <= stage).then_some(slot.due),
        };
        self.slots.iter().filter_map(of).min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    async fn give_up_hung(&mut self) {
        let now = Instant::now();
        let mut told = Vec::new();
        for slot in &mut self.slots {
            let Some(look) = slot.under_way.as_mut().filter(|look| !look.given_up && look.began + slot.check.deadline <= now) else {
                continue;
            };
            look.given_up = true;
            slot.looked = true;
            let why = format!("it did not come back within {:?}; it is left alone until it does", slot.check.deadline);
            told.push(Looked { check: slot.check.name, began_at: look.began_at, facts: hung(&slot.check, look.began_at, &why) });
        }
        for looked in told {
            self.tell(looked).await;
        }
    }

    async fn came_back(&mut self, back: Result<(Id, Facts), JoinError>) {
        let (id, result) = match back {
            Ok((id, facts)) => (id, Ok(facts)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(slot) = self.of.remove(&id).and_then(|index| self.slots.get_mut(index)) else { return };
        let Some(look) = slot.under_way.take() else { return };
        slot.looked = true;
        let period = if self.hurry.contains(slot.check.name) { slot.check.period_while_wrong() } else { slot.check.period };
        slot.due = if look.given_up || look.again { Instant::now() } else { self.rhythm.on_beat(look.began + period) };
        if look.given_up {
            return;
        }
        let facts = result.unwrap_or_else(|error| {
            let why = Missing::new(MissingKind::Failed, format!("the check `{}` broke off: {error}", slot.check.name))
                .hint("this is a defect of nodewhy-agent: please report it with the agent's log");
            missing(&slot.check, look.began_at, &why)
        });
        let looked = Looked { check: slot.check.name, began_at: look.began_at, facts };
        self.tell(looked).await;
    }

    async fn tell(&mut self, looked: Looked) {
        Arc::make_mut(&mut self.known).absorb(looked.facts.clone());
        // An error means that nobody listens any more, which ends the loop.
        drop(self.out.send(looked).await);
    }
}

/// Looks of different checks begin together, so that the node is woken once for many of them. The first beat is when the agent started, at
/// random among the nodes.
#[derive(Debug, Clone, Copy)]
struct Rhythm(Instant);

impl Rhythm {
    /// The beat nearest to a time.
    fn on_beat(self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.0) + BEAT / 2;
        let beats = u32::try_from(since.as_millis() / BEAT.as_millis()).unwrap_or(u32::MAX);
        // Shorter periods than a beat are an admin's wish.
        if at < Instant::now() + BEAT { at } else { self.0 + BEAT * beats }
    }
}

fn hung(check: &Check, read_at: Timestamp, why: &str) -> Facts {
    missing(check, read_at, &Missing::new(MissingKind::Hung, format!("the check `{}` is hung: {why}", check.name)))
}

fn missing(check: &Check, read_at: Timestamp, why: &Missing) -> Facts {
    let mut facts = Facts::new();
    check.reports.iter().for_each(|prefix| facts.miss_under(prefix, read_at, why));
    facts
}

#[cfg(test)]
mod tests;
