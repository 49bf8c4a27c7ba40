//! The units of the kubelet and of the container runtime. `watch` tells their changes as they happen; this look confirms them, so that
//! what depends on their staying as they are is not judged by an old reading.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as s;
use nodewhy_diagnosis::{Facts, Missing};

use super::{Check, Look, Stage};
use crate::host::bus::{UnitStatus, unit_facts};
use crate::host::clock::Clocks;

const REPORTS: &[&str] = &["kubelet.unit", "runtime.unit"];

/// See the module.
pub const UNITS: Check = Check {
    name: "units",
    about: "State of the kubelet's and the runtime's systemd units, over D-Bus",
    stage: Stage::Configuration,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(4),
    reports: REPORTS,
    look: |look| Box::pin(look_at_units(look)),
};

async fn look_at_units(look: Look) -> Facts {
    match read(&look).await {
        Ok(units) => units.facts(&look),
        Err(missing) => {
            let mut facts = Facts::new();
            REPORTS.iter().for_each(|prefix| facts.miss_under(prefix, look.began_at, &missing));
            facts
        }
    }
}

/// The units as they are.
#[derive(Debug, Clone, Default)]
pub struct Units {
    /// The kubelet's, if there is one.
    pub kubelet: Option<UnitStatus>,
    /// The container runtime's, if it has one of its own.
    pub runtime: Option<UnitStatus>,
}

impl Units {
    /// As facts, read by this look.
    pub fn facts(&self, look: &Look) -> Facts {
        let expected = look.known.known(s::NODE_IS_KUBERNETES).unwrap_or(false);
        // /proc/stat is dear to make on a large machine (fs/proc/stat.c sums up all interrupts of all CPUs).
        let timeless = self.kubelet.iter().chain(&self.runtime).any(|unit| unit.state_since.is_none());
        let booted_at = if timeless { look.host.booted_at().ok() } else { None };
        let clocks = Clocks::now();
        let [kubelet, runtime] = [&self.kubelet, &self.runtime].map(|unit| unit.as_ref().map(|unit| unit.by(&clocks)));
        unit_facts(kubelet.as_ref(), runtime.as_ref(), expected, booted_at, look.began_at)
    }
}

/// Finds and reads them.
///
/// # Errors
/// Why systemd could not be asked.
pub async fn read(look: &Look) -> Result<Units, Missing> {
    let found = look.host.find_units().await?;
    let read = async |name: Option<String>| match name {
        Some(name) => look.host.unit_status(&name).await.map(Some),
        None => Ok(None),
    };
    Ok(Units { kubelet: read(found.kubelet).await?, runtime: read(found.runtime).await? })
}
