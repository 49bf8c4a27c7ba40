//! Walking: over the connection of the last look where there is one, else step by step so that the one that fails has a name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nodewhy_diagnosis::Missing;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::host::api::{self, ApiAnswer, Identity, StepError};
use crate::host::{Host, tunnel};

/// How long the connection of the last look may take to answer before the steps are walked anew.
const WARM: Duration = Duration::from_millis(1500);

/// A step that failed.
#[derive(Debug)]
pub(super) struct Step {
    /// proxy, name, tcp, tls, http.
    pub(super) step: &'static str,
    /// A word of `apiserver.failure`; `None` if the agent cannot tell.
    pub(super) how: Option<&'static str>,
    /// In full.
    pub(super) words: String,
    /// The answer, if it is its status that is the failure.
    pub(super) answer: Option<ApiAnswer>,
}

/// All steps walked.
#[derive(Debug)]
pub(super) struct Walk {
    /// Of /readyz.
    pub(super) health: ApiAnswer,
    /// Of the Node object; `None` if the API server was not asked as the kubelet.
    pub(super) node: Option<Result<ApiAnswer, Missing>>,
    /// Of its Lease.
    pub(super) lease: Option<Result<ApiAnswer, Missing>>,
    /// gitVersion of the API server, if it told it.
    pub(super) version: Option<String>,
}

fn failed(step: &'static str) -> impl Fn(StepError) -> Step {
    move |error| Step { step, how: error.how, words: error.words, answer: None }
}

pub(super) async fn walk(
    host: &Host,
    identity: Identity,
    token: Option<&str>,
    node: Result<String, Missing>,
    until: Instant,
) -> Result<Walk, Step> {
    if let Some((client, version)) = host.kept_client(&identity) {
        let warm = until.min(Instant::now() + WARM);
        if let Ok(health) = api::get(&client, &identity, "/readyz", token, warm).await
            && health.status < 500
        {
            let walk = ask_about_node(&client, &identity, token, node, health, until).await;
            return Ok(Walk { version, ..walk });
        }
        host.keep_client(None);
    }
    let config = api::tls_config(host, &identity).map_err(|words| Step { step: "tls", how: None, words, answer: None })?;
    let (stream, via) = connect(&identity, until).await?;
    host.tls(stream, &identity, Arc::new(config.clone()), until).await.map_err(failed("tls"))?;
    let client = api::client(&identity, config, via).map_err(|words| Step { step: "http", how: None, words, answer: None })?;
    let health = health(&client, &identity, token, until).await?;
    let walk = ask_about_node(&client, &identity, token, node, health, until).await;
    // Not ready, and yet it serves: a check of its own that a kubelet does not depend on, or an orderly shutdown of which others are to learn.
    let serves = matches!(&walk.node, Some(Ok(answer)) if answer.status == 200);
    if walk.health.status >= 500 && !serves {
        let words = format!("GET /readyz: HTTP status {}", walk.health.status);
        return Err(Step { step: "http", how: Some("http-status"), words, answer: Some(walk.health) });
    }
    let version = version(&client, &identity, token, until).await;
    host.keep_client(Some((identity, client, version.clone())));
    Ok(Walk { version, ..walk })
}

/// Directly, or to the proxy and through it.
async fn connect(identity: &Identity, until: Instant) -> Result<(TcpStream, Option<SocketAddr>), Step> {
    let Some(port) = identity.proxy_port else {
        let stream = api::connect(&identity.addresses, identity.port, until).await.map_err(failed("tcp"))?;
        return Ok((stream, None));
    };
    let mut stream = api::connect(&identity.addresses, port, until).await.map_err(failed("proxy"))?;
    let via = stream.peer_addr().ok();
    tunnel::open(&mut stream, &api::authority(&identity.name_asked, identity.port), until).await.map_err(failed("proxy"))?;
    Ok((stream, via))
}

/// What runs there; a server that does not tell it is no fault.
async fn version(client: &reqwest::Client, identity: &Identity, token: Option<&str>, until: Instant) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    let answer = api::get(client, identity, "/version", token, until).await.ok().filter(|answer| answer.status == 200)?;
    serde_json::from_slice::<Version>(&answer.body).ok().map(|version| version.git_version.chars().take(64).collect())
}

/// /readyz, and /healthz where that is too new (before 1.16).
async fn health(client: &reqwest::Client, identity: &Identity, token: Option<&str>, until: Instant) -> Result<ApiAnswer, Step> {
    let mut answer = api::get(client, identity, "/readyz", token, until).await.map_err(failed("http"))?;
    if answer.status == 404 {
        answer = api::get(client, identity, "/healthz", token, until).await.map_err(failed("http"))?;
    }
    Ok(answer)
}

/// As the kubelet itself asks: from the watch cache (resourceVersion=0), which costs the API server no read of etcd.
async fn ask_about_node(
    client: &reqwest::Client,
    identity: &Identity,
    token: Option<&str>,
    node: Result<String, Missing>,
    health: ApiAnswer,
    until: Instant,
) -> Walk {
    let name = match node {
        Ok(name) => name,
        Err(why) => return Walk { health, node: Some(Err(why.clone())), lease: Some(Err(why)), version: None },
    };
    let ask = async |path: String| {
        let answer = api::get(client, identity, &path, token, until).await;
        answer.map_err(|error| super::failed(error.words))
    };
    let node = ask(format!("/api/v1/nodes/{name}?resourceVersion=0")).await;
    let lease = match &node {
        Ok(answer) if answer.status == 200 => {
            let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}?resourceVersion=0");
            Some(ask(path).await)
        }
        _ => None,
    };
    Walk { health, node: Some(node), lease, version: None }
}
