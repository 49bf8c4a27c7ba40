//! Who of a mail's receivers has it. A server refuses a mail to several as a whole if it does not want one of them: then each gets one of his
//! own, so that somebody who has left keeps nobody else from being told, and nobody gets it twice while another's is still tried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Mails remembered that some of their receivers have.
const MOST: usize = 1000;

/// Addresses that have one mail.
pub(super) type Have = BTreeSet<String>;

/// By the message's key, while not all have it.
#[derive(Debug, Default)]
pub(super) struct Receivers(Mutex<BTreeMap<String, Have>>);

impl Receivers {
    /// Who has the mail of this message by now.
    pub(super) fn take(&self, key: &str) -> Have {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default()
    }

    /// It will be tried again for the others.
    pub(super) fn keep(&self, key: String, have: Have) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.pop_first();
        }
        all.insert(key, have);
    }
}
