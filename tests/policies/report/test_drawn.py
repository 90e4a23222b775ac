"""What is drawn: the most informative trajectories, and nothing that grows with their number."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.measure.rates import Rate
from policies.measure.rows import Row
from policies.report import drawn
from policies.report.data import Fate
from policies.report.svg import Axis, counts, element, shares, strip
from policies.report.words import choice, interval, percent, size
from tests.policies.rowmaking import attack, honest, void

ALARM = honest(0.9)
assert ALARM.outcome is not None


def link(row: Row) -> str:
    return row.id


@pytest.mark.parametrize(
    ("row", "threshold", "fate"),
    [
        (attack(0.1, 0.2, harm=1), None, "missed"),
        (attack(0.1, 0.9, harm=0, ended=1), None, "caught late"),
        (attack(0.1, 0.9, ended=1), None, "caught"),
        (attack(0.1, attempted=False), None, "harmless"),
        (honest(0.9), None, "honest"),
        (honest(0.9), 0.8, "false alarm"),
        (honest(0.9), 0.9, "honest"),
        (
            replace(ALARM, outcome=replace(ALARM.outcome, audited=1)),
            None,
            "false alarm",
        ),
    ],
)
def test_each_trajectory_has_one_fate(row: Row, threshold: float | None, fate: Fate) -> None:
    assert drawn.fate(row, threshold) == fate


def test_missed_late_and_false_alarms_come_first_and_none_crowds_out_the_others() -> None:
    rows = [
        *(attack(0.1, harm=0, variant=f"m{n}") for n in range(500)),
        *(attack(0.1, 0.9, harm=0, ended=1, variant=f"l{n}") for n in range(4)),
        *(honest(0.2, variant=f"h{n}") for n in range(500)),
        honest(0.99),
    ]
    found = drawn.strips((("A", row) for row in rows), {"A": 0.9}, link)
    fates = [one.fate for one in found]
    assert len(found) <= drawn.STRIPS
    assert fates[:8] == ["missed"] * 8
    assert fates[8:13] == ["caught late"] * 4 + ["false alarm"]


def test_one_world_does_not_fill_the_page() -> None:
    found = drawn.strips((("A", attack(0.1, harm=0)) for _ in range(50)), {}, link)
    assert len(found) == 3


def test_what_has_no_result_is_not_drawn() -> None:
    assert drawn.strips([("A", void(attack(0.9)))], {}, link) == ()
    assert drawn.flows([void(attack(0.9, bytes_out=(5,)))]) == ()


@given(
    st.lists(st.floats(0, 1), max_size=40),
    st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=40),
)
def test_every_trajectory_is_in_one_bin_or_counted_beside_them(
    honest_scores: list[float], attack_scores: list[float | None]
) -> None:
    rows = [honest(one) for one in honest_scores] + [attack(one) for one in attack_scores]
    rows.append(attack(0.5, failed=frozenset({0})))
    found = drawn.histogram("A", rows, None)
    assert sum(found.honest) == len(honest_scores)
    assert sum(found.attack) + found.unjudged == len(attack_scores)
    assert found.failed == 1


def test_scores_after_the_harm_are_not_drawn_as_suspicion() -> None:
    assert drawn.score(attack(0.1, 0.2, 0.99, harm=1)) == 0.2
    assert drawn.score(attack(None)) == -math.inf


def test_bytes_add_up_and_what_has_ended_stays_where_it_was() -> None:
    rows = [attack(0.1, 0.1, 0.1, bytes_out=(10, 0, 5)), attack(0.1, bytes_out=(10,))]
    [flow] = drawn.flows(rows)
    assert flow.mode == "attack" and flow.n == 2
    assert flow.median == (10, 10, 12.5)


@given(st.floats(allow_nan=False), st.booleans())
def test_an_axis_keeps_every_value_on_it(value: float, log: bool) -> None:
    axis = Axis(1.0, 1e6, (), "", log=log)
    assert 0.0 <= axis.share(value) <= 1.0
    assert axis.share(1.0) == 0.0 and axis.share(1e6) == 1.0


@pytest.mark.parametrize("high", [0, 1, 7, 30, 199, 12_345])
def test_an_axis_of_counts_has_few_whole_ticks(high: int) -> None:
    ticks = [value for value, _ in counts("turns", high).ticks]
    assert 1 <= len(ticks) <= 6
    assert all(value == int(value) <= high for value in ticks)


def test_an_axis_of_shares_is_in_percent() -> None:
    assert [text for _, text in shares("").ticks] == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_text_in_a_drawing_is_escaped() -> None:
    hostile = "\"'<script>&"
    found = element("text", hostile, class_=hostile)
    assert "<script" not in found and found.count('"') == 2
    assert "<script" not in strip(hostile, hostile, hostile, [0.5], [(0, hostile, hostile)])


def test_figures_in_words() -> None:
    assert percent(0.9449) == "94.5\N{NO-BREAK SPACE}%"
    assert percent(math.nan) == "–" == interval(Rate(math.nan, 0, 1, 0))
    assert interval(Rate(0.5, 0.25, 1.0, 9)) == "25 to 100\N{NO-BREAK SPACE}%"
    assert [size(n) for n in (0, 999, 1_000, 5e6, 3e12)] == ["0 B", "999 B", "1 kB", "5 MB", "3 TB"]
    assert choice('{"name": "p", "threshold": 0.5, "inner": {"name": "q"}}') == (
        "p(threshold=0.5, inner=q)"
    )
    assert choice("none") == "none" and choice("[1]") == "[1]"
