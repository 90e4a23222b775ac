"""Bytes that were searched in vain are not searched again, and nothing else changes by that."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from sandbox.evidence import Reference
from sandbox.evidence import peel as reading
from sandbox.evidence.decode import Budget
from sandbox.evidence.peel import TRIALS, peel

PLENTY = 64 << 20
VAIN = np.random.default_rng(0).integers(0, 40, 20_000, dtype=np.uint8).tobytes()


def disguised(full: bytes) -> bytes:
    """Only a look behind the change finds this."""
    return bytes(byte ^ 0x5A for byte in gzip.compress(full[:60_000], mtime=0))


def test_it_costs_the_same_and_no_search(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Budget(PLENTY), Budget(PLENTY)
    found = peel(VAIN, reference.index, first)
    monkeypatch.setattr(reading, "changed", None)
    assert peel(VAIN, reference.index, second) == found
    assert second == first
    assert first.looks < Budget(PLENTY).looks - 1


@pytest.mark.parametrize("budget", [Budget(PLENTY, looks=1), Budget(0)])
def test_what_was_searched_in_part_is_searched_again(
    budget: Budget, full: bytes, reference: Reference
) -> None:
    data = disguised(full)
    peel(data, reference.index, budget)
    again = peel(data, reference.index, Budget(PLENTY))
    assert sum(match.n for found in again.findings for match in found.matches) > 50_000


def test_fewer_changes_in_one_another_are_another_search(full: bytes, reference: Reference) -> None:
    data = disguised(full)
    assert not peel(data, reference.index, Budget(PLENTY), trials=TRIALS - 1).findings
    assert peel(data, reference.index, Budget(PLENTY)).findings


def test_a_budget_that_does_not_pay_for_the_search_says_so(reference: Reference) -> None:
    peel(VAIN, reference.index, Budget(PLENTY))
    short = Budget(PLENTY, looks=3)
    peel(VAIN, reference.index, short)
    assert short.problems == ["too much makes no sense: some of it was not searched for disguises"]
