use super::*;

fn now() -> Timestamp {
    "2026-11-26T03:00:01.5Z".parse().expect("a time")
}

#[test]
fn a_message_says_what_where_since_when_by_what_proof_and_what_to_do() {
    let texts = Templates::default().render(&example::node(now()));
    assert_eq!(texts.title, "worker-1: Swap is on and the kubelet refuses to run with it");
    assert_eq!(
        texts.text,
        "/dev/sda2 (partition, 2.0 GiB) in use; failSwapOn is true (default)\n\
         Where: worker-1 (zone=eu-1a)\n\
         Since: 2026-11-26 03:00:00 UTC\n\
         Proof: log:kubelet.service: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false (11 times)\n\
         Explains: kubelet-crash-looping, kubelet-down\n\
         Do first: Turn swap off now: swapoff -a\n\
         More: kubectl nodewhy why worker-1"
    );
}

#[test]
fn a_fleet_says_what_it_shares_and_who_stands_apart() {
    let text = Templates::default().render(&example::fleet(now())).text;
    assert!(text.contains("\nShared: apiServer https://10.0.0.1:6443, 498 of the 500 nodes that have it\n"), "{text}");
    assert!(text.contains("\nNodes with their own faults: worker-499: The disk is full (critical); 1 more\n"), "{text}");
    assert!(
        text.ends_with("\nMore: kubectl nodewhy incidents example-fleet\nhttps://nodewhy.example.org/incidents/example-fleet"),
        "{text}"
    );
}

#[test]
fn an_end_says_how_long_and_by_what() {
    let texts = Templates::default().render(&example::resolved(now()));
    assert!(texts.title.starts_with("Over: worker-1: "), "{}", texts.title);
    assert!(
        texts
            .text
            .starts_with("Over after 1h 3m 2s, at 2026-11-26 03:00:01 UTC.\nWhat ended it: absent: swap is off and the kubelet runs\n"),
        "{}",
        texts.text
    );
    assert!(!texts.text.contains("Do first"), "{}", texts.text);
}

#[test]
fn the_users_templates_are_taken_and_a_bad_one_is_told_with_its_line() {
    let own = Templates::new(Some("[{{ severity }}] {{ title }}"), Some("{{ cause.code }} on {{ node }} for {{ lasted }}")).expect("good");
    let texts = own.render(&example::node(now()));
    assert_eq!(texts.title, "[critical] worker-1: Swap is on and the kubelet refuses to run with it");
    assert_eq!((texts.text.as_str(), texts.own), ("swap-enabled on worker-1 for 1s", true));
    for (text, line, says) in [
        ("a\n{{ titel }}", 2, "undefined"),
        ("{% if x %}", 1, "end of input"),
        ("\n\n{{ title | nothing }}", 3, "nothing"),
        ("{% for x in range(9999) %}{% for y in range(9999) %}x{% endfor %}{% endfor %}", 1, "fuel"),
        ("{% for x in range(9999) %}0123456789{% endfor %}", 1, "longer than 65536"),
    ] {
        let error = Templates::new(None, Some(text)).expect_err(text);
        assert!(error.which == "text" && error.line == line && error.problem.contains(says), "{text}: {error:?}");
    }
}

#[test]
fn a_template_that_fails_at_a_message_is_not_the_end_of_it() {
    let own = Templates::new(None, Some("{{ nodes.labels.zone if nodes.labels else '' }}")).expect("good with the examples");
    let mut message = example::node(now());
    message.nodes.labels = [("rack".to_owned(), "r1".to_owned())].into();
    let texts = own.render(&message);
    assert!(!texts.own && texts.text.contains("Where: worker-1 (rack=r1)"), "{}", texts.text);
}

#[test]
fn foreign_text_is_no_template() {
    let mut message = example::node(now());
    message.cause.message = "{{ 7 * 7 }}{% raw %}".to_owned();
    assert!(Templates::default().render(&message).text.starts_with("{{ 7 * 7 }}{% raw %}\n"));
}
