//! Puts the catalogue together, again and again: a file that turns bad keeps its last good version in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nodewhy_diagnosis::catalogue::Sign;
use nodewhy_diagnosis::{Catalogue, LoadError, Source};

use super::own::{self, Found, Stamp};
use super::{Loaded, Origin, Refused};
use crate::config::Config;
use crate::npd;

/// Where the last good versions are kept, in the state directory.
const KEPT: &str = "causes.json";

/// Where causes come from, and what was good last.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    npd: Vec<PathBuf>,
    keep: PathBuf,
    /// Texts in force, by the names of their files.
    good: BTreeMap<String, String>,
    /// The files as they were when they were last read.
    pub(super) read_at: Stamp,
}

/// One own file as it goes into the catalogue.
struct Candidate {
    name: String,
    path: String,
    text: String,
    /// Why it is not the file's present text.
    newer_refused: Option<String>,
}

impl Shelf {
    /// The shelf of this configuration, with what an earlier agent found good.
    pub fn open(config: &Config) -> Self {
        let keep = config.state_dir.join(KEPT);
        Self { directory: config.causes_dir.clone(), npd: config.npd_configs.clone(), good: own::kept(&keep), keep, read_at: Stamp::new() }
    }

    /// What tells one state of the files from another.
    pub(super) fn stamp(&self) -> Stamp {
        own::stamp(&self.directory, &npd::files(&self.npd))
    }

    /// Reads everything. An own file replaces the built-in one of its name, and the one with its code; a bad one is refused alone.
    pub fn load(&mut self) -> Loaded {
        // Before they are read: what changes meanwhile is read again.
        self.read_at = self.stamp();
        let (found, mut refused) = match own::files(&self.directory) {
            Ok(found) => (found, Vec::new()),
            // What cannot be read has not been removed.
            Err(why) => {
                (self.as_kept(), vec![Refused { kept: !self.good.is_empty(), ..Refused::whole(self.directory.display().to_string(), why) }])
            }
        };
        let mut names: BTreeSet<String> = found.iter().map(|file| file.name.clone()).collect();
        let monitors = self.monitors(&mut refused);
        names.extend(monitors.iter().map(|(path, _)| kept_as(path)));
        let (set, rules) = npd::set(&monitors);
        let mut candidates = self.candidates(found, &mut refused);
        let catalogue = loop {
            let (catalogue, errors) = load(&candidates, &rules);
            let (own, others): (Vec<_>, Vec<_>) = errors.into_iter().partition(|error| candidates.iter().any(|one| one.path == error.file));
            if own.is_empty() {
                refused.extend(others.iter().map(Refused::from));
                break catalogue;
            }
            for error in &own {
                refused.push(self.give_way(&mut candidates, error));
            }
        };
        self.good.retain(|name, _| names.contains(name));
        self.good.extend(candidates.iter().map(|one| (one.name.clone(), one.text.clone())));
        self.good.extend(monitors.into_iter().map(|(path, text)| (kept_as(&path), text)));
        Loaded { origins: origins(&candidates, &rules), catalogue: Arc::new(catalogue), refused, npd: Arc::new(set) }
    }

    /// node-problem-detector's monitors alone, without the catalogue, which takes longer.
    pub fn npd(&self) -> npd::Set {
        npd::set(&self.monitors(&mut Vec::new())).0
    }

    /// node-problem-detector's files that are good, or were.
    fn monitors(&self, refused: &mut Vec<Refused>) -> Vec<(String, String)> {
        let mut good = Vec::new();
        for path in npd::files(&self.npd) {
            let file = path.display().to_string();
            let read = own::read(&path).map_err(|why| (0, 0, why)).and_then(|text| npd::check(&text).map(|()| text));
            match read {
                Ok(text) => good.push((file, text)),
                Err((line, column, problem)) => {
                    let before = self.good.get(&kept_as(&file)).filter(|text| npd::check(text).is_ok());
                    refused.push(Refused { file: file.clone(), line, column, problem, kept: before.is_some() });
                    good.extend(before.map(|text| (file, text.clone())));
                }
            }
        }
        good
    }

    /// Leaves what is good to the next agent.
    pub fn keep(&self) {
        if let Err(error) = own::keep(&self.keep, &self.good) {
            tracing::warn!("{}: the good versions of own causes cannot be kept: {error}", self.keep.display());
        }
    }

    fn as_kept(&self) -> Vec<Found> {
        let path = |name: &String| self.directory.join(name).display().to_string();
        let own = self.good.iter().filter(|(name, _)| !name.contains('/'));
        own.map(|(name, text)| Found { name: name.clone(), path: path(name), text: Ok(text.clone()) }).collect()
    }

    fn candidates(&self, found: Vec<Found>, refused: &mut Vec<Refused>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for Found { name, path, text } in found {
            match text {
                Ok(text) => candidates.push(Candidate { name, path, text, newer_refused: None }),
                Err(why) => {
                    let good = self.good.get(&name);
                    refused.push(Refused { kept: good.is_some(), ..Refused::whole(&path, &why) });
                    candidates.extend(good.map(|text| Candidate { name, path, text: text.clone(), newer_refused: Some(why) }));
                }
            }
        }
        candidates
    }

    /// A bad candidate gives way to its last good version, or, where there is none, goes.
    fn give_way(&self, candidates: &mut Vec<Candidate>, error: &LoadError) -> Refused {
        let refused = Refused::from(error);
        let Some(index) = candidates.iter().position(|one| one.path == error.file) else { return refused };
        let one = &mut candidates[index];
        match self.good.get(&one.name) {
            Some(good) if one.newer_refused.is_none() && *good != one.text => {
                one.text.clone_from(good);
                one.newer_refused = Some(refused.to_string());
                Refused { kept: true, ..refused }
            }
            _ => {
                candidates.remove(index);
                refused
            }
        }
    }
}

/// The name under which one of node-problem-detector's files is kept among own files: theirs have no slash.
fn kept_as(path: &str) -> String {
    format!("npd:/{path}")
}

/// The built-in causes that no candidate replaces, node-problem-detector's, and the candidates.
fn load(candidates: &[Candidate], rules: &[npd::Rules]) -> (Catalogue, Vec<LoadError>) {
    let codes: BTreeSet<String> = candidates.iter().map(|one| Catalogue::code_of(&one.path, &one.text)).collect();
    let built_in = nodewhy_causes::files().iter().copied();
    let (replaced, built_in): (Vec<_>, Vec<_>) = built_in
        .partition(|(name, text)| codes.contains(&Catalogue::code_of(name, text)) || candidates.iter().any(|one| one.name == *name));
    let known = replaced.iter().map(|(name, text)| Catalogue::code_of(name, text)).collect();
    let own = candidates.iter().map(|one| (one.path.as_str(), one.text.as_str()));
    let rules = rules.iter().map(|rules| (rules.files.first().map_or("npd", String::as_str), rules.text.as_str()));
    // Own files last: of a circle through `explains`, the file that closes it goes.
    let (catalogue, mut errors) = Catalogue::load_knowing(built_in.into_iter().chain(rules).chain(own), known);
    errors.extend(candidates.iter().filter_map(|one| monitored(&catalogue, one)));
    (catalogue, errors)
}

/// Nobody would ever recognise it.
fn monitored(catalogue: &Catalogue, one: &Candidate) -> Option<LoadError> {
    let cause = catalogue.cause(&Catalogue::code_of(&one.path, &one.text))?;
    let is_monitored = |sign: &Sign| matches!(sign, Sign::Log(log) if log.from.contains(&Source::Monitor));
    let problem = "`monitor` cannot be listened to: name kubelet, runtime, kernel, systemd, control-plane, etcd or other".to_owned();
    let problem = nodewhy_diagnosis::catalogue::LoadProblem::Field { field: "from", problem };
    cause.signs.iter().any(is_monitored).then(|| LoadError { file: one.path.clone(), line: 0, column: 0, problem })
}

fn origins(candidates: &[Candidate], rules: &[npd::Rules]) -> BTreeMap<String, Origin> {
    let of_rules = |rules: &npd::Rules| (rules.code.clone(), Origin { file: rules.files.join(", "), ..Origin::default() });
    let origin = |one: &Candidate| {
        let code = Catalogue::code_of(&one.path, &one.text);
        let built_in = |(name, text): &(&str, &str)| *name == one.name || Catalogue::code_of(name, text) == code;
        let replaces_built_in = nodewhy_causes::files().iter().any(built_in);
        (code, Origin { file: one.path.clone(), replaces_built_in, newer_refused: one.newer_refused.clone() })
    };
    rules.iter().map(of_rules).chain(candidates.iter().map(origin)).collect()
}

/// Checks files beside the built-in causes that they do not replace; what is wrong with them, and the catalogue of the good ones.
pub fn lint(files: &[(String, String)]) -> (Loaded, Vec<Refused>) {
    let candidate = |(path, text): &(String, String)| {
        let name = own::name_of(Path::new(path));
        Candidate { name, path: path.clone(), text: text.clone(), newer_refused: None }
    };
    let mut candidates: Vec<Candidate> = files.iter().map(candidate).collect();
    let mut refused: Vec<Refused> = Vec::new();
    loop {
        let (catalogue, errors) = load(&candidates, &[]);
        let before = candidates.len();
        for error in &errors {
            let Some(index) = candidates.iter().position(|one| one.path == error.file) else { continue };
            let bad = candidates.remove(index);
            match Catalogue::problems(&bad.path, &bad.text).as_slice() {
                // It is bad only together with the others.
                [] => refused.push(Refused::from(error)),
                all => refused.extend(all.iter().map(Refused::from)),
            }
        }
        if candidates.len() == before {
            let (origins, catalogue) = (origins(&candidates, &[]), Arc::new(catalogue));
            return (Loaded { origins, catalogue, refused: Vec::new(), npd: Arc::default() }, refused);
        }
    }
}
