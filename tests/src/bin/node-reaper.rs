//! Cleans up after one live test, however it ended: waits until the test has closed our standard input, which the kernel does for one that
//! was killed, then ends and removes all of its slot.

use std::io::Read;

use anyhow::{Context, Result};
use nodewhy_tests::clean;
use nodewhy_tests::slot::SlotNumber;

fn main() -> Result<()> {
    let slot = std::env::args().nth(1).and_then(|number| number.parse().ok()).map(SlotNumber).context("usage: node-reaper SLOT")?;
    std::io::stdin().read_to_end(&mut Vec::new()).context("cannot wait for the test's end")?;
    clean::up(slot)
}
