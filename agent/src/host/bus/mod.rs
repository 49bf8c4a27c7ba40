//! systemd over D-Bus (org.freedesktop.systemd1): which units run the kubelet and the container runtime, and how they are.
//!
//! One connection is made when it is first needed and made anew when it breaks (dbus-daemon restarted). Every call has a timeout: a
//! D-Bus that does not answer is a missing fact, never a hung agent.

mod child;
mod facts;
mod find;
mod running;
mod signals;
mod unit;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use nodewhy_diagnosis::{Missing, MissingKind};
use zbus::message::Message;

use super::Host;

pub use child::Child;
pub use facts::{NoUnit, kubelet_unit_facts, runtime_unit_facts};
pub use find::FoundUnits;
pub use running::Process;
pub use signals::{Change, Signals};
pub use unit::{Exit, UnitDefinition, UnitStatus};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// systemd answers in about a millisecond; PID 1 busy with a daemon-reload of a large node takes seconds.
const CALL_TIMEOUT: Duration = Duration::from_millis(1500);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long an answer of [`Host::find_units`] is good for when no signal says otherwise.
const FOUND_FOR: Duration = Duration::from_secs(30);

/// What the connection to systemd needs to remember.
#[derive(Debug, Default)]
pub(super) struct Bus {
    connection: tokio::sync::Mutex<Option<zbus::Connection>>,
    found: tokio::sync::Mutex<Option<(tokio::time::Instant, FoundUnits)>>,
    /// How each unit's main process ended last: systemd forgets it when it starts the next one.
    exits: Mutex<BTreeMap<String, Exit>>,
    /// The kubelet that was found by its process last: where its unit is to be looked for once it has ended.
    last_process: Mutex<Option<Process>>,
    /// The kubelet that a unit's process runs, as seen last.
    child: Mutex<Option<Child>>,
}

/// A D-Bus call that failed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection.
    #[error("connect to systemd over D-Bus at {address}: {why}")]
    Connect {
        /// Where.
        address: String,
        /// What happened.
        why: String,
    },
    /// The call failed.
    #[error("D-Bus call {what}: {why}")]
    Call {
        /// Method and what it was about.
        what: String,
        /// What happened.
        why: String,
        /// systemd refused it.
        denied: bool,
    },
    /// The answer did not come in time.
    #[error("D-Bus call {what}: no answer in {after:?}")]
    Timeout {
        /// Method and what it was about.
        what: String,
        /// How long was waited.
        after: Duration,
    },
}

impl From<BusError> for Missing {
    fn from(error: BusError) -> Self {
        let (kind, hint) = match &error {
            BusError::Connect { .. } => (MissingKind::Failed, Some("look at: systemctl status dbus.service dbus.socket")),
            BusError::Call { denied: true, .. } => {
                (MissingKind::Denied, Some("let the agent's user talk to org.freedesktop.systemd1 on the system bus"))
            }
            BusError::Call { .. } => (MissingKind::Failed, None),
            BusError::Timeout { .. } => (MissingKind::Hung, Some("PID 1 or dbus-daemon does not answer: look at their CPU use and state")),
        };
        let missing = Missing::new(kind, error.to_string());
        match hint {
            Some(hint) => missing.hint(hint),
            None => missing,
        }
    }
}

impl Host {
    /// The unit that runs the kubelet and the one that runs the container runtime, found and not assumed; and where was looked.
    pub async fn find_units(&self) -> Result<FoundUnits, Missing> {
        let mut found = self.bus.found.lock().await;
        if let Some((at, units)) = found.as_ref()
            && at.elapsed() < FOUND_FOR
        {
            return Ok(units.clone());
        }
        let units = find::find(self).await?;
        *found = Some((tokio::time::Instant::now(), units.clone()));
        Ok(units)
    }

    /// Makes the next [`Host::find_units`] ask systemd again: unit files have changed.
    pub async fn forget_units(&self) {
        *self.bus.found.lock().await = None;
    }

    /// Reads a unit's definition.
    pub async fn unit_definition(&self, unit: &str) -> Result<UnitDefinition, Missing> {
        Ok(unit::definition(self, unit).await?)
    }

    /// Reads a unit's present state. Of a unit without a unit file too: its `load_state` is `not-found`.
    pub async fn unit_status(&self, unit: &str) -> Result<UnitStatus, Missing> {
        let mut status = unit::status(self, unit).await?;
        self.remember_exit(&mut status);
        Ok(status)
    }

    /// `SystemState` of systemd's manager: running, degraded, stopping, ...
    pub async fn system_state(&self) -> Result<String, Missing> {
        Ok(unit::get(self, MANAGER_PATH, "the manager", MANAGER, "SystemState").await?)
    }

    /// Fills in how the unit's main process ended last from memory, or remembers it.
    pub(super) fn remember_exit(&self, status: &mut UnitStatus) {
        let mut exits = self.bus.exits.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &status.exit {
            Some(exit) => {
                exits.insert(status.name.clone(), exit.clone());
            }
            None => status.exit = exits.get(&status.name).cloned(),
        }
    }

    /// The shared connection, made now if there is none or it has ended.
    async fn bus(&self) -> Result<zbus::Connection, BusError> {
        let mut slot = self.bus.connection.lock().await;
        if let Some(connection) = slot.as_ref()
            && !connection.is_closed()
        {
            return Ok(connection.clone());
        }
        let connection = self.connect().await?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    /// The system bus only: PID 1's own socket, /run/systemd/private, sends a well-known name as the sender, which zbus 6 takes for a
    /// malformed message.
    async fn connect(&self) -> Result<zbus::Connection, BusError> {
        let socket = self.path("/run/dbus/system_bus_socket");
        let failed = |why: String| BusError::Connect { address: socket.display().to_string(), why };
        if !socket.exists() {
            return Err(failed("no such socket".to_owned()));
        }
        let address = format!("unix:path={}", escape(&socket));
        let connecting = zbus::connection::Builder::address(address.as_str()).build();
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer in {CONNECT_TIMEOUT:?}"))),
        }
    }

    async fn systemd_call<B>(&self, path: &str, interface: &str, method: &str, about: &str, body: &B) -> Result<Message, BusError>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let connection = self.bus().await?;
        let what = || format!("{method}({about})");
        let call = connection.call_method(Some(SYSTEMD), path, Some(interface), method, body);
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Err(_) => Err(BusError::Timeout { what: what(), after: CALL_TIMEOUT }),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                if matches!(error, zbus::Error::InputOutput(_)) {
                    self.drop_connection(&connection).await;
                }
                Err(BusError::Call { what: what(), denied: is_denied(&error), why: error.to_string() })
            }
        }
    }

    async fn drop_connection(&self, broken: &zbus::Connection) {
        let mut slot = self.bus.connection.lock().await;
        if slot.as_ref().is_some_and(|kept| kept.server_guid() == broken.server_guid() && kept.unique_name() == broken.unique_name()) {
            *slot = None;
        }
    }

    async fn manager_call<B>(&self, method: &str, about: &str, body: &B) -> Result<Message, BusError>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.systemd_call(MANAGER_PATH, MANAGER, method, about, body).await
    }
}

/// Escapes a path for a D-Bus address (D-Bus specification, "Server Addresses").
fn escape(path: &Path) -> String {
    let mut escaped = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'/' | b'.' | b'\\' | b'*' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02x}")),
        }
    }
    escaped
}

fn is_denied(error: &zbus::Error) -> bool {
    let text = error.to_string();
    text.contains("AccessDenied") || text.contains("Access denied") || text.contains("InteractiveAuthorizationRequired")
}

fn malformed(what: &str, error: impl std::fmt::Display) -> BusError {
    BusError::Call { what: what.to_owned(), why: format!("the answer is not of the form expected: {error}"), denied: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_escape_what_d_bus_does_not_allow() {
        assert_eq!(escape(Path::new("/proc/12/root/run/dbus/system_bus_socket")), "/proc/12/root/run/dbus/system_bus_socket");
        assert_eq!(escape(Path::new("/a b,c;=%")), "/a%20b%2cc%3b%3d%25");
    }

    #[tokio::test]
    async fn without_a_socket_the_reason_names_the_socket_looked_for() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let missing = Host::new(root.path()).find_units().await.expect_err("there is no D-Bus under an empty root");
        assert_eq!(missing.kind, MissingKind::Failed);
        assert!(missing.why.contains("run/dbus/system_bus_socket"), "{}", missing.why);
    }
}
