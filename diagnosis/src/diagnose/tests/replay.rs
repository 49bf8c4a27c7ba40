//! What must hold whatever happens: tried on many made-up lives of a node, the same ones in every run.

use super::*;

/// Numbers that look random and are not (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const BOOLS: [Key<bool>; 4] = [DISK_READ_ONLY, DISK_BELOW_BYTES, DISK_BELOW_INODES, PIDS_UNDER_PRESSURE];

fn files() -> Vec<(String, String)> {
    vec![
        file("a", "signs: [{fact: disk.read_only}, {log: {from: [kernel], match: a, quiet_for: 20s}}]\nexplains: [b, c]\nlayer: storage"),
        file("b", "signs: [{fact: disk.below_bytes, for: 3s}]\nexplains: [d]\nabsent: '!disk.below_bytes'\nmessage: '{{pids.current}}'"),
        file("c", "signs: [{log: {from: [kubelet], match: c, count: 2, within: 5s, ends: '!disk.below_inodes'}}]\nseverity: warning"),
        file(
            "d",
            "signs: [{fact: disk.below_inodes && pids.under_pressure}, {log: {from: [kubelet], match: d, ends: '!pids.under_pressure', quiet_for: 1m}}]\nabsent: '!disk.below_inodes && !pids.under_pressure'",
        ),
        file(
            "e",
            "signs: [{fact: '!(disk.read_only || disk.below_bytes) && pids.under_pressure', for: 1s}]\nseverity: info\nexplains: [d]",
        ),
    ]
}

fn happen(lab: &mut Lab, dice: &mut Dice, seconds: f64) {
    for key in BOOLS {
        match dice.roll(12) {
            0..=3 => lab.set(seconds, key, false),
            4..=5 => lab.set(seconds, key, true),
            6 => lab.miss(seconds, key, MissingKind::Hung),
            7 => lab.miss(seconds, key, MissingKind::NotApplicable),
            _ => {}
        }
    }
    lab.set(seconds, PIDS_CURRENT, i64::try_from(dice.roll(3)).expect("small"));
    if dice.roll(20) == 0 {
        let readable = dice.roll(3) > 0;
        lab.set(seconds, LOGS_JOURNAL_READABLE, readable);
    }
    for (code, sign) in [("a", 1), ("c", 0), ("c", 0), ("d", 1)] {
        if dice.roll(8) == 0 {
            lab.hear(seconds - 0.5, code, sign, "x");
        }
    }
}

fn life(seed: u64, mut each: impl FnMut(&mut Lab, f64) -> Outcome) -> Vec<Outcome> {
    let (mut lab, mut dice, mut seconds) = (Lab::new(&files()), Dice(seed), 0.0);
    (0..150)
        .map(|_| {
            seconds += 0.5 + dice.roll(80) as f64 / 10.0;
            happen(&mut lab, &mut dice, seconds);
            each(&mut lab, seconds)
        })
        .collect()
}

#[test]
fn an_agent_that_is_started_again_at_every_step_tells_the_same() {
    for seed in 0..20 {
        // `look` writes the state and reads it; here it is kept as it is.
        let kept = life(seed, |lab, seconds| {
            lab.facts.set(LOGS_READ_UP_TO, at(seconds), at(seconds));
            let view = View { now: at(seconds), node: "n1", facts: &lab.facts, sightings: &lab.heard, mode: Mode::Live };
            let outcome = diagnose(&lab.catalogue, &view, &lab.state);
            lab.heard.clear();
            lab.state = outcome.state.clone();
            outcome
        });
        assert_eq!(kept, life(seed, Lab::look), "seed {seed}");
    }
}

#[test]
fn the_same_step_taken_twice_gives_the_same() {
    for seed in 0..5 {
        life(seed, |lab, seconds| {
            let (state, heard) = (lab.state.clone(), lab.heard.clone());
            let first = lab.look(seconds);
            (lab.state, lab.heard) = (state, heard);
            let second = lab.look(seconds);
            assert_eq!(first, second);
            second
        });
    }
}

#[test]
fn every_case_opens_once_closes_once_and_is_in_the_diagnosis_in_between() {
    let mut opened_at_all = 0;
    for seed in 0..60 {
        let mut open: BTreeMap<String, String> = BTreeMap::new();
        let mut ever = std::collections::BTreeSet::new();
        for outcome in life(seed, Lab::look) {
            for change in &outcome.transitions {
                assert_eq!(change.case_id, change.cause.case_id);
                match change.kind {
                    TransitionKind::Opened => {
                        assert!(ever.insert(change.case_id.clone()), "seed {seed}: {} again", change.case_id);
                        assert_eq!(open.insert(change.code.clone(), change.case_id.clone()), None, "seed {seed}: open already");
                    }
                    TransitionKind::Confirmed => assert_eq!(open.get(&change.code), Some(&change.case_id), "seed {seed}"),
                    TransitionKind::Closed => assert_eq!(open.remove(&change.code).as_ref(), Some(&change.case_id), "seed {seed}"),
                }
                assert!(!change.reason.is_empty());
            }
            let shown: BTreeMap<String, String> =
                outcome.diagnosis.causes.iter().map(|cause| (cause.code.clone(), cause.case_id.clone())).collect();
            assert_eq!(shown, open, "seed {seed}");
            check_folding(&outcome);
            assert!(outcome.wake_at.is_none_or(|wake| wake > outcome.diagnosis.at), "seed {seed}: woken in the past");
        }
        opened_at_all += ever.len();
    }
    assert!(opened_at_all > 200, "{opened_at_all}: too little happens for this to prove anything");
}

fn check_folding(outcome: &Outcome) {
    let causes = &outcome.diagnosis.causes;
    let first_symptom = causes.iter().position(|cause| !cause.root).unwrap_or(causes.len());
    assert!(causes[first_symptom..].iter().all(|cause| !cause.root), "roots come first");
    for cause in causes {
        assert_eq!(cause.root, cause.explained_by.is_empty());
        for root in &cause.explained_by {
            let root = causes.iter().find(|other| other.code == *root);
            assert!(root.is_none_or(|root| root.root && root.explains.contains(&cause.code)), "{}", cause.code);
        }
    }
}

#[test]
fn while_nothing_can_be_looked_at_nothing_opens_and_nothing_closes() {
    for seed in 0..30 {
        let mut steps = 0;
        life(seed, |lab, seconds| {
            steps += 1;
            if steps % 10 != 0 {
                return lab.look(seconds);
            }
            lab.heard.clear();
            for key in BOOLS {
                lab.miss(seconds, key, MissingKind::Hung);
            }
            lab.miss(seconds, LOGS_JOURNAL_READABLE, MissingKind::Hung);
            lab.miss(seconds, LOGS_READ_UP_TO, MissingKind::Hung);
            let blind = lab.look_as_it_is(seconds);
            let told = blind.transitions.iter().filter(|change| change.kind != TransitionKind::Confirmed).count();
            assert_eq!(told, 0, "seed {seed}: {:?}", changes(&blind));
            blind
        });
    }
}

/// Nothing changes by itself before the moment that `wake_at` names.
#[test]
fn a_look_before_it_is_time_tells_nothing_new() {
    for seed in 0..30 {
        life(seed, |lab, seconds| {
            let outcome = lab.look(seconds);
            let quiet_until = outcome.wake_at.map_or(seconds + 0.4, |wake| wake.duration_since(at(0.0)).as_secs_f64() - 0.001);
            if quiet_until > seconds && quiet_until < seconds + 0.5 {
                let again = lab.look(quiet_until);
                assert_eq!(changes(&again), Vec::<String>::new(), "seed {seed}");
            }
            outcome
        });
    }
}
