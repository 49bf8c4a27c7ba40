//! The command line of `analyze`.

use std::path::PathBuf;

use jiff::tz::{Offset, TimeZone};

/// What to analyze.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  journalctl -b | kubectl nodewhy analyze -
  kubectl nodewhy analyze --node worker-1 kubelet.log dmesg.txt
  kubectl nodewhy analyze sosreport-worker-1.tar.xz
  kind export logs bundle && kubectl nodewhy analyze bundle

Reads journalctl's output in any mode (short*, json, export, verbose, cat), syslog, dmesg, klog, logfmt, container log files and what clouds and
log shippers wrap lines in, in any mix; compressed (gzip, zstd, xz, bzip2) or not. In archives (tar, zip) and directories it finds the logs, and
files that tell of the node (/proc/swaps, /etc/fstab, df, mount, systemctl, the kubelet's configuration). Several nodes, in a bundle or as hosts
of one log, are told one by one; JSON and YAML then are an object with the list `nodes`. The worst of them decides the exit code.")]
pub(crate) struct AnalyzeArgs {
    /// Log files in the order of time, archives, directories; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// The node's name, where the log does not say; of several nodes the one that is wanted.
    #[arg(long)]
    pub(super) node: Option<String>,
    /// Facts of the node at the end of the log: a nested JSON object.
    #[arg(long, value_name = "FILE.json")]
    pub(super) facts: Option<PathBuf>,
    /// Zone of times that name none: Europe/Berlin, +02:00.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub(super) timezone: TimeZone,
}

fn zone(name: &str) -> Result<TimeZone, String> {
    if name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|error| format!("{error}; give a name of the time zone database or an offset like +02:00"))
}

fn offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':').unwrap_or((&text[1..], "0"));
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let fits = (0..=15).contains(&hours) && (0..60).contains(&minutes);
    fits.then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_names_or_offsets() {
        assert_eq!(zone("utc"), Ok(TimeZone::UTC));
        assert_eq!(zone("+05:30").map(|zone| zone.to_fixed_offset().map(Offset::seconds).ok()), Ok(Some(19_800)));
        assert_eq!(zone("-3").map(|zone| zone.to_fixed_offset().map(Offset::seconds).ok()), Ok(Some(-10_800)));
        for bad in ["", "+", "+25:00", "Mars/Olympus", "+ü", "+-5"] {
            assert!(zone(bad).is_err(), "{bad}");
        }
    }
}
