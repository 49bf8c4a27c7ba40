//! Every example of a sign is recognised by that sign and claimed by no other cause.

use super::{claimed_by, ends};
use crate::catalogue::{Catalogue, Cause, Sign};
use crate::record::Source;

/// How a cause's examples fare.
#[derive(Debug, Default)]
pub struct Examples {
    /// How many there are.
    pub count: usize,
    /// Places of log signs that have none.
    pub without: Vec<usize>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

/// Tries all examples of a cause: as the journal gives them, from every source the sign listens to; and as lines pasted without a speaker.
pub fn examples(catalogue: &Catalogue, cause: &Cause) -> Examples {
    let mut found = Examples::default();
    for (index, sign) in cause.signs.iter().enumerate() {
        let Sign::Log(log) = sign else { continue };
        if log.examples.is_empty() {
            found.without.push(index);
        }
        for example in &log.examples {
            found.count += 1;
            let sources = log.from.iter().copied().chain((!log.named).then_some(Source::Unknown));
            found.wrong.extend(sources.flat_map(|source| claims(catalogue, cause, index, source, example)));
        }
    }
    if let Some(over) = &cause.over {
        found.wrong.extend(over.examples.is_empty().then(|| format!("{}: `over` has no example", cause.code)));
        found.wrong.extend(over.examples.iter().flat_map(|example| not_over(catalogue, cause, &over.from, example)));
    }
    found
}

/// What is wrong with a line that is to say that a cause is over.
fn not_over(catalogue: &Catalogue, cause: &Cause, from: &[Source], example: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in from.iter().copied().chain([Source::Unknown]) {
        if !ends(catalogue, &cause.code, source, example) {
            wrong.push(format!("{} is not ended by its own `over` ({source:?}): {example}", cause.code));
        }
        let claims = claimed_by(catalogue, source, example);
        wrong.extend(
            claims.iter().map(|(code, sign)| format!("{code} sign {sign} claims an end of {} ({source:?}): {example}", cause.code)),
        );
    }
    wrong
}

fn claims(catalogue: &Catalogue, cause: &Cause, index: usize, source: Source, example: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let claims = claimed_by(catalogue, source, example);
    if !claims.contains(&(cause.code.clone(), index)) {
        wrong.push(format!("{} sign {index} misses its own ({source:?}): {example}", cause.code));
    }
    // A symptom that folds beneath this cause may see the same line.
    let claimed: Vec<usize> = claims.iter().filter_map(|(code, _)| catalogue.position(code)).collect();
    let beneath = catalogue.position(&cause.code).map(|place| catalogue.explains(place, |other| claimed.contains(&(other as usize))));
    let symptom = |code: &str| catalogue.position(code).is_some_and(|place| beneath.iter().flatten().any(|other| *other as usize == place));
    for (other, sign) in claims.iter().filter(|(code, _)| *code != cause.code && !symptom(code)) {
        wrong.push(format!("{other} sign {sign} claims an example of {} ({source:?}): {example}", cause.code));
    }
    wrong
}
