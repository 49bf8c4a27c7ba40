//! The kernel's tables of routes and addresses.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// RTF_UP and RTF_REJECT (include/uapi/linux/route.h).
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

/// `Iface Destination Gateway Flags ... Mask ...`, in hexadecimal. `None` without that header.
pub(super) fn defaults_v4(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines();
    // A network namespace without any route still has the header.
    if !lines.next()?.starts_with("Iface") {
        return None;
    }
    Some(lines.filter_map(default_v4).collect())
}

fn default_v4(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [name, "00000000", _, flags, _, _, _, "00000000", ..] = fields[..] else { return None };
    usable(flags).then(|| name.to_owned())
}

/// Destination, prefix length, source, prefix length, next hop, metric, reference count, use count, flags, interface (net/ipv6/route.c). The
/// kernel's own unreachable route over lo is none.
pub(super) fn defaults_v6(text: &str) -> Vec<String> {
    let default = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, "00", _, _, _, _, _, _, flags, name] = fields[..] else { return None };
        (destination.bytes().all(|digit| digit == b'0') && name != "lo" && usable(flags)).then(|| name.to_owned())
    };
    text.lines().filter_map(default).collect()
}

fn usable(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP != 0 && flags & REJECT == 0)
}

/// Lines `|-- 192.0.2.7` that are followed by `/32 host LOCAL` (net/ipv4/fib_trie.c fib_trie_seq_show).
pub(super) fn local_v4(text: &str) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf);
        }
    }
    found
}

/// `fd000000000000000000000000000007 02 40 00 80 eth0` (net/ipv6/addrconf.c if6_seq_show).
pub(super) fn local_v6(text: &str) -> BTreeSet<Ipv6Addr> {
    let address = |line: &str| Some(Ipv6Addr::from(u128::from_str_radix(line.split_whitespace().next()?, 16).ok()?));
    text.lines().filter_map(address).collect()
}
