//! What the API server answers, to the letter.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};

use super::State;
use super::authenticate::{Shown, User};
use super::objects::VERSION;

/// Checks of /readyz?verbose, a choice of those of v1.36.
const CHECKS: &[&str] =
    &["ping", "log", "etcd", "etcd-readiness", "informer-sync", "poststarthook/start-apiextensions-controllers", "shutdown"];
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

type Shared = Extract<Arc<State>>;

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/livez", get(healthz))
        .route("/readyz", get(healthz))
        .route("/healthz", get(healthz))
        .route("/version", get(version))
        .route("/api/v1/nodes", axum::routing::post(register))
        .route("/api/v1/nodes/{node}", get(get_node))
        .route("/api/v1/nodes/{node}/status", axum::routing::patch(patch_status))
        .route(&format!("{LEASES}/{{node}}"), get(get_lease).put(put_lease))
        .fallback(not_found)
        .layer(axum::middleware::map_response_with_state(Arc::clone(&state), dated))
        .with_state(state)
}

/// With the time of this server's own clock, if it is not the machine's.
async fn dated(Extract(state): Shared, mut answer: Response) -> Response {
    let ahead = *state.clock_ahead.lock().expect("no thread panics with the lock");
    if !ahead.is_zero() {
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&(jiff::Timestamp::now() + ahead));
        let date = date.ok().and_then(|date| header::HeaderValue::from_str(&date).ok());
        answer.headers_mut().extend(date.map(|date| (header::DATE, date)));
    }
    answer
}

async fn healthz(Extract(state): Shared, Extension(shown): Extension<Shown>, uri: Uri) -> Response {
    if state.authenticator.user(&shown) == User::Refused {
        return unauthorized();
    }
    let what = uri.path().trim_start_matches('/');
    // etcd is no matter of /livez.
    let failing = state.failing_check.lock().expect("no thread panics with the lock").clone().filter(|_| what != "livez");
    let verbose = uri.query().is_some_and(|query| query.split('&').any(|word| word.starts_with("verbose")));
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    if failing.is_none() && !verbose {
        return (plain, "ok").into_response();
    }
    let mut body = String::new();
    for check in CHECKS {
        let _ = match &failing {
            Some(failing) if failing == check => writeln!(body, "[-]{check} failed: reason withheld"),
            _ => writeln!(body, "[+]{check} ok"),
        };
    }
    match failing {
        None => (plain, format!("{body}{what} check passed\n")).into_response(),
        Some(_) => (StatusCode::INTERNAL_SERVER_ERROR, plain, format!("{body}{what} check failed\n")).into_response(),
    }
}

async fn version() -> Response {
    axum::Json(json!({"major": "1", "minor": "36", "gitVersion": VERSION, "platform": "linux/amd64"})).into_response()
}

async fn register(Extract(state): Shared, Extension(shown): Extension<Shown>, axum::Json(node): axum::Json<Value>) -> Response {
    let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if let Err(refusal) = may(&state, &shown, "create", "nodes", "", &name) {
        return *refusal;
    }
    state.objects.lock().expect("no thread panics with the lock").register(&name);
    node_answer(&state, &name, StatusCode::CREATED)
}

async fn get_node(Extract(state): Shared, Extension(shown): Extension<Shown>, Path(name): Path<String>) -> Response {
    match may(&state, &shown, "get", "nodes", "", &name) {
        Err(refusal) => *refusal,
        Ok(()) => node_answer(&state, &name, StatusCode::OK),
    }
}

async fn patch_status(Extract(state): Shared, Extension(shown): Extension<Shown>, Path(name): Path<String>) -> Response {
    if let Err(refusal) = may(&state, &shown, "patch", "nodes/status", "", &name) {
        return *refusal;
    }
    state.objects.lock().expect("no thread panics with the lock").heard_of(&name);
    node_answer(&state, &name, StatusCode::OK)
}

async fn get_lease(Extract(state): Shared, Extension(shown): Extension<Shown>, Path(name): Path<String>) -> Response {
    match may(&state, &shown, "get", "leases", "coordination.k8s.io", &name) {
        Err(refusal) => *refusal,
        Ok(()) => lease_answer(&state, &name),
    }
}

async fn put_lease(Extract(state): Shared, Extension(shown): Extension<Shown>, Path(name): Path<String>) -> Response {
    if let Err(refusal) = may(&state, &shown, "update", "leases", "coordination.k8s.io", &name) {
        return *refusal;
    }
    state.objects.lock().expect("no thread panics with the lock").renew(&name);
    lease_answer(&state, &name)
}

fn node_answer(state: &State, name: &str, status: StatusCode) -> Response {
    match state.objects.lock().expect("no thread panics with the lock").node(name) {
        Some(node) => (status, axum::Json(node)).into_response(),
        None => absent("nodes", "", name),
    }
}

fn lease_answer(state: &State, name: &str) -> Response {
    match state.objects.lock().expect("no thread panics with the lock").lease(name) {
        Some(lease) => axum::Json(lease).into_response(),
        None => absent("leases", "coordination.k8s.io", name),
    }
}

/// The Node authorizer and NodeRestriction: a kubelet may touch its own node and lease.
fn may(state: &State, shown: &Shown, verb: &str, resource: &str, group: &str, node: &str) -> Result<(), Box<Response>> {
    let user = match state.authenticator.user(shown) {
        User::Refused => return Err(Box::new(unauthorized())),
        User::Named(name) if name == format!("system:node:{node}") => return Ok(()),
        User::Named(name) => name,
        User::Anonymous => "system:anonymous".to_owned(),
    };
    let namespace = if resource == "leases" { "in the namespace \"kube-node-lease\"" } else { "at the cluster scope" };
    let message = format!(
        "{resource} \"{node}\" is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {namespace}"
    );
    let mut details = json!({"name": node, "kind": resource});
    if !group.is_empty() {
        details["group"] = json!(group);
    }
    Err(Box::new(failure(StatusCode::FORBIDDEN, "Forbidden", &message, Some(details))))
}

fn absent(resource: &str, group: &str, name: &str) -> Response {
    let mut details = json!({"name": name, "kind": resource});
    let mut kind = resource.to_owned();
    if !group.is_empty() {
        details["group"] = json!(group);
        kind = format!("{resource}.{group}");
    }
    failure(StatusCode::NOT_FOUND, "NotFound", &format!("{kind} \"{name}\" not found"), Some(details))
}

fn unauthorized() -> Response {
    failure(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized", None)
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "404 page not found\n").into_response()
}

/// A `metav1.Status`.
fn failure(code: StatusCode, reason: &str, message: &str, details: Option<Value>) -> Response {
    let mut status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason});
    if let Some(details) = details {
        status["details"] = details;
    }
    status["code"] = json!(code.as_u16());
    (code, axum::Json(status)).into_response()
}
