//! The API server: registers the node, posts its status and renews its lease; when that fails, says so as kubelet v1.36 does
//! (pkg/kubelet/kubelet_node_status.go, component-helpers/apimachinery/lease/controller.go).

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Method, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;

use crate::go;
use crate::settings::{Kubeconfig, Settings};
use crate::voice::say;

/// The kubelet's requests carry `timeout=10s`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// pkg/kubelet nodeStatusUpdateRetry and the lease controller's maxUpdateRetries.
const TRIES: usize = 5;

/// Does so for as long as this kubelet lives; a standalone one has nothing to do.
pub(crate) async fn post_status(settings: Arc<Settings>) {
    let Some(api) = &settings.api else { return };
    let mut registered = false;
    let mut every = tokio::time::interval(settings.config.node_status_update_frequency);
    loop {
        every.tick().await;
        if !registered {
            registered = register(api, &settings.node).await;
            continue;
        }
        renew_lease(api, &settings.node).await;
        update_status(api, &settings.node).await;
    }
}

async fn register(api: &Kubeconfig, node: &str) -> bool {
    say('I', &format!("kubelet_node_status.go:78] \"Attempting to register node\" node=\"{node}\""));
    match send(api, Method::POST, "/api/v1/nodes", Some(json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": node}}))).await {
        Ok(()) => {
            say('I', &format!("kubelet_node_status.go:81] \"Successfully registered node\" node=\"{node}\""));
            true
        }
        Err(error) => {
            say('E', &format!("kubelet_node_status.go:111] \"Unable to register node with API server\" err={error:?} node=\"{node}\""));
            say(
                'E',
                &format!(
                    "kubelet_node_status.go:446] \"Error getting the current node from lister\" err=\"node \\\"{node}\\\" not found\""
                ),
            );
            false
        }
    }
}

async fn renew_lease(api: &Kubeconfig, node: &str) {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}?timeout=10s");
    for _ in 0..TRIES {
        match send(api, Method::PUT, &path, Some(json!({"spec": {"holderIdentity": node}}))).await {
            Ok(()) => return,
            Err(error) => say('E', &format!("controller.go:251] \"Failed to update lease\" err={error:?}")),
        }
    }
    say(
        'I',
        "controller.go:171] \"Failed to update lease using latest lease, fallback to ensure lease\" err=\"failed 5 attempts to update lease\"",
    );
    if let Err(error) = send(api, Method::GET, &path, None).await {
        say('E', &format!("controller.go:201] \"Failed to ensure lease exists, will retry\" err={error:?} interval=\"200ms\""));
    }
}

async fn update_status(api: &Kubeconfig, node: &str) {
    for _ in 0..TRIES {
        let path = format!("/api/v1/nodes/{node}?resourceVersion=0&timeout=10s");
        match send(api, Method::GET, &path, None).await {
            Ok(()) => {
                let _ = send(api, Method::PATCH, &format!("/api/v1/nodes/{node}/status?timeout=10s"), Some(json!({"status": {}}))).await;
                return;
            }
            Err(error) => say(
                'E',
                &format!(
                    "kubelet_node_status.go:487] \"Error updating node status, will retry\" err={:?}",
                    format!("error getting node \"{node}\": {error}")
                ),
            ),
        }
    }
    say('E', "kubelet_node_status.go:474] \"Unable to update node status\" err=\"update node status exceeds retry count\"");
}

/// One request; an error in the words of client-go.
async fn send(api: &Kubeconfig, method: Method, path: &str, body: Option<serde_json::Value>) -> Result<(), String> {
    let url = format!("{}{path}", api.server);
    let verb = match method {
        Method::GET => "Get",
        Method::PUT => "Put",
        Method::PATCH => "Patch",
        _ => "Post",
    };
    let failed = |error: String| format!("{verb} \"{url}\": {error}");
    connect(&api.server).await.map_err(failed)?;
    let client = client(api).ok_or_else(|| failed("tls: failed to find any PEM data in certificate input".to_owned()))?;
    let request = client.request(method, &url).timeout(TIMEOUT);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await.map_err(|error| failed(go::request(&error)))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED => Err("Unauthorized".to_owned()),
        _ => {
            let status: serde_json::Value = answer.json().await.unwrap_or_default();
            Err(status["message"].as_str().unwrap_or("an error on the server has prevented the request from succeeding").to_owned())
        }
    }
}

/// The first steps by hand: their errors get lost further up.
async fn connect(server: &str) -> Result<(), String> {
    let host_port = server.strip_prefix("https://").unwrap_or(server);
    let name = host_port.rsplit_once(':').map_or(host_port, |(name, _)| name);
    let address = tokio::net::lookup_host(host_port).await.ok().and_then(|mut found| found.next()).ok_or_else(|| go::lookup(name))?;
    match tokio::time::timeout(TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(go::dial(&address.to_string(), &error)),
        Err(_) => Err("context deadline exceeded".to_owned()),
    }
}

/// Made anew each time: the certificate may have been replaced.
fn client(api: &Kubeconfig) -> Option<Client> {
    let ca = Certificate::from_pem(&std::fs::read(&api.ca).ok()?).ok()?;
    let identity = Identity::from_pem(&std::fs::read(&api.client).ok()?).ok()?;
    Client::builder().tls_certs_only([ca]).identity(identity).build().ok()
}
