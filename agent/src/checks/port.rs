//! Who listens on the kubelet's port while the kubelet itself does not run.

use std::time::Duration;

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, failed, miss_all, needs, no_kubelet};
use super::{Check, Look, Looking, Stage};
use crate::host::{Host, ReadError};

const REPORTS: &[&str] = &["kubelet.port"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "kubelet-port",
    about: "which process holds the kubelet's port while the kubelet is down",
    stage: Stage::Look,
    period: Duration::from_secs(5),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look,
};

fn look(look: Look) -> Looking {
    // While the kubelet runs the port is its own; tables of a busy node's connections are not read for that, and no thread is woken.
    if no_kubelet(&look).is_none() && look.known.known(fact::KUBELET_UNIT_RUNNING) == Some(true) {
        let mut facts = Facts::new();
        facts.set(fact::KUBELET_PORT_HOLDER, look.began_at, String::new());
        return Box::pin(std::future::ready(facts));
    }
    blocking(look, REPORTS, look_at)
}

fn look_at(look: &Look, facts: &mut Facts) {
    if let Some(why) = no_kubelet(look) {
        miss_all(facts, REPORTS, look.began_at, &why);
        return;
    }
    let holder = needs(look, fact::KUBELET_CONFIG_PORT).and_then(|port| holder(&look.host, port));
    facts.put(fact::KUBELET_PORT_HOLDER, look.began_at, holder);
}

fn holder(host: &Host, port: i64) -> Result<String, Missing> {
    let mut listeners = listeners(host, "tcp", port)?;
    // A kernel without IPv6 has no such table.
    match self::listeners(host, "tcp6", port) {
        Ok(more) => listeners.extend(more),
        Err(error) if error.is_absence() => {}
        Err(error) => return Err(error.into()),
    }
    match listeners.first() {
        None => Ok(String::new()),
        Some(_) => owner(host, &listeners),
    }
}

/// A listening socket.
struct Listener {
    inode: String,
    uid: String,
}

/// The table of PID 1's network namespace: the agent's own may be a pod's.
fn listeners(host: &Host, table: &str, port: i64) -> Result<Vec<Listener>, ReadError> {
    let text = host.read_text(format!("/proc/1/net/{table}")).or_else(|_| host.read_text(format!("/proc/net/{table}")))?;
    Ok(text.lines().skip(1).filter_map(|line| listener(line, port)).collect())
}

/// `0: 00000000:280A 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 24910 1 ...`; state 0A is LISTEN.
fn listener(line: &str, port: i64) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().take(10).collect();
    let [_, local, _, "0A", _, _, _, uid, _, inode] = fields[..] else { return None };
    let found = i64::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (found == port).then(|| Listener { inode: inode.to_owned(), uid: uid.to_owned() })
}

fn owner(host: &Host, listeners: &[Listener]) -> Result<String, Missing> {
    let mut refused = false;
    for pid in host.process_ids()? {
        match holds(host, pid, listeners) {
            Ok(true) => {
                let name = host.process_name(pid).unwrap_or_else(|_| "?".to_owned());
                return Ok(format!("{name}[{pid}]"));
            }
            Ok(false) => {}
            // Gone meanwhile, or not ours to see.
            Err(error) => refused |= !error.is_absence(),
        }
    }
    let uid = listeners.first().map_or("?", |listener| listener.uid.as_str());
    if refused {
        return Ok(format!("a process of uid {uid} that the agent may not see"));
    }
    Err(failed(format!("a socket of uid {uid} listens, and no process holds it (it may live in another PID namespace)")))
}

fn holds(host: &Host, pid: i64, listeners: &[Listener]) -> Result<bool, ReadError> {
    let dir = format!("/proc/{pid}/fd");
    for fd in host.list(&dir)? {
        let Ok(target) = host.read_link(format!("{dir}/{fd}")) else { continue };
        let Some(inode) = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')) else { continue };
        if listeners.iter().any(|listener| listener.inode == inode) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use nodewhy_diagnosis::MissingKind;

    use super::*;
    use crate::checks::testing::Node;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn node(listening: &str) -> Node {
        Node::new()
            .known(fact::KUBELET_UNIT_RUNNING, false)
            .known(fact::KUBELET_CONFIG_PORT, 10250)
            .file("/proc/1/net/tcp", format!("{TABLE}{listening}"))
            .file("/proc/1/comm", "systemd\n")
            .link("/proc/1/fd/0", "/dev/null")
    }

    #[test]
    fn the_holder_is_named_with_its_pid() {
        let node =
            node("   0: 0100007F:280A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 24910 1 0 100 0 0 10 0\n")
                .file("/proc/812/comm", "nc\n")
                .link("/proc/812/fd/3", "socket:[24910]");
        assert_eq!(node.look(&CHECK).known(fact::KUBELET_PORT_HOLDER).unwrap(), "nc[812]");
    }

    #[test]
    fn connections_and_other_ports_do_not_hold_it() {
        let lines = "   0: 0100007F:280A 0100007F:C000 01 0:0 00:0 0     0        0 24910 1\n   1: 00000000:280B 00000000:0000 0A 0:0 00:0 0 0 0 24911 1\n garbage\n";
        assert_eq!(node(lines).look(&CHECK).known(fact::KUBELET_PORT_HOLDER).unwrap(), "");
    }

    #[test]
    fn a_socket_without_a_visible_process_is_unknown() {
        let facts = node("   0: 00000000:280A 00000000:0000 0A 0:0 00:0 0     33        0 24910 1\n").look(&CHECK);
        assert_eq!(facts.value("kubelet.port.holder").unwrap_err().kind, MissingKind::Failed);
    }

    #[test]
    fn an_unreadable_table_is_unknown_and_not_free() {
        let facts = Node::new().known(fact::KUBELET_UNIT_RUNNING, false).known(fact::KUBELET_CONFIG_PORT, 10250).look(&CHECK);
        assert_eq!(facts.value("kubelet.port.holder").unwrap_err().kind, MissingKind::Failed);
    }

    #[test]
    fn while_the_kubelet_runs_nobody_else_holds_its_port() {
        let facts = Node::new().known(fact::KUBELET_UNIT_RUNNING, true).look(&CHECK);
        assert_eq!(facts.known(fact::KUBELET_PORT_HOLDER).unwrap(), "");
    }

    #[test]
    fn a_real_listener_is_found_on_this_machine() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = i64::from(socket.local_addr().unwrap().port());
        let node = Node::this_machine().known(fact::KUBELET_UNIT_RUNNING, false).known(fact::KUBELET_CONFIG_PORT, port);
        let holder = node.look(&CHECK).known(fact::KUBELET_PORT_HOLDER).unwrap();
        assert!(holder.ends_with(&format!("[{}]", std::process::id())), "{holder}");
    }
}
