//! The container runtime: does it answer on the socket that the kubelet uses, and what does it say of itself.

pub(super) mod driver;

use std::io::ErrorKind;
use std::time::Duration;

use nodewhy_diagnosis::facts::{Key, schema as fact};
use nodewhy_diagnosis::{Facts, Missing, MissingKind};

use super::support::{all_missing, failed, miss_all, needs, no_kubelet, not_applicable};
use super::{Check, Look, Looking, Stage};
use crate::host::cri::{Cri, CriError, RuntimeCondition};

const REPORTS: &[&str] = &[
    "runtime.endpoint",
    "runtime.socket",
    "runtime.unanswered",
    "runtime.name",
    "runtime.version",
    "runtime.ready",
    "runtime.ready_message",
    "runtime.network_ready",
    "runtime.network_message",
    "runtime.cgroup_driver",
    "runtime.cgroup_driver_from",
    "runtime.image_fs",
];

/// What only a runtime that answers can say.
const SAID: &[&str] =
    &["runtime.name", "runtime.version", "runtime.ready", "runtime.ready_message", "runtime.network_ready", "runtime.network_message"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "runtime",
    about: "whether the container runtime answers on its CRI socket, and its conditions",
    stage: Stage::Look,
    period: Duration::from_secs(5),
    deadline: Duration::from_secs(4),
    reports: REPORTS,
    look,
};

fn look(look: Look) -> Looking {
    Box::pin(async move {
        if let Some(why) = no_kubelet(&look) {
            return all_missing(REPORTS, look.began_at, &why);
        }
        match needs(&look, fact::KUBELET_CONFIG_RUNTIME_ENDPOINT) {
            Ok(endpoint) => look_at(&look, endpoint).await,
            Err(why) => all_missing(REPORTS, look.began_at, &why),
        }
    })
}

async fn look_at(look: &Look, endpoint: String) -> Facts {
    let mut facts = Facts::new();
    let at = look.began_at;
    let patience = look.deadline.mul_f32(0.8);
    let mut config = None;
    facts.set(fact::RUNTIME_UNANSWERED, at, String::new());
    match look.host.cri(&endpoint, patience).await {
        Ok(mut cri) => {
            match cri.version().await {
                Ok(version) => {
                    report_socket(look, Ok(()), &mut facts);
                    facts.set(fact::RUNTIME_NAME, at, version.runtime_name);
                    facts.set(fact::RUNTIME_VERSION, at, version.runtime_version);
                    report_conditions(look, &mut cri, &mut facts).await;
                    config = Some(cri.runtime_config().await);
                    facts.put(fact::RUNTIME_IMAGE_FS, at, image_fs(&mut cri).await);
                }
                Err(error) => report_socket(look, Err(&error), &mut facts),
            };
        }
        Err(error) => report_socket(look, Err(&error), &mut facts),
    }
    driver::report(look, &endpoint, config, &mut facts);
    facts.set(fact::RUNTIME_ENDPOINT, at, endpoint);
    facts
}

fn report_socket(look: &Look, outcome: Result<(), &CriError>, facts: &mut Facts) {
    let at = look.began_at;
    let error = match outcome {
        Ok(()) => {
            facts.set(fact::RUNTIME_SOCKET_STATE, at, "ok".to_owned());
            facts.miss(fact::RUNTIME_SOCKET_ERROR, at, not_applicable("it answers"));
            return;
        }
        Err(error) => error,
    };
    let words = error.sentence();
    report_unanswered(look, error, facts);
    let why = match state(error) {
        Ok(state) => {
            facts.set(fact::RUNTIME_SOCKET_STATE, at, state.to_owned());
            facts.set(fact::RUNTIME_SOCKET_ERROR, at, words.clone());
            failed(words)
        }
        Err(kind) => {
            let why = Missing::new(kind, words).hint("let the agent's user connect: CRI sockets belong to root and its group");
            miss_all(facts, &["runtime.socket", "runtime.unanswered"], at, &why);
            why
        }
    };
    miss_all(facts, SAID, at, &why);
    facts.miss(fact::RUNTIME_IMAGE_FS, at, why);
}

/// The state of the socket in a word; `Err` if it is the agent that may not look.
fn state(error: &CriError) -> Result<&'static str, MissingKind> {
    match error {
        CriError::Connect { source, .. } => match source.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Ok("missing"),
            ErrorKind::ConnectionRefused => Ok("refused"),
            ErrorKind::PermissionDenied => Err(MissingKind::Denied),
            // EAGAIN: the backlog of a Unix socket is full, nobody accepts.
            ErrorKind::WouldBlock => Ok("timeout"),
            _ => Ok("error"),
        },
        CriError::NoAnswer { .. } => Ok("timeout"),
        error if error.is_unimplemented() => Ok("unimplemented"),
        CriError::Refused { .. } | CriError::Transport { .. } | CriError::NotUnix(_) => Ok("error"),
    }
}

/// A call that timed out, where the ones before it were answered.
fn report_unanswered(look: &Look, error: &CriError, facts: &mut Facts) {
    let call = match error {
        CriError::NoAnswer { call, .. } => (*call).to_owned(),
        // The backlog of a Unix socket is full, nobody accepts.
        CriError::Connect { source, .. } if source.kind() == ErrorKind::WouldBlock => "the socket".to_owned(),
        _ => return,
    };
    facts.set(fact::RUNTIME_UNANSWERED, look.began_at, call);
}

async fn report_conditions(look: &Look, cri: &mut Cri, facts: &mut Facts) {
    let at = look.began_at;
    match cri.status().await {
        Ok(answer) => {
            let conditions = answer.status.map(|status| status.conditions).unwrap_or_default();
            report_condition(look, &conditions, "RuntimeReady", fact::RUNTIME_READY, fact::RUNTIME_READY_MESSAGE, facts);
            report_condition(look, &conditions, "NetworkReady", fact::RUNTIME_NETWORK_READY, fact::RUNTIME_NETWORK_MESSAGE, facts);
        }
        Err(error) => {
            report_unanswered(look, &error, facts);
            let why = failed(error.sentence());
            miss_all(facts, &SAID[2..], at, &why);
        }
    }
}

fn report_condition(look: &Look, conditions: &[RuntimeCondition], name: &str, ready: Key<bool>, message: Key<String>, facts: &mut Facts) {
    let at = look.began_at;
    match conditions.iter().find(|condition| condition.r#type == name) {
        Some(condition) => {
            facts.set(ready, at, condition.status);
            let words = if condition.status { Err(not_applicable("it is true")) } else { Ok(words(condition)) };
            facts.put(message, at, words);
        }
        None => {
            let why = failed(format!("CRI Status has no condition {name}"));
            facts.miss(ready, at, why.clone());
            facts.miss(message, at, why);
        }
    }
}

fn words(condition: &RuntimeCondition) -> String {
    let parts = [condition.reason.as_str(), condition.message.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

async fn image_fs(cri: &mut Cri) -> Result<String, Missing> {
    let answer = cri.image_fs_info().await.map_err(|error| failed(error.sentence()))?;
    let directory = answer.image_filesystems.into_iter().find_map(|usage| usage.fs_id).map(|id| id.mountpoint);
    directory.filter(|path| path.starts_with('/')).ok_or_else(|| failed("CRI ImageFsInfo names no file system"))
}

#[cfg(test)]
mod tests;
