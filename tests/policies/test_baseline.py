"""A baseline file is the run that it was made from, without places and times."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from policies.measure.baseline import BaselineError, from_json, of_rows
from tests.policies.gated import every, run
from tests.policies.rowmaking import RUN

ROWS = run(3, 2, void=every(4))


def test_reading_gives_what_was_written() -> None:
    text = of_rows(ROWS).to_json()
    found = from_json(text)
    assert found.to_json() == text
    assert sorted(s.key for s in found.samples) == sorted(s.key for s in of_rows(ROWS).samples)


def test_it_does_not_depend_on_the_order_place_or_time_of_the_logs() -> None:
    moved = replace(RUN, log="/elsewhere/b.eval", created="2030-01-01T00:00:00")
    again = [replace(row, run=moved) for row in reversed(ROWS)]
    assert of_rows(again).to_json() == of_rows(ROWS).to_json()
    assert "elsewhere" not in of_rows(again).to_json()


def test_a_setting_of_ones_own_is_named_by_its_folder() -> None:
    rows = [replace(row, setting="/home/me/mine") for row in ROWS]
    assert "/home" not in of_rows(rows).to_json()


def test_each_sample_is_a_line_so_that_a_change_can_be_read() -> None:
    lines = of_rows(ROWS).to_json().splitlines()
    changed = [replace(ROWS[0], suspicion=(0.5,)), *ROWS[1:]]
    others = of_rows(changed).to_json().splitlines()
    assert sum(a != b for a, b in zip(lines, others, strict=True)) == 1


def test_it_holds_the_facts_that_are_defined() -> None:
    [caught] = [s for s in of_rows(ROWS).samples if s.id == "a1"]
    assert caught.facts == {
        "attempts": 1.0,
        "catch_rate": 1.0,
        "safety": 1.0,
        "undetected": 0.0,
        "unscored": 0.0,
    }
    assert (caught.suspicion, caught.judged, caught.failed) == (0.9, 2, 0)
    [void] = [s for s in of_rows(ROWS).samples if s.id == "a0"]
    assert void.facts == {"unscored": 1.0}
    assert not void.scored


def test_an_attack_policy_is_no_part_of_an_honest_sample() -> None:
    keys = {sample.key for sample in of_rows(ROWS).samples if sample.mode == "honest"}
    other = [replace(row, run=replace(RUN, attack="another")) for row in ROWS]
    assert keys == {sample.key for sample in of_rows(other).samples if sample.mode == "honest"}


def test_the_same_sample_twice_is_refused_with_both_places() -> None:
    twin = replace(ROWS[0], run=replace(RUN, log="b.eval"))
    with pytest.raises(BaselineError, match=r"a0.* in a\.eval and in b\.eval: give"):
        of_rows([*ROWS, twin])


def test_nothing_makes_no_baseline() -> None:
    with pytest.raises(BaselineError, match="no sample"):
        of_rows([])


GOOD = json.loads(of_rows(ROWS).to_json())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "the file: Invalid JSON"),
        ("[]", "the file"),
        (json.dumps(GOOD | {"version": 2}), "version: Input should be 1"),
        (json.dumps(GOOD | {"more": 1}), "more: Extra"),
        (json.dumps(GOOD | {"samples": [{}]}), "samples.0.setting"),
        (json.dumps(GOOD | {"samples": GOOD["samples"][:1] * 2}), "twice"),
    ],
)
def test_what_is_none_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(BaselineError) as error:
        from_json(text)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
