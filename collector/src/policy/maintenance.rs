//! Times in which nodes are as the user says they are.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::matching::Match;

/// What matches is not told in these times; each node's case is looked at by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintenance {
    /// Its name, for people.
    pub name: String,
    /// Where it stands in the file.
    pub line: u64,
    /// What is maintained.
    pub matches: Match,
    /// When.
    pub when: When,
}

/// When maintenance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Once.
    Once {
        /// From then on.
        from: Timestamp,
        /// Until then.
        until: Timestamp,
    },
    /// Again and again.
    Every(Every),
}

/// On some days of the week from a time of day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every {
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// The time at which it begins. One that a day does not have (clocks are set forward) is as much later as the clocks are set.
    pub at: Time,
    /// How long it lasts, 24 h at most.
    pub lasts: Duration,
    /// Whose days and times these are.
    pub time_zone: TimeZone,
}

impl When {
    /// Now?
    pub fn active(&self, now: Timestamp) -> bool {
        self.around(now).into_iter().any(|(from, until)| from <= now && now < until)
    }

    /// When that changes next, after `now`. Windows that touch change there too.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).into_iter().flat_map(|(from, until)| [from, until]).filter(|at| *at > now).min()
    }

    /// The windows about this time: the last that began and at least the next.
    fn around(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        match self {
            Self::Once { from, until } => vec![(*from, *until)],
            Self::Every(every) => {
                let today = now.to_zoned(every.time_zone.clone()).date();
                // A window that began yesterday may go on; the next begins within a week. Time zones may skip a day.
                (-2..=8).filter_map(|days| every.on(today.checked_add(Span::new().days(days)).ok()?)).collect()
            }
        }
    }
}

impl Every {
    fn on(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days[index(date.weekday())] {
            return None;
        }
        let from = date.to_datetime(self.at).to_zoned(self.time_zone.clone()).ok()?.timestamp();
        Some((from, from.checked_add(self.lasts).ok()?))
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// A day's name: `mon`, `Monday`.
///
/// # Errors
/// What would be right.
pub(super) fn day(word: &str) -> Result<usize, String> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let lower = word.to_ascii_lowercase();
    let found = DAYS.iter().position(|day| *day == lower || day[..3] == lower);
    found.ok_or_else(|| format!("`{word}` is no day; there are: mon, tue, wed, thu, fri, sat, sun"))
}

/// A time of day: `22:00`, `06:30:15`.
///
/// # Errors
/// What would be right.
pub(super) fn clock(word: &str) -> Result<Time, String> {
    let parts: Vec<&str> = word.split(':').collect();
    let number = |part: &&str| part.parse::<i8>().ok().filter(|_| part.len() == 2 && part.bytes().all(|c| c.is_ascii_digit()));
    let numbers: Option<Vec<i8>> = parts.iter().map(number).collect();
    let time = match numbers.as_deref() {
        Some([hour, minute]) => Time::new(*hour, *minute, 0, 0).ok(),
        Some([hour, minute, second]) => Time::new(*hour, *minute, *second, 0).ok(),
        _ => None,
    };
    time.ok_or_else(|| format!("`{word}` is no time of day: it has to be like '22:00', in quotes"))
}

/// A time with its offset.
///
/// # Errors
/// What would be right.
pub(super) fn instant(word: &str) -> Result<Timestamp, String> {
    word.parse().map_err(|_| match word.parse::<jiff::civil::DateTime>() {
        Ok(_) => format!("`{word}` does not say in which time zone: add Z for UTC or an offset, like 2026-12-01T22:00:00+01:00"),
        Err(_) => format!("`{word}` is no time: it has to be like 2026-12-01T22:00:00Z or 2026-12-01T22:00:00+01:00"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(days: &[&str], at: &str, hours: u64, zone: &str) -> When {
        let mut all = [false; 7];
        days.iter().for_each(|name| all[day(name).expect("a day")] = true);
        let time_zone = TimeZone::get(zone).expect("a time zone");
        When::Every(Every { days: all, at: clock(at).expect("a time"), lasts: Duration::from_secs(hours * 3600), time_zone })
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    #[test]
    fn once_is_from_its_begin_until_before_its_end() {
        let when = When::Once { from: at("2026-12-01T22:00:00Z"), until: at("2026-12-02T02:00:00Z") };
        for (now, active, next) in [
            ("2026-12-01T21:59:59Z", false, Some("2026-12-01T22:00:00Z")),
            ("2026-12-01T22:00:00Z", true, Some("2026-12-02T02:00:00Z")),
            ("2026-12-02T02:00:00Z", false, None),
        ] {
            assert_eq!((when.active(at(now)), when.next_change(at(now))), (active, next.map(at)), "{now}");
        }
    }

    #[test]
    fn every_week_goes_over_midnight_and_in_the_zones_own_time() {
        let when = every(&["sat", "Sunday"], "22:00", 4, "Europe/Berlin");
        for (now, active, next) in [
            // Berlin is at +02:00 in summer and +01:00 in winter. 2026-08-01 is a Saturday.
            ("2026-08-01T19:59:59Z", false, "2026-08-01T20:00:00Z"),
            ("2026-08-01T20:00:00Z", true, "2026-08-02T00:00:00Z"),
            ("2026-08-02T00:00:00Z", false, "2026-08-02T20:00:00Z"),
            ("2026-08-02T23:59:59Z", true, "2026-08-03T00:00:00Z"),
            ("2026-08-03T00:00:00Z", false, "2026-08-08T20:00:00Z"),
            ("2026-12-05T20:30:00Z", false, "2026-12-05T21:00:00Z"),
        ] {
            assert_eq!((when.active(at(now)), when.next_change(at(now))), (active, Some(at(next))), "{now}");
        }
    }

    #[test]
    fn a_time_that_a_day_does_not_have_is_later_and_one_it_has_twice_is_the_first() {
        // 2026-03-29 02:30 is not there in Berlin; 2026-10-25 02:30 is there twice.
        let when = every(&["sun"], "02:30", 1, "Europe/Berlin");
        assert!(when.active(at("2026-03-29T01:30:00Z")) && !when.active(at("2026-03-29T00:59:59Z")));
        assert!(when.active(at("2026-10-25T00:30:00Z")) && !when.active(at("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn a_window_of_a_whole_day_every_day_never_ends() {
        let when = every(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "00:00", 24, "UTC");
        assert!(["2026-01-01T00:00:00Z", "2026-06-30T23:59:59Z"].into_iter().all(|now| when.active(at(now))));
    }

    #[test]
    fn days_and_times_are_refused_with_what_would_be_right() {
        for word in ["", "m", "mo", "montag", "8"] {
            assert!(day(word).expect_err(word).contains("mon, tue"));
        }
        for word in ["", "22", "24:00", "22:60", "1:00", "+1:00", "22:00 pm", "22:00:61"] {
            assert!(clock(word).expect_err(word).contains("22:00"), "{word}");
        }
        assert!(instant("2026-12-01T22:00:00").expect_err("no zone").contains("time zone"));
        assert!(instant("tomorrow").expect_err("no time").contains("2026-12-01T22:00:00Z"));
        assert_eq!(instant("2026-12-01T22:00:00+01:00"), Ok(at("2026-12-01T21:00:00Z")));
    }
}
