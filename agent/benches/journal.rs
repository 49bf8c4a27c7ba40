//! How fast a journal is read with the whole catalogue, beside libsystemd's bare enumeration of all fields in the same run.
//!
//! `scripts/bench journal` makes the journal (`scripts/make-journal.py`) and runs this. The argument is a root directory with
//! `/var/log/journal` and `/proc/sys/kernel/random/boot_id` in it.
#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nodewhy_agent::host::Host;
use nodewhy_agent::host::journal::{Current, Follower, From, Reader};
use nodewhy_diagnosis::Catalogue;
use systemd::journal::{Journal, JournalRef, OpenDirectoryOptions};
use tokio::sync::mpsc;

/// Taken in turns, so that what else the machine does meets them alike; the best of each counts.
const ROUNDS: usize = 5;

type Pass = fn(&str, &Arc<Catalogue>) -> Result<u64>;

fn main() -> Result<ExitCode> {
    // `cargo test` and `cargo bench` without a journal: nothing to measure.
    let Some(root) = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')) else {
        println!("usage: cargo bench -p nodewhy-agent --bench journal -- ROOT");
        return Ok(ExitCode::SUCCESS);
    };
    let catalogue = Arc::new(Catalogue::load(nodewhy_causes::files().iter().copied()).0);
    let passes: [(&str, Pass); 4] = [
        ("libsystemd alone, all fields, oldest first", |root, _| bare(root, JournalRef::seek_head, JournalRef::next)),
        ("agent `run` catching up, whole catalogue", follow),
        ("libsystemd alone, all fields, newest first", |root, _| bare(root, JournalRef::seek_tail, JournalRef::previous)),
        ("agent `check`, whole catalogue", scan),
    ];
    let mut best = [Duration::MAX; 4];
    let mut entries = 0;
    for _ in 0..ROUNDS {
        for ((name, pass), best) in passes.iter().zip(&mut best) {
            let begun = Instant::now();
            let read = pass(&root, &catalogue).with_context(|| format!("{name}: {root}"))?;
            *best = begun.elapsed().min(*best);
            entries = entries.max(read);
        }
    }
    println!("{entries} entries, best of {ROUNDS} rounds in turns");
    for ((name, _), taken) in passes.iter().zip(best) {
        println!("{name:45} {:6.3} s {:9.0} entries/s", taken.as_secs_f64(), entries as f64 / taken.as_secs_f64());
    }
    println!("run: {:.0} % of libsystemd's rate; check: {:.0} %", share(best[0], best[1]), share(best[2], best[3]));
    Ok(ExitCode::SUCCESS)
}

fn open(root: &str) -> systemd::Result<Journal> {
    OpenDirectoryOptions::default().os_root(true).system(true).open_directory(root)
}

fn share(bare: Duration, with_catalogue: Duration) -> f64 {
    100.0 * bare.as_secs_f64() / with_catalogue.as_secs_f64()
}

/// Everything libsystemd has to give, looked at by nobody.
fn bare(root: &str, seek: fn(&mut JournalRef) -> systemd::Result<()>, step: fn(&mut JournalRef) -> systemd::Result<u64>) -> Result<u64> {
    let mut journal = open(root)?;
    seek(&mut journal)?;
    let mut entries = 0;
    while step(&mut journal)? > 0 {
        entries += 1;
        while let Some(field) = journal.enumerate_data()? {
            black_box(field.data());
        }
    }
    Ok(entries)
}

fn scan(root: &str, catalogue: &Arc<Catalogue>) -> Result<u64> {
    let mut reader = Reader::open(&Host::new(root)).map_err(|missing| anyhow::anyhow!("{missing:?}"))?;
    Ok(black_box(reader.scan_boot(catalogue.matcher(), Duration::MAX)).entries)
}

fn follow(root: &str, catalogue: &Arc<Catalogue>) -> Result<u64> {
    let mut journal = open(root)?;
    journal.seek_head()?;
    anyhow::ensure!(journal.next()? > 0, "no entry in it");
    let oldest = From::Cursor(journal.cursor()?);
    let (out, mut batches) = mpsc::channel(64);
    let _follower = Follower::start(Arc::new(Host::new(root)), Arc::new(Current::new(Arc::clone(catalogue))), oldest, out)?;
    while let Some(batch) = batches.blocking_recv() {
        if batch.caught_up {
            break;
        }
    }
    Ok(0)
}
