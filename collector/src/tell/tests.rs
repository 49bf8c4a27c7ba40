use std::path::Path;

use jiff::ToSpan as _;

use super::*;
use crate::policy::{Silence, parse_matchers};

mod generated;
mod rules;

const HOOKS: &str = "hooks: [{name: a, webhook: {url: 'https://h/a'}}, {name: b, webhook: {url: 'https://h/b'}}]\n";

/// A thousandth of a second of the test's day.
fn at(ms: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time") + ms.milliseconds()
}

fn ms(time: Timestamp) -> i64 {
    time.as_millisecond() - 1_800_000_000_000
}

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

fn policy(rest: &str) -> Policy {
    Policy::parse(Path::new("p"), &format!("{HOOKS}{rest}")).unwrap_or_else(|errors| panic!("{rest}: {errors:?}"))
}

fn silence(words: &[&str], from: i64, until: i64) -> Silences {
    let matches = parse_matchers(words).expect("matchers");
    Silences::new(vec![Silence {
        id: "s".into(),
        matches,
        comment: String::new(),
        created_by: String::new(),
        starts_at: at(from),
        ends_at: at(until),
    }])
}

/// An incident that a test changes as it goes.
#[derive(Debug, Clone)]
struct Incident {
    nodes: Vec<(String, Severity)>,
    kind: Kind,
    opened: i64,
    closed: Option<i64>,
    flapping: bool,
    wait: Option<i64>,
    merged: bool,
    explained: bool,
    apart: Vec<&'static str>,
    heard_by: Vec<&'static str>,
}

impl Incident {
    fn on(names: &[&str], severity: Severity) -> Self {
        let kind = if names.len() > 1 { Kind::Label } else { Kind::Node };
        let nodes = names.iter().map(|name| ((*name).to_owned(), severity)).collect();
        Self {
            nodes,
            kind,
            opened: 0,
            closed: None,
            flapping: false,
            wait: None,
            merged: false,
            explained: false,
            apart: Vec::new(),
            heard_by: Vec::new(),
        }
    }

    fn critical(names: &[&str]) -> Self {
        Self::on(names, Severity::Critical)
    }

    fn many(&mut self, nodes: usize) {
        self.nodes = (0..nodes).map(|n| (format!("n{n}"), Severity::Critical)).collect();
    }
}

/// One incident, and what was said of it.
struct World {
    policy: Policy,
    silences: Silences,
    rates: Rates,
    told: BTreeMap<Arc<str>, Told>,
    said: Vec<String>,
    wake: Option<i64>,
}

impl World {
    fn new(rest: &str) -> Self {
        let policy = policy(rest);
        Self { policy, silences: Silences::default(), rates: Rates::default(), told: BTreeMap::new(), said: Vec::new(), wake: None }
    }

    fn with(mut self, silences: Silences) -> Self {
        self.silences = silences;
        self
    }

    /// Tells now; gives what was said in this call.
    fn tell(&mut self, incident: &Incident, now: i64) -> Vec<String> {
        let labels = BTreeMap::new();
        let members =
            incident.nodes.iter().map(|(node, severity)| Member { node, labels: &labels, code: "swap-enabled", severity: *severity });
        let standing = Standing {
            id: "i",
            kind: incident.kind,
            layer: Layer::Kubelet,
            members: members.collect(),
            opened_at: at(incident.opened),
            closed_at: incident.closed.map(at),
            flapping: incident.flapping,
            wait_until: incident.wait.map(at),
            merged_into: incident.merged.then_some("greater"),
            explained: incident.explained,
            apart: incident.apart.iter().map(|id| (*id).into()).collect(),
            heard_by: incident.heard_by.clone(),
        };
        let tell = tell(&self.policy, &self.silences, &mut self.rates, &standing, &mut self.told, at(now));
        assert!(tell.wake_at.is_none_or(|wake| wake > at(now)), "it would be called for ever: {tell:?}");
        self.wake = tell.wake_at.map(ms);
        let said: Vec<String> = tell.messages.iter().map(|said| format!("{} {}", said.hook, said.event.word())).collect();
        self.said.extend(said.iter().map(|said| format!("{now} {said}")));
        said
    }

    /// Tells at each wake until then; gives what was said in that time.
    fn until(&mut self, incident: &Incident, from: i64, until: i64) -> Vec<String> {
        let before = self.said.len();
        self.tell(incident, from);
        while let Some(wake) = self.wake.filter(|wake| *wake <= until) {
            self.tell(incident, wake);
        }
        self.said[before..].to_vec()
    }
}
