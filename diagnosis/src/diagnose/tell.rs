//! A present cause put into words: this node's message, the proof, the fix.

use super::Step;
use super::fold::Folded;
use super::signs::spoken_by;
use super::state::{CauseState, Seen};
use crate::catalogue::{Cause, Scope, Sign, Truth, word};
use crate::facts::Value;
use crate::model::{Evidence, PresentCause, Remedy};
use crate::record::clip;

/// Entries of evidence a cause.
const MAX_EVIDENCE: usize = 8;
/// Bytes of a quote.
const MAX_QUOTE: usize = 2048;
/// Bytes of a message.
const MAX_MESSAGE: usize = 4096;

impl Step<'_> {
    /// Everything but the case's identity and time.
    pub(super) fn tell(&self, folded: &Folded, state: &CauseState) -> PresentCause {
        let cause = &self.catalogue.causes()[folded.index];
        // The latest sighting is the one that `captures` speaks of.
        let sighting = state.seen.values().max_by_key(|seen| seen.last_at).map(Seen::scope);
        let scope = Scope { facts: &self.facts, sighting };
        PresentCause {
            case_id: String::new(),
            code: cause.code.clone(),
            title: cause.title.clone(),
            severity: cause.severity,
            layer: cause.layer,
            root: folded.explained_by.is_empty(),
            since: self.view.now,
            message: message(cause, &scope),
            evidence: self.evidence(cause, state),
            explains: folded.explains.clone(),
            explained_by: folded.explained_by.clone(),
            remedy: remedy(cause, &scope),
        }
    }

    fn evidence(&self, cause: &Cause, state: &CauseState) -> Vec<Evidence> {
        let mut evidence: Vec<Evidence> = state
            .seen
            .values()
            .map(|seen| Evidence {
                source: format!("log:{}", spoken_by(seen)),
                at: Some(seen.last_at),
                quote: clip(&seen.text, MAX_QUOTE).to_owned(),
                count: seen.count,
            })
            .collect();
        evidence.sort_by_key(|evidence| std::cmp::Reverse(evidence.at));
        let of_signs = cause.signs.iter().enumerate().filter_map(|(index, sign)| match sign {
            Sign::Fact(sign) if state.true_since.contains_key(&index) => Some(sign.expr.paths.iter().copied()),
            _ => None,
        });
        for path in cause.evidence.iter().map(String::as_str).chain(of_signs.flatten()) {
            if evidence.len() < MAX_EVIDENCE && evidence.iter().all(|evidence| evidence.source != path) {
                evidence.extend(self.fact_evidence(path));
            }
        }
        evidence.truncate(MAX_EVIDENCE);
        evidence
    }

    fn fact_evidence(&self, path: &str) -> Option<Evidence> {
        let fact = self.facts.get(path)?;
        let value = fact.value.as_ref().ok()?;
        let says_nothing = match value {
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        };
        let quote = || clip(&word(value, Some(path)), MAX_QUOTE).to_owned();
        (!says_nothing).then(|| Evidence { source: path.to_owned(), at: Some(fact.read_at), quote: quote(), count: 1 })
    }
}

fn message(cause: &Cause, scope: &Scope<'_>) -> String {
    let fits = |when: &Option<crate::catalogue::Expr>| when.as_ref().is_none_or(|when| when.judge(scope) == Truth::True);
    let chosen = cause.messages.iter().find(|message| fits(&message.when));
    chosen.map_or_else(|| cause.title.clone(), |message| clip(&message.say.fill(scope).text, MAX_MESSAGE).to_owned())
}

fn remedy(cause: &Cause, scope: &Scope<'_>) -> Vec<Remedy> {
    let shown = cause.remedy.iter().filter(|rule| rule.when.as_ref().is_none_or(|when| when.judge(scope) != Truth::False));
    shown
        .map(|rule| Remedy {
            say: rule.say.fill(scope).text,
            run: rule.run.as_ref().map(|run| run.fill(scope)).filter(|run| run.complete).map(|run| run.text),
        })
        .collect()
}
