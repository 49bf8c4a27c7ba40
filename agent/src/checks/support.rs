//! What several checks share: looks that block, and the reasons for which a whole group of facts is missing.

use std::collections::BTreeMap;

use nodewhy_diagnosis::facts::{FactValue, Key, Record, schema};
use nodewhy_diagnosis::{Facts, Missing, MissingKind};

use super::{Look, Looking};
use crate::host::{Host, ReadError};

/// Runs a look that reads files on the blocking pool. If it panics, everything it reports is missing.
pub(crate) fn blocking(look: Look, reports: &'static [&'static str], work: fn(&Look, &mut Facts)) -> Looking {
    Box::pin(async move {
        let began_at = look.began_at;
        let looked = tokio::task::spawn_blocking(move || {
            let mut facts = Facts::new();
            work(&look, &mut facts);
            facts
        });
        match looked.await {
            Ok(facts) => facts,
            Err(panic) => all_missing(reports, began_at, &Missing::new(MissingKind::Failed, format!("the look itself broke: {panic}"))),
        }
    })
}

/// Facts in which everything under these prefixes is missing for one reason.
pub(crate) fn all_missing(reports: &[&str], began_at: jiff::Timestamp, why: &Missing) -> Facts {
    let mut facts = Facts::new();
    miss_all(&mut facts, reports, began_at, why);
    facts
}

/// Stores one reason for everything under these prefixes.
pub(crate) fn miss_all(facts: &mut Facts, prefixes: &[&str], began_at: jiff::Timestamp, why: &Missing) {
    for prefix in prefixes {
        facts.miss_under(prefix, began_at, why);
    }
}

/// The reason for which nothing about a kubelet can be looked at, if this host is no Kubernetes node.
pub(crate) fn no_kubelet(look: &Look) -> Option<Missing> {
    match look.known.known(schema::NODE_IS_KUBERNETES) {
        Some(false) => Some(not_applicable("no kubelet was found on this host")),
        _ => None,
    }
}

/// The kubelet's eviction thresholds; on a host without one its defaults, at which a machine is short for any purpose.
pub(crate) fn eviction_hard(look: &Look) -> Result<BTreeMap<String, String>, Missing> {
    if no_kubelet(look).is_some() {
        let defaults = super::kubelet::layout::Layout::Plain.defaults().eviction_hard;
        return Ok(defaults.iter().map(|(signal, value)| ((*signal).to_owned(), (*value).to_owned())).collect());
    }
    needs(look, schema::KUBELET_CONFIG_EVICTION_HARD)
}

/// There is nothing to look at.
pub(crate) fn not_applicable(why: impl Into<String>) -> Missing {
    Missing::new(MissingKind::NotApplicable, why)
}

/// The look failed.
pub(crate) fn failed(why: impl Into<String>) -> Missing {
    Missing::new(MissingKind::Failed, why)
}

/// A fact that this look builds on, or the reason for which what is built on it is missing too.
pub(crate) fn needs<T: FactValue>(look: &Look, key: Key<T>) -> Result<T, Missing> {
    let value = look.known.value(key.path())?;
    T::from_value(value).ok_or_else(|| failed(format!("{} has another type than the schema says", key.path())))
}

/// Writes a value or the reason for which it could not be read.
pub(crate) fn put<T: FactValue>(facts: &mut Facts, look: &Look, key: Key<T>, value: Result<T, ReadError>) {
    facts.put(key, look.began_at, value.map_err(Missing::from));
}

/// A file that has to hold something with a name: its path, whether it is valid, and the name or what is wrong with it, as `name_of` says of path
/// and text.
pub(crate) fn named_file(host: &Host, path: String, name_of: fn(&str, &str) -> Result<String, String>) -> Record {
    let judged = host.read_text(&path).map_err(|error| error.sentence()).and_then(|text| name_of(&path, &text));
    let record = Record::new().with("path", path).with("valid", judged.is_ok());
    match judged {
        Ok(name) => record.with("name", name),
        Err(error) => record.with("error", error),
    }
}
