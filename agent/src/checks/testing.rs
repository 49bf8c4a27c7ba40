//! Nodes made of a directory, for tests of checks.
#![expect(clippy::disallowed_methods, reason = "makes the files that checks then read through the host")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodewhy_diagnosis::Facts;
use nodewhy_diagnosis::facts::{FactType, FactValue, Key, Value, schema};

use super::{Check, Look};
use crate::host::Host;

/// A node whose root is a temporary directory, and what is known of it.
pub(crate) struct Node {
    dir: tempfile::TempDir,
    real: bool,
    known: Facts,
    deadline: Option<Duration>,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), real: false, known: Facts::new(), deadline: None }
    }

    /// The machine the test runs on.
    pub(crate) fn this_machine() -> Self {
        Self { real: true, ..Self::new() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(path, text);
        self
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        let path = self.root().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    pub(crate) fn known<T: FactValue>(mut self, key: Key<T>, value: T) -> Self {
        self.known.set(key, Timestamp::UNIX_EPOCH, value);
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    pub(crate) fn host(&self) -> Host {
        Host::new(if self.real { Path::new("/") } else { self.root() })
    }

    pub(crate) fn look_for(&self, check: &Check) -> Look {
        Look {
            host: Arc::new(self.host()),
            known: Arc::new(self.known.clone()),
            began_at: Timestamp::now(),
            deadline: self.deadline.unwrap_or(check.deadline),
        }
    }

    /// One look, on a runtime of its own.
    pub(crate) fn look(&self, check: &Check) -> Facts {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.look_async(check))
    }

    pub(crate) async fn look_async(&self, check: &Check) -> Facts {
        let facts = (check.look)(self.look_for(check)).await;
        self.assert_reports_its_own(check, &facts);
        for entry in check.reports.iter().flat_map(|prefix| schema::under(prefix)).filter(|entry| !entry.derived) {
            assert!(
                facts.get(entry.path).is_some(),
                "{} is silent about {}: an old value would stand as if it were fresh",
                check.name,
                entry.path
            );
        }
        facts
    }

    /// Why a fact is missing, in its own words.
    pub(crate) fn why(&self, facts: &Facts, path: &str) -> String {
        facts.value(path).expect_err(path).why
    }

    /// A check writes all of what it says it reports and nothing else, and records only with the fields of the schema.
    pub(crate) fn assert_reports_its_own(&self, check: &Check, facts: &Facts) {
        for (path, fact) in facts.iter() {
            let own =
                check.reports.iter().any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
            assert!(own, "{} reports {path}, which is none of its own", check.name);
            if let (FactType::Records(fields), Ok(Value::List(items))) = (schema::entry(path).unwrap().kind, &fact.value) {
                for item in items {
                    let Value::Map(item) = item else { panic!("{path}: {item:?}") };
                    let unknown = item.keys().find(|name| !fields.iter().any(|(field, _)| field == name));
                    assert_eq!(unknown, None, "{path} has a field that the schema has not");
                }
            }
        }
    }
}
