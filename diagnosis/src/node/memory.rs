//! /proc/meminfo.

/// A line of meminfo in bytes.
pub fn kilobytes(meminfo: &str, name: &str) -> Option<i64> {
    let line = |line: &str| line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix("kB")?.trim().parse::<i64>().ok();
    meminfo.lines().find_map(line)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let text = "MemTotal:  1000 kB\nMemFree: 10 kB\nInactive(file):  5 kB\n";
        assert_eq!(kilobytes(text, "MemFree"), Some(10_240));
        assert_eq!(kilobytes(text, "Mem"), None);
        assert_eq!(kilobytes("MemTotal: 9999999999999999 kB", "MemTotal"), None);
        assert_eq!(kilobytes("MemTotal: many kB\nMemTotal", "MemTotal"), None);
    }
}
