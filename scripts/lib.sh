# shellcheck shell=bash
# What the other scripts share. Sourced, never run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# How to become root: nothing for root, sudo where it is, else empty with a non-zero status.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else return 127
    fi
}

# Rust as Cargo.toml asks for it, or a word on how to get it.
need_rust() {
    have cargo || die "cargo is not in PATH; install Rust $(rust_wanted) or newer (rustup) and run this again"
    local have_version; have_version=$(rustc --version | awk '{ print $2 }')
    if [ "$(printf '%s\n' "$(rust_wanted)" "$have_version" | sort -V | head -n 1)" != "$(rust_wanted)" ]; then
        die "rustc is $have_version; nodewhy needs $(rust_wanted) or newer: rustup update stable"
    fi
}
rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

# Runs a command until it succeeds or the seconds are over.
wait_for() {
    local until=$((SECONDS + $1)); shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}
