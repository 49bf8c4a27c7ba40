use std::sync::atomic::{AtomicUsize, Ordering};

use nodewhy_diagnosis::facts::schema::{NODE_HOSTNAME, NODE_KERNEL, NODE_NAME};

use super::*;

const fn check(name: &'static str, stage: Stage, reports: &'static [&'static str], look: fn(Look) -> crate::checks::Looking) -> Check {
    Check { name, about: "", stage, period: Duration::from_secs(10), deadline: Duration::from_secs(1), reports, look }
}

fn named(look: Look) -> crate::checks::Looking {
    Box::pin(async move {
        let mut facts = Facts::new();
        facts.set(NODE_NAME, look.began_at, "n".to_owned());
        facts
    })
}

fn hostname_from_known(look: Look) -> crate::checks::Looking {
    Box::pin(async move {
        let mut facts = Facts::new();
        facts.set(NODE_HOSTNAME, look.began_at, look.known.known(NODE_NAME).unwrap_or_default() + "-host");
        facts
    })
}

fn never(_: Look) -> crate::checks::Looking {
    Box::pin(std::future::pending())
}

fn panics(_: Look) -> crate::checks::Looking {
    Box::pin(async { panic!("on purpose") })
}

static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
static MOST_AT_ONCE: AtomicUsize = AtomicUsize::new(0);

fn slow(look: Look) -> crate::checks::Looking {
    Box::pin(async move {
        MOST_AT_ONCE.fetch_max(AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        AT_ONCE.fetch_sub(1, Ordering::SeqCst);
        named(look).await
    })
}

const NAMED: Check = check("named", Stage::Discover, &["node.name"], named);
const LATER: Check = check("later", Stage::Configuration, &["node.hostname"], hostname_from_known);
const NEVER: Check = check("never", Stage::Look, &["node.kernel"], never);

struct Running {
    looked: mpsc::Receiver<Looked>,
    orders: mpsc::Sender<Order>,
}

fn start(checks: &[Check]) -> Running {
    let (out, looked) = mpsc::channel(16);
    let (orders, received) = mpsc::channel(16);
    let mut scheduler = Scheduler::new(Arc::new(Host::new("/")), checks.to_vec(), Facts::new(), received, out);
    tokio::spawn(async move { scheduler.run().await });
    Running { looked, orders }
}

impl Running {
    async fn next(&mut self) -> (&'static str, Facts, Instant) {
        let looked = self.looked.recv().await.expect("the scheduler runs");
        (looked.check, looked.facts, Instant::now())
    }
}

#[tokio::test(start_paused = true)]
async fn later_stages_are_given_what_earlier_ones_found() {
    let mut running = start(&[LATER, NAMED]);
    assert_eq!(running.next().await.0, "named");
    let (check, facts, _) = running.next().await;
    assert_eq!((check, facts.known(NODE_HOSTNAME)), ("later", Some("n-host".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_check_looks_once_in_its_period() {
    let mut running = start(&[NAMED]);
    let (.., first) = running.next().await;
    let (.., second) = running.next().await;
    let between = second - first;
    assert_eq!(between, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn checks_of_different_periods_look_at_the_same_moments() {
    let often = Check { period: Duration::from_secs(5), ..check("often", Stage::Configuration, &["node.hostname"], hostname_from_known) };
    let slow = Check { deadline: Duration::from_secs(9), ..check("slow", Stage::Discover, &["node.name"], slow_once) };
    let mut running = start(&[often, slow]);
    let mut at = BTreeMap::<_, Vec<_>>::new();
    for _ in 0..8 {
        let (check, _, now) = running.next().await;
        at.entry(check).or_default().push(now);
    }
    let second = at["slow"][1] - SLOW;
    assert!(at["often"].contains(&second), "{:?} after the start", at["often"].iter().map(|often| second - *often).collect::<Vec<_>>());
}

const SLOW: Duration = Duration::from_millis(300);

/// Comes back a moment after it began, so that others begin later.
fn slow_once(look: Look) -> crate::checks::Looking {
    Box::pin(async move {
        tokio::time::sleep(SLOW).await;
        named(look).await
    })
}

#[tokio::test(start_paused = true)]
async fn a_hung_check_is_told_at_its_deadline_once_and_delays_no_other() {
    let begin = Instant::now();
    let mut running = start(&[NEVER, NAMED]);
    assert_eq!(running.next().await.0, "named");
    let (check, facts, at) = running.next().await;
    assert_eq!((check, at - begin), ("never", Duration::from_secs(1)));
    let why = facts.value(NODE_KERNEL.path()).expect_err("missing");
    assert_eq!(why.kind, MissingKind::Hung);
    assert!(why.why.contains("`never`"), "{}", why.why);
    for _ in 0..5 {
        assert_eq!(running.next().await.0, "named", "the hung one is not told again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_past_its_deadline_is_never_doubled_and_its_late_answer_is_not_told() {
    let mut running = start(&[Check {
        deadline: Duration::from_secs(1),
        period: Duration::from_millis(100),
        ..check("slow", Stage::Look, &["node.name"], slow)
    }]);
    for _ in 0..4 {
        let (_, facts, _) = running.next().await;
        assert_eq!(facts.value("node.name").expect_err("late").kind, MissingKind::Hung);
    }
    assert_eq!(MOST_AT_ONCE.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_breaks_is_told_as_failed() {
    let mut running = start(&[check("panics", Stage::Look, &["node.name"], panics)]);
    let (_, facts, _) = running.next().await;
    let why = facts.value("node.name").expect_err("missing");
    assert_eq!(why.kind, MissingKind::Failed);
    assert!(why.why.contains("on purpose") && why.hint.is_some(), "{why:?}");
}

#[tokio::test(start_paused = true)]
async fn hurry_shortens_the_period_until_it_is_taken_back() {
    let mut running = start(&[NAMED]);
    running.next().await;
    running.orders.send(Order::Hurry(["named"].into())).await.expect("it listens");
    let begin = Instant::now();
    for _ in 0..3 {
        running.next().await;
    }
    assert!(begin.elapsed() <= Duration::from_secs(6), "{:?}", begin.elapsed());
    running.orders.send(Order::Hurry(BTreeSet::new())).await.expect("it listens");
    running.next().await;
    let begin = Instant::now();
    running.next().await;
    assert!(begin.elapsed() >= Duration::from_secs(9), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn look_now_does_not_wait_for_the_period() {
    let mut running = start(&[NAMED]);
    running.next().await;
    let begin = Instant::now();
    running.orders.send(Order::LookNow(vec!["named"])).await.expect("it listens");
    running.next().await;
    assert!(begin.elapsed() < Duration::from_millis(10), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_look_at_everything_comes_back_in_time_with_reasons_for_what_hung() {
    let begin = Instant::now();
    let checks = vec![NEVER, LATER, NAMED];
    let facts = look_once(Arc::new(Host::new("/")), checks, Facts::new(), begin + Duration::from_millis(900)).await;
    assert_eq!(begin.elapsed(), Duration::from_millis(900));
    assert_eq!(facts.known(NODE_HOSTNAME).as_deref(), Some("n-host"));
    assert_eq!(facts.value("node.kernel").expect_err("hung").kind, MissingKind::Hung);
}

#[test]
fn a_disabled_check_is_left_out_and_says_so() {
    let config = [("named".to_owned(), CheckConfig { enabled: Some(false), ..CheckConfig::default() })].into();
    let (checks, facts) = configured(&[NAMED, LATER], &config, Timestamp::UNIX_EPOCH);
    assert_eq!(checks.iter().map(|check| check.name).collect::<Vec<_>>(), ["later"]);
    let why = facts.value("node.name").expect_err("left out");
    assert_eq!(why.kind, MissingKind::Failed, "nobody looked: that is unknown and not healthy");
}
