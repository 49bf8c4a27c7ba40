//! What a step had to end with, and what it ended with.

use std::collections::BTreeSet;

use super::{Meanwhile, Shows, Step};
use crate::model::{Diagnosis, TransitionKind};

fn codes(diagnosis: &Diagnosis, root: bool) -> Vec<String> {
    diagnosis.causes.iter().filter(|cause| cause.root == root).map(|cause| cause.code.clone()).collect()
}

pub(super) fn compare(step: &Step, before: &Diagnosis, after: &Diagnosis, meanwhile: &Meanwhile, code: &str) -> Result<(), String> {
    let differs = |what: &str, wanted: String, got: String| Err(format!("{what}: wanted {wanted}, got {got}\n{after:#?}"));
    if let Some(wanted) = &step.roots
        && *wanted != codes(after, true)
    {
        return differs("roots", format!("{wanted:?}"), format!("{:?}", codes(after, true)));
    }
    if let Some(wanted) = &step.folded {
        let (wanted, got) = (BTreeSet::from_iter(wanted.clone()), BTreeSet::from_iter(codes(after, false)));
        if wanted != got {
            return differs("folded", format!("{wanted:?}"), format!("{got:?}"));
        }
    }
    if let Some(wanted) = step.roots_meanwhile.clone().or_else(|| Some(step.roots.clone()?.into_iter().collect())) {
        let wanted: BTreeSet<String> = wanted.into_iter().chain(codes(before, true)).collect();
        let strangers: Vec<_> = meanwhile.roots.difference(&wanted).collect();
        if !strangers.is_empty() {
            return differs("roots meanwhile", format!("{wanted:?}"), format!("{strangers:?}"));
        }
    }
    if let Some(wanted) = step.verdict
        && wanted != after.verdict
    {
        return differs("verdict", format!("{wanted:?}"), format!("{:?}", after.verdict));
    }
    if let Some(wanted) = &step.message {
        let got = after.causes.first().map_or("", |cause| cause.message.as_str());
        if wanted != got {
            return differs("message", wanted.clone(), got.to_owned());
        }
    }
    if let Some(wanted) = &step.run {
        let got: Vec<_> =
            after.causes.first().map(|cause| &cause.remedy[..]).unwrap_or_default().iter().filter_map(|step| step.run.as_ref()).collect();
        if !got.contains(&wanted) {
            return differs("run", wanted.clone(), format!("{got:?}"));
        }
    }
    let was = before.causes.iter().any(|cause| cause.code == code);
    let is = after.causes.iter().any(|cause| cause.code == code);
    let closed = meanwhile.transitions.iter().any(|change| change.code == code && change.kind == TransitionKind::Closed);
    match step.shows {
        Some(Shows::Present) if !is => differs("shows", "present".into(), "not present".into()),
        Some(Shows::Absent) if is || !was || !closed => {
            differs("shows", "absent again".into(), format!("before {was}, closed {closed}, now {is}"))
        }
        // Could not look: an open case stays, none opens, and what could not be seen is said.
        Some(Shows::Unknown) if is != was || after.unknown.is_empty() => {
            differs("shows", "unknown".into(), format!("before {was}, now {is}, unknown {:?}", after.unknown))
        }
        _ => Ok(()),
    }
}
