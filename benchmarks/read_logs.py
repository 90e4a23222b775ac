"""Print how long reading many logs takes, and how much memory.

    python benchmarks/read_logs.py [LOGS] [SAMPLES]

1,000 logs of 20 samples unless given; made in a folder that is removed.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.many_logs import make
from policies.measure.reader import read


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in each)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("logs", type=int, nargs="?", default=1000)
    parser.add_argument("samples", type=int, nargs="?", default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), given.logs, given.samples)
        before, busy, began = peak(), processor_seconds(), time.perf_counter()
        reading = read([folder])
        seconds, busy = time.perf_counter() - began, processor_seconds() - busy
    print(f"{len(reading.runs)} logs, {len(reading.rows)} rows: {seconds:.1f} s")
    print(f"processors were busy for {busy:.1f} s, in all processes together")
    print(f"memory here: {peak():.0f} MB, {peak() - before:.0f} MB of it for reading")
