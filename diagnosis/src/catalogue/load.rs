//! From YAML to a checked catalogue.

mod check;
mod raw;

use std::collections::BTreeSet;

use super::{Catalogue, Cause, ExprError, FoundBy, LogSign, Matcher, MatcherSign, PatternError, Sign, TemplateError};

/// A cause file that is refused, with the place.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct LoadError {
    /// File name as given.
    pub file: String,
    /// Line, from 1; 0 if the whole file is meant.
    pub line: u64,
    /// What is wrong.
    pub problem: Box<LoadProblem>,
}

/// What can be wrong with a cause file.
#[derive(Debug, thiserror::Error)]
pub enum LoadProblem {
    /// Not YAML, or not of the form.
    #[error("{0}")]
    Yaml(String),
    /// A field whose value cannot be.
    #[error("{field}: {problem}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A bad expression.
    #[error("{field}: {error}")]
    Expression {
        /// Where.
        field: &'static str,
        /// Why.
        error: ExprError,
    },
    /// A bad text.
    #[error("{field}: {error}")]
    Text {
        /// Where.
        field: &'static str,
        /// Why.
        error: TemplateError,
    },
    /// A bad pattern.
    #[error("{field}: {error}")]
    Pattern {
        /// Where.
        field: &'static str,
        /// Why.
        error: PatternError,
    },
    /// A code that another file has already.
    #[error("the cause `{code}` is in {other} already")]
    Duplicate {
        /// The code.
        code: String,
        /// The file that has it.
        other: String,
    },
    /// An `explains` of a cause that there is not.
    #[error("explains: there is no cause `{0}`")]
    UnknownCause(String),
    /// `explains` goes round.
    #[error("explains goes round in a circle: {0}")]
    Cycle(String),
}

/// A cause with the places needed when files are looked at together.
struct Loaded {
    file: String,
    cause: Cause,
    explains_line: u64,
}

impl Catalogue {
    /// Loads files (name, text). A bad file is refused alone: the catalogue holds the good ones, the errors say what is left out.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<LoadError>) {
        let (mut loaded, mut errors) = (Vec::<Loaded>::new(), Vec::new());
        for (file, text) in files {
            match raw::read(file, text).and_then(|raw| check::check(file, raw)) {
                Err(error) => errors.push(error),
                Ok(new) => match loaded.iter().find(|other| other.cause.code == new.cause.code) {
                    None => loaded.push(new),
                    Some(other) => {
                        let problem = LoadProblem::Duplicate { code: new.cause.code, other: other.file.clone() };
                        errors.push(LoadError { file: file.to_owned(), line: 1, problem: problem.into() });
                    }
                },
            }
        }
        loaded.sort_by(|a, b| a.cause.code.cmp(&b.cause.code));
        refuse_unknown_causes(&mut loaded, &mut errors);
        refuse_cycles(&mut loaded, &mut errors);
        (Self::of(loaded.into_iter().map(|loaded| loaded.cause).collect()), errors)
    }

    fn of(causes: Vec<Cause>) -> Self {
        let matcher = Matcher::build(log_signs(&causes)).expect("every pattern was checked when its file was read");
        let reach = (0..causes.len()).map(|index| reach(&causes, index)).collect();
        Self { causes, matcher, reach }
    }

    /// All causes, in the order of their codes.
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// A cause by its code.
    pub fn cause(&self, code: &str) -> Option<&Cause> {
        self.index(code).map(|index| &self.causes[index])
    }

    /// The matcher over all log signs.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// Codes that a cause explains, directly or through another.
    pub fn explained_by(&self, code: &str) -> impl Iterator<Item = &str> {
        let index = self.index(code);
        index.into_iter().flat_map(|index| self.reach[index].iter().map(|index| &*self.causes[*index].code))
    }

    pub(crate) fn index(&self, code: &str) -> Option<usize> {
        self.causes.binary_search_by(|cause| cause.code.as_str().cmp(code)).ok()
    }

    /// A log sign by its cause and index.
    pub(crate) fn log_sign(&self, code: &str, sign: usize) -> Option<&LogSign> {
        match self.cause(code)?.signs.get(sign)? {
            Sign::Log(sign) => Some(sign),
            Sign::Fact(_) => None,
        }
    }

    pub(crate) fn reach(&self, index: usize) -> &BTreeSet<usize> {
        &self.reach[index]
    }
}

fn log_signs(causes: &[Cause]) -> Vec<MatcherSign<'_>> {
    let mut signs = Vec::new();
    for cause in causes {
        for (sign_index, sign) in cause.signs.iter().enumerate() {
            if let Sign::Log(LogSign { from, pattern, unless, .. }) = sign {
                signs.push(MatcherSign { code: &cause.code, sign_index, from, pattern, unless: unless.as_deref() });
            }
        }
    }
    signs
}

fn reach(causes: &[Cause], from: usize) -> BTreeSet<usize> {
    let index = |code: &String| causes.binary_search_by(|cause| cause.code.cmp(code)).ok();
    let mut reached = BTreeSet::new();
    let mut next: Vec<usize> = causes[from].explains.iter().filter_map(index).collect();
    while let Some(at) = next.pop() {
        if reached.insert(at) {
            next.extend(causes[at].explains.iter().filter_map(index));
        }
    }
    reached
}

fn refuse_unknown_causes(loaded: &mut Vec<Loaded>, errors: &mut Vec<LoadError>) {
    // One refused may be what another explains: until all that are left know each other.
    loop {
        let codes: BTreeSet<String> = loaded.iter().map(|loaded| loaded.cause.code.clone()).collect();
        let before = loaded.len();
        loaded.retain(|loaded| match loaded.cause.explains.iter().find(|code| !codes.contains(*code)) {
            None => true,
            Some(unknown) => {
                let problem = LoadProblem::UnknownCause(unknown.clone());
                errors.push(LoadError { file: loaded.file.clone(), line: loaded.explains_line, problem: problem.into() });
                false
            }
        });
        if loaded.len() == before {
            return;
        }
    }
}

fn refuse_cycles(loaded: &mut Vec<Loaded>, errors: &mut Vec<LoadError>) {
    let path = |from: &str| -> Option<Vec<String>> {
        let explains = |code: &str| loaded.iter().find(|loaded| loaded.cause.code == code).map_or(&[][..], |loaded| &loaded.cause.explains);
        let mut paths: Vec<Vec<String>> = explains(from).iter().map(|code| vec![from.to_owned(), code.clone()]).collect();
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop() {
            let last = path.last()?.clone();
            if last == from {
                return Some(path);
            }
            if seen.insert(last.clone()) {
                paths.extend(explains(&last).iter().map(|code| [path.clone(), vec![code.clone()]].concat()));
            }
        }
        None
    };
    let circular: Vec<_> = loaded.iter().filter_map(|loaded| Some((loaded.cause.code.clone(), path(&loaded.cause.code)?))).collect();
    for (code, path) in circular {
        let Some(index) = loaded.iter().position(|loaded| loaded.cause.code == code) else { continue };
        let gone = loaded.remove(index);
        errors.push(LoadError { file: gone.file, line: gone.explains_line, problem: LoadProblem::Cycle(path.join(" -> ")).into() });
    }
    if !errors.is_empty() {
        refuse_unknown_causes(loaded, errors);
    }
}

impl Cause {
    /// Facts that decide whether it is present.
    pub fn deciding_facts(&self) -> BTreeSet<&'static str> {
        let of_sign = |sign: &Sign| match sign {
            Sign::Log(sign) => sign.ends.iter().chain(sign.only_if.as_deref()).flat_map(|expr| expr.paths.iter().copied()).collect(),
            Sign::Fact(sign) => sign.expr.paths.clone(),
        };
        let signs = self.signs.iter().flat_map(of_sign);
        signs.chain(self.absent.iter().flat_map(|expr| expr.paths.iter().copied())).collect()
    }

    pub(crate) fn of_agent(&self) -> bool {
        self.found_by == FoundBy::Agent
    }
}

#[cfg(test)]
mod tests;
