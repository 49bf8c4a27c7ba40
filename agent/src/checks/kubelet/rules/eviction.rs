//! Eviction thresholds (pkg/kubelet/eviction/helpers.go ParseThresholdConfig).

use nodewhy_diagnosis::node::fields::go_nanoseconds;

use super::amount;
use super::said::{Fault, Name, Said, Settings};

/// containerfs.* came in 1.29 and is no signal before.
const SIGNALS: [&str; 9] = [
    "allocatableMemory.available",
    "containerfs.available",
    "containerfs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "pid.available",
];

const HARD: Name<'_> = (&["evictionHard"], "eviction-hard");
const SOFT: Name<'_> = (&["evictionSoft"], "eviction-soft");
const GRACE: Name<'_> = (&["evictionSoftGracePeriod"], "eviction-soft-grace-period");
const RECLAIM: Name<'_> = (&["evictionMinimumReclaim"], "eviction-minimum-reclaim");

pub(super) fn examine(settings: &Settings<'_>) -> Option<Fault> {
    let (hard, soft) = (settings.entries(HARD, '<'), settings.entries(SOFT, '<'));
    let (grace, reclaim) = (settings.entries(GRACE, '='), settings.entries(RECLAIM, '='));
    let all = hard.iter().chain(&soft).chain(&grace).chain(&reclaim);
    let unknown = all.filter(|_| !settings.is_of_the_future()).find_map(|(signal, said)| unknown_signal(signal, said));
    unknown
        .or_else(|| hard.iter().chain(&soft).find_map(|(signal, said)| threshold(signal, said)))
        .or_else(|| grace.iter().find_map(|(signal, said)| grace_period(signal, said)))
        .or_else(|| reclaim.iter().find_map(|(signal, said)| minimum_reclaim(signal, said)))
        .or_else(|| soft.iter().find_map(|(signal, said)| without_grace(signal, said, &grace)))
}

fn unknown_signal(signal: &str, said: &Said<String>) -> Option<Fault> {
    if SIGNALS.contains(&signal) { None } else { said.fault(format_args!("names no eviction signal: {signal:?}")) }
}

/// strconv.ParseFloat of what stands before the sign.
fn percent(text: &str) -> Option<Result<f64, ()>> {
    text.strip_suffix('%')?;
    Some(text.trim_end_matches('%').parse::<f64>().map_err(|_| ()))
}

fn threshold(signal: &str, said: &Said<String>) -> Option<Fault> {
    let text = said.value.as_str();
    match percent(text) {
        Some(Ok(share)) if (0.0..=100.0).contains(&share) => None,
        Some(Ok(_)) => said.fault(format_args!("has to be between 0% and 100% for {signal}, not {text}")),
        Some(Err(())) => said.fault(format_args!("has no number before the % for {signal}: {text:?}")),
        None => match amount::parse(text) {
            None => said.fault(format_args!("is no quantity such as 500Mi, and no percentage, for {signal}: {text:?}")),
            Some(amount) if amount.negative || amount.is_zero() => {
                said.fault(format_args!("has to be more than 0 for {signal}, not {text}"))
            }
            Some(_) => None,
        },
    }
}

fn grace_period(signal: &str, said: &Said<String>) -> Option<Fault> {
    match go_nanoseconds(&said.value) {
        None => said.fault(format_args!("is no duration such as 1m30s for {signal}: {:?}", said.value)),
        Some(time) if time < 0 => said.fault(format_args!("has to be 0 or more for {signal}, not {}", said.value)),
        Some(_) => None,
    }
}

fn minimum_reclaim(signal: &str, said: &Said<String>) -> Option<Fault> {
    let text = said.value.as_str();
    match percent(text) {
        Some(Ok(share)) if share > 0.0 => None,
        Some(_) => said.fault(format_args!("has to be a percentage above 0 for {signal}, not {text:?}")),
        None => match amount::parse(text) {
            None => said.fault(format_args!("is no quantity such as 500Mi, and no percentage, for {signal}: {text:?}")),
            Some(amount) if amount.negative => said.fault(format_args!("has to be 0 or more for {signal}, not {text}")),
            Some(_) => None,
        },
    }
}

fn without_grace(signal: &str, said: &Said<String>, grace: &[(String, Said<String>)]) -> Option<Fault> {
    // 0% and 100% are no thresholds.
    let off = said.value == "0%" || said.value == "100%";
    let given = grace.iter().any(|(other, _)| other == signal);
    if off || given { None } else { said.fault(format_args!("needs a time in evictionSoftGracePeriod for {signal}")) }
}
