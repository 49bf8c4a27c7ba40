//! From the form of a cause file to a cause: every expression, pattern, text and number looked at.

use jiff::SignedDuration;
use serde_saphyr::Spanned;

use super::raw::{RawCause, RawDocs, RawFoundBy, RawLog, RawMessage, RawRemedy, RawSign};
use super::{LoadError, LoadProblem, Loaded};
use crate::catalogue::{Cause, Docs, Expr, FactSign, FoundBy, LogSign, MAX_TIMES, Message, RemedyRule, Sign, Template, check_pattern};
use crate::facts::schema;

/// A problem with its line.
type Wrong = (u64, LoadProblem);

pub(super) fn check(file: &str, raw: RawCause) -> Result<Loaded, LoadError> {
    let explains_line = raw.explains.as_ref().map_or(0, line);
    let cause = cause(raw).map_err(|(line, problem)| LoadError { file: file.to_owned(), line, problem: problem.into() })?;
    Ok(Loaded { file: file.to_owned(), cause, explains_line })
}

fn cause(raw: RawCause) -> Result<Cause, Wrong> {
    let kebab =
        |code: &str| code.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    if !kebab(&raw.code.value) || raw.code.value.len() > 63 {
        return Err(field(&raw.code, "code", "has to be kebab-case (a-z, 0-9, single dashes), at most 63 characters"));
    }
    if raw.title.value.trim().is_empty() || raw.title.value.contains('\n') {
        return Err(field(&raw.title, "title", "has to be one line"));
    }
    let found_by = match raw.found_by {
        RawFoundBy::Agent => FoundBy::Agent,
        RawFoundBy::Collector => FoundBy::Collector,
    };
    let signs_line = raw.signs.as_ref().map_or_else(|| line(&raw.code), line);
    let signs = raw.signs.map(|signs| signs.value).unwrap_or_default();
    if (found_by == FoundBy::Agent) == signs.is_empty() {
        let problem = "a cause found by the agent has at least one sign, one found by the collector has none".to_owned();
        return Err((signs_line, LoadProblem::Field { field: "signs", problem }));
    }
    let message_line = line(&raw.message);
    if raw.message.value.0.is_empty() {
        return Err(field(&raw.message, "message", "has to be a text or a list of at least one {when, say}"));
    }
    for path in &raw.evidence {
        if schema::entry(&path.value).is_none() {
            return Err(field(path, "evidence", &format!("there is no fact `{}`; docs/facts.md lists them all", path.value)));
        }
    }
    let RawDocs { meaning, knows, lookalikes } = raw.docs;
    Ok(Cause {
        found_by,
        signs: signs.into_iter().map(sign).collect::<Result<_, _>>()?,
        absent: raw.absent.map(|text| expression("absent", &text)).transpose()?,
        explains: raw.explains.map(|codes| codes.value).unwrap_or_default(),
        messages: raw
            .message
            .value
            .0
            .into_iter()
            .map(|raw| message(raw).map_err(|wrong| at_least(message_line, wrong)))
            .collect::<Result<_, _>>()?,
        evidence: raw.evidence.into_iter().map(|path| path.value).collect(),
        remedy: raw.remedy.into_iter().map(remedy).collect::<Result<_, _>>()?,
        docs: Docs { meaning, knows, lookalikes },
        layer: raw.layer,
        severity: raw.severity,
        title: raw.title.value,
        code: raw.code.value,
    })
}

fn sign(raw: RawSign) -> Result<Sign, Wrong> {
    match (raw.log, raw.fact) {
        (Some(log), None) => match raw.r#for {
            None => log_sign(log),
            Some(time) => Err(field(&time, "for", "is for `fact` signs; a `log` sign has count, within, ends, quiet_for")),
        },
        (None, Some(fact)) => {
            let held_for = raw.r#for.as_ref().map_or(Ok(SignedDuration::ZERO), |time| duration("for", time))?;
            let expr = expression("fact", &fact)?;
            if expr.paths.is_empty() {
                return Err(field(&fact, "fact", "reads no fact, so it would hold always or never"));
            }
            Ok(Sign::Fact(FactSign { expr, held_for }))
        }
        (Some(log), Some(_)) => Err(field(&log, "signs", "a sign is `log` or `fact`, not both: make two of it")),
        (None, None) => {
            let at = raw.r#for.as_ref().map_or(0, line);
            Err((at, LoadProblem::Field { field: "signs", problem: "a sign has to be `log` or `fact`".to_owned() }))
        }
    }
}

fn log_sign(raw: Spanned<RawLog>) -> Result<Sign, Wrong> {
    let (at, raw) = (line(&raw), raw.value);
    for (name, pattern) in [("match", Some(&raw.r#match)), ("unless", raw.unless.as_ref())] {
        let Some(pattern) = pattern else { continue };
        check_pattern(&pattern.value).map_err(|error| (line(pattern), LoadProblem::Pattern { field: name, error }))?;
    }
    if raw.from.is_empty() {
        return Err((at, LoadProblem::Field { field: "from", problem: "names no source".to_owned() }));
    }
    let count = raw.count.as_ref().map_or(1, |count| count.value);
    match (&raw.count, &raw.within) {
        (Some(count), _) if !(1..=MAX_TIMES).contains(&(count.value as usize)) => {
            return Err(field(count, "count", &format!("has to be 1 to {MAX_TIMES}")));
        }
        (Some(count), None) if count.value > 1 => return Err(field(count, "count", "needs `within`: so many in what time?")),
        (None, Some(within)) => return Err(field(within, "within", "needs `count`: how many in that time?")),
        _ => {}
    }
    if raw.ends.is_none() && raw.quiet_for.is_none() {
        let problem = "a log sign needs `ends` or `quiet_for`: what ends it? A case must not stay open for ever".to_owned();
        return Err((at, LoadProblem::Field { field: "log", problem }));
    }
    Ok(Sign::Log(LogSign {
        count,
        within: raw.within.map(|time| duration("within", &time)).transpose()?,
        ends: raw.ends.map(|text| expression("ends", &text)).transpose()?,
        quiet_for: raw.quiet_for.map(|time| duration("quiet_for", &time)).transpose()?,
        from: raw.from,
        pattern: raw.r#match.value,
        unless: raw.unless.map(|text| text.value),
        only_if: raw.only_if.map(|text| expression("only_if", &text).map(Box::new)).transpose()?,
        examples: raw.examples,
    }))
}

fn message(raw: RawMessage) -> Result<Message, Wrong> {
    Ok(Message { when: raw.when.map(|text| expression("when", &text)).transpose()?, say: text("message", &raw.say)? })
}

fn remedy(raw: RawRemedy) -> Result<RemedyRule, Wrong> {
    Ok(RemedyRule {
        when: raw.when.map(|text| expression("when", &text)).transpose()?,
        say: text("say", &raw.say)?,
        run: raw.run.map(|run| text("run", &run)).transpose()?,
    })
}

fn expression(name: &'static str, text: &Spanned<String>) -> Result<Expr, Wrong> {
    Expr::compile(&text.value).map_err(|error| (line(text), LoadProblem::Expression { field: name, error }))
}

fn text(name: &'static str, text: &Spanned<String>) -> Result<Template, Wrong> {
    Template::compile(&text.value).map_err(|error| (line(text), LoadProblem::Text { field: name, error }))
}

fn duration(name: &'static str, text: &Spanned<String>) -> Result<SignedDuration, Wrong> {
    let parsed = text.value.parse::<SignedDuration>().ok().filter(|span| !span.is_negative() && span.as_hours() < 24 * 365);
    parsed.ok_or_else(|| field(text, name, &format!("`{}` is no duration: it has to be like 300ms, 3s, 10m or 2h", text.value)))
}

fn field<T>(at: &Spanned<T>, field: &'static str, problem: &str) -> Wrong {
    (line(at), LoadProblem::Field { field, problem: problem.to_owned() })
}

/// A message that is one text has no place of its own: it stands where `message` does.
fn at_least(line: u64, (own, problem): Wrong) -> Wrong {
    (if own == 0 { line } else { own }, problem)
}

fn line<T>(at: &Spanned<T>) -> u64 {
    at.referenced.line()
}
