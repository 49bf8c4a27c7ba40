//! Processes of the node, from /proc.

use std::collections::BTreeMap;

use super::{Host, ReadError};

impl Host {
    /// argv of a process; empty for a kernel thread or a zombie.
    pub fn command_line(&self, pid: i64) -> Result<Vec<String>, ReadError> {
        let bytes = self.read(format!("/proc/{pid}/cmdline"))?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\0').unwrap_or(&text);
        Ok(if text.is_empty() { Vec::new() } else { text.split('\0').map(str::to_owned).collect() })
    }

    /// Variables a process was started with.
    pub fn environment(&self, pid: i64) -> Result<BTreeMap<String, String>, ReadError> {
        let bytes = self.read(format!("/proc/{pid}/environ"))?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.split('\0').filter_map(|item| item.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Name of a process as the kernel has it (at most 15 bytes).
    pub fn process_name(&self, pid: i64) -> Result<String, ReadError> {
        self.read_line(format!("/proc/{pid}/comm"))
    }

    /// State letter of a process (proc(5)): R, S, D, T, Z, ...
    pub fn process_state(&self, pid: i64) -> Result<Option<char>, ReadError> {
        Ok(state_letter(&self.read_text(format!("/proc/{pid}/stat"))?))
    }

    /// Ids of all processes.
    pub fn process_ids(&self) -> Result<Vec<i64>, ReadError> {
        Ok(self.list("/proc")?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The first process of this name.
    pub fn find_process(&self, name: &str) -> Result<Option<i64>, ReadError> {
        // A process may end between the listing and the reading of its name: that one is not it.
        Ok(self.process_ids()?.into_iter().find(|pid| self.process_name(*pid).is_ok_and(|found| found == name)))
    }
}

/// The name in `stat` stands in brackets and may hold spaces and brackets itself: the state follows the last one.
fn state_letter(stat: &str) -> Option<char> {
    let (_, after) = stat.rsplit_once(')')?;
    after.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_last_bracket() {
        assert_eq!(state_letter("14029 (kube) let) T 1 14029"), Some('T'));
        assert_eq!(state_letter("14029 (kubelet)"), None);
        assert_eq!(state_letter("garbage"), None);
    }

    #[test]
    fn this_process_is_found_in_the_real_proc() {
        let host = Host::new("/");
        let pid = i64::from(std::process::id());
        let name = host.process_name(pid).unwrap();
        assert!(host.process_ids().unwrap().contains(&pid));
        assert!(!host.command_line(pid).unwrap().is_empty());
        assert!(host.find_process(&name).unwrap().is_some());
        assert!(matches!(host.process_state(pid).unwrap(), Some('R' | 'S' | 'D')));
    }
}
