"""Print how long a report of many logs takes, with how much memory, and how large the page is.

    python benchmarks/report.py [LOGS] [SAMPLES]

1,000 logs of 20 samples unless given; made in a folder that is removed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.many_logs import make

_REPORT = "from tasks.cli import main; main()"

if __name__ == "__main__":
    logs, samples = map(int, (*sys.argv[1:], *("1000", "20")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        made, page = Path(folder) / "logs", Path(folder) / "report.html"
        made.mkdir()
        make(made, logs, samples)
        command = [sys.executable, "-c", _REPORT, "report", str(made), "-o", str(page)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = page.stat().st_size
    print(f"{logs * samples} samples: {seconds:.1f} s, {busy:.1f} s of processor time")
    print(f"memory of the largest process: {after.ru_maxrss / 1024:.0f} MB")
    print(f"page: {size / 1000:.0f} kB")
