//! df(1) in its forms.

use std::collections::BTreeMap;

/// Space of a file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub size_bytes: i64,
    /// Bytes that users without privilege may still take, as the kubelet counts.
    pub available_bytes: i64,
    /// Inodes in all; 0 where the file system has no fixed number (btrfs).
    pub inodes: i64,
    /// Inodes left.
    pub inodes_free: i64,
}

/// Sizes (or, of `df -i`, inodes) by mount point, and whether they are exact: `df -h` rounds.
pub fn df(text: &str) -> Option<(BTreeMap<String, Space>, bool)> {
    let mut lines = text.lines().skip_while(|line| !is_header(line));
    let header = lines.next()?;
    let columns: Vec<&str> = header.split_whitespace().collect();
    let inodes = columns.contains(&"Inodes");
    // `Filesystem [Type] 1K-blocks Used Available Use% Mounted on`: the type is there or not.
    let first = columns.iter().position(|column| *column == "Used" || *column == "IUsed")?.checked_sub(1)?;
    let (unit, exact) = if inodes { (1, true) } else { unit(columns.get(first)?)? };
    let mut found = BTreeMap::new();
    let mut broken = String::new();
    for line in lines.take_while(|line| !line.trim().is_empty()) {
        // Old df breaks a line after a long device's name.
        let whole = format!("{broken}{line}");
        let fields: Vec<&str> = whole.split_whitespace().collect();
        if fields.len() <= first {
            broken = whole;
            continue;
        }
        broken.clear();
        let Some((point, space)) = row(&fields, first, unit, inodes) else { continue };
        found.insert(point, space);
    }
    Some((found, exact))
}

/// Whether this is the first line of df's answer.
pub(super) fn is_header(line: &str) -> bool {
    line.trim_start().starts_with("Filesystem") && line.contains("Mounted on")
}

fn row(fields: &[&str], first: usize, unit: i64, inodes: bool) -> Option<(String, Space)> {
    let number = |at: usize| amount(fields.get(at)?)?.checked_mul(unit);
    let (size, left) = (number(first)?, number(first + 2)?);
    let point = fields.get(first + 4..).filter(|rest| !rest.is_empty())?.join(" ");
    let space = if inodes {
        Space { inodes: size, inodes_free: left, ..Space::default() }
    } else {
        Space { size_bytes: size, available_bytes: left, ..Space::default() }
    };
    point.starts_with('/').then_some((point, space))
}

/// `1K-blocks`, `1024-blocks`, `1M-blocks`, `Size`: bytes of one, and whether that is exact.
fn unit(column: &str) -> Option<(i64, bool)> {
    if column == "Size" {
        return Some((1, false));
    }
    let size = column.strip_suffix("-blocks")?;
    let bytes = match size {
        "1K" => 1024,
        "1M" => 1 << 20,
        "1G" => 1 << 30,
        "1B" => 1,
        number => number.parse().ok().filter(|number: &i64| (1..=1 << 40).contains(number))?,
    };
    Some((bytes, bytes <= 1 << 20))
}

/// `12345`, `1.5G`, `512M`, `0`; `-` is none.
fn amount(text: &str) -> Option<i64> {
    if text == "-" {
        return Some(0);
    }
    let (number, factor) = match text.char_indices().last()? {
        (at, 'K' | 'k') => (&text[..at], 1_i64 << 10),
        (at, 'M') => (&text[..at], 1 << 20),
        (at, 'G') => (&text[..at], 1 << 30),
        (at, 'T') => (&text[..at], 1 << 40),
        (at, 'P') => (&text[..at], 1 << 50),
        _ => (text, 1),
    };
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    (bytes.is_finite() && (0.0..9e18).contains(&bytes)).then_some(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_types_and_broken_lines_are_read() {
        let text = "Filesystem     Type  1K-blocks    Used Available Use% Mounted on\n\
            /dev/sda1      ext4   20509264 19000000    467216  98% /\n\
            /dev/mapper/a-very-long-name\n                   xfs    1000 500 500 50% /var lib\nudev devtmpfs - - - - /dev\n";
        let (found, exact) = df(text).expect("df");
        assert!(exact);
        assert_eq!(found["/"], Space { size_bytes: 20_509_264 * 1024, available_bytes: 467_216 * 1024, ..Space::default() });
        assert_eq!(found["/var lib"].available_bytes, 512_000);
    }

    #[test]
    fn human_sizes_are_known_to_be_rounded_and_inodes_are_not() {
        let (found, exact) = df("Filesystem Size Used Avail Use% Mounted on\n/dev/sda1 20G 19G 1.5G 98% /\n").expect("df -h");
        assert_eq!((found["/"].available_bytes, exact), (1_610_612_736, false));
        let (found, exact) = df("Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/sda1 1000 1000 0 100% /\n").expect("df -i");
        assert_eq!((found["/"].inodes, found["/"].inodes_free, exact), (1000, 0, true));
    }

    #[test]
    fn what_is_not_dfs_is_none_and_never_a_panic() {
        for text in [
            "",
            "Filesystem",
            "Filesystem Mounted on",
            "Filesystem Used Mounted on\nx",
            "Filesystem x-blocks Used Available Use% Mounted on\n/d é 1 1 1% /",
        ] {
            assert!(df(text).is_none_or(|(found, _)| found.is_empty()), "{text}");
        }
    }
}
