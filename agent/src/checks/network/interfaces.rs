//! Interfaces, from /sys/class/net.

use nodewhy_diagnosis::facts::Record;

use crate::host::{Host, ReadError};

/// Nodes with more than this have them for their pods.
const INTERFACES: usize = 64;
/// IFF_UP (include/uapi/linux/if.h).
const UP: u32 = 0x1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    kind: &'static str,
    state: String,
    up: bool,
    /// `None` while it is switched off: the kernel does not say then.
    carrier: Option<bool>,
}

impl Interface {
    pub(super) fn record(self) -> Record {
        let record = Record::new().with("name", self.name).with("kind", self.kind.to_owned()).with("state", self.state).with("up", self.up);
        match self.carrier {
            Some(carrier) => record.with("carrier", carrier),
            None => record,
        }
    }

    fn carries_nothing(&self) -> bool {
        self.carrier == Some(false) || (!self.up && self.carrier.is_none())
    }
}

/// Physical interfaces, bonds, and those that are named. Those of pods (veth, cali*, lxc*) are none of these.
pub(super) fn list(host: &Host, named: &[String]) -> Result<Vec<Interface>, ReadError> {
    let names = host.list("/sys/class/net")?;
    let found = names.into_iter().filter_map(|name| interface(host, name, named));
    Ok(found.take(INTERFACES).collect())
}

fn interface(host: &Host, name: String, named: &[String]) -> Option<Interface> {
    let at = |file: &str| format!("/sys/class/net/{name}/{file}");
    let is = |file: &str| host.exists(at(file)).unwrap_or_default();
    let kind = match () {
        () if is("bonding") => "bond",
        () if is("device") => "physical",
        () if named.contains(&name) => "other",
        () => return None,
    };
    // It may be gone by now.
    let state = host.read_line(at("operstate")).ok()?;
    let flags = u32::from_str_radix(host.read_line(at("flags")).ok()?.trim_start_matches("0x"), 16).ok()?;
    // EINVAL while it is switched off (net/core/net-sysfs.c carrier_show).
    let carrier = host.read_line(at("carrier")).ok().and_then(|text| Some(text.parse::<u8>().ok()? == 1));
    Some(Interface { kind, state, up: flags & UP != 0, carrier, name })
}

/// Interfaces that are to carry the node's traffic and cannot. A further socket without a cable is none of them.
pub(super) fn down(interfaces: &[Interface], default: &[String]) -> Vec<String> {
    let name = |interface: &&Interface| interface.carries_nothing().then(|| interface.name.clone());
    let names = |of: &dyn Fn(&&Interface) -> bool| interfaces.iter().filter(of).filter_map(|i| name(&i)).collect::<Vec<_>>();
    if !default.is_empty() {
        return names(&|interface| default.contains(&interface.name));
    }
    // The default route goes with the carrier where systemd-networkd or NetworkManager set it.
    let physical = |interface: &&Interface| interface.kind == "physical";
    let dead = names(&physical);
    if dead.len() == interfaces.iter().filter(physical).count() { dead } else { Vec::new() }
}
