//! Whether a file system can be written to, without ever writing.
//!
//! `ro` in the mount's options is not all there is:
//!
//! - XFS that was shut down (fs/xfs/xfs_fsops.c xfs_do_force_shutdown) stays mounted `rw`; statfs answers, and every stat fails with EIO
//!   (fs/xfs/xfs_iops.c xfs_vn_getattr).
//! - ext4 (fs/ext4/super.c ext4_handle_error) set SB_RDONLY after an error until 6.11, and so became `ro`. Since 6.12, and in stable kernels
//!   from October 2024 on, it only stops writing. Since 6.15 the options say `emergency_ro` then, and `shutdown` for a forced shutdown; in
//!   between nothing says so but the kernel's log.
//! - btrfs sets SB_RDONLY.

use nodewhy_diagnosis::facts::schema as fact;
use nodewhy_diagnosis::{Facts, Missing};

use super::devices;
use crate::checks::support::failed;
use crate::host::Host;
use crate::host::mounts::Mount;

/// The first kernel whose ext4 says in its options that it stopped writing.
const EXT4_SAYS_SINCE: (u32, u32) = (6, 15);

/// Whether nothing can be written, and if it is not the mount's own `ro`, what stopped it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Writable {
    pub(super) read_only: bool,
    pub(super) stopped: Option<&'static str>,
}

pub(super) fn writable(host: &Host, known: &Facts, mount: &Mount, gives_io_errors: bool) -> Result<Writable, Missing> {
    let stopped = match gives_io_errors {
        true => Some("every access fails with an input/output error"),
        false => mount.stopped.map(|by| if by == "shutdown" { "shut down by the kernel" } else { "stopped by the kernel after an error" }),
    };
    if mount.read_only || stopped.is_some() {
        return Ok(Writable { read_only: true, stopped });
    }
    match ext4_in_doubt(host, known, mount) {
        Some(why) => Err(failed(why)),
        None => Ok(Writable { read_only: false, stopped: None }),
    }
}

/// Why it cannot be told whether this ext4 still writes, if it cannot.
fn ext4_in_doubt(host: &Host, known: &Facts, mount: &Mount) -> Option<String> {
    if !matches!(mount.fstype.as_str(), "ext4" | "ext3" | "ext2") || version(&known.known(fact::NODE_KERNEL)?)? >= EXT4_SAYS_SINCE {
        return None;
    }
    let name = devices::name_of(host, mount)?;
    let attribute = |of: &str| host.read_line(format!("/sys/fs/ext4/{name}/{of}")).ok();
    let errors: u64 = attribute("errors_count")?.parse().ok()?;
    let last: i64 = attribute("last_error_time")?.parse().ok()?;
    // The count is on the disk until e2fsck clears it: errors of an earlier boot say nothing of this one.
    if errors == 0 || last < known.known(fact::NODE_BOOTED_AT)?.as_second() {
        return None;
    }
    let options = host.read_text(format!("/proc/fs/ext4/{name}/options")).unwrap_or_default();
    let stops = options.lines().any(|option| option.trim() == "errors=remount-ro");
    // An aborted journal stops writing whatever `errors=` says (fs/ext4/ext4_jbd2.c ext4_journal_check_start).
    let aborted = attribute("last_error_func").is_some_and(|function| function == "ext4_journal_check_start");
    (stops || aborted).then(|| {
        format!("{} had an error since the boot, after which ext4 stops writing; this kernel shows that only in its log", mount.source)
    })
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::checks::testing::Node;

    const BOOT: i64 = 1_700_000_000;

    fn known(kernel: &str) -> Facts {
        let mut known = Facts::new();
        known.set(fact::NODE_KERNEL, Timestamp::UNIX_EPOCH, kernel.to_owned());
        known.set(fact::NODE_BOOTED_AT, Timestamp::UNIX_EPOCH, Timestamp::from_second(BOOT).unwrap());
        known
    }

    fn mount(line: &str) -> Mount {
        Node::new().file("/proc/1/mountinfo", line).host().mounts().unwrap().remove(0)
    }

    fn ext4() -> Mount {
        mount("30 22 8:17 / /var rw - ext4 /dev/sdb1 rw\n")
    }

    fn erroneous(seconds_after_boot: i64, options: &str, function: &str) -> Node {
        Node::new()
            .file("/sys/devices/block/sdb/sdb1/partition", "1\n")
            .link("/sys/dev/block/8:17", "../../devices/block/sdb/sdb1")
            .file("/sys/fs/ext4/sdb1/errors_count", "2\n")
            .file("/sys/fs/ext4/sdb1/last_error_time", format!("{}\n", BOOT + seconds_after_boot))
            .file("/sys/fs/ext4/sdb1/last_error_func", function)
            .file("/proc/fs/ext4/sdb1/options", options)
    }

    fn look(node: &Node, kernel: &str, mount: &Mount) -> Result<bool, Missing> {
        writable(&node.host(), &known(kernel), mount, false).map(|writable| writable.read_only)
    }

    #[test]
    fn a_file_system_that_stopped_writing_counts_as_read_only_though_mounted_rw() {
        let node = Node::new();
        let host = node.host();
        for options in ["rw,emergency_ro", "rw,shutdown"] {
            let stopped = writable(&host, &known("6.18.0"), &mount(&format!("30 22 8:17 / /var rw - ext4 /dev/sdb1 {options}\n")), false);
            assert!(stopped.is_ok_and(|found| found.read_only && found.stopped.is_some()), "{options}");
        }
        let xfs = mount("30 22 8:17 / /var rw - xfs /dev/sdb1 rw,inode64\n");
        assert!(writable(&host, &known("5.14.0"), &xfs, true).is_ok_and(|found| found.read_only && found.stopped.is_some()));
        assert_eq!(writable(&host, &known("5.14.0"), &xfs, false), Ok(Writable { read_only: false, stopped: None }));
    }

    #[test]
    fn an_ext4_that_would_not_tell_is_unknown_after_an_error() {
        let node = erroneous(60, "rw\nerrors=remount-ro\n", "ext4_lookup\n");
        assert!(look(&node, "6.1.0-28-amd64", &ext4()).is_err());
        let aborted = erroneous(60, "rw\nerrors=continue\n", "ext4_journal_check_start\n");
        assert!(look(&aborted, "6.12.9", &ext4()).is_err());
    }

    #[test]
    fn an_ext4_that_would_tell_or_that_goes_on_or_whose_error_is_of_another_boot_is_writable() {
        let stops = erroneous(60, "rw\nerrors=remount-ro\n", "ext4_lookup\n");
        assert_eq!(look(&stops, "6.15.1", &ext4()), Ok(false));
        let goes_on = erroneous(60, "rw\nerrors=continue\n", "ext4_lookup\n");
        assert_eq!(look(&goes_on, "6.1.0-28-amd64", &ext4()), Ok(false));
        let old = erroneous(-60, "rw\nerrors=remount-ro\n", "ext4_lookup\n");
        assert_eq!(look(&old, "6.1.0-28-amd64", &ext4()), Ok(false));
        assert_eq!(look(&Node::new(), "6.1.0", &ext4()), Ok(false), "a file system without errors in sysfs");
    }

    #[test]
    fn releases_are_read_whatever_follows_the_numbers() {
        assert_eq!(version("6.1.0-28-amd64"), Some((6, 1)));
        assert_eq!(version("5.14.0-427.el9.x86_64"), Some((5, 14)));
        assert_eq!(version("6.18-rc1"), Some((6, 18)));
        assert_eq!(version("custom"), None);
    }
}
