//! From YAML to a checked catalogue.

mod compile;
mod cross;
mod raw;

use std::collections::BTreeSet;

pub(crate) use compile::MAX_COUNT;

use super::{Catalogue, Cause, ExprError, Matcher, MatcherSign, OVER, PatternError, Sign, TemplateError};
use crate::record::Source;

/// A cause file larger than this is refused.
const MAX_FILE: usize = 256 << 10;

/// A cause file that is refused, with the place.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {problem}", place(*.line, *.column))]
pub struct LoadError {
    /// File name as given.
    pub file: String,
    /// Line, from 1; 0 if the whole file is meant.
    pub line: u64,
    /// Column, from 1; 0 if the whole line or file is meant.
    pub column: u64,
    /// What is wrong.
    pub problem: LoadProblem,
}

/// What can be wrong with a cause file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadProblem {
    /// Not YAML, or not of the form.
    #[error("{0}")]
    Yaml(String),
    /// The file is not a cause's.
    #[error("the file has {0} bytes; a cause has at most {MAX_FILE}")]
    TooLarge(usize),
    /// A value that the format does not allow.
    #[error("{field}: {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// An expression.
    #[error("{field}: {error}")]
    Expr {
        /// Where it stands.
        field: &'static str,
        /// What is wrong.
        #[source]
        error: ExprError,
    },
    /// A text with expressions in it.
    #[error("{field}: {error}")]
    Template {
        /// Where it stands.
        field: &'static str,
        /// What is wrong.
        #[source]
        error: TemplateError,
    },
    /// A regular expression.
    #[error("{field}: {error}")]
    Pattern {
        /// `match` or `unless`.
        field: &'static str,
        /// What is wrong.
        error: String,
    },
    /// A fact quoted as evidence that does not exist.
    #[error("evidence: {0}")]
    Evidence(ExprError),
    /// Nothing would ever close a case that this sign opened.
    #[error("a log sign needs `ends` or `quiet_for`: otherwise nothing tells when it is over")]
    NoEnd,
    /// Two files with one code.
    #[error("the cause `{code}` is in {other} already")]
    Duplicate {
        /// The code.
        code: String,
        /// The file that has it.
        other: String,
    },
    /// `explains` names a cause that is nowhere.
    #[error("explains: there is no cause `{0}`")]
    UnknownCode(String),
    /// A cause that would explain itself.
    #[error("explains goes round in a circle: {0}")]
    Circle(String),
}

fn place(line: u64, column: u64) -> String {
    match (line, column) {
        (0, _) => String::new(),
        (line, 0) => format!(":{line}"),
        (line, column) => format!(":{line}:{column}"),
    }
}

/// Where in a file something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    line: u64,
    column: u64,
}

/// A problem at its place; the file is added by whoever knows it.
type Refused = (Place, LoadProblem);

/// A cause that is good by itself.
struct Single {
    file: String,
    cause: Cause,
    code_at: Place,
    /// Where each of `explains` stands.
    explains_at: Vec<Place>,
}

impl Catalogue {
    /// Loads files (name, text). A bad file is refused alone: the catalogue holds the good ones, the errors say what is left out, each with
    /// the first of its problems.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<LoadError>) {
        Self::load_knowing(files, BTreeSet::new())
    }

    /// [`Self::load`], where `explains` may name these codes too though no file has them (they were replaced by others).
    pub fn load_knowing<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>, known: BTreeSet<String>) -> (Self, Vec<LoadError>) {
        let mut errors = Vec::new();
        let mut singles: Vec<Single> = Vec::new();
        let mut refused_codes = known;
        for (file, text) in files {
            match single(file, text) {
                Ok(single) => singles.push(single),
                Err(problems) => {
                    refused_codes.insert(raw::code_of(file, text));
                    errors.extend(problems.into_iter().take(1).map(|(place, problem)| at(file, place, problem)));
                }
            }
        }
        let causes = cross::check(singles, &refused_codes, &mut errors);
        (Self::assemble(causes, &mut errors), errors)
    }

    /// All that is wrong with one file by itself. Of one that is not of the form, what the parser met first.
    pub fn problems(file: &str, text: &str) -> Vec<LoadError> {
        let problems = single(file, text).err().unwrap_or_default();
        problems.into_iter().map(|(place, problem)| at(file, place, problem)).collect()
    }

    fn assemble(mut causes: Vec<(String, Cause)>, errors: &mut Vec<LoadError>) -> Self {
        causes.sort_by(|(_, one), (_, other)| one.code.cmp(&other.code));
        let matcher = loop {
            match Matcher::build(causes.iter().flat_map(|(_, cause)| log_signs(cause))) {
                Ok(matcher) => break matcher,
                Err((code, _, error)) => {
                    let Some(index) = causes.iter().position(|(_, cause)| cause.code == code) else { break Matcher::default() };
                    let (file, _) = causes.remove(index);
                    errors.push(at(&file, Place::default(), pattern("match", &error)));
                }
            }
        };
        let causes: Vec<Cause> = causes.into_iter().map(|(_, cause)| cause).collect();
        let explains = cross::edges(&causes);
        Self { causes, matcher, explains }
    }

    /// All causes, in the order of their codes.
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// A cause by its code.
    pub fn cause(&self, code: &str) -> Option<&Cause> {
        self.position(code).map(|index| &self.causes[index])
    }

    /// The code of a file's cause, as well as it can be told if the file is bad.
    pub fn code_of(file: &str, text: &str) -> String {
        raw::code_of(file, text)
    }

    /// A matcher for those log signs alone that `old` does not have.
    pub fn matcher_of_new(&self, old: &Self) -> Matcher {
        let says = |sign: &Sign| match sign {
            Sign::Log(log) => Some((log.pattern.clone(), log.unless.clone(), log.from.clone())),
            Sign::Fact(_) => None,
        };
        let over = |cause: &Cause| cause.over.as_ref().map(|over| (over.pattern.clone(), over.from.clone()));
        let had = |sign: &MatcherSign<'_>| {
            if sign.sign_index == OVER {
                return old.cause(sign.code).and_then(over) == self.cause(sign.code).and_then(over);
            }
            let wanted = self.cause(sign.code).and_then(|cause| says(cause.signs.get(sign.sign_index)?));
            old.cause(sign.code).is_some_and(|cause| cause.signs.iter().any(|sign| says(sign) == wanted))
        };
        Matcher::build(self.causes.iter().flat_map(log_signs).filter(|sign| !had(sign))).unwrap_or_default()
    }

    /// The place of a code in [`Self::causes`].
    pub(crate) fn position(&self, code: &str) -> Option<usize> {
        self.causes.binary_search_by(|cause| cause.code.as_str().cmp(code)).ok()
    }

    /// Those of the present causes (places in [`Self::causes`]) that a cause explains, directly or through others that are present: a chain
    /// with an absent link proves nothing.
    pub(crate) fn explains(&self, index: usize, is_present: impl Fn(u32) -> bool) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut open: Vec<u32> = self.explains[index].clone();
        while let Some(next) = open.pop() {
            if is_present(next) && found.insert(next) {
                open.extend(&self.explains[next as usize]);
            }
        }
        found
    }

    /// The matcher over all log signs.
    pub fn matcher(&self) -> &super::Matcher {
        &self.matcher
    }
}

fn log_signs(cause: &Cause) -> impl Iterator<Item = MatcherSign<'_>> {
    let signs = cause.signs.iter().enumerate().filter_map(|(sign_index, sign)| match sign {
        Sign::Log(log) if log.from != [Source::Monitor] => {
            let (pattern, unless) = (log.pattern.as_str(), log.unless.as_deref());
            Some(MatcherSign { code: &cause.code, sign_index, from: &log.from, named: log.named, pattern, unless })
        }
        Sign::Log(_) | Sign::Fact(_) => None,
    });
    let over = cause.over.iter().map(|over| {
        let (code, pattern) = (cause.code.as_str(), over.pattern.as_str());
        MatcherSign { code, sign_index: OVER, from: &over.from, named: false, pattern, unless: None }
    });
    signs.chain(over)
}

fn single(file: &str, text: &str) -> Result<Single, Vec<Refused>> {
    if text.len() > MAX_FILE {
        return Err(vec![(Place::default(), LoadProblem::TooLarge(text.len()))]);
    }
    let raw: raw::RawCause = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(raw::place).unwrap_or_default();
        vec![(place, LoadProblem::Yaml(raw::words(&error)))]
    })?;
    compile::cause(file, raw)
}

fn at(file: &str, place: Place, problem: LoadProblem) -> LoadError {
    LoadError { file: file.to_owned(), line: place.line, column: place.column, problem }
}

fn pattern(field: &'static str, error: &PatternError) -> LoadProblem {
    LoadProblem::Pattern { field, error: error.to_string() }
}

#[cfg(test)]
mod tests;
