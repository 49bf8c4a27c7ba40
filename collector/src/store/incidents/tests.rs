use jiff::SignedDuration;
use nodewhy_diagnosis::model::{PresentCause, Transition, TransitionKind};

use super::*;
use crate::correlate::Book;
use crate::fleet::{About, Fleet};
use crate::policy::Flap;
use crate::store::cases::Cases;
use crate::store::schema;

fn cause(case_id: &str, since: Timestamp) -> PresentCause {
    PresentCause { case_id: case_id.to_owned(), ..crate::silence::cause(&"a".into(), since, since) }
}

fn connection() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    schema::prepare(&connection).expect("made");
    connection
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

#[test]
fn a_node_whose_clock_is_of_1970_ends_a_case_when_the_collector_hears_of_it() {
    let connection = connection();
    let (of_node, now) = (at(60), at(1_800_000_000));
    for kind in [TransitionKind::Opened, TransitionKind::Closed] {
        let reason = "absent: it is mended".to_owned();
        let cause = cause("c/1", of_node);
        let change = Transition { kind, case_id: "c/1".into(), code: "c".into(), at: of_node, since: of_node, reason, cause };
        connection.transition("a", &change, now).expect("kept");
    }
    let later = now + SignedDuration::from_secs(1);
    let ending = ending(&connection, &("a".into(), "c/1".into()), later).expect("read");
    assert_eq!(ending, Ending { at: now, reason: "absent: it is mended".to_owned() });
}

#[test]
fn each_store_gives_identities_of_its_own_and_the_same_store_counts_on() {
    let (one, other) = (connection(), connection());
    let stores = [&one, &other].map(|connection| connection.query_row("SELECT id FROM store", [], |row| row.get(0)).expect("there"));
    let [of_one, of_other]: [String; 2] = stores;
    assert!(of_one.len() == 4 && of_one.bytes().all(|c| c.is_ascii_hexdigit()), "{of_one}");
    schema::prepare(&one).expect("nothing left to do");
    let ids = |connection| format!("{:?}", load(connection, at(0)).expect("read").1);
    assert!(ids(&one).contains(&of_one) && ids(&other).contains(&of_other), "{}", ids(&one));
}

/// Nodes with one cause in a fleet that has nothing in common.
struct World {
    fleet: Fleet,
    book: Book,
    connection: Connection,
    written: BTreeMap<CaseKey, Joined>,
}

impl World {
    fn set(&mut self, open: &[&str], now: Timestamp) {
        for name in ["a", "b", "c"] {
            let case = |name: &&str| OpenCase {
                case_id: format!("{name}/{now}").into(),
                severity: Severity::Critical,
                opened_at: now,
                cause: Arc::new(cause(&format!("{name}/{now}"), now)),
            };
            let cases = open.iter().filter(|open| **open == name).map(case).collect();
            self.fleet.set(name.into(), Node { about: About::default(), heartbeat: std::time::Duration::ZERO, cases });
        }
        let nodes = ["a", "b", "c"].map(Arc::from).into();
        self.book.correlate(&self.fleet, &nodes, &mut |_| Ending { at: now, reason: String::new() }, Flap::default(), now);
        for one in self.book.incidents().filter(|one| one.merged_into.is_none()) {
            save(&self.connection, one, "", false, &self.written, now).expect("saved");
            self.written = one.members.clone();
        }
    }
}

#[test]
fn after_a_restart_an_incident_that_is_back_is_on_the_nodes_it_is_back_on() {
    let mut world = World { fleet: Fleet::default(), book: Book::default(), connection: connection(), written: BTreeMap::new() };
    world.set(&["a", "b", "c"], at(1000));
    world.set(&["b"], at(1002));
    world.set(&[], at(1100));
    world.set(&["b", "c"], at(1200));
    world.set(&["b"], at(1210));
    let (kept, _) = load(&world.connection, at(0)).expect("read");
    let now: Vec<&Incident> = world.book.incidents().filter(|one| one.merged_into.is_none()).collect();
    let names = |one: &Incident| one.ever.iter().map(|node| node.to_string()).collect::<Vec<_>>();
    for one in &now {
        let kept = kept.iter().find(|kept| kept.id == one.id).expect("kept");
        assert_eq!((names(kept), kept), (names(one), *one));
    }
    assert!(now.iter().any(|one| names(one) == ["b", "c"]), "{now:?}");
}
