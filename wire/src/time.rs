use jiff::Timestamp;

use crate::WireError;

/// A moment for the wire.
pub fn time_to_wire(at: Timestamp) -> prost_types::Timestamp {
    // jiff gives a negative fraction before 1970; the wire wants it counted up from the second before.
    let (seconds, nanos) = (at.as_second(), at.subsec_nanosecond());
    if nanos < 0 {
        prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

/// A moment from the wire.
///
/// # Errors
/// [`WireError::Time`] for a fraction that is none, or a year beyond 9999.
pub fn time_from_wire(at: prost_types::Timestamp) -> Result<Timestamp, WireError> {
    let wrong = WireError::Time { seconds: at.seconds, nanos: at.nanos };
    if !(0..1_000_000_000).contains(&at.nanos) {
        return Err(wrong);
    }
    Timestamp::new(at.seconds, at.nanos).map_err(|_| wrong)
}
