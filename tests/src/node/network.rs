//! The node's cable to this machine: one end here, one in a network namespace of its own.

use anyhow::Result;

use crate::command::run;
use crate::slot::SlotNumber;

/// The node's end of the cable.
const INSIDE: &str = "eth0";

/// Makes the namespace and the cable, with addresses at both ends.
pub(super) fn plug(slot: SlotNumber) -> Result<()> {
    let (name, link) = (slot.node_name(), slot.link());
    run(&["ip", "netns", "add", &name])?;
    run(&["ip", "link", "add", &link, "type", "veth", "peer", "name", INSIDE, "netns", &name])?;
    run(&["ip", "address", "add", &format!("{}/30", slot.host_address()), "dev", &link])?;
    run(&["ip", "link", "set", &link, "up"])?;
    bring_up(slot)
}

/// Sets the node's end up. Said again after boot, should systemd have thought otherwise.
pub(super) fn bring_up(slot: SlotNumber) -> Result<()> {
    let name = slot.node_name();
    let inside = |words: &[&str]| run(&[&["ip", "-n", name.as_str()], words].concat());
    inside(&["link", "set", "lo", "up"])?;
    inside(&["address", "replace", &format!("{}/30", slot.node_address()), "dev", INSIDE])?;
    inside(&["link", "set", INSIDE, "up"])?;
    inside(&["route", "replace", "default", "via", &slot.host_address().to_string()])?;
    // As on every node; a new namespace has what this machine has.
    run(&["ip", "netns", "exec", &name, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])?;
    Ok(())
}
