//! One file by itself: expressions, patterns, texts and the rules of the format.

use jiff::SignedDuration;
use serde_saphyr::Spanned;

use super::super::expr::Variables;
use super::super::{Cause, Docs, Expr, FactSign, FoundBy, LogSign, Message, Over, RemedyRule, Sign, Template, check_pattern};
use super::raw::{RawCause, RawFoundBy, RawLog, RawMessage, RawMessages, RawOver, RawRemedy, RawSign, of};
use super::{LoadProblem, Place, Refused, Single, pattern};
use crate::facts::FactId;
use crate::model::Severity;
use crate::record::Source;

/// As many times of sightings are remembered: `count` cannot ask for more.
pub(crate) const MAX_COUNT: u32 = 16;
/// More signs than anyone can tell apart.
const MAX_SIGNS: usize = 64;

/// What is wrong with a file, collected: who mends one mistake wants to know the others too.
#[derive(Default)]
struct Problems(Vec<Refused>);

impl Problems {
    fn ok<T>(&mut self, made: Result<T, Refused>) -> Option<T> {
        made.map_err(|problem| self.0.push(problem)).ok()
    }

    fn all<T>(&mut self, made: impl IntoIterator<Item = Result<T, Refused>>) -> Vec<T> {
        made.into_iter().filter_map(|one| self.ok(one)).collect()
    }

    /// Of something that may be left out.
    fn maybe<T>(&mut self, made: Option<Result<T, Refused>>) -> Option<T> {
        made.and_then(|made| self.ok(made))
    }
}

/// The cause, or all that is wrong with its file, in the order of the places.
pub(super) fn cause(file: &str, raw: RawCause) -> Result<Single, Vec<Refused>> {
    let mut problems = Problems::default();
    let code_at = of(&raw.code);
    problems.ok(check_code(&raw.code));
    problems.ok(check_text("title", &raw.title));
    let found_by = match raw.found_by {
        RawFoundBy::Agent => FoundBy::Agent,
        RawFoundBy::Collector => FoundBy::Collector,
    };
    problems.ok(check_signs(found_by, &raw, code_at));
    let latent = problems.ok(latent(&raw)).unwrap_or_default();
    let last_resort = problems.ok(last_resort(&raw)).unwrap_or_default();
    let explains_at = raw.explains.iter().map(of).collect();
    let cause = Cause {
        signs: raw.signs.into_iter().filter_map(|raw| sign(raw, &mut problems)).collect(),
        absent: problems.maybe(raw.absent.as_ref().map(|absent| expr("absent", absent, Variables::Facts))),
        over: raw.over.map(|raw| over(raw, &mut problems)),
        explains: raw.explains.into_iter().map(|code| code.value).collect(),
        messages: messages(raw.message, &mut problems),
        evidence: problems.all(raw.evidence.into_iter().map(evidence)),
        remedy: raw.remedy.iter().filter_map(|step| remedy(step, &mut problems)).collect(),
        docs: Docs { meaning: raw.docs.meaning, knows: raw.docs.knows, lookalikes: raw.docs.lookalikes },
        code: raw.code.value,
        title: raw.title.value,
        layer: raw.layer,
        severity: raw.severity,
        latent,
        last_resort,
        critical_when: problems
            .maybe(raw.critical_when.as_ref().map(|when| expr("critical_when", when, Variables::Sighting)))
            .map(Box::new),
        found_by,
    };
    if problems.0.is_empty() {
        return Ok(Single { file: file.to_owned(), cause, code_at, explains_at });
    }
    problems.0.sort_by_key(|(place, _)| (place.line, place.column));
    Err(problems.0)
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

/// What everything critical explains explains nothing itself, or there would be circles.
fn last_resort(raw: &RawCause) -> Result<bool, Refused> {
    if raw.last_resort.as_ref().is_none_or(|last| !last.value) {
        return Ok(false);
    }
    match raw.explains.first() {
        Some(code) => Err(field(of(code), "explains", "a cause of last resort is what others explain, so it explains nothing")),
        None => Ok(true),
    }
}

fn sign(raw: Spanned<RawSign>, problems: &mut Problems) -> Option<Sign> {
    let place = of(&raw);
    let wrong = match (raw.value.log, raw.value.fact, raw.value.held_for) {
        (Some(log), None, None) => return log_sign(of(&log), log.value, problems).map(Sign::Log),
        (None, Some(fact), held_for) => return fact_sign(&fact, held_for.as_ref(), problems).map(Sign::Fact),
        (Some(_), None, Some(held_for)) => field(of(&held_for), "for", "belongs to `fact`; a log sign has `count` and `within`"),
        (Some(_), Some(fact), _) => field(of(&fact), "signs", "a sign is `log` or `fact`, not both: make two of it"),
        (None, None, _) => field(place, "signs", "a sign needs `log` or `fact`"),
    };
    problems.ok(Err(wrong))
}

fn fact_sign(fact: &Spanned<String>, held_for: Option<&Spanned<String>>, problems: &mut Problems) -> Option<FactSign> {
    let held_for = problems.maybe(held_for.map(|text| duration("for", text))).unwrap_or_default();
    let expr = problems.ok(expr("fact", fact, Variables::Facts))?;
    if expr.paths.is_empty() {
        return problems.ok(Err(field(of(fact), "fact", "reads no fact, so it would hold always or never")));
    }
    Some(FactSign { expr, held_for })
}

fn log_sign(place: Place, raw: RawLog, problems: &mut Problems) -> Option<LogSign> {
    let from = problems.all(raw.from.iter().map(source));
    if raw.from.is_empty() {
        problems.ok::<()>(Err(field(of(&raw.pattern), "from", "names nobody to listen to")));
    }
    // A monitor recognises by itself, in its own way; the pattern is for people.
    if from != [Source::Monitor] {
        problems.ok(regex("match", &raw.pattern));
    }
    problems.maybe(raw.unless.as_ref().map(|unless| regex("unless", unless)));
    let counted = problems.ok(count_within(raw.count.as_ref(), raw.within.as_ref()));
    if raw.ends.is_none() && raw.quiet_for.is_none() {
        problems.0.push((place, LoadProblem::NoEnd));
    }
    let ends = problems.maybe(raw.ends.as_ref().map(|ends| expr("ends", ends, Variables::Sighting)));
    let only_if = problems.maybe(raw.only_if.as_ref().map(|rule| expr("only_if", rule, Variables::Sighting))).map(Box::new);
    let quiet_for = problems.maybe(raw.quiet_for.as_ref().map(|text| duration("quiet_for", text)));
    let ((count, within), unless) = (counted?, raw.unless.map(|unless| unless.value));
    Some(LogSign {
        from,
        named: raw.named,
        pattern: raw.pattern.value,
        unless,
        only_if,
        count,
        within,
        ends,
        quiet_for,
        examples: raw.examples,
    })
}

fn over(raw: RawOver, problems: &mut Problems) -> Over {
    let from = problems.all(raw.from.iter().map(source));
    if raw.from.is_empty() {
        problems.ok::<()>(Err(field(of(&raw.pattern), "over", "names nobody to listen to")));
    }
    problems.ok(regex("over", &raw.pattern));
    Over { from, pattern: raw.pattern.value, examples: raw.examples }
}

fn regex(name: &'static str, text: &Spanned<String>) -> Result<(), Refused> {
    check_pattern(&text.value).map_err(|error| (of(text), pattern(name, &error)))
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

fn messages(raw: Spanned<RawMessages>, problems: &mut Problems) -> Vec<Message> {
    let place = of(&raw);
    match raw.value {
        RawMessages::Plain(text) => {
            let say = Template::compile(&text).map_err(|error| (place, LoadProblem::Template { field: "message", error }));
            problems.ok(say).map(|say| Message { when: None, say }).into_iter().collect()
        }
        RawMessages::Choices(choices) => {
            if choices.is_empty() {
                problems.ok::<()>(Err(field(place, "message", "is empty")));
            }
            choices.iter().filter_map(|raw| message(raw, problems)).collect()
        }
    }
}

fn message(raw: &RawMessage, problems: &mut Problems) -> Option<Message> {
    let when = problems.maybe(raw.when.as_ref().map(|when| expr("when", when, Variables::Sighting)));
    Some(Message { when, say: problems.ok(template("message", &raw.say))? })
}

fn remedy(raw: &RawRemedy, problems: &mut Problems) -> Option<RemedyRule> {
    let when = problems.maybe(raw.when.as_ref().map(|when| expr("when", when, Variables::Sighting)));
    let run = problems.maybe(raw.run.as_ref().map(|run| template("run", run)));
    Some(RemedyRule { when, say: problems.ok(template("say", &raw.say))?, run })
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
