//! `/metrics`: what Prometheus reads.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::agent::{Agent, hello, opens};
use crate::support::{Collector, until, write};

/// Head and body of what is served.
async fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.split_once("\r\n\r\n").map(|(head, body)| (head.to_lowercase(), body.to_owned())).expect("head and body")
}

/// Where the collector says that it serves them.
async fn address(collector: &Collector) -> String {
    until("metrics are served", async || {
        let log = collector.log();
        let line = log.lines().find(|line| line.contains("metrics are served"))?;
        let port = line.split("127.0.0.1:").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(format!("127.0.0.1:{port}"))
    })
    .await
}

#[tokio::test]
async fn metrics_are_openmetrics_and_tell_when_the_policys_file_is_bad() {
    let dir = tempfile::tempdir().expect("a directory");
    // Nobody listens there.
    let policy = write(dir.path(), "alerts.yaml", "hooks: [{name: ops, webhook: {url: 'http://127.0.0.1:9/hook'}}]\n");
    let collector = Collector::start_in(dir, &format!("alertsFile: {}\nmetrics: 127.0.0.1:0\n", policy.display()));
    let address = address(&collector).await;
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;

    let wanted = [
        "nodewhy_nodes{verdict=\"not-ready\"} 1",
        "nodewhy_nodes_attached 1",
        "nodewhy_incidents_open 1",
        "nodewhy_cases_open 1",
        "nodewhy_policy_valid 1",
        "nodewhy_hook_backlog{hook=\"ops\"} 1",
        "nodewhy_hook_failing{hook=\"ops\"} 1",
        "nodewhy_hook_delivered_total{hook=\"ops\"} 0",
    ];
    let (head, body) = until("all of it is told", async || {
        let (head, body) = get(&address, "/metrics").await;
        wanted.iter().all(|line| body.contains(line)).then_some((head, body))
    })
    .await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n") && body.contains("# TYPE nodewhy_policy_valid gauge"), "{body}");
    assert!(get(&address, "/").await.0.starts_with("http/1.1 404"));

    write(collector.dir.path(), "alerts.yaml", "hooks: [\n");
    until("the bad file is told", async || get(&address, "/metrics").await.1.contains("nodewhy_policy_valid 0").then_some(())).await;
}
