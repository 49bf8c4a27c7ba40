//! A real Alertmanager shows the alert and resolves it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_collector::hooks::template::Templates;
use nodewhy_collector::hooks::{Deliveries, Timing};
use nodewhy_collector::policy::{Loaded, Policy};
use nodewhy_collector::store::{NewReport, Seen, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::agent::{Agent, closes, hello, opens};
use crate::support::{Collector, until, write};

/// Debian's package prometheus-alertmanager.
const PROGRAM: &str = "/usr/bin/prometheus-alertmanager";

pub(crate) struct Alertmanager {
    address: SocketAddr,
    dir: TempDir,
    child: Child,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Alertmanager {
    /// `None` where it is not installed; in CI it has to be.
    pub(crate) async fn start() -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            assert!(std::env::var_os("CI").is_none(), "{PROGRAM} is missing: apt-get install prometheus-alertmanager");
            let words = format!("skipped: {PROGRAM} is not installed (apt-get install prometheus-alertmanager)\n");
            std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes()).ok();
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), "am.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let child = Self::spawn(dir.path(), address);
        let alertmanager = Self { address, dir, child };
        alertmanager.ready().await;
        Some(alertmanager)
    }

    fn spawn(dir: &Path, address: SocketAddr) -> Child {
        let mut command = Command::new(PROGRAM);
        command.arg(format!("--config.file={}", dir.join("am.yml").display()));
        command.arg(format!("--storage.path={}", dir.join("data").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--cluster.listen-address=");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    async fn ready(&self) {
        let url = format!("{}/-/ready", self.url());
        until("Alertmanager is ready", async || reqwest::get(&url).await.ok().filter(|answer| answer.status().is_success()).map(drop))
            .await;
    }

    /// Ends it and starts it anew, with nothing in its memory.
    pub(crate) async fn forget(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child of ours");
        std::fs::remove_dir_all(self.dir.path().join("data")).ok();
        self.child = Self::spawn(self.dir.path(), self.address);
        self.ready().await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Active alerts.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        let answer = reqwest::get(format!("{}/api/v2/alerts?active=true", self.url())).await.expect("an answer");
        answer.json::<Vec<Value>>().await.expect("JSON")
    }

    pub(crate) async fn one(&self) -> Value {
        until("one alert is active", async || Some(self.alerts().await).filter(|alerts| alerts.len() == 1)).await.remove(0)
    }

    pub(crate) async fn none(&self) {
        until("no alert is active", async || self.alerts().await.is_empty().then_some(())).await;
    }

    fn policy(&self) -> String {
        format!("hooks: [{{name: am, alertmanager: {{url: '{}'}}}}]\n", self.url())
    }
}

fn install_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

#[tokio::test]
async fn an_alertmanager_shows_the_alert_with_cause_and_remedy_and_resolves_it() {
    install_provider();
    let Some(alertmanager) = Alertmanager::start().await else { return };
    let collector = Collector::start_telling(&alertmanager.policy());
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    let alert = alertmanager.one().await;
    let labels: [(&str, &str); 6] = [
        ("alertname", "NodeSwapEnabled"),
        ("node", "worker-1"),
        ("cause", "swap-enabled"),
        ("severity", "critical"),
        ("layer", "kubelet"),
        ("source", "nodewhy"),
    ];
    for (label, value) in labels {
        assert_eq!(alert["labels"][label], value, "{label}: {alert}");
    }
    let says = |annotation: &str, words: &str| {
        let text = alert["annotations"][annotation].as_str().unwrap_or_default();
        assert!(text.contains(words), "{annotation}: {alert}");
    };
    says("summary", "worker-1: Title of swap-enabled");
    says("description", "message of swap-enabled");
    says("remedy", "swapoff -a");
    says("evidence", "log:kubelet.service: the kubelet's words");
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    alertmanager.none().await;
}

#[tokio::test]
async fn an_alertmanager_that_was_away_hears_of_the_opening_and_of_the_end() {
    install_provider();
    let Some(mut alertmanager) = Alertmanager::start().await else { return };
    let collector = Collector::start_telling(&alertmanager.policy());
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    alertmanager.child.kill().expect("it runs");
    alertmanager.child.wait().expect("a child of ours");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    until("the hook is told to be away", async || collector.log().contains("the hook takes nothing").then_some(())).await;
    alertmanager.forget().await;
    alertmanager.one().await;
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    alertmanager.none().await;
}

#[tokio::test]
async fn a_long_fault_does_not_resolve_by_itself_and_is_told_again_to_one_that_forgot() {
    install_provider();
    let Some(mut alertmanager) = Alertmanager::start().await else { return };
    let policy = Arc::new(Policy::parse(Path::new("alerts.yaml"), &alertmanager.policy()).expect("a policy"));
    let dir = tempfile::tempdir().expect("a directory");
    let (_policies, loaded) = watch::channel(Loaded { policy: policy.clone(), problem: None, since: Timestamp::now() });
    let store = Store::open(dir.path(), loaded).expect("opened").store;
    let seen = Seen { hello: hello("worker-1"), heartbeat: Duration::from_secs(10), at: Timestamp::now() };
    store.hello(seen).await.expect("stored");
    let opened = opens("worker-1", 1, "swap-enabled");
    let diagnosis = nodewhy_wire::diagnosis_from_wire(opened.diagnosis.expect("there")).expect("good");
    let transitions = opened.transitions.into_iter().map(|change| nodewhy_wire::transition_from_wire(change).expect("good")).collect();
    let report = NewReport {
        node: "worker-1".into(),
        spool_id: "s".into(),
        sequence: 1,
        dropped: 0,
        boot_id: String::new(),
        content: Ok((diagnosis, transitions)),
        at: Timestamp::now(),
    };
    let committed = store.report(report).await.expect("queued").await.expect("answered");
    committed.expect("stored");
    let timing = Timing { again: Duration::from_millis(200), ahead: Duration::from_secs(2), ..Timing::default() };
    let mut deliveries = Deliveries::new(store, timing);
    deliveries.set(&policy.hooks, &Templates::default());

    let ends = |alert: &Value| alert["endsAt"].as_str().expect("a time").parse::<Timestamp>().expect("a time");
    let first = ends(&alertmanager.one().await);
    until("the first end is past and the alert is still there", async || {
        let alerts = alertmanager.alerts().await;
        assert_eq!(alerts.len(), 1, "it resolved by itself");
        (Timestamp::now() > first && ends(&alerts[0]) > first).then_some(())
    })
    .await;
    alertmanager.forget().await;
    alertmanager.one().await;
}
