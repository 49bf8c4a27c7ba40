//! Dates as dashboards, web servers and people write them.

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};

use super::time::{self, Stamp};

/// A date of another form at the beginning of a text, and what follows.
pub(super) fn other(text: &str) -> Option<(Stamp, &str)> {
    match text.as_bytes().first()? {
        b'[' => in_brackets(text, ']'),
        b'(' => in_brackets(text, ')'),
        b'0'..=b'9' => by_numbers(text).or_else(|| day_first(text)).or_else(|| milliseconds(text)),
        b'A'..=b'Z' => month_first(text).or_else(|| weekday(text)),
        _ => None,
    }
}

/// `[2026-11-22T00:54:49Z] `, `(2026-11-22 00:54:49) `, `[22/Nov/2026:00:54:49 +0000] `.
fn in_brackets(text: &str, close: char) -> Option<(Stamp, &str)> {
    const LONGEST: usize = 40;
    let inner = &text[1..];
    let end = inner.char_indices().take(LONGEST).find(|(_, c)| *c == close)?.0;
    let (stamp, left) = time::iso(&inner[..end]).or_else(|| web_server(&inner[..end]))?;
    let rest = &inner[end + 1..];
    left.trim().is_empty().then(|| (stamp, rest.strip_prefix(':').unwrap_or(rest)))
}

/// `22/Nov/2026:00:54:49 +0000`.
fn web_server(text: &str) -> Option<(Stamp, &str)> {
    let (date, rest) = text.split_once(':')?;
    let mut parts = date.split('/');
    let (day, month, year) = (parts.next()?, time::month(parts.next()?)?, parts.next()?);
    local(year.parse().ok()?, month, day.parse().ok()?, rest)
}

/// `11/22/2026 00:54:49`, `11/22/2026, 12:54:49 AM`, `22/11/2026 ...`, `22.11.2026 ...`, `2026/11/22 ...`.
fn by_numbers(text: &str) -> Option<(Stamp, &str)> {
    let (date, rest) = text.split_once(' ')?;
    let date = date.strip_suffix(',').unwrap_or(date);
    let separator = if date.contains('/') { '/' } else { '.' };
    let mut parts = date.split(separator);
    let (one, two, three) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| (text.len() <= 4).then(|| text.parse::<i16>().ok())?;
    let (one, two, three) = (number(one)?, number(two)?, number(three)?);
    let (year, month, day) = match separator {
        _ if one > 1000 => (one, two, three),
        '.' => (three, two, one),
        // Americans put the month first; a day shows itself by being no month.
        _ if one > 12 => (three, two, one),
        _ => (three, one, two),
    };
    (year > 1000).then(|| local(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?, rest))?
}

/// `Nov 22 2026 00:54:49`, `Nov 22, 2026 @ 00:54:49.103`.
fn month_first(text: &str) -> Option<(Stamp, &str)> {
    let (name, rest) = text.split_once(' ')?;
    let (day, rest) = rest.trim_start().split_once(' ')?;
    let month = time::month(name)?;
    let (year, rest) = rest.trim_start().split_once(' ')?;
    let day = day.strip_suffix(',').unwrap_or(day).parse().ok()?;
    local(year.strip_suffix(',').unwrap_or(year).parse().ok()?, month, day, rest.strip_prefix("@ ").unwrap_or(rest))
}

/// `22 Nov 2026 00:54:49`.
fn day_first(text: &str) -> Option<(Stamp, &str)> {
    let (day, rest) = text.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    let (year, rest) = rest.split_once(' ')?;
    if day.len() > 2 || year.len() != 4 {
        return None;
    }
    local(year.parse().ok()?, time::month(name)?, day.parse().ok()?, rest)
}

/// `Sun, 22 Nov 2026 00:54:49 +0000` of mails.
fn weekday(text: &str) -> Option<(Stamp, &str)> {
    let (name, rest) = text.split_once(", ")?;
    (name.len() == 3).then(|| day_first(rest))?
}

/// Milliseconds since 1970 of CloudWatch.
fn milliseconds(text: &str) -> Option<(Stamp, &str)> {
    let (word, rest) = text.split_once([' ', '\t'])?;
    let plain = word.len() == 13 && word.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| Some((Stamp::Exact(Timestamp::from_millisecond(word.parse().ok()?).ok()?), rest)))?
}

/// A date and the time of day that follows, on a clock of twelve hours or of twenty-four.
fn local(year: i16, month: i8, day: i8, rest: &str) -> Option<(Stamp, &str)> {
    const HALF_A_DAY: i64 = 12 * 3_600_000_000;
    let date = Date::new(year, month, day).ok()?;
    let rest = rest.trim_start();
    let (mut micros, mut left) = match rest.as_bytes().get(1) {
        // `3:12:49 PM`: the hour has one digit.
        Some(b':') => (time::time_of_day(&format!("0{}", rest.get(..7)?))?.0, &rest[7..]),
        _ => time::time_of_day(rest)?,
    };
    let half = left.strip_prefix(' ').unwrap_or(left);
    for (name, halves) in [("AM", 0), ("PM", 1)] {
        if let Some(after) = half.strip_prefix(name) {
            (micros, left) = (micros % HALF_A_DAY + halves * HALF_A_DAY, after);
        }
    }
    let at: DateTime = date.to_datetime(Time::midnight()).checked_add(micros.microseconds()).ok()?;
    let (offset, left) = time::offset(left);
    match offset {
        Some(seconds) => {
            let zone = jiff::tz::Offset::from_seconds(seconds).ok()?;
            Some((Stamp::Exact(zone.to_timestamp(at).ok()?), left))
        }
        None => Some((Stamp::Local(at), left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, &str)> {
        other(text).map(|(stamp, rest)| {
            let mut clock = time::Clock::new("2026-11-23T08:00:00Z".parse().expect("a time"), jiff::tz::TimeZone::UTC);
            (clock.resolve(stamp).expect("a time").to_string(), rest)
        })
    }

    #[test]
    fn dates_of_dashboards_web_servers_and_people_are_read() {
        for text in [
            "[2026-11-22T00:54:49Z] x",
            "[2026-11-22 00:54:49]: x",
            "(2026-11-22 00:54:49) x",
            "[22/Nov/2026:00:54:49 +0000] x",
            "11/22/2026 00:54:49 x",
            "11/22/2026, 12:54:49 AM x",
            "22/11/2026 00:54:49 x",
            "22.11.2026 00:54:49 x",
            "2026/11/22 00:54:49 x",
            "Nov 22 2026 00:54:49 x",
            "Nov 22, 2026 @ 00:54:49 x",
            "22 Nov 2026 00:54:49 x",
            "Sun, 22 Nov 2026 00:54:49 +0000 x",
            "1795308889000 x",
        ] {
            let (at, rest) = read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((at.as_str(), rest.trim()), ("2026-11-22T00:54:49Z", "x"), "{text}");
        }
        assert_eq!(read("7/14/2026 3:12:49 PMx"), Some(("2026-07-14T15:12:49Z".to_owned(), "x")));
        assert_eq!(read("7/14/2026 12:12:49 PM x").map(|(at, _)| at).as_deref(), Some("2026-07-14T12:12:49Z"));
    }

    #[test]
    fn what_is_no_date_is_none_and_never_a_panic() {
        for text in [
            "",
            "[",
            "[x] y",
            "(a) b",
            "10.0.0.1 x",
            "1.2.3 00:54:49 x",
            "13/13/2026 00:54:49 x",
            "Jan x",
            "Mon, x",
            "1/2/2026 é:00:00 x",
            "22 Nov 2026 x",
            "12345 x",
            "[2026-11-22T00:54:49Z x] y",
            "1/2/2026 3:é",
            "Nov 22, 2026 @",
            "[é]",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
