"""Writes a kubelet's log of any size to measure against: make-log.py LOG BYTES OUT. The lines are a real kubelet's (LOG), with numbers changed
so that no two are alike, and times that go on. The same LOG and BYTES give the same file.
"""

import pathlib
import random
import re
import sys

DIGITS = re.compile(r"(?<![a-z]:)\d{3,}")
BLOCK = 20_000


def main(log, size, out):
    lines = [line for line in pathlib.Path(log).read_text(errors="replace").splitlines() if re.match(r"[IWEF]\d{4} ", line)]
    rng = random.Random(20261123)
    change = lambda found: str(rng.randrange(10 ** (len(found[0]) - 1), 10 ** len(found[0])))
    left, at = int(size), 0
    with open(out, "w") as file:
        while left > 0:
            block = []
            for _ in range(BLOCK):
                at += 41_003
                seconds, micros = divmod(at, 1_000_000)
                line = rng.choice(lines)
                head = f"{line[0]}11{1 + seconds // 86400 % 28:02} {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}"
                block.append(head + DIGITS.sub(change, line[21:]))
            text = "\n".join(block) + "\n"
            file.write(text)
            left -= len(text)


main(*sys.argv[1:])
