//! What the fix offers where only a log is there: no facts, and commands all the same.

use jiff::Timestamp;
use nodewhy_diagnosis::model::PresentCause;

/// The cause of this code in a log of these lines.
fn of_log(code: &str, lines: &[&str]) -> PresentCause {
    use nodewhy_diagnosis::facts::Facts;
    use nodewhy_diagnosis::record::LineParser;
    use nodewhy_diagnosis::{Mode, State, View, diagnose};
    let (catalogue, now) = (nodewhy_causes::catalogue(), "2026-11-23T00:00:00Z".parse::<Timestamp>().expect("a time"));
    let mut parser = LineParser::new(now, jiff::tz::TimeZone::UTC);
    let mut sightings = Vec::new();
    for line in lines {
        parser.each(line, |spoken| sightings.extend(catalogue.matcher().recognise(&spoken.record, spoken.record.at.unwrap_or(now))));
    }
    let view = View { now, node: "", facts: &Facts::new(), sightings: &sightings, mode: Mode::Saved };
    let causes = diagnose(catalogue, &view, &State::default()).diagnosis.causes;
    let codes: Vec<_> = causes.iter().map(|cause| cause.code.clone()).collect();
    causes.into_iter().find(|cause| cause.code == code).unwrap_or_else(|| panic!("{code} is not among {codes:?}"))
}

fn commands(code: &str, lines: &[&str]) -> String {
    of_log(code, lines).remedy.into_iter().filter_map(|step| step.run).collect::<Vec<_>>().join("\n")
}

/// An example of the cause's sign, so often that it is certain.
fn example(code: &str, with: &str) -> String {
    use nodewhy_diagnosis::catalogue::Sign;
    let cause = nodewhy_causes::catalogue().cause(code).expect("a built-in cause");
    let examples = cause.signs.iter().filter_map(|sign| match sign {
        Sign::Log(log) => Some(&log.examples),
        Sign::Fact(_) => None,
    });
    examples.flatten().find(|example| example.contains(with)).unwrap_or_else(|| panic!("{code} has no example with {with}")).clone()
}

#[test]
fn commands_are_filled_from_the_log_where_there_are_no_facts() {
    for (code, with, wanted) in [
        ("dns-failure", "no such host", "getent ahosts "),
        ("disk-pressure", "no space left", "df -h; du -xh --max-depth=2 /var "),
        ("inode-exhaustion", "inodes", "df -i; du -x --inodes --max-depth=4 /var "),
        ("kubelet-port-in-use", "10250", "sport = :10250"),
        ("crash-loop", "pod=api-7d9c5b_shop", "kubectl -n ${pod%/*} logs ${pod#*/} -c api --previous"),
        ("crash-loop", "pod=api-7d9c5b_shop", "crictl logs --tail 50 $(crictl ps -a -q --name \"^api$\""),
        ("apiserver-unreachable", "connection refused", "curl -vk --max-time 5 https://"),
        ("certificate-untrusted", "unknown authority", "openssl s_client -connect "),
        ("network-interface-down", "Link is Down", "ethtool $i"),
    ] {
        let line = example(code, with);
        let run = commands(code, &vec![line.as_str(); 40]);
        assert!(run.contains(wanted), "{code} lacks {wanted:?} for {line}:\n{run}");
    }
}

#[test]
fn a_damaged_kernel_is_drained_before_it_is_booted() {
    let cause = nodewhy_causes::catalogue().cause("kernel-damaged").expect("a built-in cause");
    let runs: Vec<&str> = cause.remedy.iter().filter_map(|step| step.run.as_ref()).map(|run| run.source.as_str()).collect();
    let place = |what: &str| runs.iter().position(|run| run.contains(what)).unwrap_or_else(|| panic!("{what}: {runs:?}"));
    assert!(place("kubectl drain") < place("systemctl reboot"));
}
