//! The units of the kubelet and of the container runtime. `watch` tells their changes as they happen; this look confirms them, so that
//! what depends on their staying as they are is not judged by an old reading.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Facts, Missing};

use super::kubelet::layout::Layout;
use super::support::all_missing;
use super::{Check, Look, Stage};
use crate::host::bus::{Child, FoundUnits, NoUnit, UnitStatus, kubelet_unit_facts, runtime_unit_facts};
use crate::host::clock::Clocks;

const OF_KUBELET: &[&str] = &["kubelet.unit"];
const OF_RUNTIME: &[&str] = &["runtime.unit"];

/// See the module.
pub const UNITS: Check = Check {
    name: "units",
    about: "State of the kubelet's systemd unit, over D-Bus",
    stage: Stage::Configuration,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(4),
    reports: OF_KUBELET,
    look: |look| Box::pin(look_at_kubelet(look)),
};

/// Which unit it is depends on the endpoint that the kubelet is configured with.
pub const RUNTIME_UNIT: Check = Check {
    name: "runtime-unit",
    about: "State of the container runtime's systemd unit, over D-Bus",
    stage: Stage::Look,
    reports: OF_RUNTIME,
    look: |look| Box::pin(look_at_runtime(look)),
    ..UNITS
};

async fn look_at_kubelet(look: Look) -> Facts {
    match read_kubelet(&look).await {
        Ok((kubelet, child)) => Units { kubelet, child, runtime: None }.kubelet_facts(&look),
        Err(missing) => all_missing(OF_KUBELET, look.began_at, &missing),
    }
}

async fn look_at_runtime(look: Look) -> Facts {
    match read_runtime(&look).await {
        Ok(unit) => Units { kubelet: Err(NoUnit::NoKubelet), child: None, runtime: unit }.runtime_facts(&look),
        Err(missing) => all_missing(OF_RUNTIME, look.began_at, &missing),
    }
}

/// The units as they are.
#[derive(Debug, Clone)]
pub struct Units {
    /// The kubelet's, or why there is none.
    pub kubelet: Result<UnitStatus, NoUnit>,
    /// The kubelet itself, where the unit's process runs it as a child.
    pub child: Option<Child>,
    /// The container runtime's, if it has one of its own.
    pub runtime: Option<UnitStatus>,
}

impl Units {
    /// As facts, read by this look.
    pub fn facts(&self, look: &Look) -> Facts {
        let mut facts = self.kubelet_facts(look);
        facts.absorb(self.runtime_facts(look));
        facts
    }

    fn kubelet_facts(&self, look: &Look) -> Facts {
        let unit = self.kubelet.as_ref().map(|unit| unit.by(&Clocks::now()));
        let unit = unit.as_ref().map_err(|why| **why);
        kubelet_unit_facts(unit, self.child.as_ref(), booted_at(look, unit.ok()), look.began_at)
    }

    fn runtime_facts(&self, look: &Look) -> Facts {
        let unit = self.runtime.as_ref().map(|unit| unit.by(&Clocks::now()));
        runtime_unit_facts(unit.as_ref(), booted_at(look, unit.as_ref()), look.began_at)
    }
}

/// /proc/stat is dear to make on a large machine (fs/proc/stat.c sums up all interrupts of all CPUs).
fn booted_at(look: &Look, unit: Option<&UnitStatus>) -> Option<jiff::Timestamp> {
    unit.filter(|unit| unit.state_since.is_none()).and_then(|_| look.host.booted_at().ok())
}

/// Finds and reads them.
///
/// # Errors
/// Why systemd could not be asked.
pub async fn read(look: &Look) -> Result<Units, Missing> {
    let (kubelet, child) = read_kubelet(look).await?;
    Ok(Units { kubelet, child, runtime: read_runtime(look).await? })
}

async fn read_kubelet(look: &Look) -> Result<(Result<UnitStatus, NoUnit>, Option<Child>), Missing> {
    let found = look.host.find_units().await?;
    let Some(name) = &found.kubelet else { return Ok((Err(no_unit(look, &found)), None)) };
    let status = look.host.unit_status(name).await?;
    if !(Layout::of_unit(name).has_child() && status.is_running()) {
        return Ok((Ok(status), None));
    }
    let (host, unit) = (look.host.clone(), status.clone());
    let child = tokio::task::spawn_blocking(move || host.kubelet_child(&unit)).await.ok().flatten();
    Ok((Ok(status), child))
}

fn no_unit(look: &Look, found: &FoundUnits) -> NoUnit {
    match (&found.process, look.known.known(s::NODE_IS_KUBERNETES)) {
        (Some(process), _) => NoUnit::Unneeded(process.pid),
        (None, Some(true)) => NoUnit::Gone,
        (None, _) => NoUnit::NoKubelet,
    }
}

async fn read_runtime(look: &Look) -> Result<Option<UnitStatus>, Missing> {
    let found = look.host.find_units().await?;
    let endpoint = look.known.known(s::KUBELET_CONFIG_RUNTIME_ENDPOINT);
    match found.runtime(endpoint.as_deref()) {
        Some(name) => look.host.unit_status(name).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;
    use crate::host::bus::Process;

    #[test]
    fn a_unit_is_gone_only_where_no_kubelet_runs_without_one() {
        let look = Node::new().known(s::NODE_IS_KUBERNETES, true).look_for(&UNITS);
        let process = Process { pid: 7, name: "kubelet".to_owned(), service: None };
        assert_eq!(no_unit(&look, &FoundUnits::default()), NoUnit::Gone);
        assert_eq!(no_unit(&look, &FoundUnits { process: Some(process), ..FoundUnits::default() }), NoUnit::Unneeded(7));
        let host = Node::new().known(s::NODE_IS_KUBERNETES, false).look_for(&UNITS);
        assert_eq!(no_unit(&host, &FoundUnits::default()), NoUnit::NoKubelet);
    }
}
