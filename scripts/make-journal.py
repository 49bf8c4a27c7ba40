"""Writes a journal to measure against, as journald would have kept it: make-journal.py LOG ENTRIES ROOT.

ROOT becomes a root directory: /var/log/journal, and the boot id under which the kernel would name the entries' boot.

The kubelet's lines are a real kubelet's (LOG), with numbers changed so that no two are alike; between them what else a node says: runtime,
kernel, systemd, sshd. systemd-journal-remote turns journald's export format into a journal file, with all of journald's own fields.
"""

import pathlib
import random
import re
import subprocess
import sys
import uuid

WRITER = "/lib/systemd/systemd-journal-remote"
BOOT = "6b1d1a1c0a0e4d0f9f0e6a1f2b3c4d5e"
MACHINE = "0f0e0d0c0b0a09080706050403020100"
START = 1_790_000_000_000_000

OTHERS = [
    ("containerd.service", "containerd", 6, 'time="2026-11-23T04:0{a}:{b:02}.{c:09}Z" level=info msg="RemoveContainer for \\"{h}\\" returns successfully"'),
    ("containerd.service", "containerd", 6, 'time="2026-11-23T04:0{a}:{b:02}.{c:09}Z" level=info msg="shim disconnected" id={h} namespace=k8s.io'),
    ("init.scope", "systemd", 6, "run-containerd-runc-k8s.io-{h}-runc.{c}.mount: Deactivated successfully."),
    ("init.scope", "systemd", 6, "Started cri-containerd-{h}.scope - libcontainer container {h}."),
    ("ssh.service", "sshd", 6, "Connection closed by 10.0.{a}.{b} port {c} [preauth]"),
    ("cron.service", "CRON", 6, "pam_unix(cron:session): session opened for user root(uid=0) by (uid={a})"),
    (None, "kernel", 6, "cni0: port {a}(veth{c:08x}) entered forwarding state"),
    (None, "kernel", 5, "audit: type=1400 audit({c}.{b}:{a}): apparmor=\"STATUS\" operation=\"profile_load\" pid={c}"),
]


def common(realtime, priority, identifier, message):
    return {
        "__REALTIME_TIMESTAMP": realtime,
        "__MONOTONIC_TIMESTAMP": realtime - START + 5_000_000,
        "_BOOT_ID": BOOT,
        "_MACHINE_ID": MACHINE,
        "_HOSTNAME": "worker-1",
        "PRIORITY": priority,
        "SYSLOG_FACILITY": 3,
        "SYSLOG_IDENTIFIER": identifier,
        "MESSAGE": message,
    }


def of_unit(realtime, priority, unit, identifier, message, pid):
    entry = common(realtime, priority, identifier, message)
    entry |= {
        "_TRANSPORT": "stdout",
        "_STREAM_ID": f"{pid:032x}",
        "_PID": pid,
        "_UID": 0,
        "_GID": 0,
        "_COMM": identifier,
        "_EXE": f"/usr/bin/{identifier}",
        "_CMDLINE": f"/usr/bin/{identifier} --config=/var/lib/{identifier}/config.yaml",
        "_CAP_EFFECTIVE": "1ffffffffff",
        "_SELINUX_CONTEXT": "unconfined",
        "_SYSTEMD_CGROUP": f"/system.slice/{unit}",
        "_SYSTEMD_UNIT": unit,
        "_SYSTEMD_SLICE": "system.slice",
        "_SYSTEMD_INVOCATION_ID": f"{pid + 77:032x}",
    }
    return entry


def entries(lines, count):
    rng = random.Random(20261123)
    digits = re.compile(r"(?<![IWEF])(?<![a-z]:)\d{3,}")
    realtime = START
    for _ in range(count):
        realtime += rng.randrange(200, 400_000)
        if rng.random() < 0.7:
            message = digits.sub(lambda found: str(rng.randrange(10 ** (len(found[0]) - 1), 10 ** len(found[0]))), rng.choice(lines))
            yield of_unit(realtime, 6, "kubelet.service", "kubelet", message, 3000 + realtime % 7)
            continue
        unit, identifier, priority, text = rng.choice(OTHERS)
        message = text.format(a=rng.randrange(9), b=rng.randrange(60), c=rng.randrange(10**8), h=f"{rng.getrandbits(128):032x}")
        if unit is None:
            yield common(realtime, priority, identifier, message) | {"_TRANSPORT": "kernel", "_SOURCE_MONOTONIC_TIMESTAMP": realtime - START}
        else:
            yield of_unit(realtime, priority, unit, identifier, message, 900 + len(unit))


def main(log, count, root):
    lines = [line for line in pathlib.Path(log).read_text(errors="replace").splitlines() if line.strip()]
    boot = pathlib.Path(root, "proc/sys/kernel/random/boot_id")
    out = pathlib.Path(root, "var/log/journal", MACHINE)
    for directory in (boot.parent, out):
        directory.mkdir(parents=True, exist_ok=True)
    boot.write_text(f"{uuid.UUID(BOOT)}\n")
    file = out / "system.journal"
    for old in out.glob("*.journal"):
        old.unlink()
    with subprocess.Popen([WRITER, "--output", str(file), "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
        for entry in entries(lines, int(count)):
            text = "".join(f"{key}={value}\n" for key, value in entry.items()) + "\n"
            writer.stdin.write(text.encode())
        writer.stdin.close()
    if writer.returncode:
        sys.exit(f"{WRITER} ended with {writer.returncode}")
    size = sum(part.stat().st_size for part in out.glob("*.journal"))
    print(f"{out}: {count} entries, {size / 1e6:.0f} MB")


main(*sys.argv[1:])
