//! The way to the API server, step by step, as the kubelet goes it: name, TCP (or its proxy), TLS, HTTP; then who the API server takes this node for.

mod answers;
pub(super) mod proxy;
mod steps;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing, MissingKind};
use tokio::time::Instant;

use self::proxy::{Proxy, Way};
use self::steps::{Step, Walk};
use super::kubeconfig::{self, Credentials, Kubeconfig, Material};
use super::kubelet::layout::Layout;
use super::support::{all_missing, failed, miss_all, needs, no_kubelet, not_applicable};
use super::{Check, Look, Looking, Stage};
use crate::host::api::{self, Identity};
use crate::host::dns::How;

const REPORTS: &[&str] = &["apiserver", "cluster", "dns", "clock.skew_seconds"];

/// What only an API server that answers can say.
const SAID: &[&str] = &[
    "apiserver.http_status",
    "apiserver.http_body",
    "apiserver.version",
    "apiserver.clock_skew_seconds",
    "apiserver.auth_status",
    "apiserver.auth_error",
    "cluster",
    "clock.skew_seconds",
];

/// Roots of the system, for a kubeconfig that names no authority: Debian's and Red Hat's.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "apiserver",
    about: "the way to the API server: name, TCP, TLS, HTTP; and what it says about this node",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(6),
    reports: REPORTS,
    look,
};

fn look(look: Look) -> Looking {
    Box::pin(async move {
        let began_at = look.began_at;
        let prepared = {
            let look = look.clone();
            tokio::task::spawn_blocking(move || prepare(&look))
        };
        match prepared.await {
            Ok(Ok(target)) => look_at(&look, target).await,
            Ok(Err(Unasked::For(why))) => all_missing(REPORTS, began_at, &why),
            Ok(Err(Unasked::Unserved(words))) => unserved(began_at, &words),
            Err(panic) => all_missing(REPORTS, began_at, &failed(format!("the look itself broke: {panic}"))),
        }
    })
}

/// Words of `apiserver.failure` that are a verdict on the certificate that was shown.
const CERTIFICATE_FAULTS: [&str; 4] = ["unknown-authority", "certificate-expired", "certificate-not-yet-valid", "name-mismatch"];

/// Why nobody is asked.
enum Unasked {
    For(Missing),
    /// The kubelet's own unit would serve the address, and does not run.
    Unserved(String),
}

impl From<Missing> for Unasked {
    fn from(why: Missing) -> Self {
        Self::For(why)
    }
}

/// The server has nothing to do with it; what it said before is unknown as with any server that does not answer.
fn unserved(began_at: Timestamp, words: &str) -> Facts {
    let mut facts = all_missing(REPORTS, began_at, &not_applicable(words));
    miss_all(&mut facts, SAID, began_at, &failed(format!("the API server could not be asked: {words}")));
    facts
}

/// What is asked, and as whom.
struct Target {
    config: Kubeconfig,
    way: Way,
    authorities: Vec<u8>,
    /// Certificate and key.
    pair: Option<(Vec<u8>, Vec<u8>)>,
    token: Option<String>,
    /// Why the API server cannot be asked as the kubelet.
    no_auth: Option<Missing>,
    servers: Result<Vec<String>, Missing>,
    hosts: crate::host::Host,
}

fn prepare(look: &Look) -> Result<Target, Unasked> {
    if let Some(why) = no_kubelet(look) {
        return Err(why.into());
    }
    let path = needs(look, fact::KUBELET_KUBECONFIG_PATH)?;
    let config = match kubeconfig::load(&look.host, &path) {
        // A node that has not joined yet: the same server is in the bootstrap kubeconfig.
        Err(kubeconfig::LoadError::Read(error)) if error.is_absence() => match look.known.known(fact::KUBELET_BOOTSTRAP_PATH) {
            Some(bootstrap) => kubeconfig::load(&look.host, &bootstrap).map_err(|_| Missing::from(&error))?,
            None => return Err(Missing::from(&error).into()),
        },
        other => other.map_err(|error| error.missing())?,
    };
    if let Some(words) = own_unit_is_down(look, &config) {
        return Err(Unasked::Unserved(words));
    }
    let way = proxy::way(look, &config)?;
    let authorities = authorities(look, &config)?;
    let mut target = Target {
        way,
        authorities,
        pair: None,
        token: None,
        no_auth: None,
        servers: look.host.resolv_conf().map(|conf| conf.servers).map_err(Missing::from),
        hosts: (*look.host).clone(),
        config,
    };
    add_credentials(look, &mut target);
    Ok(target)
}

/// States of a unit whose process is not there, or not for long any more. One that is starting may wait for its server for ever, and its load
/// balancer says so.
const DOWN: [&str; 3] = ["inactive", "failed", "deactivating"];

/// k3s and rke2 point their kubelet to a load balancer in their own process (k3s pkg/agent/loadbalancer: 127.0.0.1:6443 and 6444), MicroK8s
/// to the API server in kubelite.
fn own_unit_is_down(look: &Look, config: &Kubeconfig) -> Option<String> {
    let unit = look.known.known(fact::KUBELET_UNIT_NAME)?;
    let waits = look.known.known(fact::KUBELET_UNIT_SUB_STATE).is_some_and(|state| state == "auto-restart");
    let down = waits || look.known.known(fact::KUBELET_UNIT_ACTIVE_STATE).is_some_and(|state| DOWN.contains(&state.as_str()));
    let own = api::is_loopback(&config.host) && Layout::of_unit(&unit).serves_loopback();
    (down && own).then(|| format!("{} is served by {unit}, which does not run", api::authority(&config.host, config.port)))
}

fn authorities(look: &Look, config: &Kubeconfig) -> Result<Vec<u8>, Missing> {
    if let Some(authority) = &config.authority {
        return authority.read(&look.host).map_err(Missing::from);
    }
    let found = SYSTEM_ROOTS.iter().find_map(|path| look.host.read(path).ok());
    found.ok_or_else(|| failed("the kubeconfig names no certificate authority, and the system has none"))
}

fn add_credentials(look: &Look, target: &mut Target) {
    let read = |material: &Material| material.read(&look.host).map_err(Missing::from);
    match &target.config.credentials {
        Credentials::Certificate { certificate, key } => match read(certificate).and_then(|certificate| Ok((certificate, read(key)?))) {
            Ok((certificate, key)) => match api::key_fault(&certificate, &key) {
                Some(fault) => target.no_auth = Some(failed(format!("{}: {fault}", certificate_path(target)))),
                None => target.pair = Some((certificate, key)),
            },
            Err(why) => target.no_auth = Some(why),
        },
        Credentials::Token(_) if target.config.skips_verification => {
            let why = "insecure-skip-tls-verify is set in the kubeconfig: the agent hands its token to no server that it cannot verify";
            target.no_auth = Some(failed(why));
        }
        Credentials::Token(material) => match read(material) {
            Ok(token) => target.token = Some(String::from_utf8_lossy(&token).trim().to_owned()),
            Err(why) => target.no_auth = Some(why),
        },
        Credentials::Exec(command) => {
            let why = format!("the kubelet gets its credentials by running {command}; the agent executes nothing on the node");
            target.no_auth = Some(not_applicable(why));
        }
        Credentials::Anonymous => target.no_auth = Some(not_applicable("the kubeconfig holds no credentials")),
    }
}

fn certificate_path(target: &Target) -> String {
    match &target.config.credentials {
        Credentials::Certificate { certificate, .. } => certificate.path(&target.config.path).display().to_string(),
        _ => target.config.path.clone(),
    }
}

async fn look_at(look: &Look, target: Target) -> Facts {
    let mut facts = Facts::new();
    let at = look.began_at;
    let until = Instant::now() + api::patience(look.deadline);
    facts.set(fact::APISERVER_SERVER, at, target.config.server.clone());
    facts.set(fact::APISERVER_ADDRESS, at, api::authority(&target.config.host, target.config.port));
    facts.put(fact::APISERVER_PROXY, at, proxy_told(&target.way));
    facts.put(fact::DNS_SERVERS, at, target.servers.clone());
    let resolved = match &target.way {
        Way::Through(proxy) => resolve_proxy(look, &target, proxy, until, &mut facts).await,
        Way::Direct | Way::Unknown(_) => resolve(look, &target, until, &mut facts).await,
    };
    let walked = match resolved {
        Ok(addresses) => walk(look, &target, addresses, until).await,
        Err(step) => Err(step),
    };
    let walked = walked.map_err(|step| doubted(step, &target.way));
    facts.put(fact::APISERVER_CERTIFICATE_FAULT, at, certificate_fault(&target, walked.as_ref().err()));
    match walked {
        Ok(walk) => report_reached(look, &target, walk, &mut facts),
        Err(step) => report_failed(look, &step, &mut facts),
    }
    facts
}

fn proxy_told(way: &Way) -> Result<String, Missing> {
    match way {
        Way::Through(proxy) => Ok(proxy.to_string()),
        Way::Direct => Err(not_applicable("the kubelet goes there directly")),
        Way::Unknown(why) => Err(why.clone()),
    }
}

/// A direct way that fails says nothing while the kubelet may well go through a proxy.
fn doubted(step: Step, way: &Way) -> Step {
    match way {
        Way::Unknown(why) if matches!(step.step, "name" | "tcp") => {
            let words = format!("{}; whether the kubelet goes through a proxy is not known: {}", step.words, why.why);
            Step { how: None, words, ..step }
        }
        _ => step,
    }
}

/// A verdict only where a certificate was seen in this look.
fn certificate_fault(target: &Target, failed_at: Option<&Step>) -> Result<String, Missing> {
    if target.config.skips_verification {
        return Err(not_applicable("insecure-skip-tls-verify is set in the kubeconfig: the kubelet takes any certificate"));
    }
    match failed_at {
        None => Ok(String::new()),
        Some(Step { how: Some(how), .. }) if CERTIFICATE_FAULTS.contains(how) => Ok((*how).to_owned()),
        Some(Step { step: "http", how: Some(_), .. }) => Ok(String::new()),
        Some(step) => Err(failed(format!("no certificate was seen: {}", step.words))),
    }
}

/// Where the proxy is. The API server's name is the proxy's to resolve.
async fn resolve_proxy(look: &Look, target: &Target, proxy: &Proxy, until: Instant, facts: &mut Facts) -> Result<Vec<IpAddr>, Step> {
    let why = not_applicable(format!("the proxy {proxy} resolves the API server's name"));
    miss_all(facts, &["dns.name", "dns.resolves", "dns.error"], look.began_at, &why);
    if let Ok(address) = proxy.host.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    let share = until.saturating_duration_since(Instant::now()).mul_f32(0.5);
    target.hosts.lookup(&proxy.host, share).await.map_err(|error| Step {
        step: "proxy",
        how: Some(name_failure(&error.how)),
        words: error.words,
        answer: None,
    })
}

fn name_failure(how: &How) -> &'static str {
    match how {
        How::NotFound => "name-not-found",
        How::Timeout => "name-timeout",
        How::Failure => "name-failure",
    }
}

/// The name step, with the facts about names.
async fn resolve(look: &Look, target: &Target, until: Instant, facts: &mut Facts) -> Result<Vec<IpAddr>, Step> {
    let at = look.began_at;
    let name = &target.config.host;
    if let Ok(address) = name.parse::<IpAddr>() {
        let why = not_applicable("the API server is given by its address");
        miss_all(facts, &["dns.name", "dns.resolves", "dns.error"], at, &why);
        return Ok(vec![address]);
    }
    facts.set(fact::DNS_NAME, at, name.clone());
    // Not all the time there is: the steps after this one have to be walked too.
    let share = until.saturating_duration_since(Instant::now()).mul_f32(0.5);
    match target.hosts.lookup(name, share).await {
        Ok(addresses) => {
            facts.set(fact::DNS_RESOLVES, at, true);
            facts.miss(fact::DNS_ERROR, at, not_applicable("it resolves"));
            Ok(addresses)
        }
        Err(error) => {
            facts.set(fact::DNS_RESOLVES, at, false);
            facts.set(fact::DNS_ERROR, at, error.words.clone());
            let how = Some(name_failure(&error.how));
            Err(Step { step: "name", how, words: error.words, answer: None })
        }
    }
}

async fn walk(look: &Look, target: &Target, addresses: Vec<IpAddr>, until: Instant) -> Result<Walk, Step> {
    let identity = Identity {
        name: target.config.tls_server_name.clone().unwrap_or_else(|| target.config.host.clone()),
        name_asked: target.config.host.clone(),
        port: target.config.port,
        addresses,
        proxy_port: match &target.way {
            Way::Through(proxy) => Some(proxy.port),
            Way::Direct | Way::Unknown(_) => None,
        },
        skips_verification: target.config.skips_verification,
        authorities: target.authorities.clone(),
        pair: target.pair.clone(),
    };
    let node = match &target.no_auth {
        Some(why) => Err(why.clone()),
        None => needs(look, fact::NODE_NAME),
    };
    steps::walk(&look.host, identity, target.token.as_deref(), node, until).await
}

fn report_reached(look: &Look, target: &Target, walk: Walk, facts: &mut Facts) {
    let at = look.began_at;
    facts.set(fact::APISERVER_REACHABLE, at, true);
    facts.set(fact::APISERVER_FAILED_STEP, at, String::new());
    facts.set(fact::APISERVER_FAILURE, at, String::new());
    let none = not_applicable("no step failed");
    facts.miss(fact::APISERVER_ERROR, at, none.clone());
    facts.miss(fact::APISERVER_FAILING_SINCE, at, none);
    answers::report_health(at, &walk.health, facts);
    facts.put(fact::APISERVER_VERSION, at, walk.version.clone().ok_or_else(|| failed("the API server did not tell its version")));
    let no_auth = target.no_auth.clone().unwrap_or_else(|| not_applicable("the API server was not asked"));
    answers::report_node(at, walk.node, walk.lease, &no_auth, facts);
    answers::report_skew(at, walk.version.as_deref(), facts);
}

fn report_failed(look: &Look, step: &Step, facts: &mut Facts) {
    let at = look.began_at;
    let Some(how) = step.how else {
        let why = failed(step.words.clone())
            .hint("the agent's TLS library cannot judge what the API server shows; that says nothing about the kubelet");
        let unknown = ["apiserver.reachable", "apiserver.failed_step", "apiserver.failure", "apiserver.error", "apiserver.failing_since"];
        miss_all(facts, &unknown, at, &why);
        return miss_all(facts, SAID, at, &why);
    };
    facts.set(fact::APISERVER_REACHABLE, at, false);
    facts.set(fact::APISERVER_FAILED_STEP, at, step.step.to_owned());
    facts.set(fact::APISERVER_FAILURE, at, how.to_owned());
    facts.set(fact::APISERVER_ERROR, at, step.words.clone());
    facts.set(fact::APISERVER_FAILING_SINCE, at, failing_since(look));
    // Unknown and not inapplicable: a case that rests on what the API server said stays open while it cannot be asked.
    let why = Missing::new(MissingKind::Failed, format!("the API server could not be asked: {}", step.words));
    miss_all(facts, SAID, at, &why);
    if let Some(answer) = &step.answer {
        answers::report_health(at, answer, facts);
    }
}

/// The run of failures goes on, or begins with this look.
fn failing_since(look: &Look) -> Timestamp {
    match look.known.known(fact::APISERVER_REACHABLE) {
        Some(false) => look.known.known(fact::APISERVER_FAILING_SINCE).unwrap_or(look.began_at),
        _ => look.began_at,
    }
}
