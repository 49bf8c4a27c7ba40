//! What is mounted where: mountinfo, /proc/mounts, mount(8).

use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// What: a device or a name.
    pub source: String,
    /// File system type.
    pub fstype: String,
    /// `major:minor`: equal for two mounts of one file system; empty where the listing does not say.
    pub device: String,
    /// Read-only by this mount or by the file system itself (errors=remount-ro).
    pub read_only: bool,
    /// The option by which ext4 says that it takes no writes any more although it is mounted `rw` (6.15 and later).
    pub stopped: Option<&'static str>,
}

/// Options of [`Mount::stopped`]: fs/ext4/super.c _ext4_show_options.
const STOPPED: [&str; 2] = ["emergency_ro", "shutdown"];

fn stopped(fstype: &str, options: &str) -> Option<&'static str> {
    STOPPED.into_iter().find(|stopped| fstype.starts_with("ext") && options.split(',').any(|option| option == *stopped))
}

/// The lines of /proc/PID/mountinfo (proc(5)).
pub fn mountinfo(text: &str) -> Vec<Mount> {
    text.lines().filter_map(of_mountinfo).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn of_mountinfo(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(2);
    let device = fields.next()?.to_owned();
    let (point, options) = (fields.nth(1)?, fields.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !point.starts_with('/') || !device.split_once(':').is_some_and(|(major, minor)| digits(major) && digits(minor)) {
        return None;
    }
    let mut rest = after.split(' ');
    let (fstype, source, super_options) = (rest.next()?, rest.next()?, rest.next()?);
    let read_only = is_read_only(options) || is_read_only(super_options);
    let stopped = stopped(fstype, super_options);
    Some(Mount { point: unescape(point).into(), source: unescape(source), fstype: fstype.to_owned(), device, read_only, stopped })
}

/// The lines of /proc/mounts (fstab(5)'s form) or of mount(8) without arguments.
pub fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(|line| of_mount_command(line).or_else(|| of_proc_mounts(line))).collect()
}

/// `/dev/sda1 on / type ext4 (rw,relatime)`
fn of_mount_command(line: &str) -> Option<Mount> {
    let (source, rest) = line.split_once(" on ")?;
    let (point, rest) = rest.split_once(" type ")?;
    let (fstype, options) = rest.split_once(" (")?;
    Some(plain(source.to_owned(), point.to_owned(), fstype, options.split_once(')')?.0))
}

/// `/dev/sda1 / ext4 rw,relatime 0 0`
fn of_proc_mounts(line: &str) -> Option<Mount> {
    let mut fields = line.split_whitespace();
    let (source, point, fstype, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if !point.starts_with('/') || !fields.all(|field| field == "0" || field == "1") {
        return None;
    }
    Some(plain(unescape(source), unescape(point), fstype, options))
}

fn plain(source: String, point: String, fstype: &str, options: &str) -> Mount {
    let (read_only, stopped) = (is_read_only(options), stopped(fstype, options));
    Mount { point: point.into(), source, fstype: fstype.to_owned(), device: String::new(), read_only, stopped }
}

fn is_read_only(options: &str) -> bool {
    options.split(',').any(|option| option == "ro")
}

/// The mount a path lies on: the longest mount point above it, and of several there the last, which covers the others.
pub fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.components().count())
}

/// Octal escapes as the kernel and fstab(5) write them.
pub fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n\
        23 22 0:21 / /proc rw,nosuid - proc proc rw\n\
        30 22 254:17 / /var/lib/kubelet rw,relatime - ext4 /dev/vdb1 ro,errors=remount-ro\n\
        31 22 254:33 / /mnt/with\\040space ro,relatime - xfs /dev/vdc1 rw\n\
        32 22 254:49 / /var/lib/kubelet rw - ext4 /dev/vdd1 rw\n\
        garbage\n33 22 0:1 / /cut rw\nmany words of a log and a - in it and more";

    #[test]
    fn read_only_is_said_by_mount_or_file_system() {
        let all = mountinfo(MOUNTINFO);
        assert_eq!(all.iter().map(|mount| mount.read_only).collect::<Vec<_>>(), [false, false, true, true, false]);
        assert_eq!(all[3].point, Path::new("/mnt/with space"));
    }

    #[test]
    fn an_ext4_that_stopped_writing_says_so() {
        let said = |options: &str| mountinfo(&format!("30 22 8:17 / /var rw - ext4 /dev/sdb1 rw,{options}"))[0].stopped;
        assert_eq!(said("errors=remount-ro,emergency_ro"), Some("emergency_ro"));
        assert_eq!(said("shutdown"), Some("shutdown"));
        assert_eq!(said("errors=remount-ro"), None);
    }

    #[test]
    fn a_path_lies_on_the_deepest_and_latest_mount() {
        let all = mountinfo(MOUNTINFO);
        let source = |path: &str| mount_of(&all, Path::new(path)).unwrap().source.clone();
        assert_eq!(source("/var/lib/kubelet/pods"), "/dev/vdd1");
        assert_eq!(source("/var/lib/kubelet-other"), "/dev/vda1");
        assert_eq!(source("/"), "/dev/vda1");
    }

    #[test]
    fn the_command_and_the_kernels_short_list_say_the_same() {
        let command = mounts("/dev/sda1 on / type ext4 (ro,relatime)\ntmpfs on /run type tmpfs (rw)\nsysfs on /sys type");
        let short = mounts("/dev/sda1 / ext4 ro,relatime 0 0\ntmpfs /run tmpfs rw 0 0\nwords that are none of it\n");
        assert_eq!(command, short);
        assert_eq!(command.iter().map(|mount| mount.read_only).collect::<Vec<_>>(), [true, false]);
    }
}
