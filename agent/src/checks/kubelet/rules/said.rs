//! Values as the kubelet will have them: a flag before the files, each with where it was said.

use std::collections::BTreeMap;

use nodewhy_diagnosis::node::fields::{as_bool, go_nanoseconds};
use serde_json::Value;

use super::super::config::Config;
use super::super::flags::Flags;

/// What the kubelet would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// `file:line: field words`, or `flag --name words`.
    pub(crate) words: String,
    /// A flag says it, and not a file.
    pub(crate) of_flag: bool,
}

/// A value and where it was said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said<T> {
    pub(super) value: T,
    at: String,
    of_flag: bool,
}

impl<T> Said<T> {
    /// The kubelet refuses this value.
    pub(super) fn fault(&self, words: impl std::fmt::Display) -> Option<Fault> {
        Some(Fault { words: format!("{} {words}", self.at), of_flag: self.of_flag })
    }

    fn with<U>(&self, value: U) -> Said<U> {
        Said { value, at: self.at.clone(), of_flag: self.of_flag }
    }
}

/// A field and the flag that says the same.
pub(super) type Name<'a> = (&'a [&'a str], &'a str);

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a> {
    pub(crate) flags: &'a Flags,
    pub(crate) config: &'a Config,
    /// Minor version of Kubernetes 1 that the kubelet is of, or a later one; `None` if nobody knows.
    pub(crate) version: Option<u32>,
}

impl Settings<'_> {
    /// Words of a list, an enumeration or a name that a later Kubernetes may know more of than this does.
    pub(super) fn is_of_the_future(&self) -> bool {
        self.version.is_some_and(|minor| minor > 36)
    }

    fn of_file(&self, field: &[&str]) -> Option<Said<&Value>> {
        let (value, place) = self.config.get(field)?;
        Some(Said { value, at: format!("{place}: {}", field.join(".")), of_flag: false })
    }

    fn of_flag(&self, flag: &str) -> Option<Said<&String>> {
        let value = self.flags.get(flag)?;
        Some(Said { value, at: format!("flag --{flag}"), of_flag: true })
    }

    /// Whichever says it; a flag that cannot be read is another program's complaint and hides the file.
    fn say<T>(&self, (field, flag): Name<'_>, read: impl Fn(&str) -> Option<T>, take: impl Fn(&Value) -> Option<T>) -> Option<Said<T>> {
        if let Some(said) = self.of_flag(flag) {
            return Some(said.with(read(said.value)?));
        }
        let said = self.of_file(field)?;
        Some(said.with(take(said.value)?))
    }

    pub(super) fn int(&self, name: Name<'_>) -> Option<Said<i64>> {
        self.say(name, |text| text.parse().ok(), whole)
    }

    pub(super) fn float(&self, field: &[&str]) -> Option<Said<f64>> {
        let said = self.of_file(field)?;
        Some(said.with(said.value.as_f64()?))
    }

    pub(super) fn text(&self, name: Name<'_>) -> Option<Said<String>> {
        self.say(name, |text| Some(text.to_owned()), |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn flag(&self, name: Name<'_>) -> Option<Said<bool>> {
        self.say(name, |text| as_bool(&Value::from(text)), as_bool)
    }

    pub(super) fn nanoseconds(&self, name: Name<'_>) -> Option<Said<i128>> {
        self.say(name, go_nanoseconds, |value| go_nanoseconds(value.as_str()?))
    }

    /// A list of words; as a flag, parted by commas.
    pub(super) fn texts(&self, name: Name<'_>) -> Option<Said<Vec<String>>> {
        let parted = |text: &str| Some(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect());
        let listed =
            |value: &Value| value.as_array().map(|items| items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect());
        self.say(name, parted, listed)
    }

    /// A map of words, each entry with its own place; as a flag, `k=v,k=v` (or with another separator).
    pub(super) fn entries(&self, (field, flag): Name<'_>, separator: char) -> Vec<(String, Said<String>)> {
        if let Some(said) = self.of_flag(flag) {
            let pairs = said.value.split(',').filter_map(|pair| pair.split_once(separator));
            return pairs.map(|(key, value)| (key.trim().to_owned(), said.with(value.trim().to_owned()))).collect();
        }
        let Some(map) = self.of_file(field).and_then(|said| said.value.as_object()) else { return Vec::new() };
        let entry = |key: &String| {
            let path: Vec<&str> = field.iter().copied().chain([key.as_str()]).collect();
            let said = self.of_file(&path)?;
            Some((key.clone(), said.with(said.value.as_str()?.to_owned())))
        };
        map.keys().filter_map(entry).collect()
    }

    /// A list of objects, all in one place.
    pub(super) fn objects(&self, field: &[&str]) -> Option<Said<Vec<Value>>> {
        let said = self.of_file(field)?;
        Some(said.with(said.value.as_array()?.clone()))
    }

    /// Feature gates, of flag and files together, as the kubelet sets them one after the other.
    pub(super) fn gates(&self) -> BTreeMap<String, Said<bool>> {
        let mut gates = BTreeMap::new();
        let file = self.of_file(&["featureGates"]).and_then(|said| said.value.as_object());
        for name in file.into_iter().flat_map(|map| map.keys()) {
            let said = self.of_file(&["featureGates", name]);
            gates.extend(said.and_then(|said| Some((name.clone(), said.with(as_bool(said.value)?)))));
        }
        if let Some(said) = self.of_flag("feature-gates") {
            let pairs = said.value.split(',').filter_map(|pair| pair.split_once('='));
            let gate = |(name, value): (&str, &str)| Some((name.trim().to_owned(), said.with(as_bool(&Value::from(value.trim()))?)));
            gates.extend(pairs.filter_map(gate));
        }
        gates
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15).map(|number| number as i64))
}
