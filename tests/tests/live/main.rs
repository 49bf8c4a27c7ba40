//! Real faults on real systemd nodes, from the fault to the collector's answer and back.

mod apiserver;
mod away;
mod healthy;
mod honest;
mod latent;
mod machine;
mod nodes;
mod pods;
mod runtime;
mod storage;
mod support;
mod swap;
mod units;
