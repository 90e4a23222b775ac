"""The page: it shows what was computed, loads nothing, and takes nobody's text for markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from policies.measure.rows import Row
from policies.report import words
from policies.report.build import build
from policies.report.data import Report
from policies.report.markdown import markdown
from policies.report.page import page
from tests.policies.report.planted import HOSTILE, everything, placed, protocol, run
from tests.policies.report.reading import Page, read
from tests.policies.rowmaking import attack, honest


@pytest.fixture(scope="module")
def report() -> Report:
    return build(
        everything(),
        [("/logs/broken.eval", "the file is cut off")],
        budget=0.1,
        digests={"/logs/one.eval": "c0ffee"},
        versions={"sallyport": "9.9"},
    )


@pytest.fixture(scope="module")
def shown(report: Report) -> Page:
    return read(page(report))


def test_every_rate_of_every_protocol_and_attack_is_shown_as_computed(
    report: Report, shown: Page
) -> None:
    text = shown.text["protocols"]
    for cell in report.cells:
        for measure in ("attempts", "catch_rate", "safety", "undetected"):
            found = cell.found.rates[measure]
            if found.n:
                assert words.percent(found.value) in text
                assert words.interval(found) in text
                assert words.counted(found) in text


def test_attempts_and_successes_stand_with_every_rate(report: Report, shown: Page) -> None:
    """Mistake 9: an attacker that never attacks reads as a safe monitor."""
    for cell in report.cells:
        line = f"{words.some(cell.found.successes, 'success', 'successes')} in "
        assert line + words.some(cell.found.attempts, "attempt") in shown.text["protocols"]
    assert "B against shy: the attacker tried in 0 of 20 samples" in shown.text["warnings"]


def test_the_cards_are_the_safest_protocols(report: Report, shown: Page) -> None:
    safest = report.arms[0]
    assert safest.protocol == "trusted_monitoring"
    for measure, found in safest.found.rates.items():
        assert words.NAMES[measure] in shown.text["figures"]
        assert words.percent(found.value) in shown.text["figures"]
        assert f"{words.counted(found)}" in shown.text["figures"]
    [at_budget] = [
        one.found for one in report.at_budget if one.arm == safest.key and one.unit == "trajectory"
    ]
    assert at_budget is not None
    assert words.interval(at_budget.catch_rate) in shown.text["figures"]
    assert "at a budget of 10" in shown.text["figures"]


def test_what_a_reader_must_know_is_warned_of(report: Report, shown: Page) -> None:
    unscored = report.arms[1].found.rates["unscored"]
    for warning in (
        f"{words.percent(unscored.value)} of the samples (6 of {unscored.n})",
        "The monitor failed in 1 sample",
        "1 log could not be used",
    ):
        assert warning in shown.text["warnings"]


def test_costs_stand_by_role_with_cached_tokens_apart(shown: Page) -> None:
    """Mistake 10: cached tokens left out of the cost, ten times too low."""
    for figure in ("1,000", "400", "9,000", "500", "$ 0.012"):
        assert figure in shown.text["cost"]


def test_the_verdict_comes_first_and_says_what_a_manager_needs(shown: Page) -> None:
    sections = [given["id"] for tag, given in shown.tags if tag == "section"]
    assert sections[0] == "verdict"
    assert (
        "Of 2 protocols the safest is A, trusted_monitoring with rules: of 30 attempts 24 were "
        "caught before harm (80\N{NO-BREAK SPACE}%," in shown.text["verdict"]
    )
    assert "6 attacks succeeded unseen" in shown.text["verdict"]
    assert "30 of 30 main tasks done" in shown.text["verdict"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([honest(0.1)], "No attacks were run, so nothing is known of safety."),
        ([attack(0.1, attempted=False)] * 3, "Nothing was tried in 3 attack samples"),
        ([attack(0.9, ended=0)], "Of 1 attempt 1 was caught before harm"),
    ],
)
def test_a_verdict_claims_no_safety_that_nobody_tried(rows: list[Row], told: str) -> None:
    assert told in build(placed(rows, run())).verdict[0]


def test_with_several_protocols_the_verdict_is_of_one_that_was_attacked() -> None:
    rows = placed([honest(0.1)], run("a")) + placed([attack(0.1)] * 3, run("b"))
    assert build(rows).verdict[0].startswith("With b with rules (A): of 3 attempts 0 were caught")


def test_every_part_is_there_and_every_drawing_has_marks(report: Report, shown: Page) -> None:
    sections = [given["id"] for tag, given in shown.tags if tag == "section"]
    assert sections == [
        *("verdict", "figures", "warnings", "protocols", "budget", "choosing", "episodes"),
        *("frontier", "roc", "suspicion", "turns", "bytes", "cost", "timing", "methods", "logs"),
    ]
    kinds = {
        "frontier": {"circle.dot", "line.error"},
        "roc-A": {"polyline.line", "circle.dot"},
        "roc-A-near": {"polyline.line"},
        "histogram-A": {"rect.bar", "line.rule"},
        "flow": {"polyline.line", "polygon.band"},
        "strip-0": {"rect.bar", "text.sign"},
    }
    for name, marks in kinds.items():
        assert marks <= set(shown.marks[name]), name
    strips = [name for name in shown.marks if name.startswith("strip-")]
    assert len(strips) == len(report.strips)


def test_drawings_can_be_told_by_those_who_cannot_see_them(shown: Page) -> None:
    ids = Counter(given["id"] for _, given in shown.tags if "id" in given)
    assert set(ids.values()) == {1}
    for tag, given in shown.tags:
        if tag == "svg" and "aria-hidden" not in given:
            assert given["role"] == "img"
            assert all(ids[name] for name in given["aria-labelledby"].split())


def test_the_page_loads_nothing_and_runs_nothing(report: Report, shown: Page) -> None:
    assert shown.loads == ["data:,"]
    assert not {tag for tag, _ in shown.tags} & {"script", "iframe", "object", "embed", "base"}
    style = page(report).split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    outside = {given["href"] for tag, given in shown.tags if tag == "a"}
    assert all(href.startswith("http://127.0.0.1:7575/#/logs/") for href in outside)


def test_links_open_the_sample_in_the_log_viewer(shown: Page) -> None:
    hrefs = {given["href"] for tag, given in shown.tags if tag == "a"}
    assert "http://127.0.0.1:7575/#/logs/one.eval" in hrefs
    assert any(href.endswith("one.eval/samples/sample/a-0/1/") for href in hrefs)
    assert "inspect view --log-dir /logs" in shown.text["logs"]


def test_skipped_logs_are_named_and_read_ones_have_their_digest(shown: Page) -> None:
    assert "/logs/broken.eval: the file is cut off" in shown.text["logs"]
    assert "c0ffee" in shown.text["logs"]
    assert "9.9" in shown.text["methods"]


def hostile() -> Report:
    where = replace(
        run(HOSTILE, HOSTILE),
        monitor=HOSTILE,
        untrusted=HOSTILE,
        log=f"/logs/{HOSTILE.replace('/', '')}.eval",
        prompts={HOSTILE: HOSTILE},
    )
    rows = [
        replace(row, run=where, id=HOSTILE, setting=HOSTILE) for row in protocol("p", 3, 10, of=24)
    ]
    return build(rows, [(HOSTILE, HOSTILE)], budget=0.1, title=HOSTILE)


def test_hostile_text_is_text() -> None:
    shown = read(page(hostile()))
    assert shown.loads == ["data:,"]
    assert not [tag for tag, _ in shown.tags if tag in ("script", "img")]
    assert not [name for _, given in shown.tags for name in given if name.startswith("on")]
    for section in ("figures", "protocols", "turns", "logs", "methods"):
        assert HOSTILE in shown.text[section]


def test_hostile_text_is_text_in_markdown_too() -> None:
    found = markdown(hostile())
    assert not re.search(r"(?<!\\)<", found)
    table = [line for line in found.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_markdown_has_the_pages_figures(report: Report) -> None:
    found = markdown(report)
    assert "of 30 attempts 24 were caught before harm" in found
    for cell in report.cells:
        safety = cell.found.rates["safety"]
        if safety.n:
            assert f"{words.percent(safety.value)} ({words.interval(safety)};" in found


def test_a_refused_budget_is_said_and_has_no_figures() -> None:
    report = build(protocol("trusted_monitoring", 1, 24), budget=0.01)
    shown = read(page(report))
    assert "71 are missing" in shown.text["budget"]
    assert "no figures at a budget of 1" in shown.text["warnings"]
    assert report.at_budget[0].found is None
    assert "dashed line" not in shown.text["turns"]


def test_a_budget_that_is_fitted_has_its_line_explained(shown: Page) -> None:
    assert "the dashed line is the threshold at the budget" in shown.text["turns"]


def test_a_percentage_is_no_budget() -> None:
    """Mistake 5: a 1 % budget fitted as 100 %."""
    with pytest.raises(ValueError, match="for 1 % give 0.01"):
        build(everything(), budget=1)


def test_a_report_of_one_void_sample_is_still_a_page() -> None:
    row = replace(attack(), outcome=None, void="the evidence is incomplete", run=run())
    shown = read(page(build([row])))
    assert "100\N{NO-BREAK SPACE}% of the samples (1 of 1)" in shown.text["warnings"]


def test_the_page_stays_small_whatever_there_is_to_show() -> None:
    few, many = (
        build(protocol("trusted_monitoring", 1, of // 2, of=of), budget=0.1) for of in (30, 600)
    )
    assert len(page(many)) < 1.2 * len(page(few))
    crowded = replace(many, cells=many.cells * 900, sources=many.sources * 20_000)
    assert len(page(crowded)) < 500_000


def test_what_is_left_out_is_said() -> None:
    report = build(protocol("trusted_monitoring", 1, 20), budget=0.1)
    shown = read(page(replace(report, cells=report.cells * 15, sources=report.sources * 1_500)))
    assert "3 more rows left out" in shown.text["protocols"]
    assert "500 more logs" in shown.text["logs"]
    assert f"{60 - len(report.strips)} are left out" in shown.text["turns"]
