//! Where something that gets less is going: a slope that holds against outliers, and a word only where the trend is steady.
//!
//! What frees itself again and again (image garbage collection, log rotation, a process that is restarted) is a sawtooth and no trend; one large
//! step (an image pulled) is none either; one that slows down (caches that fill) is not drawn out further.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Samples of one window.
const SAMPLES: i32 = 60;
/// A hole as long as this, in parts of the window, begins anew: the machine slept, or the agent stood still.
const HOLE: i32 = 6;
/// What ends later than this is no matter for tonight ...
const SOON: SignedDuration = SignedDuration::from_hours(4);
/// ... and what was said to end soon ends soon until it is clearly later.
const LATER: SignedDuration = SignedDuration::from_hours(6);
/// More than the file systems of a node; what comes beyond is not watched.
const MAX_SERIES: usize = 32;

/// How long a trend has to be seen.
#[derive(Debug, Clone, Copy)]
pub struct Window(pub SignedDuration);

/// What can be said of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Forecast {
    /// Not watched for long enough yet.
    NotYet,
    /// It does not get less, not steadily, or lasts for hours.
    Steady,
    /// It gets less, steadily, and does not last for four hours.
    Falling {
        /// Units in an hour; positive.
        per_hour: f64,
        /// When it reaches the floor if it goes on like this.
        reaches_at: Timestamp,
        /// The begin of what this was seen in.
        since: Timestamp,
    },
}

/// All series, kept while the agent runs.
#[derive(Debug, Default)]
pub struct Kept(Mutex<BTreeMap<String, Series>>);

impl Kept {
    /// Adds a sample and says where the series is going. `of` is what the samples are of (the size of the file system): with another one it begins anew.
    pub fn observe(&self, name: &str, of: i64, sample: (Timestamp, f64), floor: f64, window: Window) -> Forecast {
        let mut all = self.lock();
        if all.len() >= MAX_SERIES && !all.contains_key(name) {
            return Forecast::NotYet;
        }
        let series = all.entry(name.to_owned()).or_default();
        series.push(of, sample, window);
        series.forecast(floor, window)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Series {
    of: i64,
    samples: VecDeque<(Timestamp, f64)>,
    /// It was said to be falling: it has to be clearly over before that is taken back.
    falling: bool,
    /// It was said to end soon.
    soon: bool,
}

impl Series {
    fn push(&mut self, of: i64, (at, value): (Timestamp, f64), Window(window): Window) {
        let since_last = self.samples.back().map(|(last, _)| at.duration_since(*last));
        if of != self.of || since_last.is_some_and(|since| since > window / HOLE || since < -(window / SAMPLES)) {
            *self = Self { of, ..Self::default() };
        } else if since_last.is_some_and(|since| since < window / SAMPLES) {
            return;
        }
        self.samples.push_back((at, value));
        // One sample more than the window needs, so that its span reaches over the whole of it.
        while self.samples.len() > SAMPLES as usize + 1
            || self.samples.front().is_some_and(|(first, _)| at.duration_since(*first) > window + window / SAMPLES * 2)
        {
            self.samples.pop_front();
        }
    }

    fn forecast(&mut self, floor: f64, Window(window): Window) -> Forecast {
        let (Some((since, _)), Some((now, _))) = (self.samples.front().copied(), self.samples.back().copied()) else {
            return Forecast::NotYet;
        };
        if now.duration_since(since) < window - window / 20 {
            (self.falling, self.soon) = (false, false);
            return Forecast::NotYet;
        }
        let points: Vec<(f64, f64)> = self.samples.iter().map(|(at, value)| (at.duration_since(since).as_secs_f64(), *value)).collect();
        let slope = slope(&points);
        self.falling = is_steady_fall(&points, slope, self.falling);
        let span = now.duration_since(since).as_secs_f64();
        let last = median(points.iter().map(|(at, value)| value + slope * (span - at)).collect());
        let lasts = SignedDuration::try_from_secs_f64((last - floor) / -slope).ok().filter(|_| self.falling && last > floor);
        let horizon = if self.soon { LATER } else { SOON };
        let reaches_at = lasts.filter(|lasts| *lasts < horizon).and_then(|lasts| now.checked_add(lasts).ok());
        self.soon = reaches_at.is_some();
        match reaches_at {
            Some(reaches_at) => Forecast::Falling { per_hour: -slope * 3600.0, reaches_at, since },
            None => Forecast::Steady,
        }
    }
}

/// Theil and Sen: the median of the slopes between all pairs of points. Up to 29 % of the points may be wild.
fn slope(points: &[(f64, f64)]) -> f64 {
    let pairs = points.iter().enumerate().flat_map(|(index, one)| points[index + 1..].iter().map(move |other| (one, other)));
    median(pairs.filter(|(one, other)| other.0 > one.0).map(|(one, other)| (other.1 - one.1) / (other.0 - one.0)).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Each third of the window falls like the whole, the last one not much slower; and what came back in between is little.
fn is_steady_fall(points: &[(f64, f64)], slope: f64, was: bool) -> bool {
    if slope >= 0.0 || points.len() < 12 {
        return false;
    }
    let (each, last, back) = if was { (0.2, 0.4, 0.3) } else { (0.4, 0.7, 0.15) };
    let thirds: Vec<f64> = points.chunks(points.len().div_ceil(3)).map(self::slope).collect();
    let falls = thirds.iter().all(|third| *third <= each * slope) && thirds.last().is_some_and(|third| *third <= last * slope);
    let span = points.last().map_or(0.0, |(at, _)| *at);
    falls && rebound(points) <= back * -slope * span
}

/// The most by which the series ever rose above what it had been before.
fn rebound(points: &[(f64, f64)]) -> f64 {
    let mut lowest = f64::INFINITY;
    let mut most = 0.0_f64;
    for (_, value) in points {
        lowest = lowest.min(*value);
        most = most.max(value - lowest);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window(SignedDuration::from_mins(30));
    const GIB: f64 = 1_073_741_824.0;

    /// A value every 30 s, for so many minutes.
    fn fed(minutes: i32, value: impl Fn(f64) -> f64) -> Forecast {
        let kept = Kept::default();
        let mut last = Forecast::NotYet;
        for step in 0..=minutes * 2 {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(step) * 30);
            last = kept.observe("x", 1, (at, value(f64::from(step) / 2.0)), 10.0 * GIB, WINDOW);
        }
        last
    }

    fn reaches_in(forecast: Forecast, minutes: i64) -> i64 {
        match forecast {
            Forecast::Falling { reaches_at, .. } => reaches_at.as_second() / 60 - minutes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_steady_fall_is_drawn_out_to_the_floor() {
        let falls = |minute: f64| (40.0 - minute * 0.2) * GIB;
        assert_eq!(fed(20, falls), Forecast::NotYet);
        assert_eq!(reaches_in(fed(40, falls), 40), 110, "22 GiB above the floor at 0.2 GiB a minute");
    }

    #[test]
    fn what_lasts_for_hours_is_not_told() {
        assert_eq!(fed(40, |minute| (40.0 - minute * 0.1) * GIB), Forecast::Steady, "26 GiB at 0.1 GiB a minute");
    }

    #[test]
    fn noise_and_outliers_do_not_hide_it() {
        let noisy = |minute: f64| (40.0 - minute * 0.2 + (minute * 7.3).sin() * 0.2) * GIB;
        let left = reaches_in(fed(60, noisy), 60);
        assert!((80..100).contains(&left), "{left}");
    }

    #[test]
    fn a_sawtooth_is_no_trend_in_any_of_its_phases() {
        for minutes in 30..75 {
            let collected = |minute: f64| (40.0 - (minute % 20.0) * 0.5) * GIB;
            assert_eq!(fed(minutes, collected), Forecast::Steady, "{minutes}");
        }
    }

    #[test]
    fn one_large_step_is_no_trend() {
        for step_at in [5.0, 15.0, 25.0] {
            assert_eq!(fed(30, |minute| if minute < step_at { 40.0 * GIB } else { 20.0 * GIB }), Forecast::Steady, "{step_at}");
        }
    }

    #[test]
    fn what_slows_down_is_not_drawn_out() {
        assert_eq!(fed(40, |minute| (20.0 + 20.0 * (-minute / 8.0).exp()) * GIB), Forecast::Steady);
        assert_eq!(fed(40, |minute| if minute < 25.0 { (40.0 - minute) * GIB } else { 15.0 * GIB }), Forecast::Steady);
    }

    #[test]
    fn what_rises_or_stands_still_is_steady() {
        assert_eq!(fed(40, |_| 40.0 * GIB), Forecast::Steady);
        assert_eq!(fed(40, |minute| (20.0 + minute) * GIB), Forecast::Steady);
    }

    #[test]
    fn a_hole_another_size_or_a_clock_set_back_begin_anew() {
        let kept = Kept::default();
        let feed = |of: i64, from: i64, samples: i64| {
            let all = (0..samples).map(|step| {
                let second = from + step * 30;
                kept.observe(
                    "x",
                    of,
                    (Timestamp::from_second(second).unwrap(), (100.0 - (second - from) as f64 / 100.0) * GIB),
                    GIB,
                    WINDOW,
                )
            });
            all.last().unwrap()
        };
        assert!(matches!(feed(1, 0, 70), Forecast::Falling { .. }));
        assert_eq!(feed(1, 10_000, 5), Forecast::NotYet, "a hole");
        assert!(matches!(feed(1, 10_200, 70), Forecast::Falling { .. }));
        assert_eq!(feed(2, 12_330, 5), Forecast::NotYet, "another size");
        assert_eq!(feed(2, 0, 1), Forecast::NotYet, "the clock was set back");
    }

    #[test]
    fn so_many_samples_and_series_are_kept_and_no_more() {
        let kept = Kept::default();
        for series in 0..100 {
            for second in 0..500 {
                kept.observe(&series.to_string(), 1, (Timestamp::from_second(second * 30).unwrap(), 1.0), 0.0, WINDOW);
            }
        }
        let all = kept.lock();
        assert_eq!(all.len(), MAX_SERIES);
        assert!(all.values().all(|series| series.samples.len() <= SAMPLES as usize + 1));
    }
}
