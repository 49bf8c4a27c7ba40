//! What the stories share.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use nodewhy_tests::node::Node;
use nodewhy_tests::world::Named;

/// Tells the two times of a story on stdout.
#[expect(clippy::print_stdout, reason = "the times are what the run is asked for")]
pub(crate) fn report(code: &str, named: &Named, closed_after: SignedDuration) {
    println!("{code}: at the collector {:#} after the fault, closed {:#} after the repair", named.after, closed_after);
}

/// When the kubelet's main process last ended.
pub(crate) fn kubelet_exited_at(node: &Node) -> Result<Timestamp> {
    let shown = node.unit_properties("kubelet.service", &["ExecMainExitTimestamp"])?.remove(0);
    // `Mon 2026-11-23 08:31:02.123456 UTC`
    let stamp =
        shown.split_once(' ').and_then(|(_, rest)| rest.strip_suffix(" UTC")).with_context(|| format!("no time of exit: {shown:?}"))?;
    Ok(format!("{}Z", stamp.replace(' ', "T")).parse()?)
}
