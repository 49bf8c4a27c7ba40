//! systemctl's tables and status pages.

use jiff::Timestamp;

use crate::record::moment_of;

/// A unit as systemctl shows it; what it does not show is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `kubelet.service`
    pub name: String,
    /// loaded, not-found, masked
    pub load_state: Option<String>,
    /// enabled, disabled
    pub file_state: Option<String>,
    /// active, activating, inactive, failed
    pub active_state: Option<String>,
    /// running, auto-restart, dead
    pub sub_state: Option<String>,
    /// exit-code, signal, oom-kill
    pub result: Option<String>,
    /// exited, killed, dumped
    pub exit_kind: Option<String>,
    /// Exit code or signal.
    pub exit_status: Option<i64>,
    /// Since when it is as it is.
    pub since: Option<Timestamp>,
}

impl Unit {
    /// Running as systemd means it.
    pub fn running(&self) -> Option<bool> {
        Some(self.active_state.as_deref()? == "active" && self.sub_state.as_deref()? == "running")
    }
}

const STATES: [&str; 7] = ["active", "activating", "inactive", "failed", "deactivating", "reloading", "maintenance"];

/// The services of `systemctl status [UNIT...]`.
pub fn unit_status(text: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for line in text.lines() {
        if let Some(name) = title(line) {
            units.push(Unit { name: name.to_owned(), ..Unit::default() });
        } else if let Some(unit) = units.last_mut() {
            field(unit, line.trim_start());
        }
    }
    units.retain(|unit| unit.active_state.is_some());
    units
}

/// `● kubelet.service - kubelet: The Kubernetes Node Agent`
fn title(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(['●', '×', '○', '↻', '*', '\u{25cf}', ' ']);
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    (name.ends_with(".service") && (rest.is_empty() || rest.starts_with("- "))).then_some(name)
}

fn field(unit: &mut Unit, line: &str) {
    if let Some(loaded) = line.strip_prefix("Loaded: ") {
        let (state, rest) = loaded.split_once(' ').unwrap_or((loaded, ""));
        unit.load_state = Some(state.to_owned());
        // `(/lib/systemd/system/kubelet.service; disabled; preset: enabled)`
        let known = ["enabled", "disabled", "static", "masked", "indirect", "linked", "generated", "transient", "enabled-runtime"];
        unit.file_state = rest.split([';', '(', ')']).map(str::trim).find(|word| known.contains(word)).map(str::to_owned);
    } else if let Some(active) = line.strip_prefix("Active: ") {
        let (state, rest) = active.split_once(' ').unwrap_or((active, ""));
        if !STATES.contains(&state) {
            return;
        }
        unit.active_state = Some(state.to_owned());
        let mut words = brackets(rest).into_iter();
        if let Some(sub) = words.next().filter(|word| !word.starts_with("Result: ")) {
            unit.sub_state = Some(sub.to_owned());
        } else if state == "failed" {
            unit.sub_state = Some("failed".to_owned());
        }
        unit.result = brackets(rest).into_iter().find_map(|word| word.strip_prefix("Result: ")).map(str::to_owned);
        unit.since = rest.split_once("since ").and_then(|(_, since)| moment_of(since.split(';').next().unwrap_or(since)));
    } else if let Some((_, how)) = line.split_once("(code=").filter(|_| line.starts_with("Main PID: ") || line.starts_with("Process: ")) {
        exit(unit, how);
    }
}

/// `exited, status=1/FAILURE)`
fn exit(unit: &mut Unit, how: &str) {
    let Some((kind, rest)) = how.split_once(", ") else { return };
    let number = rest.split_once('=').map_or("", |(_, status)| status);
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    if let Ok(status) = number[..digits].parse() {
        unit.exit_kind = Some(kind.to_owned());
        unit.exit_status = Some(status);
    }
}

fn brackets(text: &str) -> Vec<&str> {
    text.split('(').skip(1).filter_map(|part| part.split_once(')')).map(|(inner, _)| inner).collect()
}

/// The services of `systemctl list-units` or `list-unit-files`.
pub fn unit_list(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut files = false;
    for line in text.lines() {
        if is_list_header(line) {
            files = line.contains("UNIT FILE");
            continue;
        }
        let mut fields = line.trim_start_matches(['●', '×', '○', '↻', '*', ' ']).split_whitespace();
        let Some(name) = fields.next().filter(|name| name.ends_with(".service")) else { continue };
        let mut next = || fields.next().map(str::to_owned);
        if files {
            units.push(Unit { name: name.to_owned(), file_state: next(), ..Unit::default() });
            continue;
        }
        let unit = Unit { name: name.to_owned(), load_state: next(), active_state: next(), sub_state: next(), ..Unit::default() };
        if unit.active_state.as_deref().is_some_and(|state| STATES.contains(&state)) {
            units.push(unit);
        }
    }
    units
}

/// `UNIT LOAD ACTIVE SUB DESCRIPTION`, `UNIT FILE STATE PRESET`
pub(super) fn is_list_header(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("UNIT") && (line.contains("ACTIVE") && line.contains("SUB") || line.starts_with("UNIT FILE") && line.contains("STATE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "● kubelet.service - kubelet: The Kubernetes Node Agent
     Loaded: loaded (/lib/systemd/system/kubelet.service; disabled; vendor preset: enabled)
    Drop-In: /etc/systemd/system/kubelet.service.d
     Active: activating (auto-restart) (Result: exit-code) since Sun 2026-11-22 00:54:49 UTC; 5s ago
    Process: 14029 ExecStart=/usr/bin/kubelet $KUBELET_ARGS (code=exited, status=1/FAILURE)
   Main PID: 14029 (code=exited, status=1/FAILURE)

● containerd.service - containerd container runtime
     Loaded: loaded (/lib/systemd/system/containerd.service; enabled; preset: enabled)
     Active: active (running) since Sun 2026-11-22 00:00:00 UTC; 1h ago
   Main PID: 700 (containerd)
";

    #[test]
    fn a_status_page_tells_state_result_and_exit() {
        let units = unit_status(STATUS);
        assert_eq!(units.len(), 2);
        let kubelet = &units[0];
        assert_eq!((kubelet.name.as_str(), kubelet.file_state.as_deref()), ("kubelet.service", Some("disabled")));
        assert_eq!((kubelet.sub_state.as_deref(), kubelet.result.as_deref()), (Some("auto-restart"), Some("exit-code")));
        assert_eq!((kubelet.exit_kind.as_deref(), kubelet.exit_status, kubelet.running()), (Some("exited"), Some(1), Some(false)));
        assert_eq!(kubelet.since.map(|at| at.to_string()).as_deref(), Some("2026-11-22T00:54:49Z"));
        assert_eq!(units[1].running(), Some(true));
    }

    #[test]
    fn lists_of_units_and_of_files_are_read() {
        let list = "  UNIT               LOAD      ACTIVE     SUB          DESCRIPTION\n● kubelet.service  loaded failed failed kubelet: The Kubernetes Node Agent\n  containerd.service loaded active running x\n  a.mount loaded active mounted y\n\nLOAD = x\n";
        let units = unit_list(list);
        assert_eq!(units.iter().map(Unit::running).collect::<Vec<_>>(), [Some(false), Some(true)]);
        let files = unit_list("UNIT FILE        STATE    PRESET\nkubelet.service  disabled enabled\n");
        assert_eq!(files[0].file_state.as_deref(), Some("disabled"));
    }

    #[test]
    fn cuts_and_nonsense_are_passed_over() {
        for end in (0..STATUS.len()).filter(|&end| STATUS.is_char_boundary(end)) {
            let _ = (unit_status(&STATUS[..end]), unit_list(&STATUS[..end]));
        }
        assert_eq!(unit_status("x.service - y\n  Active: what (is) this"), []);
        assert_eq!(
            unit_status("x.service\n Active: failed (Result: é) since\n Main PID: (code=x, status=9999999999999999999999)").len(),
            1
        );
    }
}
