//! A cause file that is wrong is refused alone, and the error says where and what.

use super::*;

/// Line 1 is `code`.
const GOOD: &str = "code: disk-on-fire
title: The disk is on fire
layer: storage
severity: critical
signs:
  - log:
      from: [kernel]
      match: 'sd[a-z]: on fire'
      quiet_for: 10m
      examples: ['sda: on fire']
  - fact: 'disk.read_only'
    for: 3s
absent: '!disk.read_only'
explains: []
message: 'on fire: {{disk.read_only}}'
evidence: [disk.filesystems]
remedy:
  - {say: Take it out, run: 'echo {{node.name}}'}
docs: {meaning: m, knows: k, lookalikes: l}
";

fn load(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let (catalogue, errors) = Catalogue::load(files.iter().copied());
    let codes = catalogue.causes().iter().map(|cause| cause.code.clone()).collect();
    (codes, errors.iter().map(ToString::to_string).collect())
}

/// The one error of a file that differs from the good one in one place.
fn refused(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old} is not in the good file");
    let (codes, errors) = load(&[("bad.yaml", &GOOD.replacen(old, new, 1))]);
    assert_eq!(codes, Vec::<String>::new(), "loaded all the same, with {new}");
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

fn says(error: &str, place: &str, words: &[&str]) {
    assert!(error.starts_with(&format!("bad.yaml:{place}:")), "not at {place}: {error}");
    for words in words {
        assert!(error.contains(words), "does not say `{words}`: {error}");
    }
}

#[test]
fn a_latent_cause_is_neither_critical_nor_the_reason_for_another() {
    let text = |severity: &str, explains: &str| {
        format!(
            "code: swap-at-boot\ntitle: t\nlayer: kubelet\nseverity: {severity}\nlatent: true\nsigns: [{{fact: 'swap.devices.size() > 0'}}]\nexplains: [{explains}]\nmessage: m\ndocs: {{meaning: m}}\n"
        )
    };
    let refused = |text: String| {
        let (catalogue, problems) = Catalogue::load([("swap-at-boot.yaml", text.as_str())]);
        (catalogue.causes().first().map(|cause| cause.latent), problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    assert_eq!(refused(text("warning", "")), (Some(true), String::new()));
    assert!(refused(text("critical", "")).1.contains("so it is not critical"));
    assert!(refused(text("warning", "swap-at-boot")).1.contains("so it explains nothing"));
}

#[test]
fn a_good_file_loads_and_keeps_what_it_says() {
    let (catalogue, errors) = Catalogue::load([("disk-on-fire.yaml", GOOD)]);
    assert!(errors.is_empty(), "{errors:?}");
    let cause = catalogue.cause("disk-on-fire").unwrap();
    assert_eq!((cause.signs.len(), cause.remedy.len(), cause.messages.len()), (2, 1, 1));
    assert_eq!(catalogue.matcher().len(), 1);
    let deciding: Vec<_> = cause.deciding_facts().into_iter().collect();
    assert_eq!(deciding, ["disk.read_only"]);
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_line() {
    says(&refused("layer: storage", "layer: [storage"), "3", &[]);
    says(&refused("title: The disk is on fire", "title: The disk: on fire: \"now"), "2", &[]);
}

#[test]
fn a_field_that_there_is_not_is_refused_with_its_line_and_name() {
    says(&refused("evidence: [disk.filesystems]", "evidnce: [disk.filesystems]"), "16", &["evidnce"]);
    says(&refused("      quiet_for: 10m", "      quiet: 10m"), "9", &["quiet"]);
}

#[test]
fn a_missing_field_is_refused_by_name() {
    let error = refused("title: The disk is on fire\n", "");
    assert!(error.contains("title"), "{error}");
}

#[test]
fn a_path_that_is_no_fact_is_refused_wherever_an_expression_stands() {
    says(&refused("'disk.read_only'\n    for", "'disk.readonly'\n    for"), "11", &["fact:", "disk.readonly"]);
    says(&refused("'!disk.read_only'", "'!disk.readonly'"), "13", &["absent:", "disk.readonly"]);
    says(&refused("'on fire: {{disk.read_only}}'", "'on fire: {{disk.readonly}}'"), "15", &["message:", "disk.readonly"]);
    says(&refused("[disk.filesystems]", "[disk.filesystem]"), "16", &["evidence:", "disk.filesystem"]);
    says(&refused("'echo {{node.name}}'", "'echo {{node.nam}}'"), "18", &["run:", "node.nam"]);
}

#[test]
fn an_expression_that_does_not_parse_is_refused_with_its_line() {
    says(&refused("'disk.read_only'\n    for", "'disk.read_only &&'\n    for"), "11", &["fact:"]);
    says(&refused("'on fire: {{disk.read_only}}'", "'on fire: {{disk.read_only'"), "15", &["message:"]);
}

#[test]
fn a_fact_sign_that_reads_no_fact_is_refused() {
    says(&refused("'disk.read_only'\n    for", "'1 == 1'\n    for"), "11", &["reads no fact"]);
}

#[test]
fn a_pattern_that_does_not_parse_or_matches_everything_is_refused_with_its_line() {
    says(&refused("'sd[a-z]: on fire'", "'sd[a-z: on fire'"), "8", &["match:"]);
    says(&refused("'sd[a-z]: on fire'", "'(sda)?'"), "8", &["match:"]);
}

#[test]
fn a_log_sign_that_nothing_ends_is_refused() {
    says(&refused("      quiet_for: 10m\n", ""), "7", &["`ends` or `quiet_for`"]);
}

#[test]
fn a_sign_that_is_both_log_and_fact_or_neither_is_refused() {
    let both = refused("  - fact: 'disk.read_only'\n    for: 3s\n", "    fact: 'disk.read_only'\n");
    assert!(both.contains("not both"), "{both}");
    let neither = refused("  - fact: 'disk.read_only'\n    for: 3s\n", "  - for: 3s\n");
    says(&neither, "11", &["`log` or `fact`"]);
}

#[test]
fn times_and_counts_that_make_no_sense_are_refused() {
    says(&refused("for: 3s", "for: a while"), "12", &["for:", "`a while`"]);
    says(&refused("for: 3s", "for: -3s"), "12", &["for:"]);
    says(&refused("quiet_for: 10m", "quiet_for: 10m\n      count: 3"), "10", &["`within`"]);
    says(&refused("quiet_for: 10m", "quiet_for: 10m\n      within: 3m"), "10", &["`count`"]);
    says(&refused("quiet_for: 10m", "quiet_for: 10m\n      count: 1000\n      within: 3m"), "10", &["count:"]);
}

#[test]
fn a_code_that_is_no_code_is_refused() {
    says(&refused("code: disk-on-fire", "code: Disk on fire"), "1", &["kebab-case"]);
}

#[test]
fn an_agent_cause_without_signs_and_a_collector_cause_with_signs_are_refused() {
    let signs = &GOOD[GOOD.find("signs:").unwrap()..GOOD.find("absent:").unwrap()];
    let without = refused(signs, "");
    assert!(without.contains("at least one sign"), "{without}");
    let with = refused("severity: critical", "severity: critical\nfound_by: collector");
    assert!(with.contains("has none"), "{with}");
}

#[test]
fn the_second_file_of_one_code_is_refused_and_names_the_first() {
    let (codes, errors) = load(&[("one.yaml", GOOD), ("two.yaml", GOOD)]);
    assert_eq!(codes, ["disk-on-fire"]);
    assert_eq!(errors, ["two.yaml:1:7: the cause `disk-on-fire` is in one.yaml already"]);
}

fn cause(code: &str, explains: &str) -> String {
    GOOD.replace("disk-on-fire", code).replace("explains: []", &format!("explains: [{explains}]"))
}

#[test]
fn what_explains_a_cause_that_there_is_not_is_refused_with_the_line_of_explains() {
    let (codes, errors) = load(&[("a.yaml", &cause("a", "")), ("b.yaml", &cause("b", "nobody"))]);
    assert_eq!(codes, ["a"]);
    assert_eq!(errors, ["b.yaml:14:12: explains: there is no cause `nobody`"]);
}

#[test]
fn of_a_circle_only_the_file_that_closes_it_is_refused_and_the_way_is_told() {
    let (codes, errors) = load(&[("a.yaml", &cause("a", "b")), ("b.yaml", &cause("b", "c, a")), ("c.yaml", &cause("c", ""))]);
    assert_eq!(codes, ["a", "c"], "{errors:?}");
    assert_eq!(errors, ["b.yaml:14:15: explains goes round in a circle: b -> a -> b"]);
    let (codes, errors) = load(&[("a.yaml", &cause("a", "a"))]);
    assert!(codes.is_empty() && errors == ["a.yaml:14:12: explains goes round in a circle: a -> a"], "{errors:?}");
}

#[test]
fn what_explains_a_refused_cause_stays() {
    let broken = cause("broken", "").replace("layer: storage", "layer: cellar");
    let (codes, errors) = load(&[("a.yaml", &cause("a", "broken")), ("b.yaml", &cause("b", "nothing-of-it")), ("x.yaml", &broken)]);
    assert_eq!(codes, ["a"]);
    assert_eq!(errors.len(), 2, "{errors:?}");
    // A file that is not even YAML may say its code in its name only.
    let (codes, _) = load(&[("a.yaml", &cause("a", "broken")), ("dir/broken.yaml", "]")]);
    assert_eq!(codes, ["a"]);
}

#[test]
fn the_column_is_that_of_the_value() {
    assert!(
        refused("    for: 3s", "    for: soon").starts_with("bad.yaml:12:10: for: `soon`"),
        "{}",
        refused("    for: 3s", "    for: soon")
    );
    assert!(refused("'!disk.read_only'", "'!disk.readonly'").starts_with("bad.yaml:13:9: absent: "));
}

#[test]
fn what_never_holds_is_refused() {
    says(&refused("absent: '!disk.read_only'", "absent: 'disk.read_only == \"no\"'"), "13", &["absent:", "never holds"]);
    says(&refused("absent: '!disk.read_only'", "absent: 'captures.x == \"no\"'"), "13", &["captures"]);
    says(&refused("absent: '!disk.read_only'", "absent: 'disk.filesystems'"), "13", &["true or false"]);
}

#[test]
fn a_refused_file_leaves_the_others() {
    let broken = GOOD.replace("layer: storage", "layer: cellar");
    let (codes, errors) = load(&[
        ("good.yaml", GOOD),
        ("bad.yaml", &broken.replace("disk-on-fire", "other")),
        ("empty.yaml", ""),
        ("a.yaml", &cause("a", "")),
    ]);
    assert_eq!(codes, ["a", "disk-on-fire"]);
    assert_eq!(errors.len(), 2, "{errors:?}");
    says(&errors[0], "3", &["cellar"]);
}

#[test]
fn hostile_text_is_refused_and_harms_nothing() {
    let bomb =
        format!("a: &a [x,x,x,x,x,x,x,x,x]\n{}", (0..9).map(|n| format!("b{n}: &b{n} [*a,*a,*a,*a,*a,*a,*a,*a]\n")).collect::<String>());
    let deep = "[".repeat(20_000);
    for text in ["\0", "\u{feff}", "- - - -", "{}", "code: 1", &bomb, &deep, &"x".repeat(1 << 20)] {
        let (codes, errors) = load(&[("hostile.yaml", text)]);
        assert!(codes.is_empty() && errors.len() == 1, "{codes:?} {errors:?}");
    }
}
