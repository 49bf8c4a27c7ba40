use super::*;

const NEVER: &str = "repeat: 0s";

fn route(rest: &str) -> String {
    format!("routes: [{{hooks: [a], {rest}}}]\n")
}

#[test]
fn everything_critical_goes_to_all_hooks_where_nothing_is_said() {
    let mut world = World::new("");
    assert_eq!(world.tell(&Incident::critical(&["n"]), 0), ["a opened", "b opened"]);
    assert_eq!(world.wake, Some(4 * HOUR), "to repeat it");
    assert_eq!(World::new("").tell(&Incident::on(&["n"], Severity::Warning), 0), [""; 0]);
}

#[test]
fn nothing_is_said_twice() {
    let (mut world, mut incident) = (World::new(""), Incident::critical(&["n"]));
    world.tell(&incident, 0);
    assert!(world.tell(&incident, 0).is_empty() && world.tell(&incident, 1).is_empty());
    incident.closed = Some(2);
    assert_eq!(world.tell(&incident, 2), ["a resolved", "b resolved"]);
    assert!(world.tell(&incident, 3).is_empty());
    assert_eq!(world.wake, None);
}

#[test]
fn it_is_told_once_it_has_been_open_for_long_enough() {
    let (mut world, incident) = (World::new(&route(&format!("for: 5m, {NEVER}"))), Incident::critical(&["n"]));
    assert_eq!(world.until(&incident, 0, HOUR), ["300000 a opened"]);
}

#[test]
fn what_was_over_before_it_was_told_is_not_told_at_all() {
    let (mut world, mut incident) = (World::new(&route("for: 5m")), Incident::critical(&["n"]));
    world.tell(&incident, 0);
    incident.closed = Some(MINUTE);
    assert!(world.until(&incident, MINUTE, HOUR).is_empty());
}

#[test]
fn nothing_is_said_before_it_is_known_whether_it_is_part_of_something_greater() {
    let (mut world, mut incident) = (World::new(&route(NEVER)), Incident::critical(&["n"]));
    incident.wait = Some(300);
    assert!(world.tell(&incident, 0).is_empty());
    assert_eq!(world.wake, Some(300));
    assert_eq!(world.tell(&incident, 300), ["a opened"]);
    // It was alone, was told, and then is part of something greater.
    incident.merged = true;
    assert_eq!(world.tell(&incident, 400), ["a resolved"]);
    assert!(world.tell(&incident, 500).is_empty());
    let mut never_told = World::new(&route(NEVER));
    assert!(never_told.tell(&incident, 400).is_empty());
}

#[test]
fn that_it_became_worse_is_told_at_once_and_that_it_became_better_is_not() {
    let (mut world, mut incident) = (World::new(&route(NEVER)), Incident::on(&["n"], Severity::Warning));
    assert_eq!(world.tell(&incident, 0), ["a opened"]);
    incident.nodes[0].1 = Severity::Critical;
    assert_eq!(world.tell(&incident, 1), ["a updated"]);
    incident.nodes[0].1 = Severity::Warning;
    assert!(world.tell(&incident, 2).is_empty());
    incident.nodes[0].1 = Severity::Critical;
    assert!(world.tell(&incident, 3).is_empty(), "that was said already");
}

#[test]
fn who_is_told_of_the_worse_alone_hears_of_it_as_opened() {
    let rest = "routes: [{hooks: [a], match: {severity: [critical]}, continue: true}, {hooks: [b]}]\n";
    let (mut world, mut incident) = (World::new(rest), Incident::on(&["n"], Severity::Warning));
    assert_eq!(world.tell(&incident, 0), ["b opened"]);
    incident.nodes[0].1 = Severity::Critical;
    assert_eq!(world.tell(&incident, 1), ["a opened", "b updated"]);
    incident.nodes[0].1 = Severity::Warning;
    incident.closed = Some(2);
    assert_eq!(world.tell(&incident, 2), ["a resolved", "b resolved"], "also whom no route names any more");
}

#[test]
fn what_is_shared_is_told_ten_seconds_after_the_last_message() {
    let (mut world, mut incident) = (World::new(&route(NEVER)), Incident::critical(&["n", "m"]));
    world.tell(&incident, 0);
    incident.explained = true;
    assert_eq!(world.until(&incident, SECOND, HOUR), ["10000 a updated"]);
}

#[test]
fn that_it_grew_is_told_when_it_doubled_and_not_too_often() {
    let (mut world, mut incident) = (World::new(&route(&format!("update: 5m, {NEVER}"))), Incident::critical(&[]));
    incident.many(10);
    world.tell(&incident, 0);
    incident.many(19);
    assert!(world.until(&incident, SECOND, HOUR).is_empty());
    incident.many(20);
    assert_eq!(world.until(&incident, HOUR, 2 * HOUR), ["3600000 a updated"]);
    incident.many(500);
    assert_eq!(world.until(&incident, HOUR + SECOND, 2 * HOUR), ["3900000 a updated"]);
}

#[test]
fn it_is_repeated_while_it_lasts_counted_from_the_last_message() {
    let (mut world, mut incident) = (World::new(&route("repeat: 1h")), Incident::on(&["n"], Severity::Warning));
    assert_eq!(world.until(&incident, 0, 2 * HOUR), ["0 a opened", "3600000 a repeated", "7200000 a repeated"]);
    incident.nodes[0].1 = Severity::Critical;
    let later = 2 * HOUR + MINUTE;
    assert_eq!(world.until(&incident, later, 3 * HOUR + MINUTE), ["7260000 a updated", "10860000 a repeated"]);
}

#[test]
fn the_end_is_told_after_a_while_if_somebody_wants_that_and_of_several_nodes_always() {
    for (rest, names, told_at) in [
        ("resolveAfter: 0s", &["n"][..], 100),
        ("resolveAfter: 5m", &["n"], 100 + 5 * MINUTE),
        ("resolveAfter: 0s", &["n", "m"], 100 + MINUTE),
        ("resolveAfter: 5m", &["n", "m"], 100 + 5 * MINUTE),
    ] {
        let (mut world, mut incident) = (World::new(&route(rest)), Incident::critical(names));
        world.tell(&incident, 0);
        incident.closed = Some(100);
        assert_eq!(world.until(&incident, 100, HOUR), [format!("{told_at} a resolved")], "{rest} {names:?}");
    }
}

#[test]
fn what_is_back_before_its_end_was_told_goes_on_in_silence() {
    let (mut world, mut incident) = (World::new(&route(NEVER)), Incident::critical(&["n", "m"]));
    world.tell(&incident, 0);
    incident.closed = Some(SECOND);
    world.tell(&incident, SECOND);
    incident.closed = None;
    assert!(world.until(&incident, 2 * SECOND, HOUR).is_empty());
}

#[test]
fn what_comes_again_after_its_end_was_told_is_opened_again() {
    let (mut world, mut incident) = (World::new(&route(&format!("for: 10s, {NEVER}"))), Incident::critical(&["n"]));
    world.until(&incident, 0, MINUTE);
    incident.closed = Some(MINUTE);
    world.tell(&incident, MINUTE);
    (incident.closed, incident.opened, incident.flapping) = (None, 2 * MINUTE, true);
    assert_eq!(world.until(&incident, 2 * MINUTE, HOUR), ["130000 a opened"]);
    incident.closed = Some(HOUR);
    assert_eq!(world.tell(&incident, HOUR), ["a resolved"], "its quiet was waited for already");
    let numbers: Vec<u32> = world.told.values().map(|told| told.number).collect();
    assert_eq!(numbers, [4]);
}

#[test]
fn fifty_nodes_that_come_and_go_are_one_message() {
    let mut incident = Incident::critical(&[]);
    incident.many(50);
    incident.flapping = true;
    let mut world = World::new(&route(NEVER));
    world.tell(&incident, 0);
    for second in 1..600 {
        // Each second other nodes have it: between 25 and 50.
        let up = |n: usize| n < 10 || !(n * 7 + second).is_multiple_of(3);
        incident.nodes = (0..50).filter(|n| up(*n)).map(|n| (format!("n{n}"), Severity::Critical)).collect();
        world.tell(&incident, second as i64 * SECOND);
    }
    incident.closed = Some(700 * SECOND);
    world.tell(&incident, 1000 * SECOND);
    assert_eq!(world.said, ["0 a opened", "1000000 a resolved"]);
}

#[test]
fn a_silence_keeps_back_what_it_is_about_until_it_ends() {
    let (mut world, incident) = (World::new(&route(NEVER)).with(silence(&["node=n"], 0, MINUTE)), Incident::critical(&["n"]));
    assert_eq!(world.until(&incident, 0, HOUR), ["60000 a opened"]);
    let (mut world, mut incident) = (World::new(&route(NEVER)).with(silence(&["node=n"], 0, MINUTE)), Incident::critical(&["n"]));
    world.tell(&incident, 0);
    incident.closed = Some(SECOND);
    assert!(world.until(&incident, SECOND, HOUR).is_empty(), "over before anybody heard of it");
}

#[test]
fn each_node_of_an_incident_is_silenced_by_itself() {
    let (mut world, mut incident) = (World::new("").with(silence(&["node=n*"], 0, HOUR)), Incident::critical(&["n1", "n2", "m"]));
    incident.nodes[2].1 = Severity::Warning;
    assert!(world.tell(&incident, 0).is_empty(), "what is left is a warning");
    incident.nodes[2].1 = Severity::Critical;
    assert_eq!(world.tell(&incident, 1), ["a opened", "b opened"]);
    assert_eq!(world.told["a"].nodes, 1);
    assert_eq!(world.wake, Some(HOUR));
    assert_eq!(world.tell(&incident, HOUR), ["a updated", "b updated"], "three times as many");
}

#[test]
fn the_end_of_what_was_told_is_told_through_every_silence() {
    let (mut world, mut incident) = (World::new(&route("repeat: 1h")), Incident::critical(&["n"]));
    world.tell(&incident, 0);
    world.silences = silence(&["node=n"], 0, 24 * HOUR);
    assert!(world.until(&incident, 1, 23 * HOUR).is_empty(), "no repeating");
    incident.closed = Some(23 * HOUR);
    assert_eq!(world.tell(&incident, 23 * HOUR), ["a resolved"]);
}

#[test]
fn a_pager_that_was_told_hears_once_that_somebody_has_it_in_hand() {
    let hooks = "hooks: [{name: a, webhook: {url: 'https://h/a'}}, {name: p, pagerduty: {routingKeyFile: /k}}]\nroutes: [{hooks: [a, p], repeat: 24h}]\n";
    let policy = Policy::parse(Path::new("p"), hooks).expect("a policy");
    let (mut world, mut incident) = (World { policy, ..World::new("") }, Incident::critical(&["n", "m"]));
    world.tell(&incident, 0);
    world.silences = silence(&["node=n"], SECOND, 2 * HOUR);
    assert!(world.tell(&incident, SECOND).is_empty(), "the other node is told of as before");
    world.silences = silence(&["node=*"], 2 * SECOND, 2 * HOUR);
    assert_eq!(world.until(&incident, 2 * SECOND, 2 * HOUR - 1), ["2000 p acknowledged"]);
    assert_eq!(
        world.tell(&incident, 2 * HOUR),
        ["a updated", "p replaced", "p opened"],
        "the silence is over and it is not: somebody is called"
    );
    assert_eq!(world.told["p"].number, 4);
    incident.closed = Some(2 * HOUR + SECOND);
    assert_eq!(world.until(&incident, 2 * HOUR + SECOND, 3 * HOUR).len(), 2);
}

#[test]
fn what_is_told_with_a_greater_incident_is_told_by_itself_to_who_does_not_hear_of_that() {
    let (mut world, mut incident) = (World::new(&format!("routes: [{{hooks: [a, b], {NEVER}}}]\n")), Incident::critical(&["n"]));
    incident.heard_by = vec!["a"];
    assert_eq!(world.tell(&incident, 0), ["b opened"]);
    incident.heard_by.clear();
    assert_eq!(world.tell(&incident, SECOND), ["a opened"], "the greater one is over");
    incident.heard_by = vec!["a", "b"];
    incident.closed = Some(2 * SECOND);
    assert_eq!(world.tell(&incident, 2 * SECOND), ["a resolved", "b resolved"]);
}

#[test]
fn who_hears_of_a_greater_incident_hears_of_further_nodes_with_faults_of_their_own() {
    let (mut world, mut incident) = (World::new(&route(&format!("update: 5m, {NEVER}"))), Incident::critical(&["n", "m", "o"]));
    incident.apart = vec!["inc-2"];
    assert_eq!(world.tell(&incident, 0), ["a opened"]);
    incident.apart = vec!["inc-3"];
    assert_eq!(world.until(&incident, SECOND, HOUR), ["300000 a updated"], "as many as before, and another");
    incident.apart.clear();
    assert!(world.until(&incident, HOUR, 2 * HOUR).is_empty());
}

#[test]
fn a_node_that_joins_what_is_silenced_as_a_whole_is_told() {
    let (mut world, mut incident) = (World::new(&route(NEVER)), Incident::critical(&["edge-1", "edge-2", "edge-3"]));
    world.tell(&incident, 0);
    world.silences = silence(&["node=edge-*"], SECOND, HOUR);
    assert!(world.tell(&incident, SECOND).is_empty());
    incident.nodes.push(("core-1".to_owned(), Severity::Critical));
    assert_eq!(world.tell(&incident, 2 * SECOND), ["a updated"]);
    assert_eq!(world.until(&incident, 3 * SECOND, 2 * HOUR), ["3600000 a updated"], "four times as many, when the silence is over");
}

#[test]
fn a_pager_is_called_anew_when_it_became_worse() {
    let hooks = "hooks: [{name: p, opsgenie: {apiKeyFile: /k}}]\nroutes: [{hooks: [p], repeat: 0s}]\n";
    let policy = Policy::parse(Path::new("p"), hooks).expect("a policy");
    let (mut world, mut incident) = (World { policy, ..World::new("") }, Incident::on(&["n"], Severity::Warning));
    assert_eq!(world.tell(&incident, 0), ["p opened"]);
    incident.nodes[0].1 = Severity::Critical;
    assert_eq!(world.tell(&incident, SECOND), ["p replaced", "p opened"]);
    assert!(world.until(&incident, 2 * SECOND, HOUR).is_empty());
}

#[test]
fn what_was_silenced_before_it_was_told_is_not_acknowledged() {
    let policy = Policy::parse(Path::new("p"), "hooks: [{name: p, pagerduty: {routingKeyFile: /k}}]").expect("a policy");
    let mut world = World { policy, ..World::new("") }.with(silence(&["node=n"], 0, HOUR));
    assert!(world.until(&Incident::critical(&["n"]), 0, HOUR - 1).is_empty());
}

#[test]
fn nodes_in_maintenance_are_as_the_user_says_they_are() {
    let window = format!("maintenance: [{{match: {{node: ['edge-*']}}, from: {}, until: {}}}]\n", at(0), at(HOUR));
    let rest = format!("{}{window}", route(NEVER));
    let (mut world, incident) = (World::new(&rest), Incident::critical(&["edge-1"]));
    assert_eq!(world.until(&incident, SECOND, 2 * HOUR), ["3600000 a opened"]);
    assert_eq!(World::new(&rest).tell(&Incident::critical(&["edge-1", "core-1"]), SECOND), ["a opened"]);
}

#[test]
fn a_silence_that_begins_may_leave_an_incident_to_another_route() {
    let rest = format!("routes: [{{hooks: [a], match: {{node: [n]}}, {NEVER}}}, {{hooks: [b], {NEVER}}}]\n");
    let (mut world, incident) = (World::new(&rest).with(silence(&["node=n"], MINUTE, HOUR)), Incident::critical(&["n", "m"]));
    assert_eq!(world.until(&incident, 0, 2 * HOUR), ["0 a opened", "60000 b opened"]);
}

#[test]
fn what_is_over_the_cap_waits_and_is_told_as_it_then_stands() {
    let mut world = World::new(&format!("{}rateCap: {{messages: 1, within: 1m}}\n", route(NEVER)));
    let (first, mut second, mut third) = (Incident::critical(&["n"]), Incident::critical(&["m"]), Incident::on(&["o"], Severity::Warning));
    world.tell(&first, 0);
    let told = std::mem::take(&mut world.told);
    assert!(world.tell(&second, SECOND).is_empty());
    assert_eq!(world.wake, Some(MINUTE));
    second.closed = Some(2 * SECOND);
    assert!(world.tell(&second, MINUTE).is_empty(), "over by then: never told");
    assert!(world.tell(&third, 3 * SECOND).is_empty());
    third.nodes[0].1 = Severity::Critical;
    assert_eq!(world.tell(&third, MINUTE), ["a opened"], "and not as a warning first");
    let over = Incident { closed: Some(61 * SECOND), ..first };
    world.told = told;
    assert_eq!(world.until(&over, 61 * SECOND, HOUR), ["120000 a resolved"], "waits, and is not dropped");
}

#[test]
fn of_several_routes_to_a_hook_the_first_says_how_it_is_told() {
    let rest = format!("routes: [{{hooks: [a], for: 1m, match: {{node: [n]}}, continue: true, {NEVER}}}, {{hooks: [a, b], {NEVER}}}]\n");
    let (mut world, incident) = (World::new(&rest), Incident::critical(&["n"]));
    assert_eq!(world.until(&incident, 0, HOUR), ["0 b opened", "60000 a opened"]);
}

#[test]
fn a_hook_that_is_no_more_is_told_nothing_and_blocks_nothing() {
    let (mut world, mut incident) = (World::new(""), Incident::critical(&["n"]));
    world.tell(&incident, 0);
    world.policy.hooks.retain(|hook| hook.name == "a");
    incident.closed = Some(1);
    assert_eq!(world.tell(&incident, 1), ["a resolved"]);
    assert_eq!(world.wake, None);
}

#[test]
fn a_clock_that_is_set_back_delays_no_page() {
    let (mut world, mut incident) = (World::new(&route(NEVER)), Incident::critical(&["n"]));
    incident.opened = HOUR;
    assert_eq!(world.tell(&incident, 0), ["a opened"]);
    incident.closed = Some(2 * HOUR);
    assert_eq!(world.tell(&incident, 1), ["a resolved"]);
}
