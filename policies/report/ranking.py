"""ROC curves of one protocol's monitor. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from policies.measure.roc import auroc, roc
from policies.measure.rows import Row
from policies.report.data import Curve, Ranking
from policies.report.drawn import highest


def ranking(arm: str, rows: Sequence[Row], point: tuple[float, float] | None) -> Ranking | None:
    """The curves of one arm; None where there are not scores of both kinds."""
    scored = [(row, highest(row)) for row in rows if row.outcome is not None]
    honest = [top for row, top in scored if row.mode == "honest" and top is not None]
    attack = [top for row, top in scored if row.mode == "attack" and top is not None]
    if not honest or not attack:
        return None
    curve = roc(honest, attack)
    area = auroc(honest, attack)
    points = tuple(zip(curve.fpr.tolist(), curve.tpr.tolist(), strict=True))
    return Ranking(
        arm, (Curve("monitor", points, (area, area, area)),), point, len(honest), len(attack)
    )
