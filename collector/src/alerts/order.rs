//! What is told first when not all can be told at once: a hook takes so many messages a minute.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::correlate::{Book, number};

/// The worst first; then what is of many nodes; then what is there before what is over; then the oldest. What is told with a greater
/// incident comes after all that is told by itself.
pub(super) fn most_urgent_first(book: &Book, ids: &BTreeSet<String>) -> Vec<String> {
    let mut order: Vec<String> = ids.iter().cloned().collect();
    order.sort_by_cached_key(|id| {
        book.get(id).map(|one| (one.held_by.is_some(), Reverse(one.worst), !one.is_group(), !one.is_open(), number(id)))
    });
    order
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};
    use nodewhy_diagnosis::model::Severity;

    use super::*;
    use crate::correlate::{Ending, Ids};
    use crate::fleet::{Fleet, Node, OpenCase};
    use crate::policy::Flap;

    /// Each of these nodes has these cases now: code, and how bad it is.
    fn step(book: &mut Book, fleet: &mut Fleet, nodes: &[(&str, &str, Severity)], now: Timestamp) {
        for (name, code, severity) in nodes {
            let mut cause = crate::silence::cause(&(*name).into(), now, now);
            (cause.code, cause.severity, cause.case_id) = ((*code).to_owned(), *severity, format!("{name}/{code}"));
            cause.layer = nodewhy_diagnosis::model::Layer::Kubelet;
            let case = OpenCase { case_id: cause.case_id.as_str().into(), severity: *severity, opened_at: now, cause: Arc::new(cause) };
            let cases = if code.is_empty() { Vec::new() } else { vec![case] };
            fleet.set((*name).into(), Node { cases, ..Node::default() });
        }
        let names = nodes.iter().map(|(name, ..)| Arc::from(*name)).collect();
        book.correlate(fleet, &names, &mut |_| Ending { at: now, reason: String::new() }, Flap::default(), now);
    }

    #[test]
    fn the_worst_is_told_first_then_what_is_of_many_then_what_is_there_then_the_oldest() {
        let (mut book, mut fleet) = (Book::new(Vec::new(), Ids::new("7f3a", 996)), Fleet::default());
        let now = Timestamp::from_second(1000).expect("a time");
        step(&mut book, &mut fleet, &[("over", "x", Severity::Critical)], now);
        step(&mut book, &mut fleet, &[("over", "", Severity::Critical)], now);
        step(&mut book, &mut fleet, &[("warns", "w", Severity::Warning)], now);
        step(&mut book, &mut fleet, &[("old", "o", Severity::Critical)], now);
        step(&mut book, &mut fleet, &[("new", "n", Severity::Critical)], now);
        // Later than what would be told with it.
        let later = now + SignedDuration::from_mins(5);
        step(&mut book, &mut fleet, &["a", "b", "c"].map(|name| (name, "many", Severity::Critical)), later);
        let ids = book.incidents().filter(|one| one.merged_into.is_none()).map(|one| one.id.clone()).collect();
        let order = most_urgent_first(&book, &ids);
        let order: Vec<&str> = order.iter().filter_map(|id| book.get(id)).map(|one| &*one.first.1.code).collect();
        assert_eq!(order, ["many", "o", "n", "x", "w"]);
    }
}
