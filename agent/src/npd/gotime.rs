//! Times as Go writes them: durations (`1h30m`) and layouts (`Jan _2 15:04:05`; package time, format.go, Go 1.25).

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

/// `5m`, `1h30m`, `1.5s`, `0`. Negative ones are refused: nobody waits for less than nothing.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a length of time: write 30s, 5m or 1h30m");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let unit_end = rest[number..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| number + end);
        let seconds = match &rest[number..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        total += rest[..number].parse::<f64>().map_err(|_| wrong())? * seconds;
        rest = &rest[unit_end..];
    }
    // time.Duration holds 292 years.
    Duration::try_from_secs_f64(total).ok().filter(|length| i64::try_from(length.as_nanos()).is_ok()).ok_or_else(wrong)
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The parts of a layout, longer ones before those they begin with.
const PARTS: [&str; 31] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "__2",
    "_2",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "PM",
    "pm",
    "1",
    "2",
    "3",
];

/// What was read of a time.
#[derive(Default)]
struct Read {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    day_of_year: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

/// Reads a time by Go's layout. Without a zone it is this machine's; without a year it is the latest such day that is not to come.
pub(super) fn parse(layout: &str, text: &str, now: Timestamp) -> Option<Timestamp> {
    let read = read(layout, text)?;
    let zone = match read.offset {
        Some(seconds) => TimeZone::fixed(Offset::from_seconds(seconds).ok()?),
        None => TimeZone::system(),
    };
    let at = |year: i16| read.civil(year)?.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp());
    if read.year != 0 {
        return at(read.year);
    }
    let year = now.to_zoned(zone.clone()).year();
    // A line of December read in January.
    let day_ahead = now.checked_add(jiff::SignedDuration::from_hours(24)).ok()?;
    at(year).filter(|at| *at <= day_ahead).or_else(|| at(year - 1))
}

fn read(layout: &str, text: &str) -> Option<Read> {
    let (mut layout, mut text, mut read) = (layout, text, Read::default());
    while !layout.is_empty() {
        if let Some((digits, part)) = fraction_part(layout) {
            (read.nanos, text) = fraction(text, digits)?;
            layout = &layout[part..];
            continue;
        }
        let part = PARTS.iter().find(|part| layout.starts_with(**part)).copied().or_else(|| layout.starts_with('4').then_some("4"));
        let part = part.or_else(|| layout.starts_with('5').then_some("5"));
        let Some(part) = part else {
            let literal = layout.chars().next()?;
            text = text.strip_prefix(literal)?;
            layout = &layout[literal.len_utf8()..];
            continue;
        };
        text = read.part(part, text)?;
        layout = &layout[part.len()..];
        // Go takes a fraction after the seconds even where the layout has none.
        if matches!(part, "05" | "5") && fraction_part(layout).is_none() && is_fraction(text) {
            (read.nanos, text) = fraction(text, None)?;
        }
    }
    text.is_empty().then_some(read)
}

/// `.000` (so many digits) or `.999` (any): the digits wanted and the length of the part.
fn fraction_part(layout: &str) -> Option<(Option<usize>, usize)> {
    let rest = layout.strip_prefix(['.', ','])?;
    let digit = rest.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let length = rest.len() - rest.trim_start_matches(digit).len();
    let ends = !rest[length..].starts_with(|c: char| c.is_ascii_digit());
    ends.then_some(((digit == '0').then_some(length), length + 1))
}

fn is_fraction(text: &str) -> bool {
    text.strip_prefix(['.', ',']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn fraction(text: &str, wanted: Option<usize>) -> Option<(i32, &str)> {
    let Some(rest) = text.strip_prefix(['.', ',']) else { return wanted.is_none().then_some((0, text)) };
    let length = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if length == 0 || wanted.is_some_and(|wanted| wanted != length) {
        return None;
    }
    let digits = format!("{:0<9}", &rest[..length.min(9)]);
    Some((digits.parse().ok()?, &rest[length..]))
}

impl Read {
    fn part<'a>(&mut self, part: &str, text: &'a str) -> Option<&'a str> {
        let mut rest = text;
        match part {
            "January" => self.month = Some(named(&MONTHS, usize::MAX, &mut rest)?),
            "Jan" => self.month = Some(named(&MONTHS, 3, &mut rest)?),
            "Monday" => drop(named(&DAYS, usize::MAX, &mut rest)?),
            "Mon" => drop(named(&DAYS, 3, &mut rest)?),
            "MST" => rest = rest.trim_start_matches(|c: char| c.is_ascii_uppercase()),
            "2006" => self.year = number(&mut rest, 4, 4)?,
            "06" => {
                let year: i16 = number(&mut rest, 2, 2)?;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            "002" | "__2" => self.day_of_year = Some(number(blank(&mut rest), 1, 3)?),
            "01" => self.month = Some(number(&mut rest, 2, 2)?),
            "1" => self.month = Some(number(&mut rest, 1, 2)?),
            "02" => self.day = Some(number(&mut rest, 2, 2)?),
            "_2" | "2" => self.day = Some(number(blank(&mut rest), 1, 2)?),
            "15" => self.hour = number(&mut rest, 2, 2)?,
            "03" => self.hour = number(&mut rest, 2, 2)?,
            "3" => self.hour = number(&mut rest, 1, 2)?,
            "04" => self.minute = number(&mut rest, 2, 2)?,
            "4" => self.minute = number(&mut rest, 1, 2)?,
            "05" => self.second = number(&mut rest, 2, 2)?,
            "5" => self.second = number(&mut rest, 1, 2)?,
            "PM" | "pm" => {
                let half = rest.get(..2)?;
                self.afternoon =
                    Some(half.eq_ignore_ascii_case("pm")).filter(|_| half.eq_ignore_ascii_case("pm") || half.eq_ignore_ascii_case("am"));
                self.afternoon?;
                rest = &rest[2..];
            }
            zone => self.offset = Some(offset(zone, &mut rest)?),
        }
        Some(rest)
    }

    fn civil(&self, year: i16) -> Option<DateTime> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let time = Time::new(hour, self.minute, self.second.min(59), self.nanos).ok()?;
        let date = match self.day_of_year {
            Some(day) => {
                let date = Date::new(year, 1, 1).ok()?.checked_add(jiff::Span::new().try_days(day - 1).ok()?).ok()?;
                Some(date).filter(|date| date.year() == year)?
            }
            None => Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?,
        };
        Some(date.to_datetime(time))
    }
}

fn blank<'a, 'b>(rest: &'b mut &'a str) -> &'b mut &'a str {
    *rest = rest.trim_start_matches(' ');
    rest
}

fn number<T: std::str::FromStr>(rest: &mut &str, least: usize, most: usize) -> Option<T> {
    let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    let (number, after) = rest.split_at(digits);
    *rest = after;
    number.parse().ok()
}

fn named(names: &[&str], length: usize, rest: &mut &str) -> Option<i8> {
    let place = names.iter().position(|name| {
        let name = &name[..name.len().min(length)];
        rest.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
    })?;
    *rest = &rest[names[place].len().min(length)..];
    i8::try_from(place + 1).ok()
}

fn offset(zone: &str, rest: &mut &str) -> Option<i32> {
    if zone.starts_with('Z') && rest.starts_with('Z') {
        *rest = &rest[1..];
        return Some(0);
    }
    let sign = match rest.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    *rest = &rest[1..];
    let mut seconds = number::<i32>(rest, 2, 2)? * 3600;
    let digits = zone.bytes().filter(u8::is_ascii_digit).count();
    for (least, unit) in [(4, 60), (6, 1)] {
        if digits >= least {
            if zone.contains(':') {
                *rest = rest.strip_prefix(':')?;
            }
            seconds += number::<i32>(rest, 2, 2)? * unit;
        }
    }
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn durations_are_read_as_go_does() {
        for (text, millis) in [("0", 0), ("5m", 300_000), ("1h30m", 5_400_000), ("1.5s", 1500), ("86400s", 86_400_000), ("300ms", 300)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "5 m", "m", "-5s", "5d", "1h-2m", "1e9999s", "9999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn layouts_are_read_as_go_does() {
        let now = at("2026-11-25T12:00:00Z");
        for (layout, text, wanted) in [
            ("2006-01-02T15:04:05.999999999-07:00", "2026-11-25T10:00:00.25+02:00", "2026-11-25T08:00:00.25Z"),
            ("2006-01-02T15:04:05Z07:00", "2026-11-25T10:00:00.125Z", "2026-11-25T10:00:00.125Z"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "Wed, 25 Nov 2026 10:00:00 +0000", "2026-11-25T10:00:00Z"),
            ("1/2/06 3:04:05 PM Z07", "11/25/26 1:00:00 am Z", "2026-11-25T01:00:00Z"),
            ("2006-002 15:04 Z0700", "2026-001 00:00 +0000", "2026-01-01T00:00:00Z"),
        ] {
            assert_eq!(parse(layout, text, now), Some(at(wanted)), "{layout}: {text}");
        }
        for (layout, text) in [
            ("2006-01-02", "2026-13-02"),
            ("15:04:05.000", "10:00:00.1"),
            ("Jan _2", "Nox 25"),
            ("2006", "2026x"),
            ("2006-002", "2026-000"),
            ("2006-002", "2026-366"),
        ] {
            assert_eq!(parse(layout, text, now), None, "{layout}: {text}");
        }
    }

    #[test]
    fn a_day_without_a_year_is_the_latest_that_has_been() {
        let layout = "Jan _2 15:04:05 -0700";
        assert_eq!(parse(layout, "Dec 31 23:59:59 +0000", at("2027-01-01T00:00:10Z")), Some(at("2026-12-31T23:59:59Z")));
        assert_eq!(parse(layout, "Nov  5 00:00:00 +0000", at("2026-11-25T00:00:00Z")), Some(at("2026-11-05T00:00:00Z")));
    }
}
