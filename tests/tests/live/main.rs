//! Real faults on real systemd nodes, from the fault to the collector's answer and back.

mod nodes;
mod support;
mod units;
