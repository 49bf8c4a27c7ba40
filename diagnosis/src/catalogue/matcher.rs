//! One matcher for all log signs of all causes.
//!
//! A line is first asked for the literals that the signs of its source require; only the signs whose literal it holds have their regular
//! expression tried. So the cost of an ordinary line does not depend on the number of signs. Expressions are ASCII (`(?-u)` in the words of
//! the regex crate: `\d`, `\w` and `(?i)` know ASCII only) because log lines are bytes.

mod literals;
mod prefilter;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::Timestamp;
use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};
use serde::{Deserialize, Serialize};

use crate::record::{LogRecord, Source, clip, pod};
use prefilter::Prefilter;

/// A sighting's text is cut to this.
const MAX_TEXT: usize = 2048;
/// A capture is cut to this.
const MAX_CAPTURE: usize = 512;
/// An expression may weigh so much (about one per character it spells out, repetitions counted out); a hundredth of what the regex crate takes.
const MAX_WEIGHT: u64 = 20_000;
/// Sources there are.
const SOURCES: usize = Source::Unknown as usize + 1;
const REGEX_BYTES: usize = 16 << 20;
const LAZY_DFA_BYTES: usize = 512 << 10;

/// A log record recognised by a sign of some cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The cause.
    pub code: String,
    /// Index of the sign within the cause.
    pub sign: usize,
    /// Time of the record; when it was read, if it carried none.
    pub at: Timestamp,
    /// The unit (or what was known of the speaker).
    pub unit: String,
    /// The record, bounded to 2 KiB on a character boundary.
    pub text: String,
    /// Position in the journal, if it came from one.
    pub cursor: String,
    /// Named groups of the pattern that took part, and `pod`, `container`, `pod_uid`, `container_id` as far as the record names them.
    pub captures: BTreeMap<String, String>,
}

/// A log sign as the matcher needs it.
#[derive(Debug, Clone, Copy)]
pub struct MatcherSign<'a> {
    /// The cause.
    pub code: &'a str,
    /// Index of the sign within the cause.
    pub sign_index: usize,
    /// Sources it listens to.
    pub from: &'a [Source],
    /// Only where the record says who speaks.
    pub named: bool,
    /// Regular expression over the message.
    pub pattern: &'a str,
    /// A record that matches this too is not meant.
    pub unless: Option<&'a str>,
}

/// A pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Not a regular expression.
    #[error("not a regular expression: {0}")]
    Syntax(String),
    /// It matches a line of nothing, so it would match every line.
    #[error("the pattern matches the empty line, so it would match every line")]
    MatchesEverything,
    /// Too large to be compiled within bounds.
    #[error("the pattern is too large (weight {weight}, at most {MAX_WEIGHT}): repeat less")]
    TooLarge {
        /// About the number of characters it spells out.
        weight: u64,
    },
    /// A sign that listens to nobody.
    #[error("the sign listens to no source")]
    NoSource,
}

/// Checks one pattern alone, as [`Matcher::build`] will: for errors with a place in a file.
pub fn check_pattern(pattern: &str) -> Result<(), PatternError> {
    parse(pattern).map(drop)
}

/// Recognises records. Cheap to share; regular expressions are compiled when first needed.
#[derive(Debug, Default)]
pub struct Matcher {
    signs: Vec<Compiled>,
    /// Literals, and the signs that require them (each requires one of its literals).
    literals: Vec<(Box<[u8]>, Vec<u32>)>,
    /// Signs without a literal: tried on every line of their sources.
    always: Vec<u32>,
    listened: SourceSet,
    /// One a source, made when it first speaks: most say little of what any sign listens for.
    filters: [OnceLock<Filter>; SOURCES],
}

/// What is looked for in the lines of one source.
#[derive(Debug)]
struct Filter {
    prefilter: Prefilter,
    /// For each of its literals the signs that it stands for.
    signs: Vec<Vec<u32>>,
    always: Vec<u32>,
}

#[derive(Debug)]
struct Compiled {
    code: Box<str>,
    sign: usize,
    from: SourceSet,
    pattern: Lazy,
    unless: Option<Lazy>,
}

impl Matcher {
    /// Compiles all signs. The first bad pattern is the error, with its cause and the index of the sign.
    pub fn build<'a>(signs: impl IntoIterator<Item = MatcherSign<'a>>) -> Result<Self, (String, usize, PatternError)> {
        let mut matcher = Self::default();
        let mut by_literal: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for sign in signs {
            let place = |error| (sign.code.to_owned(), sign.sign_index, error);
            let required = literals::required(&parse(sign.pattern).map_err(place)?);
            let compiled = Compiled::new(&sign).map_err(place)?;
            let index = matcher.signs.len() as u32;
            matcher.listened.0 |= compiled.from.0;
            matcher.signs.push(compiled);
            match required {
                Some(required) => required.into_iter().for_each(|literal| by_literal.entry(literal).or_default().push(index)),
                None => matcher.always.push(index),
            }
        }
        matcher.literals = by_literal.into_iter().map(|(literal, signs)| (literal.into(), signs)).collect();
        Ok(matcher)
    }

    /// How many signs there are.
    pub fn len(&self) -> usize {
        self.signs.len()
    }

    /// Whether there is no sign at all.
    pub fn is_empty(&self) -> bool {
        self.signs.is_empty()
    }

    /// The literals of which lines are asked, with the signs (code, index) that require them: short ones cost more, for they are looked for at
    /// more places.
    pub fn literals(&self) -> impl Iterator<Item = (String, Vec<(&str, usize)>)> {
        self.literals.iter().map(|(literal, signs)| {
            let signs = signs.iter().map(|&index| &self.signs[index as usize]).map(|sign| (&*sign.code, sign.sign));
            (String::from_utf8_lossy(literal).into_owned(), signs.collect())
        })
    }

    /// The signs' patterns, for whoever measures them against other programs.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.signs.iter().map(|sign| &*sign.pattern.source)
    }

    /// Signs (code, index) whose pattern guarantees no literal: they are tried on every line and should be few.
    pub fn without_literal(&self) -> impl Iterator<Item = (&str, usize)> {
        self.always.iter().map(|&index| &self.signs[index as usize]).map(|sign| (&*sign.code, sign.sign))
    }

    /// Bytes held for finding literals, by the sources that have spoken so far.
    pub fn filter_bytes(&self) -> usize {
        self.filters.iter().filter_map(OnceLock::get).map(|filter| filter.prefilter.bytes()).sum()
    }

    fn filter(&self, source: Source) -> &Filter {
        self.filters[source as usize].get_or_init(|| {
            let hears = |index: &u32| self.signs[*index as usize].from.hears(source);
            let of = |signs: &[u32]| signs.iter().copied().filter(hears).collect::<Vec<_>>();
            let heard = self.literals.iter().map(|(literal, signs)| (&**literal, of(signs))).filter(|(_, signs)| !signs.is_empty());
            let (literals, signs): (Vec<&[u8]>, Vec<Vec<u32>>) = heard.unzip();
            Filter { prefilter: Prefilter::new(literals), signs, always: of(&self.always) }
        })
    }

    /// Whether any sign may recognise a message, cheaply; the rest of the record need not be had if none does.
    pub fn may_recognise(&self, source: Source, message: &[u8]) -> bool {
        let filter = self.filter(source);
        let mut found = !filter.always.is_empty();
        if !found {
            filter.prefilter.find(message, |_| found = true);
        }
        found
    }

    /// Whether any sign listens to this source; the rest of such a record need not even be parsed.
    pub fn listens_to(&self, source: Source) -> bool {
        self.listened.hears(source)
    }

    /// The sightings in a record: at most one per sign. `read_at` stands in for a record without a time.
    pub fn recognise(&self, record: &LogRecord<'_>, read_at: Timestamp) -> Vec<Sighting> {
        if !self.listened.hears(record.source) {
            return Vec::new();
        }
        let filter = self.filter(record.source);
        let mut candidates = filter.always.clone();
        filter.prefilter.find(record.message.as_bytes(), |literal| {
            for sign in &filter.signs[literal] {
                if !candidates.contains(sign) {
                    candidates.push(*sign);
                }
            }
        });
        candidates.sort_unstable();
        candidates.iter().filter_map(|&index| self.signs[index as usize].confirm(record, read_at)).collect()
    }
}

impl Compiled {
    fn new(sign: &MatcherSign<'_>) -> Result<Self, PatternError> {
        let from = SourceSet::of(sign.from, sign.named);
        if from.0 == 0 {
            return Err(PatternError::NoSource);
        }
        sign.unless.map(parse).transpose()?;
        let unless = sign.unless.map(Lazy::new);
        Ok(Self { code: sign.code.into(), sign: sign.sign_index, from, pattern: Lazy::new(sign.pattern), unless })
    }

    fn confirm(&self, record: &LogRecord<'_>, read_at: Timestamp) -> Option<Sighting> {
        let line = record.message.as_bytes();
        let regex = self.pattern.get();
        // Most candidates are none; to tell that takes no captures.
        if !regex.is_match(line) {
            return None;
        }
        let found = regex.captures(line)?;
        if self.unless.as_ref().is_some_and(|unless| unless.get().is_match(line)) {
            return None;
        }
        Some(Sighting {
            code: self.code.to_string(),
            sign: self.sign,
            at: record.at.unwrap_or(read_at),
            unit: clip(record.unit, MAX_CAPTURE).to_owned(),
            text: quote(record.message, found.get(0).map_or(0, |whole| whole.start())),
            cursor: record.cursor.to_owned(),
            captures: named(regex, &found, record.message),
        })
    }
}

/// The record from its beginning; of a longer one the part around the match, so that the proof is in the quote.
fn quote(message: &str, match_start: usize) -> String {
    const LEAD: usize = 256;
    if message.len() <= MAX_TEXT || match_start < MAX_TEXT - LEAD {
        return clip(message, MAX_TEXT).to_owned();
    }
    let mut from = match_start - LEAD;
    while !message.is_char_boundary(from) {
        from += 1;
    }
    format!("…{}", clip(&message[from..], MAX_TEXT - '…'.len_utf8()))
}

fn named(regex: &Regex, found: &Captures<'_>, message: &str) -> BTreeMap<String, String> {
    let value = |name| found.name(name).map(|group| clip(&unquoted(&String::from_utf8_lossy(group.as_bytes())), MAX_CAPTURE).to_owned());
    let mut named = regex.capture_names().flatten().filter_map(|name| Some((name.to_owned(), value(name)?))).collect();
    pod::name(message, &mut named);
    named
}

/// Errors are quoted within errors: `\\\"` is told as `"`.
fn unquoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '"' {
            plain.truncate(plain.trim_end_matches('\\').len());
        }
        plain.push(c);
    }
    plain
}

fn parse(pattern: &str) -> Result<Hir, PatternError> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).nest_limit(50).build().parse(pattern);
    let hir = parsed.map_err(|error| PatternError::Syntax(error.to_string()))?;
    if hir.properties().minimum_len().is_none_or(|shortest| shortest == 0) {
        return Err(PatternError::MatchesEverything);
    }
    let weight = weight(&hir);
    if weight > MAX_WEIGHT {
        return Err(PatternError::TooLarge { weight });
    }
    Ok(hir)
}

/// About the number of automaton states: what an expression spells out with its counted repetitions unrolled.
fn weight(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(_) => 4,
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let times = u64::from(repetition.max.unwrap_or(repetition.min).max(1)).saturating_add(1);
            weight(&repetition.sub).saturating_mul(times)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(weight).fold(1, u64::saturating_add),
    }
}

/// A regular expression compiled when first asked: most signs are never hit on most nodes.
#[derive(Debug)]
struct Lazy {
    source: Box<str>,
    regex: OnceLock<Regex>,
}

impl Lazy {
    fn new(source: &str) -> Self {
        Self { source: source.into(), regex: OnceLock::new() }
    }

    fn get(&self) -> &Regex {
        self.regex.get_or_init(|| {
            let mut builder = RegexBuilder::new(&self.source);
            builder.unicode(false).size_limit(REGEX_BYTES).dfa_size_limit(LAZY_DFA_BYTES);
            builder.build().expect("parsed and weighed when the matcher was built")
        })
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct SourceSet(u16);

impl SourceSet {
    const BUNDLED: [Source; 4] = [Source::Kubelet, Source::Runtime, Source::ControlPlane, Source::Etcd];

    fn of(sources: &[Source], named: bool) -> Self {
        let mut set = sources.iter().fold(0, |set, &source| set | bit(source));
        if Self::BUNDLED.iter().any(|source| sources.contains(source)) {
            set |= bit(Source::Bundle);
        }
        if set != 0 && !named {
            set |= bit(Source::Unknown);
        }
        Self(set)
    }

    fn hears(self, source: Source) -> bool {
        self.0 & bit(source) != 0
    }
}

fn bit(source: Source) -> u16 {
    1 << source as u16
}

#[cfg(test)]
mod tests;
