//! Identities of incidents: `inc-7f3a-12`, the 12th of the store `7f3a`. Receivers go by them; of two collectors that tell one receiver, and of
//! one before and after it lost its database, no two incidents have the same.

/// Gives identities, each once.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    store: String,
    last: u64,
}

impl Ids {
    /// Of this store, after the one with this number. A store without a name gives identities as older versions did: `inc-12`.
    pub fn new(store: impl Into<String>, last: u64) -> Self {
        Self { store: store.into(), last }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> String {
        self.last += 1;
        let (store, last) = (&self.store, self.last);
        if store.is_empty() { format!("inc-{last}") } else { format!("inc-{store}-{last}") }
    }
}

/// The number in an identity, by which incidents are in the order in which they began. Older versions' have no store in them.
pub(crate) fn number(id: &str) -> Option<u64> {
    let id = id.strip_prefix("inc-")?;
    id.split_once('-').map_or(id, |(_, number)| number).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_count_on_and_their_numbers_are_read_with_a_store_and_as_they_were_before() {
        let mut ids = Ids::new("7f3a", 11);
        assert_eq!([ids.next(), ids.next()], ["inc-7f3a-12", "inc-7f3a-13"]);
        assert_eq!(Ids::new("", 0).next(), "inc-1");
        for (id, want) in
            [("inc-7f3a-12", Some(12)), ("inc-1234-5", Some(5)), ("inc-12", Some(12)), ("inc-x", None), ("inc-1-2-3", None), ("12", None)]
        {
            assert_eq!(number(id), want, "{id}");
        }
    }
}
