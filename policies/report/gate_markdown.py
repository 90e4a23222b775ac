"""A gate's judgement as Markdown, for a CI summary. Pure."""

from __future__ import annotations

from policies.measure.regression import Judgement
from policies.report import gate_words
from policies.report.markdown import plain


def gate_markdown(judgement: Judgement) -> str:
    """Verdict, table, what is broken, what changed, what to do; nothing is markup of others'."""
    lines = ["## Sallyport gate", "", f"**{plain(judgement.line)}**", ""]
    lines += [plain(gate_words.scope(judgement)), "", _row(*gate_words.HEADER)]
    lines += ["|---" * len(gate_words.HEADER) + "|"]
    lines += [_row(*map(plain, row)) for row in gate_words.table(judgement)]
    broken = [guard for guard in judgement.guards if not guard.holds]
    for title, items in (
        ("Not comparable, or no ground for a pass", [f"{one.name}: {one.line}" for one in broken]),
        ("What changed", [f"{one.name}: {one.line}" for one in judgement.causes]),
        ("What to do", gate_words.advice(judgement)),
    ):
        if items:
            lines += ["", f"### {title}", "", *(f"- {plain(item)}" for item in items)]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
