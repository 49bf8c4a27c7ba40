//! systemd over D-Bus (org.freedesktop.systemd1).

use nodewhy_diagnosis::Missing;

use super::Host;

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

impl Host {
    /// Reads a unit's definition.
    pub async fn unit_definition(&self, _unit: &str) -> Result<UnitDefinition, Missing> {
        Err(Missing::not_yet())
    }

    /// The unit that runs the kubelet and the one that runs the container runtime, found and not assumed; and where was looked.
    pub async fn find_units(&self) -> Result<FoundUnits, Missing> {
        Err(Missing::not_yet())
    }
}

/// Units of interest on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundUnits {
    /// Unit that runs the kubelet (a masked or disabled one counts).
    pub kubelet: Option<String>,
    /// Unit that runs the container runtime; `None` also where the kubelet's unit carries it (k3s, rke2).
    pub runtime: Option<String>,
    /// Names and places looked at.
    pub looked_in: Vec<String>,
}
