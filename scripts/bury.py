"""Spreads a log's lines, in their order, over the lines of a healthy kubelet's log: bury.py LOG [LINES [SEED]] > BURIED.

LINES is how many healthy lines (2000), SEED which places. Lines without a head stay behind the one before them. What is found in LOG has to be
found in the result: `scripts/bury.py LOG | kubectl-nodewhy analyze -`. kubectl-nodewhy/tests/buried.rs does it with all labelled logs.
"""

import itertools
import pathlib
import random
import re
import sys

NOISE = pathlib.Path(__file__).parent.parent / "tests/fixtures/kubelet-logs/healthy-standalone.log"
HEAD = re.compile(r"^\s*(?:[A-Z][a-z]{2}\s+\d|\d{4}-\d\d-\d\d|[IWEF]\d{4} |\[\s*\d+\.\d+\]|time=|level=|\{)")


def records(lines):
    found = []
    for line in lines:
        if found and not HEAD.match(line):
            found[-1].append(line)
        else:
            found.append([line])
    return found


def buried(log, count, seed):
    noise = list(itertools.islice(itertools.cycle(NOISE.read_text().splitlines()), count))
    needle = records(log)
    places = sorted(random.Random(seed).randrange(count + 1) for _ in needle)
    done = 0
    for place, record in zip(places, needle):
        yield from noise[done:place]
        yield from record
        done = place
    yield from noise[done:]


def main(log, count="2000", seed="1"):
    lines = pathlib.Path(log).read_text(errors="replace").splitlines()
    print("\n".join(buried(lines, int(count), seed)))


main(*sys.argv[1:])
