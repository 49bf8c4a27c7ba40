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
    /// Told as opened and not as closed: with this severity.
    told: Option<Severity>,
}

/// What is to be told of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is present, and this bad.
    Open(Severity),
    /// It is over.
    Close,
    /// It has become worse: what was told is over, and this begins. Who receives alerts may have sorted it by its severity.
    Worsen(Severity),
}

impl Plan {
    /// The plan of a configuration.
    pub fn new(alerts: &Alerts) -> Self {
        Self {
            min_severity: alerts.min_severity,
            hooks: alerts.hooks().map(|(_, hook)| &hook.name).chain(&alerts.left_out).map(|name| name.as_str().into()).collect(),
        }
    }

    /// Names of the hooks.
    pub fn hooks(&self) -> Arc<[Arc<str>]> {
        self.hooks.clone()
    }

    /// What is to be told of a case: a root is told as opened once it, or what it explains, is severe enough, and as closed when it is
    /// over or turns out to be a symptom of another. A root that was told stays told while it is one. It is as severe as the worst that
    /// follows from it, which itself is not told.
    fn step(&self, case: Standing<'_>, present: &[PresentCause]) -> Option<Step> {
        let explained = present.iter().filter(|other| other.explained_by.contains(&case.cause.code)).map(|other| other.severity);
        let worst = explained.fold(case.cause.severity, Severity::max);
        match (case.told, case.open && case.cause.root) {
            (None, true) if worst >= self.min_severity => Some(Step::Open(worst)),
            (Some(told), true) if worst > told => Some(Step::Worsen(worst)),
            (Some(_), false) => Some(Step::Close),
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
            latent: false,
            since: Timestamp::UNIX_EPOCH,
            message: String::new(),
            evidence: Vec::new(),
            explains: Vec::new(),
            explained_by: explained_by.iter().map(|code| (*code).to_owned()).collect(),
            remedy: Vec::new(),
        }
    }

    const CRITICAL: Option<Severity> = Some(Severity::Critical);
    const OPEN: Option<Step> = Some(Step::Open(Severity::Critical));

    fn plan(cause: &PresentCause, open: bool, told: Option<Severity>, present: &[PresentCause]) -> Option<Step> {
        Plan::new(&Alerts::default()).step(Standing { cause, open, told }, present)
    }

    #[test]
    fn a_critical_root_is_told_once_when_it_opens_and_once_when_it_closes() {
        let swap = cause("swap-enabled", Severity::Critical, &[]);
        assert_eq!(plan(&swap, true, None, &[]), OPEN);
        assert_eq!(plan(&swap, true, CRITICAL, &[]), None);
        assert_eq!(plan(&swap, false, CRITICAL, &[]), Some(Step::Close));
        assert_eq!(plan(&swap, false, None, &[]), None, "it was over before it was told");
    }

    #[test]
    fn a_symptom_does_not_page_and_a_root_that_becomes_one_is_told_as_over() {
        let down = cause("kubelet-down", Severity::Critical, &["swap-enabled"]);
        assert_eq!(plan(&down, true, None, &[]), None);
        assert_eq!(plan(&down, true, CRITICAL, &[]), Some(Step::Close));
    }

    #[test]
    fn a_warning_pages_only_if_it_explains_something_critical_and_then_as_critical() {
        let disk = cause("disk-pressure", Severity::Warning, &[]);
        let down = cause("kubelet-down", Severity::Critical, &["disk-pressure"]);
        assert_eq!(plan(&disk, true, None, std::slice::from_ref(&disk)), None);
        assert_eq!(plan(&disk, true, None, &[disk.clone(), down.clone()]), OPEN);
        assert_eq!(plan(&disk, true, CRITICAL, std::slice::from_ref(&disk)), None, "it stays as bad as it was until it is over");
        let worse = plan(&disk, true, Some(Severity::Warning), &[disk.clone(), down]);
        assert_eq!(worse, Some(Step::Worsen(Severity::Critical)));
    }
}
