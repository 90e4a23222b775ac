"""Print how long reading many logs takes, and how much memory.

    python benchmarks/read_logs.py [LOGS] [SAMPLES]

1,000 logs of 20 samples unless given; made in a folder that is removed.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.many_logs import make
from policies.measure.reader import read

if __name__ == "__main__":
    logs, samples = map(int, (*sys.argv[1:], *("1000", "20")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), logs, samples)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, busy = time.perf_counter(), time.process_time()
        reading = read([folder])
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{len(reading.runs)} logs, {len(reading.rows)} rows: {seconds:.1f} s ({busy:.1f} s here)"
    )
    print(f"memory: {peak / 1024:.0f} MB, {(peak - before) / 1024:.0f} MB of it for reading")
