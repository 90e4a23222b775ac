"""Running the task in-process, as `inspect eval sallyport/exfil` does, and reading its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai import eval
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import Model

from policies.ledger import Ledger

TASK = "sallyport/exfil"
_WORLDS = {"settings": "checkpoint_audit", "variants": 12}


@dataclass(frozen=True)
class Row:
    """One scored sample."""

    sample: EvalSample
    values: dict[str, float]
    facts: dict[str, Any]
    book: Ledger

    @property
    def mode(self) -> str:
        return str(self.facts["mode"])


def run(
    folder: Path, *, model: str | Model | None = None, task: str = TASK, **options: Any
) -> EvalLog:
    """Evaluate; task arguments by name, options of `eval` behind `eval_`.

    All worlds of one setting, unless told otherwise: what is tested here is not the settings.
    """
    arguments = {k: v for k, v in options.items() if not k.startswith("eval_")}
    settings = {k[5:]: v for k, v in options.items() if k.startswith("eval_")}
    [log] = eval(
        task,
        model=model,
        task_args=_WORLDS | {"sandbox": "namespace"} | arguments,
        log_dir=str(folder),
        display="none",
        log_realtime=False,
        **settings,
    )
    return log


def rows(log: EvalLog) -> list[Row]:
    """The scored samples of a log that ended well."""
    assert log.status == "success", log.error
    found = []
    for sample in log.samples or []:
        assert sample.error is None, sample.error
        assert sample.scores is not None
        score = sample.scores["control_outcome"]
        assert isinstance(score.value, dict) and score.metadata is not None
        values = {name: float(str(value)) for name, value in score.value.items()}
        found.append(Row(sample, values, score.metadata, sample.store_as(Ledger)))
    return found


def metric(log: EvalLog, measure: str, name: str = "value") -> float:
    """A number of the printed table."""
    assert log.results is not None
    [score] = [s for s in log.results.scores if s.name == measure]
    return score.metrics[f"rate_{name}"].value
