use super::*;
use crate::checks::testing::Node;

const HEADER: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
const ROUTE: &str = "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.0.2.0\n        /24 link UNICAST\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n";
const INET6: &str = "00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000007 02 40 00 80     eth0\n";

fn node(routes: &str) -> Node {
    Node::new()
        .file("/proc/1/net/route", format!("{HEADER}{routes}"))
        .file("/proc/1/net/fib_trie", TRIE)
        .file("/proc/1/net/if_inet6", INET6)
        .file("/sys/class/net/lo/operstate", "unknown\n")
}

fn with_interface(node: Node, name: &str, flags: &str, carrier: &str) -> Node {
    let at = |file: &str| format!("/sys/class/net/{name}/{file}");
    let node = node.file(&at("device/vendor"), "").file(&at("flags"), flags).file(&at("operstate"), "down\n");
    if carrier.is_empty() { node } else { node.file(&at("carrier"), carrier) }
}

fn down(node: Node) -> Vec<String> {
    node.look(&CHECK).known(fact::NETWORK_DOWN).unwrap()
}

#[test]
fn the_interface_of_the_default_route_is_down_without_carrier_and_a_spare_one_is_not_missed() {
    let spare = |node| with_interface(node, "eth1", "0x1003\n", "0\n");
    assert_eq!(down(spare(with_interface(node(ROUTE), "eth0", "0x1003\n", "0\n"))), ["eth0"]);
    assert_eq!(down(spare(with_interface(node(ROUTE), "eth0", "0x1003\n", "1\n"))), [""; 0]);
    assert_eq!(down(with_interface(node(ROUTE), "eth0", "0x1002\n", "")), ["eth0"], "switched off");
}

#[test]
fn without_a_default_route_all_have_to_be_dead() {
    let first = with_interface(node(""), "eth0", "0x1003\n", "0\n");
    assert_eq!(down(with_interface(first, "eth1", "0x1003\n", "1\n")), [""; 0]);
    assert_eq!(down(with_interface(node(""), "eth0", "0x1003\n", "0\n")), ["eth0"]);
    assert_eq!(down(node("")), [""; 0], "a container without physical interfaces");
}

#[test]
fn ipv6_default_routes_count_and_the_kernels_own_unreachable_one_does_not() {
    let zero = "0".repeat(32);
    let gateway = format!("fe80{}1", "0".repeat(27));
    let routes = format!(
        "{zero} 00 {zero} 00 {gateway} 00000400 00000001 00000000 00000003     eth2\n{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    );
    let facts = node("").file("/proc/1/net/ipv6_route", routes).look(&CHECK);
    assert_eq!(facts.known(fact::NETWORK_DEFAULT_INTERFACES).unwrap(), ["eth2"]);
}

fn elsewhere(said: &str) -> Result<Vec<String>, String> {
    let flags = [("node-ip".to_owned(), said.to_owned())].into_iter().collect();
    let facts = node(ROUTE).known(fact::KUBELET_FLAGS, flags).look(&CHECK);
    facts.known(fact::NETWORK_NODE_IPS_ELSEWHERE).ok_or_else(|| facts.value("network.node_ips_elsewhere").unwrap_err().why)
}

#[test]
fn the_kubelets_addresses_are_looked_for_on_this_host() {
    assert_eq!(elsewhere("192.0.2.7"), Ok(vec![]));
    assert_eq!(elsewhere("192.0.2.7,fd00::7"), Ok(vec![]));
    assert_eq!(elsewhere("192.0.2.8"), Ok(vec!["192.0.2.8".into()]));
    assert_eq!(elsewhere("192.0.2.255"), Ok(vec!["192.0.2.255".into()]), "a broadcast address is nobody's");
    assert!(elsewhere("0.0.0.0").is_err());
    assert!(elsewhere("eth0").is_err());
}

#[test]
fn garbled_tables_are_unknown() {
    let facts = Node::new().file("/proc/1/net/route", "nonsense\n").look(&CHECK);
    assert!(facts.value("network.default_interfaces").is_err());
    assert!(facts.value("network.down").is_err());
    assert!(facts.value("network.addresses").is_err());
}

#[test]
fn this_machine_can_say_what_is_down() {
    assert!(Node::this_machine().look(&CHECK).known(fact::NETWORK_DOWN).is_some());
}
