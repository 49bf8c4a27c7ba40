//! The kernel's clock discipline.

use std::io;

use rtime_clock::adjtime::{Timex, adjtimex};

/// Whether something keeps the clock in time: adjtimex(2) without STA_UNSYNC. Reading takes no privilege.
///
/// # Errors
/// The kernel, or a seccomp filter, refuses the call.
pub fn synchronized() -> io::Result<bool> {
    // No modes are set: this reads and changes nothing.
    let mut state = Timex::new();
    adjtimex(&mut state)?;
    Ok(state.0.status & nix::libc::STA_UNSYNC == 0)
}
