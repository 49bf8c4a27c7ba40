//! Times in log lines: with and without year, zone, fraction; in English and in other locales.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Month names as glibc's locales print `%b` and `%B` (journalctl's short formats, dmesg -T, date), lower case, without a final dot. Where
/// two languages mean different months by one name (lis, lip, srp), the more widely spoken one's is taken.
const MONTHS: [&[&str]; 12] = [
    &[
        "jan", "janv", "ene", "gen", "sty", "янв", "oca", "led", "січ", "tammi", "ιαν", "jän", "ינו", "ม.ค", "th01", "january", "enero",
        "januar",
    ],
    &["feb", "févr", "fev", "lut", "фев", "şub", "úno", "лют", "helmi", "φεβ", "פבר", "ก.พ", "th02", "february", "febrero", "februar"],
    &["mar", "mär", "mrz", "mars", "mrt", "мар", "bře", "бер", "maalis", "márc", "μαρ", "מרץ", "มี.ค", "th03", "march", "marzo", "märz"],
    &["apr", "avril", "abr", "kwi", "апр", "nis", "dub", "кві", "huhti", "ápr", "απρ", "אפר", "เม.ย", "th04", "april", "abril", "avr"],
    &["may", "mai", "mag", "mei", "maj", "мая", "май", "kvě", "тра", "touko", "máj", "μαΐ", "maio", "mayo", "מאי", "พ.ค", "th05"],
    &["jun", "juin", "giu", "cze", "июн", "haz", "čen", "чер", "kesä", "jún", "ιουν", "יונ", "มิ.ย", "th06", "june", "junio", "juni"],
    &["jul", "juil", "lug", "lip", "июл", "tem", "čec", "лип", "heinä", "júl", "ιουλ", "יול", "ก.ค", "th07", "july", "julio", "juli"],
    &["aug", "août", "ago", "sie", "авг", "ağu", "srp", "сер", "elo", "αυγ", "אוג", "ส.ค", "th08", "august", "agosto"],
    &["sep", "sept", "set", "wrz", "сен", "eyl", "zář", "вер", "syys", "szept", "σεπ", "ספט", "ก.ย", "th09", "september", "septiembre"],
    &["oct", "okt", "ott", "out", "paź", "окт", "eki", "říj", "жов", "loka", "οκτ", "אוק", "ต.ค", "th10", "october", "octubre", "oktober"],
    &["nov", "lis", "ноя", "kas", "лис", "marras", "νοε", "נוב", "พ.ย", "th11", "november", "noviembre", "novembre", "novembro", "нояб"],
    &[
        "dec",
        "déc",
        "dez",
        "dic",
        "gru",
        "дек",
        "ara",
        "pro",
        "гру",
        "joulu",
        "δεκ",
        "דצמ",
        "ธ.ค",
        "th12",
        "december",
        "diciembre",
        "dezember",
    ],
];

/// Microseconds of one.
const HOUR: i64 = 3_600_000_000;

/// A time as a line gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stamp {
    /// Date, time and offset: nothing to guess.
    Exact(Timestamp),
    /// Without an offset.
    Local(DateTime),
    /// Without year and offset.
    Yearless { month: i8, day: i8, micros: i64 },
}

/// Supplies what stamps leave out.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    read_at: Timestamp,
    zone: TimeZone,
    /// A full date seen in this log: it tells the year of its neighbours.
    seen: Option<Timestamp>,
    /// Month, day and hour resolved last, and when that hour began: neighbours share it, and clocks are changed on the hour.
    hour: Option<(i8, i8, i64, Timestamp)>,
    pub(super) guessed_zone: bool,
}

impl Clock {
    pub(super) fn new(read_at: Timestamp, zone: TimeZone) -> Self {
        Self { read_at, zone, seen: None, hour: None, guessed_zone: false }
    }

    pub(super) fn resolve(&mut self, stamp: Stamp) -> Option<Timestamp> {
        match stamp {
            Stamp::Exact(at) => {
                self.see(at);
                Some(at)
            }
            Stamp::Local(local) => {
                self.guessed_zone = true;
                let at = self.zone.to_timestamp(local).ok()?;
                self.see(at);
                Some(at)
            }
            Stamp::Yearless { month, day, micros } => {
                self.guessed_zone = true;
                let (hour, within) = (micros / HOUR, micros % HOUR);
                let begun = match self.hour {
                    Some((of_month, of_day, of_hour, begun)) if (of_month, of_day, of_hour) == (month, day, hour) => begun,
                    _ => self.year_for(month, day, hour * HOUR)?,
                };
                self.hour = Some((month, day, hour, begun));
                begun.checked_add(SignedDuration::from_micros(within)).ok()
            }
        }
    }

    fn see(&mut self, at: Timestamp) {
        self.seen = Some(at);
        self.hour = None;
    }

    /// The year nearest to a full date seen in the same log; else the latest that does not lie in the reader's future (a day of grace for zones).
    fn year_for(&self, month: i8, day: i8, micros: i64) -> Option<Timestamp> {
        let around = self.seen.unwrap_or(self.read_at);
        let year = self.zone.to_datetime(around).year();
        let in_year = |year: i16| {
            let midnight = Date::new(year, month, day).ok()?.to_datetime(jiff::civil::Time::midnight());
            self.zone.to_timestamp(midnight.checked_add(micros.microseconds()).ok()?).ok()
        };
        // 29 February may lie up to eight years back (1896, 1904).
        let candidates = (year.saturating_sub(8)..=year.saturating_add(1)).rev().filter_map(in_year);
        match self.seen {
            Some(seen) => candidates.min_by_key(|at| at.duration_since(seen).abs()),
            None => {
                let latest = self.read_at.checked_add(SignedDuration::from_hours(24)).unwrap_or(self.read_at);
                candidates.into_iter().find(|at| *at <= latest)
            }
        }
    }
}

/// `2026-11-22T00:54:49.123456+01:00 rest`, also with a space for `T`, a comma for the point, `+0100`, `Z`, ` UTC` or nothing.
pub(super) fn iso(text: &str) -> Option<(Stamp, &str)> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' || bytes[7] != b'-' || !matches!(bytes[10], b'T' | b' ') {
        return None;
    }
    let year = i16::try_from(number(&bytes[0..4])?).ok()?;
    let date = Date::new(year, small(&bytes[5..7])?, small(&bytes[8..10])?).ok()?;
    let (micros, rest) = time_of_day(&text[11..])?;
    let local = date.to_datetime(jiff::civil::Time::midnight()).checked_add(micros.microseconds()).ok()?;
    let (offset, rest) = offset(rest);
    match offset {
        Some(seconds) => {
            let zone = Offset::from_seconds(seconds).ok()?;
            Some((Stamp::Exact(zone.to_timestamp(local).ok()?), rest))
        }
        None => Some((Stamp::Local(local), rest)),
    }
}

/// `Nov 22 00:54:49[.123456] rest`, the month in any of the locales known, `11月 22`, `9월 21`; also `22. Nov` and `11月22日`.
pub(super) fn syslog(text: &str) -> Option<(Stamp, &str)> {
    let (month, day, rest) = month_and_day(text)?;
    let (micros, rest) = time_of_day(rest)?;
    Some((Stamp::Yearless { month, day, micros }, rest))
}

fn month_and_day(text: &str) -> Option<(i8, i8, &str)> {
    let (first, rest) = text.split_once(' ')?;
    if let Some((month, day)) = first.split_once(['月', '월']).and_then(|(month, day)| Some((month, day.strip_suffix(['日', '일'])?))) {
        return checked(small(month.as_bytes())?, small(day.as_bytes())?, rest);
    }
    let (second, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let second = second.strip_suffix([',', '日', '일']).unwrap_or(second);
    if let Some(month) = month(first) {
        return checked(month, day(second)?, rest);
    }
    let first = first.strip_suffix('.').unwrap_or(first);
    checked(month(second)?, day(first)?, rest)
}

fn day(text: &str) -> Option<i8> {
    (text.len() <= 2).then(|| small(text.as_bytes()))?
}

fn checked(month: i8, day: i8, rest: &str) -> Option<(i8, i8, &str)> {
    Date::new(2024, month, day).ok()?;
    Some((month, day, rest.trim_start_matches(' ')))
}

/// `Nov 22 00:54:49 CET 2026`, `22. Nov 00:54:49 UTC 2026`: date(1) in its locales, after the weekday. The zone's name says nothing but UTC.
pub(super) fn date_command(text: &str) -> Option<(Stamp, &str)> {
    let (stamp, rest) = syslog(text)?;
    let Stamp::Yearless { month, day, micros } = stamp else { return None };
    let (mut word, mut after) = next_word(rest);
    let utc = word == "UTC";
    if word.bytes().all(|byte| byte.is_ascii_uppercase()) {
        (word, after) = next_word(after);
    }
    // Without a year it is a syslog line with a weekday.
    let Some(year) = number(word.as_bytes()).filter(|year| (1970..=9999).contains(year)) else { return Some((stamp, rest)) };
    let midnight = Date::new(year as i16, month, day).ok()?.to_datetime(jiff::civil::Time::midnight());
    let local = midnight.checked_add(micros.microseconds()).ok()?;
    let stamp = if utc { Stamp::Exact(Offset::UTC.to_timestamp(local).ok()?) } else { Stamp::Local(local) };
    Some((stamp, after))
}

fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(' ');
    text.split_at(text.find(' ').unwrap_or(text.len()))
}

/// The inside of `[Nov22 00:54]`, as dmesg -H writes the first line of a minute.
pub(super) fn reltime(text: &str) -> Option<Stamp> {
    let (date, time) = text.split_once(' ')?;
    let name = date.trim_end_matches(|c: char| c.is_ascii_digit());
    let (month, day, _) = checked(month(name)?, day(&date[name.len()..])?, "")?;
    let (hour, minute) = time.trim().split_once(':')?;
    let (hour, minute) = (number(hour.as_bytes())?, number(minute.as_bytes())?);
    (hour < 24 && minute < 60).then_some(Stamp::Yearless { month, day, micros: (hour * 60 + minute) * 60_000_000 })
}

/// The inside of `[Tue Nov 21 19:51:01 2023]` (dmesg -T).
pub(super) fn ctime(text: &str) -> Option<Stamp> {
    let (_weekday, rest) = text.split_once(' ')?;
    let (stamp, rest) = syslog(rest)?;
    let Stamp::Yearless { month, day, micros } = stamp else { return None };
    let year = i16::try_from(number(rest.trim().as_bytes())?).ok()?;
    let midnight = Date::new(year, month, day).ok()?.to_datetime(jiff::civil::Time::midnight());
    Some(Stamp::Local(midnight.checked_add(micros.microseconds()).ok()?))
}

/// Seconds since 1970 with a fraction: `1763772889.123456`.
pub(super) fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.')?;
    if seconds.len() < 9 || seconds.len() > 11 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let nanos = number(fraction.as_bytes())? * 10_i64.pow(9 - fraction.len() as u32);
    Timestamp::new(number(seconds.as_bytes())?, i32::try_from(nanos).ok()?).ok()
}

/// Microseconds since 1970, as journald writes `__REALTIME_TIMESTAMP`.
pub(super) fn unix_micros(text: &str) -> Option<Timestamp> {
    Timestamp::from_microsecond(text.parse().ok()?).ok()
}

pub(super) fn month(name: &str) -> Option<i8> {
    if let Some(number) = name.strip_suffix('月').or_else(|| name.strip_suffix('월')) {
        return small(number.as_bytes()).filter(|month| (1..=12).contains(month));
    }
    // Most of what comes here is no month: a klog header, a time of day, a host's name.
    if name.len() > 24 || (name.bytes().any(|byte| byte.is_ascii_digit()) && !name.starts_with(['T', 't'])) {
        return None;
    }
    const ENGLISH: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if let Some(index) = ENGLISH.iter().position(|english| *english == name) {
        return Some(index as i8 + 1);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name = |known: &&str| known.eq_ignore_ascii_case(name) || (!name.is_ascii() && **known == name.to_lowercase());
    MONTHS.iter().position(|names| names.iter().any(is_name)).map(|index| index as i8 + 1)
}

/// `00:54:49`, `00:54:49.123456`, `00:54:49,123`: microseconds since midnight and what follows.
pub(super) fn time_of_day(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (number(&bytes[0..2])?, number(&bytes[3..5])?, number(&bytes[6..8])?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let whole = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    if !matches!(bytes.get(8), Some(b'.' | b',')) {
        return Some((whole, &text[8..]));
    }
    let digits = bytes[9..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Some((whole, &text[8..]));
    }
    let kept = digits.min(6);
    let fraction = number(&bytes[9..9 + kept])? * 10_i64.pow(6 - kept as u32);
    Some((whole + fraction, &text[9 + digits..]))
}

/// `Z`, `+01:00`, `+0100`, ` +0100`, ` UTC` in seconds, if there is one, and what follows.
pub(super) fn offset(text: &str) -> (Option<i32>, &str) {
    if let Some(rest) = text.strip_prefix('Z').or_else(|| text.strip_prefix(" UTC")) {
        return (Some(0), rest);
    }
    let inner = text.strip_prefix(' ').unwrap_or(text);
    let bytes = inner.as_bytes();
    let sign = match bytes.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return (None, text),
    };
    let colon = usize::from(bytes.get(3) == Some(&b':'));
    let (Some(hours), Some(minutes)) = (bytes.get(1..3).and_then(number), bytes.get(3 + colon..5 + colon).and_then(number)) else {
        return (None, text);
    };
    if hours > 15 || minutes > 59 {
        return (None, text);
    }
    (Some(sign * (hours as i32 * 3600 + minutes as i32 * 60)), &inner[5 + colon..])
}

fn small(digits: &[u8]) -> Option<i8> {
    i8::try_from(number(digits)?).ok()
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    digits.iter().try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(read_at: &str) -> Clock {
        Clock::new(read_at.parse().expect("a time"), TimeZone::UTC)
    }

    fn resolved(read_at: &str, found: Option<(Stamp, &str)>) -> (String, String) {
        let (stamp, rest) = found.expect("a stamp");
        (clock(read_at).resolve(stamp).expect("a time").to_string(), rest.to_owned())
    }

    const NOW: &str = "2026-11-23T08:00:00Z";

    #[test]
    fn iso_times_with_and_without_offset_fraction_and_t() {
        for (text, want) in [
            ("2026-11-22T00:54:49.103848+01:00 x", "2026-11-21T23:54:49.103848Z"),
            ("2026-11-22T00:54:49+0100 x", "2026-11-21T23:54:49Z"),
            ("2026-11-22T00:54:49,123456+00:00 x", "2026-11-22T00:54:49.123456Z"),
            ("2026-11-22T00:54:49.123456789Z x", "2026-11-22T00:54:49.123456Z"),
            ("2026-11-22 00:54:49 UTC x", "2026-11-22T00:54:49Z"),
            ("2026-11-22 00:54:49 x", "2026-11-22T00:54:49Z"),
        ] {
            assert_eq!(resolved(NOW, iso(text)), (want.to_owned(), " x".to_owned()), "{text}");
        }
    }

    #[test]
    fn months_of_other_locales_are_read() {
        for text in [
            "Nov 22 00:54:49 x",
            "11月 22 00:54:49 x",
            "11월 22 00:54:49 x",
            "ноя 22 00:54:49 x",
            "nov. 22 00:54:49 x",
            "Kas 22 00:54:49 x",
        ] {
            assert_eq!(resolved(NOW, syslog(text)).0, "2026-11-22T00:54:49Z", "{text}");
        }
        assert_eq!(resolved(NOW, syslog("Mär  5 00:54:49.250 x")).0, "2026-03-05T00:54:49.25Z");
        assert_eq!(resolved(NOW, syslog("МАР  5 00:54:49 x")).0, "2026-03-05T00:54:49Z");
    }

    #[test]
    fn the_year_is_the_latest_that_is_not_in_the_future() {
        assert_eq!(resolved(NOW, syslog("Nov 23 07:00:00 x")).0, "2026-11-23T07:00:00Z");
        assert_eq!(resolved(NOW, syslog("Nov 24 07:00:00 x")).0, "2026-11-24T07:00:00Z", "within a day: another zone");
        assert_eq!(resolved(NOW, syslog("Dec 31 23:59:59 x")).0, "2025-12-31T23:59:59Z");
        assert_eq!(resolved(NOW, syslog("Feb 29 00:00:00 x")).0, "2024-02-29T00:00:00Z");
    }

    #[test]
    fn a_full_date_in_the_log_tells_the_year_of_its_neighbours() {
        let mut clock = clock(NOW);
        let yearless = syslog("Jan 01 00:00:01 x").expect("a stamp").0;
        assert_eq!(clock.resolve(yearless).map(|at| at.to_string()).as_deref(), Some("2026-01-01T00:00:01Z"));
        clock.resolve(iso("2022-12-31T23:00:00Z").expect("a stamp").0);
        assert_eq!(clock.resolve(yearless).map(|at| at.to_string()).as_deref(), Some("2023-01-01T00:00:01Z"));
    }

    #[test]
    fn the_zone_given_is_used_where_the_line_names_none() {
        let mut clock = Clock::new(NOW.parse().expect("a time"), TimeZone::fixed(Offset::constant(2)));
        let stamp = syslog("Nov 22 00:54:49 x").expect("a stamp").0;
        assert_eq!(clock.resolve(stamp).map(|at| at.to_string()).as_deref(), Some("2026-11-21T22:54:49Z"));
        assert!(clock.guessed_zone);
    }

    #[test]
    fn dmesg_and_unix_times() {
        assert_eq!(resolved(NOW, ctime("Tue Nov 21 19:51:01 2023").map(|stamp| (stamp, ""))).0, "2023-11-21T19:51:01Z");
        assert_eq!(unix("1763772889.123456").map(|at| at.to_string()).as_deref(), Some("2025-11-22T00:54:49.123456Z"));
        assert_eq!(unix_micros("1763772889123456").map(|at| at.to_string()).as_deref(), Some("2025-11-22T00:54:49.123456Z"));
    }

    #[test]
    fn nonsense_and_every_cut_are_none_or_a_time_and_never_a_panic() {
        for text in [
            "2026-13-22T00:54:49Z",
            "2026-02-30T00:54:49Z",
            "2026-11-22T24:54:49Z",
            "Foo 22 00:54:49 x",
            "Nov 32 00:54:49 x",
            "13月 22 00:54:49 x",
            "Nov  00:54:49 x",
            "\u{6708} 22 00:54:49",
            "9999-99-99T99:99:99Z",
        ] {
            assert_eq!((iso(text), syslog(text)), (None, None), "{text}");
        }
        for text in [
            "2026-11-22T00:54:49.123456+01:00é",
            "Mär  5 00:54:49.250 ü",
            "Tue Nov 21 19:51:01 2023",
            "-262143-1",
            "99999999999.9",
            "1763772889.éé",
        ] {
            for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
                let text = &text[..end];
                let _ = (iso(text), syslog(text), ctime(text), unix(text), unix_micros(text));
            }
        }
    }
}
