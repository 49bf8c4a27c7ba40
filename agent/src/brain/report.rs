//! The report as bytes that the spool and the collector take, however much is wrong with the node.
//!
//! One that is too large would be refused again and again, and nothing behind it would arrive. What is least needed goes first. Present
//! causes stay as long as at all possible: the collector takes one that is not reported for one that is over. What went is counted and
//! told with the diagnosis.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use nodewhy_diagnosis::record::clip;
use nodewhy_proto::v1::{PresentCause, Report, TransitionKind, Unknown};
use nodewhy_wire::LIST_MAX;
use prost::Message as _;

/// What the note about what is left out takes at most.
const NOTE: usize = 1 << 10;
/// What is left of words that are too many.
const WORDS: usize = 256;
/// What is left of the list of what is not known.
const UNKNOWNS: usize = 64;
/// Bytes that a cause takes in a list beside its own, at least: tag and length.
const IN_LIST: usize = 2;

/// How much of what was left out.
#[derive(Default)]
struct Left {
    evidence: usize,
    remedies: usize,
    words: usize,
    transitions: usize,
    unknown: usize,
    causes: usize,
}

/// The bytes of a report, at most so many.
pub(super) fn encode(mut report: Report, most: usize) -> Vec<u8> {
    let size = report.encoded_len();
    if size <= most && lists_fit(&report) {
        return report.encode_to_vec();
    }
    let (room, mut left) = (most.saturating_sub(NOTE), Left::default());
    shorten_lists(&mut report, &mut left);
    for measure in [strip_transitions, clip_evidence, drop_transitions, strip_explained, strip_all] {
        if report.encoded_len() <= room {
            break;
        }
        measure(&mut report, &mut left);
    }
    drop_causes(&mut report, room, LIST_MAX, &mut left);
    if let Some(diagnosis) = &mut report.diagnosis {
        let why = format!(
            "the report had {size} bytes, {most} are the most: left out are {left}; `nodewhy-agent check` on the node shows all",
            left = left.told()
        );
        diagnosis.unknown.push(Unknown { what: "report".to_owned(), why });
    }
    report.encode_to_vec()
}

impl Left {
    fn told(&self) -> String {
        let all = [
            (self.causes, "causes"),
            (self.transitions, "changes"),
            (self.evidence, "pieces of evidence"),
            (self.remedies, "steps of remedies"),
            (self.words, "long texts"),
            (self.unknown, "things not known"),
        ];
        let some: Vec<String> = all.iter().filter(|(many, _)| *many > 0).map(|(many, what)| format!("{many} {what}")).collect();
        some.join(", ")
    }
}

fn lists_fit(report: &Report) -> bool {
    let diagnosis = report.diagnosis.as_ref();
    // One place is for the note.
    report.transitions.len() <= LIST_MAX && diagnosis.is_none_or(|all| all.causes.len() <= LIST_MAX && all.unknown.len() < LIST_MAX)
}

fn shorten_lists(report: &mut Report, left: &mut Left) {
    drop_causes(report, usize::MAX, LIST_MAX, left);
    let unknown = report.diagnosis.as_mut().map(|diagnosis| &mut diagnosis.unknown);
    unknown.into_iter().for_each(|unknown| left.unknown += shorten(unknown, LIST_MAX - 1));
    left.transitions += shorten(&mut report.transitions, LIST_MAX);
}

/// Cuts a list; gives how many went.
fn shorten<T>(list: &mut Vec<T>, most: usize) -> usize {
    let before = list.len();
    list.truncate(most);
    before - list.len()
}

fn causes(report: &mut Report) -> impl Iterator<Item = &mut PresentCause> {
    report.diagnosis.iter_mut().flat_map(|diagnosis| &mut diagnosis.causes)
}

/// The diagnosis has the same of all that is present.
fn strip_transitions(report: &mut Report, left: &mut Left) {
    for cause in report.transitions.iter_mut().filter_map(|transition| transition.cause.as_mut()) {
        left.evidence += shorten(&mut cause.evidence, 0);
        left.remedies += shorten(&mut cause.remedy, 0);
    }
}

fn clip_evidence(report: &mut Report, left: &mut Left) {
    for cause in causes(report) {
        left.evidence += shorten(&mut cause.evidence, 1);
        cause.evidence.iter_mut().for_each(|evidence| clip_text(&mut evidence.quote, left));
    }
}

/// The collector opens what the diagnosis has and closes what it has not.
fn drop_transitions(report: &mut Report, left: &mut Left) {
    left.transitions += shorten(&mut report.transitions, 0);
}

/// Causes that others explain are mended with those.
fn strip_explained(report: &mut Report, left: &mut Left) {
    for cause in causes(report).filter(|cause| !cause.root) {
        strip(cause, left);
    }
    if let Some(diagnosis) = &mut report.diagnosis {
        left.unknown += shorten(&mut diagnosis.unknown, UNKNOWNS);
        diagnosis.unknown.iter_mut().for_each(|unknown| clip_text(&mut unknown.why, left));
    }
}

fn strip_all(report: &mut Report, left: &mut Left) {
    causes(report).for_each(|cause| strip(cause, left));
}

fn strip(cause: &mut PresentCause, left: &mut Left) {
    left.evidence += shorten(&mut cause.evidence, 0);
    left.remedies += shorten(&mut cause.remedy, 0);
    clip_text(&mut cause.title, left);
    clip_text(&mut cause.message, left);
    // These may be as long as the list of causes, for each of them.
    cause.explains.clear();
    cause.explained_by.truncate(1);
}

fn clip_text(text: &mut String, left: &mut Left) {
    let end = clip(text, WORDS).len();
    if end < text.len() {
        text.truncate(end);
        text.push('…');
        left.words += 1;
    }
}

/// Keeps the gravest roots, whatever else goes; with a cause go its changes, but for its end.
fn drop_causes(report: &mut Report, room: usize, most: usize, left: &mut Left) {
    let mut size = report.encoded_len();
    let Some(diagnosis) = report.diagnosis.as_mut().filter(|diagnosis| size > room || diagnosis.causes.len() > most) else { return };
    let mut order: Vec<usize> = (0..diagnosis.causes.len()).collect();
    order.sort_by_key(|at| diagnosis.causes.get(*at).map(|cause| (Reverse(cause.root), Reverse(cause.severity), cause.code.clone())));
    let mut dropped = BTreeSet::new();
    while let Some(at) = order.pop_if(|_| size > room || diagnosis.causes.len() - dropped.len() > most) {
        size -= diagnosis.causes.get(at).map_or(0, |cause| cause.encoded_len() + IN_LIST).min(size);
        dropped.insert(at);
    }
    let (mut at, mut gone) = (0, BTreeSet::new());
    diagnosis.causes.retain(|cause| {
        let stays = !dropped.contains(&at);
        at += 1;
        if !stays {
            gone.insert(cause.case_id.clone());
        }
        stays
    });
    left.causes += gone.len();
    let before = report.transitions.len();
    report.transitions.retain(|transition| transition.kind() == TransitionKind::Closed || !gone.contains(&transition.case_id));
    left.transitions += before - report.transitions.len();
}

#[cfg(test)]
mod tests;
