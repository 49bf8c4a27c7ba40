//! inotify: its limits, and whether root can still get an instance and a watch.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, failed, not_applicable};
use super::{Check, Look, Stage};

const REPORTS: &[&str] = &["inotify"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "inotify",
    about: "inotify's limits, and whether root can still get an instance and a watch",
    stage: Stage::Look,
    period: Duration::from_secs(15),
    deadline: Duration::from_secs(1),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    facts.put(fact::INOTIFY_MAX_INSTANCES, look.began_at, limit(look, "max_user_instances"));
    facts.put(fact::INOTIFY_MAX_WATCHES, look.began_at, limit(look, "max_user_watches"));
    facts.put(fact::INOTIFY_PROBE, look.began_at, may_probe(look).and_then(|()| probe(look)));
}

fn limit(look: &Look, name: &str) -> Result<i64, Missing> {
    let path = format!("/proc/sys/fs/inotify/{name}");
    look.host.read_line(&path)?.parse().map_err(|_| failed(format!("{path} is not a number")))
}

/// The kernel counts by user and user namespace (fs/notify/inotify/inotify_user.c, UCOUNT_INOTIFY_*). Counting what others use would mean to
/// walk every descriptor of every process; asking for one more, as the kubelet's user, costs two calls. So only root in the first user
/// namespace can say anything. Elsewhere (the shipped unit) there is no probe, and the words of the logs alone speak. It is not said to be
/// unknown: that would stand on every such node's page for ever, and a case that a log opened would never be over.
fn may_probe(look: &Look) -> Result<(), Missing> {
    if !nix::unistd::geteuid().is_root() {
        return Err(not_applicable("the agent does not run as root, whose limit the kubelet shares"));
    }
    let map = look.host.read_line("/proc/self/uid_map")?;
    let fields: Vec<&str> = map.split_whitespace().collect();
    match fields[..] {
        ["0", "0", "4294967295"] => Ok(()),
        _ => Err(not_applicable("the agent runs in a user namespace of its own, with limits of its own")),
    }
}

fn probe(look: &Look) -> Result<String, Missing> {
    let instance = match Inotify::init(InitFlags::IN_CLOEXEC) {
        Ok(instance) => instance,
        // EMFILE is the agent's own limit of descriptors too; it holds a few dozen of them (inotify_init(2)).
        Err(Errno::EMFILE) => return Ok("no-instances".to_owned()),
        Err(errno) => return Err(failed(format!("inotify_init1: {}", errno.desc()))),
    };
    let root = look.host.path("/proc");
    match instance.add_watch(&root, AddWatchFlags::IN_DELETE_SELF) {
        Ok(_) => Ok("ok".to_owned()),
        Err(Errno::ENOSPC) => Ok("no-watches".to_owned()),
        Err(errno) => Err(failed(format!("inotify_add_watch: {}", errno.desc()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    #[test]
    fn limits_are_read_and_garbage_is_unknown() {
        let node =
            Node::new().file("/proc/sys/fs/inotify/max_user_instances", "128\n").file("/proc/sys/fs/inotify/max_user_watches", "x\n");
        let facts = node.look(&CHECK);
        assert_eq!(facts.known(fact::INOTIFY_MAX_INSTANCES), Some(128));
        assert_eq!(facts.known(fact::INOTIFY_MAX_WATCHES), None);
    }

    #[test]
    fn in_a_user_namespace_of_its_own_the_agent_does_not_speak_for_the_node() {
        let facts = Node::new().file("/proc/self/uid_map", "0 100000 65536\n").look(&CHECK);
        assert_eq!(facts.value("inotify.probe").unwrap_err().kind, nodewhy_diagnosis::MissingKind::NotApplicable);
    }

    #[test]
    fn this_machine_has_limits() {
        assert!(Node::this_machine().look(&CHECK).known(fact::INOTIFY_MAX_INSTANCES).unwrap() > 0);
    }
}
