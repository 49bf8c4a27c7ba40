//! Whether this host is a Kubernetes node at all, and where that was looked for.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::layout::{self, Layout};
use crate::checks::support::{all_missing, failed};
use crate::checks::{Check, Look, Looking, Stage};
use crate::host::Host;
use crate::host::bus::FoundUnits;

const REPORTS: &[&str] = &["node.is_kubernetes", "node.looked_in"];

/// The check.
pub(in crate::checks) const DISCOVER: Check = Check {
    name: "discover",
    about: "whether a kubelet is, was or was to be on this host",
    stage: Stage::Discover,
    period: Duration::from_secs(30),
    deadline: Duration::from_secs(5),
    reports: REPORTS,
    look,
};

fn look(look: Look) -> Looking {
    Box::pin(async move {
        let units = look.host.find_units().await;
        let began_at = look.began_at;
        match tokio::task::spawn_blocking(move || report(&look, &units)).await {
            Ok(facts) => facts,
            Err(panic) => all_missing(REPORTS, began_at, &failed(format!("the look itself broke: {panic}"))),
        }
    })
}

pub(super) fn report(look: &Look, units: &Result<FoundUnits, Missing>) -> Facts {
    let mut facts = Facts::new();
    facts.set(fact::NODE_LOOKED_IN, look.began_at, looked_in(units));
    facts.put(fact::NODE_IS_KUBERNETES, look.began_at, find(&look.host, units).map(|layout| layout.is_some()));
    facts
}

/// The layout of the kubelet found by unit, process or trace; `None` if this is no Kubernetes node.
pub(super) fn find(host: &Host, units: &Result<FoundUnits, Missing>) -> Result<Option<Layout>, Missing> {
    if let Ok(FoundUnits { process: Some(process), .. }) = units {
        return Ok(Some(Layout::of_process(&process.name)));
    }
    if let Ok(FoundUnits { kubelet: Some(unit), .. }) = units {
        return Ok(Some(Layout::of_unit(unit)));
    }
    let traces = layout::traces(host);
    if let Ok(traces) = &traces
        && !traces.is_empty()
    {
        return Ok(Some(Layout::of_traces(traces)));
    }
    if host.find_process("kubelet").map_err(Missing::from)?.is_some() {
        return Ok(Some(Layout::Plain));
    }
    traces?;
    match units {
        Err(_) => Ok(layout::unit_on_disk(host)?.map(|unit| Layout::of_unit(&unit))),
        Ok(_) => Ok(None),
    }
}

fn looked_in(units: &Result<FoundUnits, Missing>) -> Vec<String> {
    let mut places = match units {
        Ok(units) => units.looked_in.clone(),
        Err(why) => vec![format!("systemd units ({})", why.why)],
    };
    places.push("processes named kubelet".to_owned());
    places.extend(layout::TRACES.iter().map(|path| (*path).to_owned()));
    places
}
