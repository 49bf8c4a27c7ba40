//! The host's own network: interfaces that carry it, default routes, and whether the kubelet's addresses are here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, failed, needs, not_applicable};
use super::{Check, Look, Stage};
use crate::host::{Host, ReadError};

mod interfaces;
mod tables;

const REPORTS: &[&str] = &["network"];

/// Nodes with more than this have them for their pods.
const ADDRESSES: usize = 256;

/// The check.
pub(super) const CHECK: Check = Check {
    name: "network",
    about: "interfaces, default routes and addresses of the host",
    stage: Stage::Look,
    period: Duration::from_secs(10),
    deadline: Duration::from_secs(2),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    let routes = default_interfaces(&look.host);
    let interfaces = routes.clone().and_then(|routes| Ok(interfaces::list(&look.host, &routes)?));
    let down = routes.clone().and_then(|routes| Ok(interfaces::down(interfaces.as_ref().map_err(Clone::clone)?, &routes)));
    facts.put(fact::NETWORK_DEFAULT_INTERFACES, at, routes);
    facts.put(fact::NETWORK_DOWN, at, down);
    facts.put(fact::NETWORK_INTERFACES, at, interfaces.map(|list| list.into_iter().map(interfaces::Interface::record).collect()));
    let addresses = addresses(&look.host);
    let wanted = node_ips(look);
    let elsewhere = match (&wanted, &addresses) {
        (Ok(wanted), Ok(addresses)) => Ok(wanted.iter().filter(|wanted| !addresses.contains(wanted)).map(ToString::to_string).collect()),
        (Err(why), _) | (_, Err(why)) => Err(why.clone()),
    };
    let words = |list: Vec<IpAddr>| list.iter().take(ADDRESSES).map(ToString::to_string).collect::<Vec<_>>();
    facts.put(fact::NETWORK_ADDRESSES, at, addresses.map(words));
    facts.put(fact::NETWORK_NODE_IPS, at, wanted.map(words));
    facts.put(fact::NETWORK_NODE_IPS_ELSEWHERE, at, elsewhere);
}

/// The tables of PID 1's network namespace: the agent's own may be a pod's.
fn table(host: &Host, name: &str) -> Result<String, ReadError> {
    host.read_text(format!("/proc/1/net/{name}")).or_else(|_| host.read_text(format!("/proc/net/{name}")))
}

/// A kernel without IPv6 has no such table.
fn table_of_ipv6(host: &Host, name: &str) -> Result<String, ReadError> {
    match table(host, name) {
        Err(error) if error.is_absence() && host.exists("/proc/1/net/route").unwrap_or_default() => Ok(String::new()),
        other => other,
    }
}

fn default_interfaces(host: &Host) -> Result<Vec<String>, Missing> {
    let mut names = tables::defaults_v4(&table(host, "route")?).ok_or_else(|| failed("/proc/1/net/route is not in the form of proc(5)"))?;
    names.extend(tables::defaults_v6(&table_of_ipv6(host, "ipv6_route")?));
    names.sort();
    names.dedup();
    Ok(names)
}

fn addresses(host: &Host) -> Result<Vec<IpAddr>, Missing> {
    if lives_in_the_hosts_network(host) {
        return own_addresses();
    }
    let mut found: Vec<IpAddr> = tables::local_v4(&table(host, "fib_trie")?).into_iter().map(IpAddr::V4).collect();
    found.extend(tables::local_v6(&table_of_ipv6(host, "if_inet6")?).into_iter().map(IpAddr::V6));
    found.retain(|address| !is_local(address));
    Ok(found)
}

fn lives_in_the_hosts_network(host: &Host) -> bool {
    let namespace = |pid: &str| host.read_link(format!("/proc/{pid}/ns/net")).ok();
    namespace("self").is_some_and(|own| namespace("1") == Some(own))
}

/// As the kubelet asks for them (net.InterfaceAddrs in validateNodeIP): also those of interfaces that are switched off or in another routing table, which
/// the kernel's tables of local addresses do not show.
fn own_addresses() -> Result<Vec<IpAddr>, Missing> {
    let all = nix::ifaddrs::getifaddrs().map_err(|errno| failed(format!("getifaddrs: {}", errno.desc())))?;
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let mut found: Vec<IpAddr> = all.filter_map(address).filter(|address| !is_local(address)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn is_local(address: &IpAddr) -> bool {
    address.is_loopback()
        || match address {
            IpAddr::V4(v4) => Ipv4Addr::is_link_local(v4),
            IpAddr::V6(v6) => Ipv6Addr::is_unicast_link_local(v6),
        }
}

/// `--node-ip=192.0.2.7` or two of them, one a family (1.20 and later). 0.0.0.0 and :: only choose the family (ParseNodeIPArgument in
/// component-helpers/node/util/ips.go).
fn node_ips(look: &Look) -> Result<Vec<IpAddr>, Missing> {
    let flags = needs(look, fact::KUBELET_FLAGS)?;
    let said = flags.get("node-ip").map(String::as_str).unwrap_or_default();
    let parse = |part: &str| part.trim().parse().map_err(|_| failed(format!("--node-ip {said} is no address")));
    let mut wanted: Vec<IpAddr> = said.split(',').filter(|part| !part.trim().is_empty()).map(parse).collect::<Result<_, _>>()?;
    wanted.retain(|address| !address.is_unspecified());
    if wanted.is_empty() { Err(not_applicable("the kubelet finds its address itself: --node-ip names none")) } else { Ok(wanted) }
}

#[cfg(test)]
mod tests;
