//! Every file loads, and the list is whole.

use std::collections::BTreeSet;

use nodewhy_causes::{catalogue, files};
use nodewhy_diagnosis::Catalogue;
use nodewhy_diagnosis::catalogue::{FoundBy, Sign};

#[test]
fn every_built_in_file_loads_without_an_error() {
    let (_, errors) = Catalogue::load(files().iter().copied());
    let errors = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn every_yaml_file_of_the_room_is_in_the_list_under_its_code() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let on_disk: BTreeSet<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    let listed: BTreeSet<String> = files().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(on_disk, listed);
    let codes: BTreeSet<String> = catalogue().causes().iter().map(|cause| format!("{}.yaml", cause.code)).collect();
    assert_eq!(codes, listed);
}

#[test]
fn the_causes_users_were_promised_are_there() {
    for code in [
        "swap-enabled",
        "kubelet-unknown-flag",
        "kubelet-config-missing",
        "kubelet-config-invalid",
        "kubelet-port-in-use",
        "kubelet-unit-missing-or-disabled",
        "kubelet-hung",
        "kubelet-crash-looping",
        "kubelet-down",
        "cgroup-driver-mismatch",
        "runtime-down",
        "cni-not-ready",
        "certificate-expired",
        "certificate-untrusted",
        "node-unauthorized",
        "apiserver-unreachable",
        "dns-failure",
        "clock-skew",
        "memory-pressure",
        "oom-kill",
        "disk-pressure",
        "inode-exhaustion",
        "readonly-filesystem",
        "pid-pressure",
        "agent-silent",
        "container-disk-corruption",
        "disk-io-error",
        "filesystem-corruption",
        "gpu-xid",
        "hardware-memory-error",
        "image-gc-failed",
        "kernel-hung-task",
        "kernel-panic-oops",
        "soft-lockup",
    ] {
        assert!(catalogue().cause(code).is_some(), "{code} is gone; codes are for ever");
    }
}

#[test]
fn nothing_explains_itself_even_in_a_round() {
    for cause in catalogue().causes() {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = cause.explains.iter().map(String::as_str).collect();
        while let Some(code) = open.pop() {
            assert_ne!(code, cause.code, "{} explains itself", cause.code);
            if reached.insert(code) {
                let next = catalogue().cause(code).unwrap_or_else(|| panic!("{} explains {code}, which is no cause", cause.code));
                open.extend(next.explains.iter().map(String::as_str));
            }
        }
    }
}

#[test]
fn every_cause_has_words_for_people_and_a_remedy() {
    for cause in catalogue().causes() {
        let code = &cause.code;
        assert!(!cause.title.is_empty() && !cause.title.ends_with('.'), "{code}: title");
        assert!(cause.messages.last().is_some_and(|last| last.when.is_none()), "{code}: the last message must need no condition");
        assert!(!cause.remedy.is_empty(), "{code}: no remedy");
        assert!(cause.remedy.iter().any(|step| step.run.is_some()), "{code}: no command in the remedy");
        for text in [&cause.docs.meaning, &cause.docs.knows, &cause.docs.lookalikes] {
            assert!(text.len() > 20, "{code}: docs are empty");
        }
    }
}

#[test]
fn every_agent_cause_has_signs_and_an_end() {
    for cause in catalogue().causes() {
        match cause.found_by {
            FoundBy::Collector => assert!(cause.signs.is_empty(), "{} is the collector's and has signs", cause.code),
            FoundBy::Agent => assert!(!cause.signs.is_empty(), "{} has no signs", cause.code),
        }
        let logs = cause.signs.iter().filter_map(|sign| match sign {
            Sign::Log(log) => Some(log),
            Sign::Fact(_) => None,
        });
        for log in logs {
            assert!(log.ends.is_some() || log.quiet_for.is_some(), "{}: a log sign never ends", cause.code);
            assert!(!log.examples.is_empty(), "{}: a log sign without an example", cause.code);
        }
    }
}

#[test]
fn no_log_sign_makes_the_matcher_try_every_line() {
    let slow: Vec<_> = catalogue().matcher().without_literal().collect();
    assert!(slow.is_empty(), "signs without a literal to look for first: {slow:?}");
}
