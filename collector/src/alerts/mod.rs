//! Alerts: what is to be told follows from the cases, is written into the outbox in the transaction that changed them, and is delivered
//! until the hook has taken it.

mod alertmanager;
mod deliver;
mod headers;
mod message;
mod outbox;
mod webhook;

use std::sync::Arc;

use nodewhy_diagnosis::model::{PresentCause, Severity};

use crate::config::Alerts;

pub use deliver::{Deliverer, Timing};
pub use headers::HookError;
pub use message::{Kind, Message};

/// What alerts are made of which cases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plan {
    min_severity: Severity,
    hooks: Arc<[Arc<str>]>,
}

/// A case as the plan needs it.
#[derive(Debug, Clone, Copy)]
struct Standing<'a> {
    cause: &'a PresentCause,
    open: bool,
    /// Told as opened and not as closed.
    alerting: bool,
}

impl Plan {
    /// The plan of a configuration.
    pub fn new(alerts: &Alerts) -> Self {
        Self { min_severity: alerts.min_severity, hooks: alerts.hooks().map(|(_, hook)| hook.name.as_str().into()).collect() }
    }

    /// Names of the hooks.
    pub fn hooks(&self) -> Arc<[Arc<str>]> {
        self.hooks.clone()
    }

    /// What is to be told of a case: a root is told as opened once it, or what it explains, is severe enough, and as closed when it is
    /// over or turns out to be a symptom of another. A root that was told stays told while it is one.
    fn of(&self, case: Standing<'_>, present: &[PresentCause]) -> Option<Kind> {
        let explained = present.iter().filter(|other| other.explained_by.contains(&case.cause.code)).map(|other| other.severity);
        let worst = explained.chain([case.cause.severity]).max().unwrap_or(case.cause.severity);
        let wanted = case.open && case.cause.root && (worst >= self.min_severity || case.alerting);
        match (case.alerting, wanted) {
            (false, true) => Some(Kind::Opened),
            (true, false) => Some(Kind::Closed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use nodewhy_diagnosis::model::Layer;

    use super::*;

    fn cause(code: &str, severity: Severity, explained_by: &[&str]) -> PresentCause {
        PresentCause {
            case_id: format!("n/{code}/1"),
            code: code.to_owned(),
            title: String::new(),
            severity,
            layer: Layer::Kubelet,
            root: explained_by.is_empty(),
            since: Timestamp::UNIX_EPOCH,
            message: String::new(),
            evidence: Vec::new(),
            explains: Vec::new(),
            explained_by: explained_by.iter().map(|code| (*code).to_owned()).collect(),
            remedy: Vec::new(),
        }
    }

    fn plan(cause: &PresentCause, open: bool, alerting: bool, present: &[PresentCause]) -> Option<Kind> {
        Plan::new(&Alerts::default()).of(Standing { cause, open, alerting }, present)
    }

    #[test]
    fn a_critical_root_is_told_once_when_it_opens_and_once_when_it_closes() {
        let swap = cause("swap-enabled", Severity::Critical, &[]);
        assert_eq!(plan(&swap, true, false, &[]), Some(Kind::Opened));
        assert_eq!(plan(&swap, true, true, &[]), None);
        assert_eq!(plan(&swap, false, true, &[]), Some(Kind::Closed));
        assert_eq!(plan(&swap, false, false, &[]), None, "it was over before it was told");
    }

    #[test]
    fn a_symptom_does_not_page_and_a_root_that_becomes_one_is_told_as_over() {
        let down = cause("kubelet-down", Severity::Critical, &["swap-enabled"]);
        assert_eq!(plan(&down, true, false, &[]), None);
        assert_eq!(plan(&down, true, true, &[]), Some(Kind::Closed));
    }

    #[test]
    fn a_warning_pages_only_if_it_explains_something_critical() {
        let disk = cause("disk-pressure", Severity::Warning, &[]);
        let down = cause("kubelet-down", Severity::Critical, &["disk-pressure"]);
        assert_eq!(plan(&disk, true, false, std::slice::from_ref(&disk)), None);
        assert_eq!(plan(&disk, true, false, &[disk.clone(), down]), Some(Kind::Opened));
        assert_eq!(plan(&disk, true, true, std::slice::from_ref(&disk)), None, "told once, it stays told until it is over");
    }
}
