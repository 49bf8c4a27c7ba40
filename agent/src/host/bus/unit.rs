//! One unit: its state as it changes, and its definition.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use zbus::Variant;

use crate::host::clock::Clocks;

use super::{BusError, Host, PROPERTIES, SERVICE, UNIT, malformed};

/// How systemd would start a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitDefinition {
    /// Full name.
    pub name: String,
    /// LoadState.
    pub load_state: String,
    /// FragmentPath, empty if there is no unit file.
    pub fragment_path: String,
    /// DropInPaths.
    pub drop_ins: Vec<String>,
    /// argv of the first ExecStart, variables not expanded.
    pub exec_start: Vec<String>,
    /// Environment= assignments.
    pub environment: Vec<String>,
    /// EnvironmentFile= paths; true if it may be missing (a leading `-`).
    pub environment_files: Vec<(String, bool)>,
}

/// How a main process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// exited, killed or dumped.
    pub kind: &'static str,
    /// Exit code or signal number.
    pub status: i32,
    /// When.
    pub at: Option<Timestamp>,
    /// How long it had run.
    pub ran_for: Option<SignedDuration>,
}

/// A unit's state: what systemd has told of it so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// Full name.
    pub name: String,
    /// D-Bus object.
    pub(super) path: String,
    /// LoadState.
    pub load_state: String,
    /// UnitFileState.
    pub file_state: String,
    /// Units that start this one when they are started, sorted.
    pub pulled_in_by: BTreeSet<String>,
    /// ActiveState.
    pub active_state: String,
    /// SubState.
    pub sub_state: String,
    /// StateChangeTimestamp.
    pub state_since: Option<Timestamp>,
    /// Result.
    pub result: String,
    /// NRestarts.
    pub restarts: u32,
    /// MainPID, 0 while none runs.
    pub main_pid: u32,
    /// ExecMainStartTimestamp.
    pub started_at: Option<Timestamp>,
    /// The last main process that ended, if one has.
    pub exit: Option<Exit>,
    /// ExecMainCode, ExecMainStatus, ExecMainExitTimestamp as told last; systemd clears them when it starts the next process.
    pub(super) exec: (i32, i32, Option<Timestamp>),
    /// The same times by the clock that nobody sets.
    pub(super) steady: Steady,
}

/// StateChangeTimestampMonotonic, ExecMainStartTimestampMonotonic, ExecMainExitTimestampMonotonic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Steady {
    state_since: Option<SignedDuration>,
    started_at: Option<SignedDuration>,
    exited_at: Option<SignedDuration>,
}

impl UnitStatus {
    /// ActiveState is active and SubState is running.
    pub fn is_running(&self) -> bool {
        self.active_state == "active" && self.sub_state == "running"
    }

    /// The state with its times as they are by the clock as it goes now: systemd's are by the clock as it went then.
    pub(crate) fn by(&self, clocks: &Clocks) -> Self {
        let Steady { state_since, started_at, exited_at } = self.steady;
        let exit = self.exit.clone().map(|exit| Exit { at: clocks.now_called(exit.at, exited_at), ..exit });
        Self {
            state_since: clocks.now_called(self.state_since, state_since),
            started_at: clocks.now_called(self.started_at, started_at),
            exit,
            ..self.clone()
        }
    }

    /// Takes over properties of `org.freedesktop.systemd1.Unit` or `.Service`, from `GetAll` or from a `PropertiesChanged` signal.
    /// Returns whether any of those of interest changed.
    pub(super) fn apply(&mut self, properties: &HashMap<&str, Variant<'_>>) -> bool {
        let before = self.clone();
        for (name, value) in properties {
            self.apply_one(name, value);
        }
        let (code, status, at) = self.exec;
        // siginfo codes, wait(2): CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0 while no process of this start has ended.
        let kind = match code {
            1 => Some("exited"),
            2 => Some("killed"),
            3 => Some("dumped"),
            _ => None,
        };
        if let Some(kind) = kind {
            let steady = self.steady.exited_at.zip(self.steady.started_at).map(|(end, start)| end - start);
            let ran_for = steady.or(at.zip(self.started_at).map(|(end, start)| end.duration_since(start)));
            let ran_for = ran_for.filter(|time| !time.is_negative());
            self.exit = Some(Exit { kind, status, at, ran_for });
        }
        *self != before
    }

    fn apply_one(&mut self, name: &str, value: &Variant<'_>) {
        let text = || <&str>::try_from(value).map(str::to_owned).ok();
        let set = |slot: &mut String| {
            if let Some(text) = text() {
                *slot = text;
            }
        };
        match name {
            "LoadState" => set(&mut self.load_state),
            "UnitFileState" => set(&mut self.file_state),
            // systemd.unit(5): what starts a unit from its other end. A socket or timer has it as Triggers=.
            "WantedBy" | "RequiredBy" | "RequisiteOf" | "BoundBy" | "UpheldBy" | "TriggeredBy" => {
                self.pulled_in_by.extend(Vec::<String>::try_from(value.clone()).unwrap_or_default());
            }
            "ActiveState" => set(&mut self.active_state),
            "SubState" => set(&mut self.sub_state),
            "Result" => set(&mut self.result),
            "StateChangeTimestamp" => self.state_since = time(value),
            "ExecMainStartTimestamp" => self.started_at = time(value),
            "ExecMainExitTimestamp" => self.exec.2 = time(value),
            "StateChangeTimestampMonotonic" => self.steady.state_since = steady(value),
            "ExecMainStartTimestampMonotonic" => self.steady.started_at = steady(value),
            // Cleared with the next start, while the exit that is kept outlives it.
            "ExecMainExitTimestampMonotonic" => self.steady.exited_at = steady(value).or(self.steady.exited_at),
            "ExecMainCode" => self.exec.0 = i32::try_from(value).unwrap_or(self.exec.0),
            "ExecMainStatus" => self.exec.1 = i32::try_from(value).unwrap_or(self.exec.1),
            "NRestarts" => self.restarts = u32::try_from(value).unwrap_or(self.restarts),
            "MainPID" => self.main_pid = u32::try_from(value).unwrap_or(self.main_pid),
            _ => {}
        }
    }
}

/// Microseconds since the epoch; 0 is never.
fn time(value: &Variant<'_>) -> Option<Timestamp> {
    let micros = u64::try_from(value).ok().filter(|micros| *micros != 0)?;
    Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()
}

/// Microseconds since the boot; 0 is never.
fn steady(value: &Variant<'_>) -> Option<SignedDuration> {
    let micros = u64::try_from(value).ok().filter(|micros| *micros != 0)?;
    Some(SignedDuration::from_micros(i64::try_from(micros).ok()?))
}

pub(super) async fn status(host: &Host, unit: &str) -> Result<UnitStatus, BusError> {
    let path = object_path(host, unit).await?;
    let mut status = UnitStatus { name: unit.to_owned(), path, ..UnitStatus::default() };
    for interface in [UNIT, SERVICE] {
        let reply = host.systemd_call(&status.path, PROPERTIES, "GetAll", unit, &(interface)).await?;
        let body = reply.body();
        let properties: HashMap<&str, Variant<'_>> = body.deserialize().map_err(|error| malformed("GetAll", error))?;
        status.apply(&properties);
    }
    Ok(status)
}

/// Loads the unit if systemd has not (a stopped one is not kept in memory), as `systemctl show` does.
async fn object_path(host: &Host, unit: &str) -> Result<String, BusError> {
    let reply = host.manager_call("LoadUnit", unit, &(unit)).await?;
    let path: zbus::OwnedObjectPath = reply.body().deserialize().map_err(|error| malformed("LoadUnit", error))?;
    Ok(path.as_str().to_owned())
}

type ExecCommand = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

pub(super) async fn definition(host: &Host, unit: &str) -> Result<UnitDefinition, BusError> {
    let path = object_path(host, unit).await?;
    let text = async |name| get::<String>(host, &path, unit, UNIT, name).await;
    let commands: Vec<ExecCommand> = get(host, &path, unit, SERVICE, "ExecStart").await?;
    Ok(UnitDefinition {
        name: unit.to_owned(),
        load_state: text("LoadState").await?,
        fragment_path: text("FragmentPath").await?,
        drop_ins: get(host, &path, unit, UNIT, "DropInPaths").await?,
        exec_start: commands.into_iter().next().map(|command| command.1).unwrap_or_default(),
        environment: get(host, &path, unit, SERVICE, "Environment").await?,
        environment_files: get(host, &path, unit, SERVICE, "EnvironmentFiles").await?,
    })
}

pub(super) async fn get<T>(host: &Host, path: &str, unit: &str, interface: &str, property: &str) -> Result<T, BusError>
where
    T: for<'a> TryFrom<Variant<'a>>,
{
    let reply = host.systemd_call(path, PROPERTIES, "Get", &format!("{unit}, {property}"), &(interface, property)).await?;
    let body = reply.body();
    let value: Variant<'_> = body.deserialize().map_err(|error| malformed(property, error))?;
    T::try_from(value).map_err(|_| malformed(property, "another type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(entries: Vec<(&'static str, Variant<'static>)>) -> HashMap<&'static str, Variant<'static>> {
        entries.into_iter().collect()
    }

    #[test]
    fn the_last_exit_outlives_the_next_start() {
        let mut status = UnitStatus::default();
        assert!(status.apply(&props(vec![
            ("ExecMainCode", Variant::I32(1)),
            ("ExecMainStatus", Variant::I32(1)),
            ("ExecMainStartTimestamp", Variant::U64(1_699_999_999_000_000)),
            ("ExecMainExitTimestamp", Variant::U64(1_700_000_000_000_000)),
            ("ActiveState", Variant::from("activating")),
            ("SubState", Variant::from("auto-restart")),
        ])));
        let exit = status.exit.clone().expect("an exit was told");
        assert_eq!((exit.kind, exit.status, exit.ran_for), ("exited", 1, Some(SignedDuration::from_secs(1))));
        // What systemd says when the next process starts.
        status.apply(&props(vec![
            ("ExecMainCode", Variant::I32(0)),
            ("ExecMainStatus", Variant::I32(0)),
            ("ExecMainExitTimestamp", Variant::U64(0)),
            ("ActiveState", Variant::from("active")),
            ("SubState", Variant::from("running")),
        ]));
        assert!(status.is_running());
        assert_eq!(status.exit, Some(exit));
    }

    #[test]
    fn values_of_another_type_change_nothing() {
        let mut status = UnitStatus { active_state: "active".into(), restarts: 3, ..UnitStatus::default() };
        assert!(!status.apply(&props(vec![
            ("ActiveState", Variant::U64(1)),
            ("NRestarts", Variant::from("x")),
            ("Other", Variant::Bool(true))
        ])));
        assert_eq!((status.active_state.as_str(), status.restarts), ("active", 3));
    }

    #[test]
    fn times_beyond_what_a_calendar_holds_are_none() {
        assert_eq!(time(&Variant::U64(u64::MAX)), None);
        assert_eq!(time(&Variant::U64(0)), None);
    }
}
