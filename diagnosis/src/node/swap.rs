//! Swap: /proc/swaps and /etc/fstab.

use super::unescape;
use crate::facts::Record;

/// Swap in use, from /proc/swaps; `None` if any line is not one of the kernel's: half a list would read as less swap than there is.
pub fn swaps_in_use(text: &str) -> Option<Vec<Record>> {
    let mut lines = text.lines();
    if !lines.next()?.starts_with("Filename") {
        return None;
    }
    lines.filter(|line| !line.trim().is_empty()).map(device).collect()
}

fn device(line: &str) -> Option<Record> {
    // The path may hold escaped spaces only (\040), so the fields are those that white space parts. Sizes are in KiB.
    let mut fields = line.split_whitespace();
    let (path, kind) = (fields.next()?, fields.next()?);
    let (size, used): (i64, i64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(
        Record::new()
            .with("path", unescape(path))
            .with("kind", kind.to_owned())
            .with("size_bytes", size.checked_mul(1024)?)
            .with("used_bytes", used.checked_mul(1024)?),
    )
}

/// Lines of fstab that swapon -a and systemd-fstab-generator act on: type swap, without noauto.
pub fn fstab_swaps(text: &str) -> Vec<Record> {
    let numbered = text.lines().zip(1_i64..);
    numbered.filter_map(|(line, number)| Some(fstab_swap(line)?.with("line", number).with("text", line.trim().to_owned()))).collect()
}

fn fstab_swap(line: &str) -> Option<Record> {
    let mut fields = line.split_whitespace();
    let device = fields.next().filter(|field| !field.starts_with('#'))?;
    let _mount_point = fields.next()?;
    if fields.next()? != "swap" || fields.next().is_some_and(|options| options.split(',').any(|option| option == "noauto")) {
        return None;
    }
    Some(Record::new().with("device", unescape(device)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Value;

    #[test]
    fn half_a_list_is_no_list() {
        let header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        let one = format!("{header}/swap\\040file file 1024 0 -3\n");
        assert_eq!(swaps_in_use(&one).unwrap()[0].get("path"), Some(&Value::Text("/swap file".into())));
        assert_eq!(swaps_in_use(header), Some(vec![]));
        for text in ["", "garbage", &format!("{one}/dev/sda2 partition"), &format!("{one}/dev/sda2 partition 99999999999999999999 0")] {
            assert_eq!(swaps_in_use(text), None, "{text}");
        }
    }
}
