//! One file by itself: expressions, patterns, texts and the rules of the format.

use jiff::SignedDuration;
use serde_saphyr::Spanned;

use super::super::expr::Variables;
use super::super::{Cause, Docs, Expr, FactSign, FoundBy, LogSign, Message, RemedyRule, Sign, Template, check_pattern};
use super::raw::{RawCause, RawFoundBy, RawLog, RawMessage, RawMessages, RawRemedy, RawSign, of};
use super::{LoadProblem, Place, Refused, Single, pattern};
use crate::facts::FactId;
use crate::model::Severity;
use crate::record::Source;

/// As many times of sightings are remembered: `count` cannot ask for more.
pub(crate) const MAX_COUNT: u32 = 16;
/// More signs than anyone can tell apart.
const MAX_SIGNS: usize = 64;

pub(super) fn cause(file: &str, raw: RawCause) -> Result<Single, Refused> {
    let code_at = of(&raw.code);
    check_code(&raw.code)?;
    check_text("title", &raw.title)?;
    let found_by = match raw.found_by {
        RawFoundBy::Agent => FoundBy::Agent,
        RawFoundBy::Collector => FoundBy::Collector,
    };
    check_signs(found_by, &raw, code_at)?;
    let latent = latent(&raw)?;
    let explains_at = raw.explains.iter().map(of).collect();
    let cause = Cause {
        signs: raw.signs.into_iter().map(sign).collect::<Result<_, _>>()?,
        absent: raw.absent.as_ref().map(|absent| expr("absent", absent, Variables::Facts)).transpose()?,
        explains: raw.explains.into_iter().map(|code| code.value).collect(),
        messages: messages(raw.message)?,
        evidence: raw.evidence.into_iter().map(evidence).collect::<Result<_, _>>()?,
        remedy: raw.remedy.into_iter().map(remedy).collect::<Result<_, _>>()?,
        docs: Docs { meaning: raw.docs.meaning, knows: raw.docs.knows, lookalikes: raw.docs.lookalikes },
        code: raw.code.value,
        title: raw.title.value,
        layer: raw.layer,
        severity: raw.severity,
        latent,
        critical_when: raw.critical_when.as_ref().map(|when| expr("critical_when", when, Variables::Sighting).map(Box::new)).transpose()?,
        found_by,
    };
    Ok(Single { file: file.to_owned(), cause, code_at, explains_at })
}

fn field(place: Place, field: &'static str, problem: impl Into<String>) -> Refused {
    (place, LoadProblem::Field { field, problem: problem.into() })
}

fn check_code(code: &Spanned<String>) -> Result<(), Refused> {
    let good = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if code.value.len() > 63 || !code.value.split('-').all(good) {
        let problem = format!("`{}` is not kebab-case: a-z, 0-9 and single dashes, at most 63 characters", code.value);
        return Err(field(of(code), "code", problem));
    }
    Ok(())
}

fn check_text(name: &'static str, text: &Spanned<String>) -> Result<(), Refused> {
    if text.value.trim().is_empty() || text.value.contains('\n') {
        return Err(field(of(text), name, "one line of text is wanted"));
    }
    Ok(())
}

fn check_signs(found_by: FoundBy, raw: &RawCause, code_at: Place) -> Result<(), Refused> {
    match (found_by, raw.signs.as_slice()) {
        (FoundBy::Agent, []) => Err(field(code_at, "signs", "a cause found by the agent needs at least one sign")),
        (FoundBy::Collector, [first, ..]) => Err(field(of(first), "signs", "a cause found by the collector has none")),
        (_, signs) if signs.len() > MAX_SIGNS => Err(field(code_at, "signs", format!("at most {MAX_SIGNS}"))),
        _ => Ok(()),
    }
}

/// What breaks nothing yet is neither critical nor the reason for anything that is wrong now.
fn latent(raw: &RawCause) -> Result<bool, Refused> {
    let Some(latent) = raw.latent.as_ref().filter(|latent| latent.value) else { return Ok(false) };
    if raw.severity == Severity::Critical || raw.critical_when.is_some() {
        return Err(field(of(latent), "latent", "a latent cause breaks nothing yet, so it is not critical"));
    }
    match raw.explains.first() {
        Some(code) => Err(field(of(code), "explains", "a latent cause breaks nothing yet, so it explains nothing")),
        None => Ok(true),
    }
}

fn sign(raw: Spanned<RawSign>) -> Result<Sign, Refused> {
    let place = of(&raw);
    match (raw.value.log, raw.value.fact, raw.value.held_for) {
        (Some(log), None, None) => log_sign(of(&log), log.value).map(Sign::Log),
        (Some(_), None, Some(held_for)) => Err(field(of(&held_for), "for", "belongs to `fact`; a log sign has `count` and `within`")),
        (None, Some(fact), held_for) => {
            let held_for = held_for.map(|text| duration("for", &text)).transpose()?.unwrap_or_default();
            let expr = expr("fact", &fact, Variables::Facts)?;
            if expr.paths.is_empty() {
                return Err(field(of(&fact), "fact", "reads no fact, so it would hold always or never"));
            }
            Ok(Sign::Fact(FactSign { expr, held_for }))
        }
        (Some(_), Some(fact), _) => Err(field(of(&fact), "signs", "a sign is `log` or `fact`, not both: make two of it")),
        (None, None, _) => Err(field(place, "signs", "a sign needs `log` or `fact`")),
    }
}

fn log_sign(place: Place, raw: RawLog) -> Result<LogSign, Refused> {
    let from = raw.from.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    if from.is_empty() {
        return Err(field(of(&raw.pattern), "from", "names nobody to listen to"));
    }
    // A monitor recognises by itself, in its own way; the pattern is for people.
    if from != [Source::Monitor] {
        check_pattern(&raw.pattern.value).map_err(|error| (of(&raw.pattern), pattern("match", &error)))?;
    }
    if let Some(unless) = &raw.unless {
        check_pattern(&unless.value).map_err(|error| (of(unless), pattern("unless", &error)))?;
    }
    let (count, within) = count_within(raw.count.as_ref(), raw.within.as_ref())?;
    let ends = raw.ends.as_ref().map(|ends| expr("ends", ends, Variables::Sighting)).transpose()?;
    let only_if = raw.only_if.as_ref().map(|rule| expr("only_if", rule, Variables::Sighting).map(Box::new)).transpose()?;
    let quiet_for = raw.quiet_for.as_ref().map(|text| duration("quiet_for", text)).transpose()?;
    if ends.is_none() && quiet_for.is_none() {
        return Err((place, LoadProblem::NoEnd));
    }
    let unless = raw.unless.map(|unless| unless.value);
    Ok(LogSign { from, pattern: raw.pattern.value, unless, only_if, count, within, ends, quiet_for, examples: raw.examples })
}

fn source(source: &Spanned<Source>) -> Result<Source, Refused> {
    match source.value {
        Source::Bundle | Source::Unknown => {
            let problem = "cannot be listened to: name kubelet, runtime, kernel, systemd, control-plane, etcd or other";
            Err(field(of(source), "from", problem))
        }
        known => Ok(known),
    }
}

fn count_within(count: Option<&Spanned<u32>>, within: Option<&Spanned<String>>) -> Result<(u32, Option<SignedDuration>), Refused> {
    match (count, within) {
        (None, None) => Ok((1, None)),
        (None, Some(within)) => Err(field(of(within), "within", "stands only beside `count`")),
        (Some(count), _) if count.value == 0 || count.value > MAX_COUNT => {
            Err(field(of(count), "count", format!("{} is not between 1 and {MAX_COUNT}", count.value)))
        }
        (Some(count), None) if count.value > 1 => Err(field(of(count), "count", "needs `within`: so many in what time?")),
        (Some(count), within) => Ok((count.value, within.map(|text| duration("within", text)).transpose()?)),
    }
}

fn messages(raw: Spanned<RawMessages>) -> Result<Vec<Message>, Refused> {
    let place = of(&raw);
    match raw.value {
        RawMessages::Plain(text) => {
            let say = Template::compile(&text).map_err(|error| (place, LoadProblem::Template { field: "message", error }))?;
            Ok(vec![Message { when: None, say }])
        }
        RawMessages::Choices(choices) if choices.is_empty() => Err(field(place, "message", "is empty")),
        RawMessages::Choices(choices) => choices.into_iter().map(message).collect(),
    }
}

fn message(raw: RawMessage) -> Result<Message, Refused> {
    let when = raw.when.as_ref().map(|when| expr("when", when, Variables::Sighting)).transpose()?;
    Ok(Message { when, say: template("message", &raw.say)? })
}

fn remedy(raw: RawRemedy) -> Result<RemedyRule, Refused> {
    let when = raw.when.as_ref().map(|when| expr("when", when, Variables::Sighting)).transpose()?;
    let run = raw.run.as_ref().map(|run| template("run", run)).transpose()?;
    Ok(RemedyRule { when, say: template("say", &raw.say)?, run })
}

fn evidence(path: Spanned<String>) -> Result<String, Refused> {
    let refused = |error| (of(&path), LoadProblem::Evidence(error));
    if FactId::of(&path.value).is_none() {
        // The expression checker knows what to say about it.
        return match Expr::compile(&format!("has({})", path.value)) {
            Err(error) => Err(refused(error)),
            Ok(_) => Err(field(of(&path), "evidence", format!("`{}` is not the path of a fact", path.value))),
        };
    }
    Ok(path.value)
}

fn expr(field: &'static str, source: &Spanned<String>, variables: Variables) -> Result<Expr, Refused> {
    Expr::predicate(&source.value, variables).map_err(|error| (of(source), LoadProblem::Expr { field, error }))
}

fn template(field: &'static str, source: &Spanned<String>) -> Result<Template, Refused> {
    Template::compile(&source.value).map_err(|error| (of(source), LoadProblem::Template { field, error }))
}

/// `300ms`, `3s`, `10m`, `2h`, `1d`.
fn duration(name: &'static str, text: &Spanned<String>) -> Result<SignedDuration, Refused> {
    let wrong = || field(of(text), name, format!("`{}` is not a length of time: write 300ms, 3s, 10m, 2h or 1d", text.value));
    let split = text.value.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.value.split_at(split);
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let length = number.checked_mul(millis).filter(|millis| *millis <= 366 * 86_400_000).ok_or_else(wrong)?;
    Ok(SignedDuration::from_millis(length))
}
