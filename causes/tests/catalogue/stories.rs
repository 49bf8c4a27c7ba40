//! Every cause is proved by stories: causes/tests/stories/, one file a cause (see `nodewhy_diagnosis::story`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use nodewhy_causes::{catalogue, healthy};
use nodewhy_diagnosis::Verdict;
use nodewhy_diagnosis::catalogue::FoundBy;
use nodewhy_diagnosis::story::{Node, Shows, Stories};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stories")
}

fn read(name: &str) -> Stories {
    let text = std::fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Stories::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn healthy_node() -> Node<'static> {
    Node::healthy(catalogue(), healthy()).unwrap_or_else(|problem| panic!("{problem}"))
}

fn story_files() -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "healthy.yaml");
    names.sort();
    names
}

#[test]
fn every_story_ends_as_told_and_every_cause_is_shown_present_absent_and_unknown() {
    let mut wrong = Vec::new();
    let mut shown: BTreeMap<String, BTreeSet<Shows>> = BTreeMap::new();
    let healthy = healthy_node();
    for name in story_files() {
        let code = name.trim_end_matches(".yaml").to_owned();
        assert!(code == "live-faults" || catalogue().cause(&code).is_some(), "{name} is no cause's");
        for story in &read(&name).stories {
            match story.tell(healthy.clone(), &code) {
                Ok(proved) => shown.entry(code.clone()).or_default().extend(proved),
                Err(problem) => wrong.push(format!("{name}: {}: {problem}", story.name)),
            }
        }
    }
    let all = BTreeSet::from([Shows::Present, Shows::Absent, Shows::Unknown]);
    for cause in catalogue().causes().iter().filter(|cause| cause.found_by == FoundBy::Agent) {
        let shown = shown.get(&cause.code).cloned().unwrap_or_default();
        if shown != all {
            wrong.push(format!("{}: stories show only {shown:?}", cause.code));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Causes that tell the same as the root does, one step nearer to the user; they may open beneath it.
const SYMPTOMS: [&str; 5] =
    ["kubelet-down", "kubelet-crash-looping", "apiserver-unreachable", "node-unauthorized", "kubelet-config-missing"];

#[test]
fn each_fault_of_the_live_tests_has_one_root_from_beginning_to_end_and_opens_no_other_critical_cause() {
    let stories = read("live-faults.yaml").stories;
    assert!(stories.len() >= 17, "only {} live faults are told", stories.len());
    for story in &stories {
        let mut node = healthy_node();
        let root = story.steps[0].roots.as_ref().and_then(|roots| roots.first()).unwrap_or_else(|| panic!("{}: no root", story.name));
        let mut critical = BTreeSet::new();
        for step in &story.steps {
            let (_, meanwhile) = node.step(step).unwrap_or_else(|problem| panic!("{}: {problem}", story.name));
            critical.extend(meanwhile.criticals);
            for other in &meanwhile.roots {
                assert_eq!(other, root, "{}: another root", story.name);
            }
        }
        critical.remove(root);
        let others: Vec<_> = critical.iter().filter(|code| !SYMPTOMS.contains(&code.as_str())).collect();
        assert!(others.is_empty(), "{}: also critical: {others:?}", story.name);
        assert_eq!(node.diagnosis().unwrap().verdict, Verdict::Healthy, "{}: not healthy after the repair", story.name);
    }
}
