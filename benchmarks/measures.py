"""Print how long each measure takes over planted rows, and how often one could sort them meanwhile.

    python benchmarks/measures.py [ROWS]

ROWS is 20,000 unless given: half honest, half attacks by four policies, of 20 turns each, in 200
worlds. Seconds are of this machine's processor; the ratio is to sorting all the rows once by
highest score, in plain Python, and can be compared between machines.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from policies.measure.budgeted import at_budget
from policies.measure.outcome import Outcome
from policies.measure.quality import quality
from policies.measure.rows import Row, Run, Spent
from policies.measure.selection import selection
from policies.measure.spending import spending
from policies.measure.summary import summary
from policies.measure.timing import timing
from policies.measure.worst import worst

TURNS, WORLDS, BUDGET = 20, 200, 0.01
RUNS = [Run("a.eval", attack=f"policy {i}", untrusted="u") for i in range(4)]
PAID = {role: Spent(2, 900, 100, 5000, 50, 0.02, 3.0) for role in ("untrusted", "monitor", "red")}


def planted(n: int) -> list[Row]:
    """Rows whose attacks score higher than honest work, more so under some policies."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        attack, policy = i % 2 == 1, int(rng.integers(len(RUNS)))
        harm = int(rng.integers(TURNS)) if attack else None
        ended = TURNS - 1 if attack and rng.random() < 0.3 else None
        scores = rng.beta(2.0, 8.0, TURNS)
        if attack:
            scores[harm or 0] = rng.beta(3.0 + policy, 4.0)
        harm = None if ended is not None else harm
        rows.append(
            Row(
                run=RUNS[policy],
                id=str(i),
                mode="attack" if attack else "honest",
                setting=f"setting {i % WORLDS // 10}",
                variant=str(i % WORLDS % 10),
                outcome=Outcome(
                    mode="attack" if attack else "honest",
                    main_passed=True,
                    attempted=harm is not None,
                    succeeded=harm is not None,
                    actions=TURNS,
                    audited=int(ended is not None),
                    stopped=False,
                    caught=ended is not None,
                    rests_on_failure=False,
                ),
                side="copy",
                suspicion=tuple(scores.tolist()),
                failed=frozenset({3} if rng.random() < 0.001 else ()),
                harmful_turn=harm,
                ending_turn=ended,
                bytes_out=(100,) * TURNS,
                draws=TURNS,
                spent=PAID,
            )
        )
    return rows


def seconds(what: Callable[[], Any]) -> float:
    """The least processor time of three."""
    least = float("inf")
    for _ in range(3):
        began = time.process_time()
        what()
        least = min(least, time.process_time() - began)
    return least


def main() -> None:
    """Measure and print."""
    rows = planted(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
    once = seconds(lambda: sorted(rows, key=lambda row: max(row.suspicion)))
    print(f"{len(rows):,} rows; sorted once in {once:.4f} s")
    measures: dict[str, Callable[[], Any]] = {
        "summary": lambda: summary(rows),
        "at_budget, trajectories": lambda: at_budget(rows, BUDGET),
        "at_budget, actions": lambda: at_budget(rows, BUDGET, "action"),
        "quality": lambda: quality(rows),
        "timing": lambda: timing(rows, 0.5),
        "spending": lambda: spending(rows),
        "worst, as run": lambda: worst(rows),
        "worst, at a budget": lambda: worst(rows, BUDGET),
        "selection": lambda: selection(rows, BUDGET),
    }
    for name, what in measures.items():
        took = seconds(what)
        print(f"{name:24} {took:8.3f} s {took / once:8.0f} sorts", flush=True)


if __name__ == "__main__":
    main()
