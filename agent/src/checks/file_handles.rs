//! Open files: of the whole machine against fs.file-max, and of the kubelet and the runtime against their own limits.

use std::time::Duration;

use nodewhy_diagnosis::facts::{Record, schema as fact};
use nodewhy_diagnosis::{Facts, Missing};

use super::support::{blocking, failed};
use super::{Check, Look, Stage};
use crate::host::{Host, ReadError};

const REPORTS: &[&str] = &["files"];

/// Processes that are looked at one by one, by the names the kernel has for them.
const PROGRAMS: [&str; 8] = ["kubelet", "containerd", "crio", "dockerd", "cri-dockerd", "k3s-server", "k3s-agent", "kubelite"];

/// The check.
pub(super) const CHECK: Check = Check {
    name: "file-handles",
    about: "open files against the machine's limit and those of the kubelet and the runtime",
    stage: Stage::Look,
    period: Duration::from_secs(30),
    deadline: Duration::from_secs(3),
    reports: REPORTS,
    look: |look| blocking(look, REPORTS, look_at),
};

fn look_at(look: &Look, facts: &mut Facts) {
    let at = look.began_at;
    let (open, limit) = match of_machine(&look.host) {
        Ok((open, limit)) => (Ok(open), Ok(limit)),
        Err(why) => (Err(why.clone()), Err(why)),
    };
    facts.put(fact::FILES_OPEN, at, open);
    facts.put(fact::FILES_LIMIT, at, limit);
    match of_processes(&look.host) {
        Ok(processes) => {
            facts.set(fact::FILES_AT_LIMIT, at, processes.iter().any(|process| process.open >= process.limit - process.limit / 100));
            facts.set(fact::FILES_PROCESSES, at, processes.into_iter().map(Process::record).collect());
        }
        Err(why) => {
            facts.miss(fact::FILES_AT_LIMIT, at, why.clone());
            facts.miss(fact::FILES_PROCESSES, at, why);
        }
    }
}

/// `8320\t0\t9223372036854775807`: handles in use, free ones (0 since Linux 2.6), the limit.
fn of_machine(host: &Host) -> Result<(i64, i64), Missing> {
    let path = "/proc/sys/fs/file-nr";
    let line = host.read_line(path)?;
    let numbers: Vec<i64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [open, free, limit] = numbers[..] else { return Err(failed(format!("{path} is not in the form of proc(5)"))) };
    Ok((open - free, limit))
}

struct Process {
    name: String,
    pid: i64,
    open: i64,
    limit: i64,
}

impl Process {
    fn record(self) -> Record {
        Record::new().with("name", self.name).with("pid", self.pid).with("open", self.open).with("limit", self.limit)
    }
}

fn of_processes(host: &Host) -> Result<Vec<Process>, Missing> {
    let mut found = Vec::new();
    for pid in host.process_ids()? {
        let Ok(name) = host.process_name(pid) else { continue };
        if !PROGRAMS.contains(&name.as_str()) {
            continue;
        }
        match of_process(host, pid) {
            Ok((open, limit)) => found.push(Process { name, pid, open, limit }),
            // It ended meanwhile.
            Err(Unread::File(error)) if error.is_absence() => {}
            Err(Unread::File(error)) => return Err(error.into()),
            Err(Unread::Form(why)) => return Err(failed(why)),
        }
    }
    Ok(found)
}

enum Unread {
    File(ReadError),
    Form(String),
}

impl From<ReadError> for Unread {
    fn from(error: ReadError) -> Self {
        Self::File(error)
    }
}

fn of_process(host: &Host, pid: i64) -> Result<(i64, i64), Unread> {
    let limits = host.read_text(format!("/proc/{pid}/limits"))?;
    let limit = soft_limit(&limits).ok_or_else(|| Unread::Form(format!("/proc/{pid}/limits has no usable line for open files")))?;
    let dir = format!("/proc/{pid}/fd");
    // Linux 6.2 and later say how many there are as the directory's size (f1f1f2569901); before, it is 0.
    let size = i64::try_from(host.stat(&dir)?.len()).unwrap_or_default();
    let open = if size > 0 { size } else { i64::try_from(host.list(&dir)?.len()).unwrap_or(i64::MAX) };
    Ok((open, limit))
}

/// `Max open files            1048576              1048576              files`
fn soft_limit(limits: &str) -> Option<i64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(i64::MAX) } else { soft.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::testing::Node;

    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \nMax processes             63432                63432                processes \nMax open files            1024                 524288               files     \n";

    #[test]
    fn the_machines_handles_are_counted() {
        let facts = Node::new().file("/proc/sys/fs/file-nr", "8320\t0\t52706963\n").look(&CHECK);
        assert_eq!((facts.known(fact::FILES_OPEN), facts.known(fact::FILES_LIMIT)), (Some(8320), Some(52_706_963)));
    }

    #[test]
    fn what_is_not_three_numbers_is_unknown() {
        for text in ["", "8320", "a b c", "1 2"] {
            assert_eq!(Node::new().file("/proc/sys/fs/file-nr", text).look(&CHECK).known(fact::FILES_OPEN), None, "{text:?}");
        }
    }

    #[test]
    fn a_soft_limit_is_read_and_a_garbled_one_is_not() {
        assert_eq!(soft_limit(LIMITS), Some(1024));
        assert_eq!(soft_limit("Max open files            unlimited            unlimited            files"), Some(i64::MAX));
        assert_eq!(soft_limit("Max open files"), None);
        assert_eq!(soft_limit("Max open files lots"), None);
    }

    #[test]
    fn processes_are_known_by_their_names() {
        let node = Node::new()
            .file("/proc/77/comm", "kubelet\n")
            .file("/proc/77/limits", LIMITS)
            .file("/proc/77/fd/0", "")
            .file("/proc/78/comm", "bash\n");
        let facts = node.look(&CHECK);
        let processes = facts.known(fact::FILES_PROCESSES).unwrap();
        assert_eq!(processes.len(), 1);
        assert_eq!(processes[0].get("limit"), Some(&nodewhy_diagnosis::facts::Value::Int(1024)));
    }
}
