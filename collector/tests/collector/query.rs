//! Lists in pages, worst first; changes as they come; who may look in the services themselves.

use nodewhy_proto::v1 as pb;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

use crate::support::Collector;
use crate::support::agent::{Agent, closes, hello, opens, report};

#[tokio::test]
async fn nodes_come_worst_first_in_pages() {
    let collector = Collector::start("");
    let mut agents = Vec::new();
    for (node, said) in [
        ("c-healthy", Some(report("c-healthy", 1, &[], vec![]))),
        ("b-broken", Some(opens("b-broken", 1, "swap-enabled"))),
        ("a-broken", Some(opens("a-broken", 1, "swap-enabled"))),
        ("d-new", None),
    ] {
        let mut agent = Agent::attach(collector.channel().await, hello(node)).await.expect("welcome");
        if let Some(said) = said {
            agent.report(said).await;
        }
        agents.push(agent);
    }
    let mut query = collector.query().await;
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = query.list_nodes(pb::ListNodesRequest { page_size: 2, page_token }).await.expect("an answer").into_inner();
        assert!(page.nodes.len() <= 2);
        names.extend(page.nodes.into_iter().map(|node| node.node));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a-broken", "b-broken", "d-new", "c-healthy"]);
    let status = query.list_nodes(pb::ListNodesRequest { page_size: 2, page_token: "\u{0}".into() }).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_node_never_heard_of_is_not_found_and_one_without_a_report_is_unknown() {
    let collector = Collector::start("");
    assert!(collector.nodes().await.is_empty());
    let asked = collector.query().await.get_node(pb::GetNodeRequest { node: "nobody".into() }).await;
    assert_eq!(asked.expect_err("refused").code(), Code::NotFound);
    let _agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    let node = collector.node("worker-1").await.diagnosis.expect("there");
    assert_eq!(node.verdict(), pb::Verdict::Unknown);
    assert!(node.unknown[0].why.contains("not reported yet"));
}

#[tokio::test]
async fn cases_come_newest_first_in_pages_and_open_ones_alone() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    agent.report(opens("worker-1", 3, "kubelet-hung")).await;
    let mut query = collector.query().await;
    let mut ask = async |open_only, page_token: String| {
        let request = pb::ListCasesRequest { node: "worker-1".into(), open_only, page_size: 1, page_token };
        let page = query.list_cases(request).await.expect("an answer").into_inner();
        (page.cases.into_iter().map(|case| case.cause.expect("there").code).collect::<Vec<_>>(), page.next_page_token)
    };
    let (first, token) = ask(false, String::new()).await;
    let (second, end) = ask(false, token).await;
    assert_eq!((first, second, &*end), (vec!["kubelet-hung".to_owned()], vec!["swap-enabled".to_owned()], ""));
    assert_eq!(ask(true, String::new()).await, (vec!["kubelet-hung".to_owned()], String::new()));
}

#[tokio::test]
async fn who_watches_hears_what_is_and_then_what_changes() {
    let collector = Collector::start("");
    let mut agent = Agent::attach(collector.channel().await, hello("worker-1")).await.expect("welcome");
    agent.report(opens("worker-1", 1, "swap-enabled")).await;
    let mut query = collector.query().await;
    let mut watch = query.watch_nodes(pb::WatchNodesRequest::default()).await.expect("an answer").into_inner();
    let mut next = async || watch.message().await.expect("open").expect("there").summary.expect("there");
    assert_eq!(next().await.verdict(), pb::Verdict::NotReady);
    agent.report(closes("worker-1", 2, "swap-enabled")).await;
    assert_eq!(next().await.verdict(), pb::Verdict::Healthy);
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    let collector = Collector::start("");
    let health = collector.command().arg("health").output().expect("it runs");
    assert_eq!(health.status.code(), Some(0), "{health:?}");
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
    let mut reflection = ServerReflectionClient::new(collector.channel().await);
    let mut answers = reflection.server_reflection_info(tokio_stream::once(request)).await.expect("an answer").into_inner();
    let Some(MessageResponse::ListServicesResponse(services)) = answers.message().await.expect("open").expect("there").message_response
    else {
        panic!("no list of services");
    };
    let named = |name: &str| services.service.contains(&ServiceResponse { name: name.into() });
    assert!(named("nodewhy.v1.AgentService") && named("nodewhy.v1.QueryService") && named("grpc.health.v1.Health"), "{services:?}");
}

#[tokio::test]
async fn health_says_no_when_nobody_answers() {
    let mut collector = Collector::start("");
    collector.kill();
    let health = collector.command().arg("health").output().expect("it runs");
    assert_eq!(health.status.code(), Some(1), "{health:?}");
    assert!(String::from_utf8_lossy(&health.stdout).contains("cannot connect"), "{health:?}");
}
