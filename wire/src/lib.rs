//! Core types to wire types and back. Nothing else: what the fields mean is said in nodewhy-diagnosis and in the `.proto` files.
//!
//! Towards the wire nothing can fail. From the wire everything is checked: a sender is a stranger until its message has been read.

mod cause;
mod diagnosis;
mod time;
mod transition;
mod words;

pub use cause::{cause_from_wire, cause_to_wire};
pub use diagnosis::{diagnosis_from_wire, diagnosis_to_wire};
pub use time::{time_from_wire, time_to_wire};
pub use transition::{transition_from_wire, transition_to_wire};
pub use words::{
    layer_from_wire, layer_to_wire, severity_from_wire, severity_to_wire, transition_kind_from_wire, transition_kind_to_wire,
    verdict_from_wire, verdict_to_wire,
};

/// Most causes, evidence entries, codes or steps taken in one list.
pub const LIST_MAX: usize = 1024;
/// Longest code of a cause, bytes.
pub const CODE_MAX: usize = 64;
/// Largest message that a collector takes from an agent, bytes.
pub const REPORT_BYTES: usize = 4 << 20;
/// Longest text taken in one field, bytes.
pub const TEXT_MAX: usize = 64 << 10;

/// What is wrong with a message from the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that has to be there is not.
    #[error("{field} is missing")]
    Missing {
        /// Its name in the `.proto` file.
        field: &'static str,
    },
    /// A number that stands for no word of the enumeration.
    #[error("{field} is {value}, which stands for nothing in this version")]
    Enumeration {
        /// Name of the enumeration.
        field: &'static str,
        /// The number.
        value: i32,
    },
    /// A time that no calendar has.
    #[error("a timestamp of {seconds} s and {nanos} ns is out of range")]
    Time {
        /// Seconds since 1970.
        seconds: i64,
        /// Nanoseconds.
        nanos: i32,
    },
    /// A code with other characters than a cause's has, or too long.
    #[error("{field} is no cause's code: a-z, 0-9 and -, at most {CODE_MAX} characters")]
    Code {
        /// Its name in the `.proto` file.
        field: &'static str,
    },
    /// More than is taken.
    #[error("{field} is too large: {size}, at most {most}")]
    TooLarge {
        /// Its name in the `.proto` file.
        field: &'static str,
        /// Bytes or entries.
        size: usize,
        /// The bound.
        most: usize,
    },
}

fn text(field: &'static str, text: String) -> Result<String, WireError> {
    if text.len() > TEXT_MAX { Err(WireError::TooLarge { field, size: text.len(), most: TEXT_MAX }) } else { Ok(text) }
}

fn some_text(field: &'static str, value: String) -> Result<String, WireError> {
    if value.is_empty() { Err(WireError::Missing { field }) } else { text(field, value) }
}

/// A cause's code: what the catalogue allows and nothing else, since it is printed, used in keys and compared.
fn code(field: &'static str, value: String) -> Result<String, WireError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if value.is_empty() {
        Err(WireError::Missing { field })
    } else if value.len() > CODE_MAX || !value.bytes().all(plain) {
        Err(WireError::Code { field })
    } else {
        Ok(value)
    }
}

fn list<W, T>(field: &'static str, list: Vec<W>, each: impl FnMut(W) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
    if list.len() > LIST_MAX {
        return Err(WireError::TooLarge { field, size: list.len(), most: LIST_MAX });
    }
    list.into_iter().map(each).collect()
}

fn there<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::Missing { field })
}

#[cfg(test)]
mod tests;
