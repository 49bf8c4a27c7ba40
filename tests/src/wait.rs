//! Waiting on a condition, with a deadline. Tests never sleep for a time and hope.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Looks again and again until there is a value. An error of a look is an answer like "not yet"; the last one is told when time is up.
///
/// # Errors
/// The deadline passed.
pub async fn until<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        let last = match look().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if begun.elapsed() >= deadline {
            return Err(too_late(what, deadline, last));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The same for threads without a runtime.
///
/// # Errors
/// The deadline passed.
pub fn until_blocking<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        let last = match look() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if begun.elapsed() >= deadline {
            return Err(too_late(what, deadline, last));
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn too_late(what: &str, deadline: Duration, last: Option<anyhow::Error>) -> anyhow::Error {
    match last {
        Some(error) => error.context(format!("{what}: not within {deadline:?}")),
        None => anyhow!("{what}: not within {deadline:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_told_when_time_is_up() {
        let error = until_blocking::<()>("the sun rises", Duration::ZERO, || Err(anyhow!("it is night"))).unwrap_err();
        assert_eq!(format!("{error:#}"), "the sun rises: not within 0ns: it is night");
    }

    #[test]
    fn a_value_ends_the_waiting() {
        let mut looks = 0;
        let value = until_blocking("the third look", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(value.unwrap(), 3);
    }
}
