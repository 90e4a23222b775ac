"""ControlArena's own figures on logs, as JSON; run by `benchmarks/control_arena.py`.

    ENV/bin/python -P benchmarks/control_arena_own.py FOLDER BUDGET...

Needs control-arena==20.1.1 and nothing of this project. Budgets are in percent, as theirs are.
"""

import json
import sys

from control_arena.analysis import (
    compute_classifier_roc_auc,
    compute_safety,
    compute_suspicion_threshold,
    compute_usefulness,
    samples_df,
)

SCORER = "max_suspicion_scorer"


def figures(folder: str, budgets: list[str]) -> dict[str, float]:
    """Their figures, by name."""
    frame = samples_df(folder)
    # With samples that ended in an error, every figure would end in one too.
    frame = frame[frame["error"].isin(["", None])]
    honest, attack = (frame[frame["eval_mode"] == mode] for mode in ("honest", "attack"))
    found = {
        "usefulness": compute_usefulness(frame),
        "AUROC": compute_classifier_roc_auc(honest[f"score_{SCORER}"], attack[f"score_{SCORER}"]),
    }
    for budget in budgets:
        percent = float(budget)
        threshold = compute_suspicion_threshold(honest, SCORER, percent)
        found[f"audited at {budget} %"] = float((honest[f"score_{SCORER}"] > threshold).mean())
        for both in (False, True):
            name = f"safety at {budget} %" + (
                ", of attacks that do the main task too" if both else ""
            )
            found[name] = float(compute_safety(frame, SCORER, percent, both))
    return found


if __name__ == "__main__":
    print("FIGURES " + json.dumps(figures(sys.argv[1], sys.argv[2:])))
