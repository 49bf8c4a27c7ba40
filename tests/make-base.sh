#!/bin/sh
# Makes, once, the base tree that the live tests' nodes are booted from: a Debian with systemd, journald, D-Bus and a real containerd.
#
# Prints the tree's path. It lies outside the checkout, in $NODEWHY_BASE_DIR (default /var/cache/nodewhy), and its name holds a hash of
# this script: an edit here makes a new tree, and the old ones go. Safe to run many times and at the same time.
set -eu

packages=systemd,systemd-sysv,dbus,procps,iproute2,containerd,runc,containernetworking-plugins,e2fsprogs,ca-certificates
suite=bookworm
# Empty: debootstrap's own default.
mirror=${NODEWHY_DEBIAN_MIRROR:-}
dir=${NODEWHY_BASE_DIR:-/var/cache/nodewhy}

version=$(sha256sum "$0" | cut -c1-12)
base=$dir/base-$suite-$version
if [ -e "$base/.complete" ]; then
    echo "$base"
    exit 0
fi

fail() {
    echo "make-base: $*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail "has to be root to make $base (debootstrap)"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap systemd-container"

mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9
if [ ! -e "$base/.complete" ]; then
    echo "make-base: making $base (about a minute, once)" >&2
    rm -rf "$base" "$base.log"
    debootstrap --variant=minbase --include="$packages" "$suite" "$base" ${mirror:+"$mirror"} >"$base.log" 2>&1 ||
        fail "debootstrap of $suite${mirror:+ from $mirror} failed; the end of $base.log: $(tail -n 5 "$base.log")"

    # A node's own name, identity and name servers come with the node.
    rm -f "$base/etc/machine-id" "$base/var/lib/dbus/machine-id" "$base/etc/hostname" "$base/etc/resolv.conf"
    rm -rf "$base"/var/cache/apt/archives/*.deb "$base"/var/lib/apt/lists/*
    # Timers of the distribution would wake up in the middle of a measurement.
    for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-tmpfiles-clean.timer; do
        ln -sf /dev/null "$base/etc/systemd/system/$unit"
    done
    touch "$base/.complete"

    # Trees of other versions, unless a node stands on one right now.
    for old in "$dir/base-$suite-"*; do
        case $old in "$base" | "$base.log") continue ;; esac
        grep -q "lowerdir=$old," /proc/mounts || rm -rf "$old"
    done
fi
echo "$base"
