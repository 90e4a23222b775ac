"""ROC curves of one protocol's monitor. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from policies.measure.observed import attempted
from policies.measure.quality import quality
from policies.measure.roc import roc
from policies.measure.rows import Row
from policies.report.data import Ranking
from policies.report.drawn import score


def ranking(arm: str, rows: Sequence[Row], point: tuple[float, float] | None) -> Ranking | None:
    """The curve of one arm; None where there is no honest sample or no attempt."""
    honest = [score(row) for row in rows if row.outcome is not None and row.mode == "honest"]
    attack = [score(row) for row in rows if attempted(row)]
    if not honest or not attack:
        return None
    curve = roc(honest, attack)
    points = tuple(zip(curve.fpr.tolist(), curve.tpr.tolist(), strict=True))
    return Ranking(arm, points, point, quality(rows))
