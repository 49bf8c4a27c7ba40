use super::*;

fn record(source: Source, message: &str) -> LogRecord<'_> {
    LogRecord { at: None, source, unit: "kubelet.service", priority: None, klog: None, message, cursor: "" }
}

fn sign<'a>(code: &'a str, from: &'a [Source], pattern: &'a str, unless: Option<&'a str>) -> MatcherSign<'a> {
    MatcherSign { code, sign_index: 0, from, named: false, pattern, unless }
}

fn codes(matcher: &Matcher, source: Source, message: &str) -> Vec<String> {
    matcher.recognise(&record(source, message), Timestamp::UNIX_EPOCH).into_iter().map(|sighting| sighting.code).collect()
}

const KUBELET: &[Source] = &[Source::Kubelet];

#[test]
fn a_record_is_recognised_by_every_sign_it_matches_once() {
    let matcher = Matcher::build([
        sign("swap", KUBELET, "running with swap on", None),
        sign("kubelet", KUBELET, r"failed to run (?P<what>\w+)", None),
        sign("other", KUBELET, "nothing of the kind", None),
    ])
    .expect("good patterns");
    let line = "failed to run Kubelet: running with swap on, failed to run Kubelet: running with swap on";
    assert_eq!(codes(&matcher, Source::Kubelet, line), ["swap", "kubelet"]);
    let sightings = matcher.recognise(&record(Source::Kubelet, line), Timestamp::UNIX_EPOCH);
    assert_eq!(sightings[1].captures["what"], "Kubelet");
    assert_eq!(sightings[1].text, line);
}

#[test]
fn only_sources_named_are_listened_to_and_an_unknown_speaker_is_heard_by_all() {
    let matcher =
        Matcher::build([sign("swap", KUBELET, "swap on", None), sign("oom", &[Source::Kernel], "Out of memory", None)]).expect("good");
    assert!(codes(&matcher, Source::Runtime, "swap on").is_empty());
    assert!(codes(&matcher, Source::Kubelet, "Out of memory").is_empty());
    assert_eq!(codes(&matcher, Source::Unknown, "swap on"), ["swap"]);
    assert_eq!(codes(&matcher, Source::Bundle, "swap on"), ["swap"], "k3s speaks for its kubelet");
    assert!(codes(&matcher, Source::Bundle, "Out of memory").is_empty(), "and not for the kernel");
    assert!(!matcher.listens_to(Source::Runtime));
}

#[test]
fn a_sign_of_named_speakers_is_not_heard_where_nobody_says_who_speaks() {
    let matcher = Matcher::build([MatcherSign { named: true, ..sign("crash", KUBELET, "^panic: ", None) }]).expect("good");
    assert_eq!(codes(&matcher, Source::Kubelet, "panic: nil map"), ["crash"]);
    assert_eq!(codes(&matcher, Source::Bundle, "panic: nil map"), ["crash"]);
    assert!(codes(&matcher, Source::Unknown, "panic: nil map").is_empty());
}

#[test]
fn unless_takes_a_match_back() {
    let matcher = Matcher::build([sign("down", KUBELET, "connection refused", Some("etcd"))]).expect("good");
    assert_eq!(codes(&matcher, Source::Kubelet, "dial: connection refused"), ["down"]);
    assert!(codes(&matcher, Source::Kubelet, "dial etcd: connection refused").is_empty());
}

#[test]
fn case_matters_only_where_the_pattern_says_so() {
    let matcher = Matcher::build([sign("exact", KUBELET, "Swap On", None), sign("any", KUBELET, "(?i)Swap On", None)]).expect("good");
    assert_eq!(codes(&matcher, Source::Kubelet, "Swap On"), ["exact", "any"]);
    assert_eq!(codes(&matcher, Source::Kubelet, "SWAP ON"), ["any"]);
}

#[test]
fn a_pattern_without_a_literal_still_matches_and_is_told() {
    let matcher = Matcher::build([sign("digits", KUBELET, r"\d{5}", None)]).expect("good");
    assert_eq!(codes(&matcher, Source::Kubelet, "pid 12345"), ["digits"]);
    assert_eq!(matcher.without_literal().collect::<Vec<_>>(), [("digits", 0)]);
}

#[test]
fn the_prefilter_never_hides_a_match() {
    let patterns = [
        r"(?:certificate )?(?:has )?expired",
        r"dial (?:tcp|unix) \S+: connect: (?P<why>connection refused|no route to host|network is unreachable)",
        r"(?i)out of memory|oom-?kill(?:er|ed)",
        r"^[EF]\d{4} .*x509: ",
        r"a[bB]c+d{2,3}e",
        r"(?:alpha|beta|)gamma",
        r"pid[s]? [0-9]+ \[(?P<name>[^\]]*)\]",
    ];
    let lines = [
        "certificate has expired",
        "expired",
        "dial tcp 1.2.3.4:6443: connect: no route to host",
        "dial unix /run/x.sock: connect: connection refused",
        "Out Of Memory: killed",
        "OOMKilled oomkiller oom-killer OOM-KILLED",
        "E1122 00:00:00.000000 1 a.go:1] x509: bad",
        "aBcccdde abcddde abde",
        "gamma alphagamma betagamma",
        "pids 12 [] pid 7 [x]",
        "",
        "\0\0\0",
    ];
    let matcher = Matcher::build(patterns.iter().map(|pattern| sign(pattern, KUBELET, pattern, None))).expect("good");
    for line in lines {
        let alone = |pattern: &&str| RegexBuilder::new(pattern).unicode(false).build().expect("good").is_match(line.as_bytes());
        let want: Vec<_> = patterns.iter().filter(|pattern| alone(pattern)).map(|pattern| (*pattern).to_owned()).collect();
        assert_eq!(codes(&matcher, Source::Kubelet, line), want, "line {line:?}");
    }
}

#[test]
fn the_quote_of_a_long_record_holds_the_match() {
    let matcher = Matcher::build([sign("swap", KUBELET, "swap on here", None)]).expect("good");
    let line = format!("{}swap on here{}", "é".repeat(3000), "ü".repeat(3000));
    let sighting = matcher.recognise(&record(Source::Kubelet, &line), Timestamp::UNIX_EPOCH).remove(0);
    assert!(sighting.text.contains("swap on here"));
    assert!(sighting.text.len() <= MAX_TEXT);
    let early = matcher.recognise(&record(Source::Kubelet, &line[5800..]), Timestamp::UNIX_EPOCH).remove(0);
    assert!(early.text.len() <= MAX_TEXT && early.text.starts_with('é'));
}

#[test]
fn bad_patterns_are_refused_with_their_place() {
    let refused = |pattern: &str| Matcher::build([sign("bad", KUBELET, pattern, None)]).expect_err(pattern);
    assert!(matches!(refused("(unclosed"), (code, 0, PatternError::Syntax(_)) if code == "bad"));
    assert!(matches!(refused("x*"), (_, _, PatternError::MatchesEverything)));
    assert!(matches!(refused(""), (_, _, PatternError::MatchesEverything)));
    assert!(matches!(refused("((a{100}){100}){100}"), (_, _, PatternError::TooLarge { .. })));
    assert!(matches!(Matcher::build([sign("deaf", &[], "abc", None)]), Err((_, _, PatternError::NoSource))));
}

#[test]
fn the_heaviest_pattern_accepted_compiles() {
    for pattern in [format!("x(?:a{{{}}})", 9000), format!("x(?:[^a-m]|.[0-9]){{{}}}", 1200), format!("x(?:\\w+y){{{}}}", 1200)] {
        check_pattern(&pattern).expect("within the weight");
        assert!(Lazy::new(&pattern).get().as_str().starts_with('x'));
    }
}
