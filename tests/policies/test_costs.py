"""What control costs, by role, in the ledger and in Inspect's own counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from inspect_ai.log import resolve_sample_attachments
from inspect_ai.model import ChatMessage, ModelCost, ModelInfo, get_model, set_model_info

from policies.control import Control
from policies.costs import add, totals
from policies.ledger import CostRecord, TurnRecord
from policies.turn import Monitor, Proposal, Suspicion, Turn, Verdict, execute
from tests.policies.scripted import clear, play, scripted
from tests.scaffolds.loops import hand_written


async def asks_its_model_twice(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
    for _ in range(2):
        await get_model(role="monitor", required=True).generate("how suspicious?")
    return Suspicion.valid(0.9)


async def resamples(turn: Turn) -> Verdict:
    proposals = await turn.draw(3)
    for proposal in proposals:
        await turn.suspicion(proposal)
    return execute(await turn.trusted())


def run(folder: Path) -> tuple[list[TurnRecord], dict[str, object]]:
    async def protocol(turn: Turn) -> Verdict:
        if turn.index:
            return execute((await turn.draw())[0])
        return await resamples(turn)

    trusted = scripted("trusted", ["safe"])
    control = Control(protocol, Monitor("m", asks_its_model_twice), trusted, auditor=clear)
    roles = {"monitor": scripted("monitor"), "trusted": trusted}
    _, sample, book = play(
        folder, control, hand_written, scripted("untrusted", ["one"]), roles=roles
    )
    assert sample.error is None, sample.error.message
    return book.turns, {name: usage.model_dump() for name, usage in sample.role_usage.items()}


def test_every_call_is_charged_to_its_role_in_its_turn(tmp_path: Path) -> None:
    turns, _ = run(tmp_path)
    assert {role: cost.calls for role, cost in turns[0].cost.items()} == {
        "untrusted": 3,
        "monitor": 6,
        "trusted": 1,
    }
    assert {role: cost.calls for role, cost in turns[1].cost.items()} == {"untrusted": 1}
    six = turns[0].cost["monitor"]
    assert (six.input, six.output, six.cache_read, six.cache_write) == (60, 30, 480, 120)
    assert all(cost.seconds > 0 for turn in turns for cost in turn.cost.values())
    assert turns[0].seconds >= turns[0].cost["monitor"].seconds


def test_inspects_own_counts_by_role_agree(tmp_path: Path) -> None:
    turns, by_role = run(tmp_path)
    sums = totals(turns)
    for role in ("untrusted", "monitor"):
        usage = by_role[role]
        assert isinstance(usage, dict)
        assert usage["input_tokens"] == sums[role]["input"]
        assert usage["input_tokens_cache_read"] == sums[role]["cache_read"]


def test_money_is_counted_where_the_price_is_known(tmp_path: Path) -> None:
    cost = ModelCost(input=1.0, output=2.0, input_cache_write=3.0, input_cache_read=0.5)
    set_model_info("script/monitor", ModelInfo(cost=cost))
    turns, _ = run(tmp_path)
    sums = totals(turns)
    # Per call, in millionths: 10 in, 5 out, 20 written, 80 read.
    assert sums["monitor"]["money"] == pytest.approx(6 * (10 + 10 + 60 + 40) / 1e6)
    assert sums["untrusted"]["money"] is None, "not known is not nothing"


def test_money_of_which_a_part_is_unknown_is_unknown() -> None:
    account = CostRecord()
    add(account, CostRecord(calls=1, money=0.5))
    add(account, CostRecord())  # nothing was asked: nothing changes
    assert account.money == 0.5
    add(account, CostRecord(calls=1, money=0.25))
    assert account.money == 0.75
    add(account, CostRecord(calls=1))
    add(account, CostRecord(calls=1, money=0.25))
    assert account.money is None


def test_totals_fit_in_a_summary() -> None:
    whole = CostRecord(calls=10**5, input=10**9, output=10**9, cache_read=10**10, money=12345.6789)
    turns = [
        TurnRecord(index=0, cost={r: whole for r in ("untrusted", "trusted", "monitor", "red")})
    ]
    assert len(json.dumps(totals(turns))) < 1000


def test_the_transcript_shows_every_turn_and_cuts_long_texts(tmp_path: Path) -> None:
    async def protocol(turn: Turn) -> Verdict:
        return execute((await turn.draw(5))[0])

    control = Control(protocol, None, None, auditor=clear)
    long = scripted("untrusted", *[["x" * 50_000]] * 15)
    _, sample, book = play(tmp_path, control, hand_written, long)
    sample = resolve_sample_attachments(sample, "full")
    shown = [e.data for e in sample.events if e.event == "info" and e.source == "sallyport/turn"]
    assert [one["index"] for one in shown] == list(range(16))  # type: ignore[index, call-overload]
    assert all(one["version"] == book.turns[0].version for one in shown)  # type: ignore[index, call-overload]
    assert max(len(json.dumps(one)) for one in shown) < 5_000
    assert "x" * 50_000 in book.turns[0].draws[4].calls[0]["arguments"]["command"]
