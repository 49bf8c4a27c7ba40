//! Stories: what happens on a node, told in facts and log lines, and what has to come out. One file a cause in tests/stories/.
//!
//! A story begins on a healthy node (`healthy.yaml`) and goes on in steps. In each step facts change, lines are logged, time passes (every second all
//! facts are read anew and the diagnosis is made), and at its end the diagnosis is compared. `shows` says which state of the file's cause
//! the step proves; every cause needs all three: present, absent again, and unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use nodewhy_causes::catalogue;
use nodewhy_diagnosis::catalogue::FoundBy;
use nodewhy_diagnosis::diagnose::Mode;
use nodewhy_diagnosis::facts::{Fact, schema};
use nodewhy_diagnosis::model::{Severity, Transition, TransitionKind};
use nodewhy_diagnosis::record::Source;
use nodewhy_diagnosis::{Diagnosis, Facts, State, Verdict, View, diagnose};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::support;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    stories: Vec<Story>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    name: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    facts: BTreeMap<String, Json>,
    #[serde(default)]
    lines: Vec<String>,
    /// How long this goes on.
    #[serde(default = "some_time")]
    lasting: SignedDuration,
    #[serde(default)]
    shows: Option<Shows>,
    #[serde(default)]
    roots: Option<Vec<String>>,
    #[serde(default)]
    folded: Option<Vec<String>>,
    #[serde(default)]
    verdict: Option<Verdict>,
    /// Message of the first root.
    #[serde(default)]
    message: Option<String>,
    /// One of the commands that mend the first root.
    #[serde(default)]
    run: Option<String>,
    /// Causes that were a root at any moment of the step; by default those in `roots`.
    #[serde(default)]
    roots_meanwhile: Option<BTreeSet<String>>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "lowercase")]
enum Shows {
    Present,
    Absent,
    Unknown,
}

fn some_time() -> SignedDuration {
    SignedDuration::from_secs(40)
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stories")
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let text = std::fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A node in a story.
struct Node {
    now: Timestamp,
    told: BTreeMap<String, (Json, Timestamp)>,
    state: State,
    diagnosis: Option<Diagnosis>,
}

/// What happened in a step.
#[derive(Default)]
struct Meanwhile {
    roots: BTreeSet<String>,
    criticals: BTreeSet<String>,
    transitions: Vec<Transition>,
}

impl Node {
    fn healthy() -> Self {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let told = read::<BTreeMap<String, Json>>("healthy.yaml").into_iter().map(|(path, json)| (path, (json, now))).collect();
        let mut node = Self { now, told, state: State::default(), diagnosis: None };
        let meanwhile = node.lives(SignedDuration::from_secs(5), &[]);
        let diagnosis = node.diagnosis.as_ref().unwrap();
        assert_eq!(diagnosis.verdict, Verdict::Healthy, "the healthy node is not: {diagnosis:#?}");
        assert!(meanwhile.transitions.is_empty());
        node
    }

    fn lives(&mut self, lasting: SignedDuration, lines: &[String]) -> Meanwhile {
        let mut meanwhile = Meanwhile::default();
        let (begin, told, mut lines) = (self.now, self.facts(), lines);
        loop {
            let transitions = self.looks(&told, lines);
            lines = &[];
            let diagnosis = self.diagnosis.as_ref().unwrap();
            meanwhile.roots.extend(diagnosis.causes.iter().filter(|cause| cause.root).map(|cause| cause.code.clone()));
            let criticals = diagnosis.causes.iter().filter(|cause| cause.severity == Severity::Critical);
            meanwhile.criticals.extend(criticals.map(|cause| cause.code.clone()));
            meanwhile.transitions.extend(transitions);
            let past = self.now.duration_since(begin);
            if past >= lasting {
                return meanwhile;
            }
            // Often at first, where things open and close.
            let pause = if past < SignedDuration::from_secs(6) { 1 } else { 5 };
            self.now = (self.now + SignedDuration::from_secs(pause)).min(begin + lasting);
        }
    }

    /// What was told; relative times count from then.
    fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        for (path, (json, told_at)) in &self.told {
            support::insert(&mut facts, path, json, *told_at);
        }
        facts
    }

    /// One look at everything. Lines were logged a moment before the look began.
    fn looks(&mut self, told: &Facts, lines: &[String]) -> Vec<Transition> {
        let mut facts = Facts::new();
        for (path, fact) in told.iter() {
            facts.insert(path, Fact { value: fact.value.clone(), read_at: self.now });
        }
        facts.set(schema::LOGS_READ_UP_TO, self.now, self.now);
        let logged_at = self.now - SignedDuration::from_millis(200);
        let mut sightings = Vec::new();
        for line in lines {
            let (source, message) = line.split_once(": ").unwrap_or_else(|| panic!("no source: {line}"));
            let source: Source = serde_json::from_value(Json::from(source)).unwrap_or_else(|error| panic!("{line}: {error}"));
            sightings.extend(catalogue().matcher().recognise(&support::record(source, message), logged_at));
        }
        let view = View { now: self.now, node: "worker-1", facts: &facts, sightings: &sightings, mode: Mode::Live };
        let outcome = diagnose(catalogue(), &view, &self.state);
        self.state = outcome.state;
        self.diagnosis = Some(outcome.diagnosis);
        outcome.transitions
    }
}

fn codes(diagnosis: &Diagnosis, root: bool) -> Vec<String> {
    diagnosis.causes.iter().filter(|cause| cause.root == root).map(|cause| cause.code.clone()).collect()
}

fn tell(story: &Story, code: &str, shown: &mut BTreeSet<Shows>) -> Result<(), String> {
    let mut node = Node::healthy();
    for (index, step) in story.steps.iter().enumerate() {
        node.now += SignedDuration::from_secs(1);
        for (path, json) in &step.facts {
            // A branch that was told missing, or is now, gives way as a whole.
            let beneath = |old: &String| old.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'));
            node.told.retain(|old, _| !beneath(old));
            node.told.insert(path.clone(), (json.clone(), node.now));
        }
        let before = node.diagnosis.clone().unwrap();
        let meanwhile = node.lives(step.lasting, &step.lines);
        compare(step, &before, node.diagnosis.as_ref().unwrap(), &meanwhile, code).map_err(|what| format!("step {}: {what}", index + 1))?;
        shown.extend(step.shows);
    }
    Ok(())
}

fn compare(step: &Step, before: &Diagnosis, after: &Diagnosis, meanwhile: &Meanwhile, code: &str) -> Result<(), String> {
    let differs = |what: &str, wanted: String, got: String| Err(format!("{what}: wanted {wanted}, got {got}\n{after:#?}"));
    if let Some(wanted) = &step.roots
        && *wanted != codes(after, true)
    {
        return differs("roots", format!("{wanted:?}"), format!("{:?}", codes(after, true)));
    }
    if let Some(wanted) = &step.folded {
        let (wanted, got) = (BTreeSet::from_iter(wanted.clone()), BTreeSet::from_iter(codes(after, false)));
        if wanted != got {
            return differs("folded", format!("{wanted:?}"), format!("{got:?}"));
        }
    }
    if let Some(wanted) = step.roots_meanwhile.clone().or_else(|| Some(step.roots.clone()?.into_iter().collect())) {
        let wanted: BTreeSet<String> = wanted.into_iter().chain(codes(before, true)).collect();
        let strangers: Vec<_> = meanwhile.roots.difference(&wanted).collect();
        if !strangers.is_empty() {
            return differs("roots meanwhile", format!("{wanted:?}"), format!("{strangers:?}"));
        }
    }
    if let Some(wanted) = step.verdict
        && wanted != after.verdict
    {
        return differs("verdict", format!("{wanted:?}"), format!("{:?}", after.verdict));
    }
    if let Some(wanted) = &step.message {
        let got = after.causes.first().map_or("", |cause| cause.message.as_str());
        if wanted != got {
            return differs("message", wanted.clone(), got.to_owned());
        }
    }
    if let Some(wanted) = &step.run {
        let got: Vec<_> =
            after.causes.first().map(|cause| &cause.remedy[..]).unwrap_or_default().iter().filter_map(|step| step.run.as_ref()).collect();
        if !got.contains(&wanted) {
            return differs("run", wanted.clone(), format!("{got:?}"));
        }
    }
    let was = before.causes.iter().any(|cause| cause.code == code);
    let is = after.causes.iter().any(|cause| cause.code == code);
    let closed = meanwhile.transitions.iter().any(|change| change.code == code && change.kind == TransitionKind::Closed);
    match step.shows {
        Some(Shows::Present) if !is => differs("shows", "present".into(), "not present".into()),
        Some(Shows::Absent) if is || !was || !closed => {
            differs("shows", "absent again".into(), format!("before {was}, closed {closed}, now {is}"))
        }
        // Could not look: an open case stays, none opens, and what could not be seen is said.
        Some(Shows::Unknown) if is != was || after.unknown.is_empty() => {
            differs("shows", "unknown".into(), format!("before {was}, now {is}, unknown {:?}", after.unknown))
        }
        _ => Ok(()),
    }
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
    for name in story_files() {
        let code = name.trim_end_matches(".yaml").to_owned();
        assert!(code == "live-faults" || catalogue().cause(&code).is_some(), "{name} is no cause's");
        for story in &read::<File>(&name).stories {
            let result = tell(story, &code, shown.entry(code.clone()).or_default());
            wrong.extend(result.err().map(|problem| format!("{name}: {}: {problem}", story.name)));
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
    let stories = read::<File>("live-faults.yaml").stories;
    assert!(stories.len() >= 17, "only {} live faults are told", stories.len());
    for story in &stories {
        let mut node = Node::healthy();
        let root = story.steps[0].roots.as_ref().and_then(|roots| roots.first()).unwrap_or_else(|| panic!("{}: no root", story.name));
        let mut critical = BTreeSet::new();
        for step in &story.steps {
            node.now += SignedDuration::from_secs(1);
            for (path, json) in &step.facts {
                node.told.insert(path.clone(), (json.clone(), node.now));
            }
            let meanwhile = node.lives(step.lasting, &step.lines);
            critical.extend(meanwhile.criticals);
            for other in &meanwhile.roots {
                assert_eq!(other, root, "{}: another root", story.name);
            }
        }
        critical.remove(root);
        let others: Vec<_> = critical.iter().filter(|code| !SYMPTOMS.contains(&code.as_str())).collect();
        assert!(others.is_empty(), "{}: also critical: {others:?}", story.name);
        assert_eq!(node.diagnosis.unwrap().verdict, Verdict::Healthy, "{}: not healthy after the repair", story.name);
    }
}
